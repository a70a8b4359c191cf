"""Find recordings in buckets: a URL of an object, of all that begins so, or of a pattern."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from anc_core.errors import ErrorCode, InputError, SourceError
from anc_core.remote.address import RemotePath
from anc_core.remote.objects import Listing, RemoteObject, fixed_part, list_below, look_at, match

_ANY_DEPTH = "**"


class IsWanted(Protocol):
    """Whether a name is that of a recording; see :func:`anc_core.jobs.scan.scan`."""

    def __call__(self, path: RemotePath, relative: str, *, any_suffix: bool) -> bool:
        """Judge ``path``, which is called ``relative`` below the folder that is searched."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a search is to take."""

    is_wanted: IsWanted
    recursive: bool
    skipped: RemotePath | None
    """Where the outputs go: not searched, unless the search begins in it."""


@dataclass(frozen=True, slots=True)
class Searched:
    """What a URL came to."""

    root: RemotePath
    """The folder that the tree of outputs starts from."""
    objects: tuple[RemoteObject, ...]
    refused: tuple[tuple[str, InputError], ...] = ()


def objects_of(where: RemotePath, wanted: Wanted) -> Searched:
    """Return the recordings that ``where`` means.

    Raises
    ------
    SourceError
        NOT_FOUND or PERMISSION.
    RemoteUnreachableError
        If there was no answer.
    """
    try:
        found = look_at(where)
    except SourceError as err:
        if err.code is not ErrorCode.NOT_FOUND or not any(char in where.key for char in "*?["):
            raise
        return _matching(where, wanted)
    if found is not None:
        return Searched(where.parent, (found,))
    return _folder(where, where, wanted)


def _folder(folder: RemotePath, root: RemotePath, wanted: Wanted) -> Searched:
    listing = list_below(folder, recursive=wanted.recursive)
    kept = [
        one
        for one in _outside(listing.objects, root, wanted.skipped)
        if wanted.is_wanted(one.place, one.place.relative_to(folder), any_suffix=False)
    ]
    return Searched(root, tuple(kept), _refusals(listing))


def _matching(pattern: RemotePath, wanted: Wanted) -> Searched:
    root = fixed_part(pattern)
    listing, folders = match(pattern)
    if not listing.objects and not listing.refused and not folders:
        msg = f"{pattern}: no object has such a name; check the pattern"
        raise SourceError(ErrorCode.NOT_FOUND, msg)
    kept = [
        one
        for one in _outside(listing.objects, root, wanted.skipped)
        if wanted.is_wanted(one.place, one.place.name, any_suffix=True)
    ]
    refused = _refusals(listing)
    if _ANY_DEPTH not in pattern.key:
        for folder in folders:
            inner = _folder(folder, root, wanted)
            kept += inner.objects
            refused += inner.refused
    return Searched(root, tuple(kept), refused)


def _outside(
    objects: Iterable[RemoteObject], root: RemotePath, skipped: RemotePath | None
) -> Iterable[RemoteObject]:
    if skipped is None or root.is_relative_to(skipped):
        return objects
    return [one for one in objects if not one.place.is_relative_to(skipped)]


def _refusals(listing: Listing) -> tuple[tuple[str, InputError], ...]:
    return tuple((why, InputError(why)) for why in listing.refused)
