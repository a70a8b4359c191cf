"""Where outputs go: the tree of the inputs is mirrored, and no two outputs share a name."""

from __future__ import annotations

import hashlib
import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import overload

from anc_core.errors import ErrorCode, InputError, SinkError
from anc_core.files import printable
from anc_core.remote.address import RemotePath

_MAX_NAME_BYTES = 255  # of one path component on every common file system
_MAX_ENTRIES_TRIED = 100  # of a folder, to learn whether its file system is blind to case


Where = Path | RemotePath


@overload
def mirrored(source: Where, root: Where, output_dir: Path, suffix: str | None = None) -> Path: ...
@overload
def mirrored(source: Where, root: Where, output_dir: Where, suffix: str | None = None) -> Where: ...
def mirrored(source: Where, root: Where, output_dir: Where, suffix: str | None = None) -> Where:
    """Return the place of ``source``'s output below ``output_dir``.

    Parameters
    ----------
    source : path or URL
        The recording.
    root : path or URL
        The folder that ``output_dir`` mirrors; a source outside it goes to the top.
    output_dir : path or URL
        Where outputs go.
    suffix : str, optional
        Replaces the source's where the output's format has another. A name that would overflow
        the file system's limit with it is shortened by a digest.
    """
    target = output_dir / _relative(source, root)
    return target if suffix is None else target.with_name(_with_suffix(target.name, suffix))


def _relative(source: Where, root: Where) -> str:
    if isinstance(source, RemotePath):
        below = isinstance(root, RemotePath) and source.is_relative_to(root)
        return source.relative_to(root) if below else source.name
    absolute = Path(os.path.abspath(source))  # noqa: PTH100 - links stay links
    if isinstance(root, Path):
        base = Path(os.path.abspath(root))  # noqa: PTH100
        if absolute.is_relative_to(base):
            return absolute.relative_to(base).as_posix()
    return absolute.name


def _with_suffix(old: str, suffix: str) -> str:
    name = Path(old).with_suffix(suffix).name
    encoded, ending = os.fsencode(name), os.fsencode(suffix)
    if len(encoded) <= _MAX_NAME_BYTES:
        return name
    digest = b"~" + hashlib.blake2b(encoded, digest_size=8).hexdigest().encode()
    keep = encoded[: _MAX_NAME_BYTES - len(digest) - len(ending)].decode(errors="ignore")
    return keep + os.fsdecode(digest + ending)


def inside(output_dir: Where, name: str) -> Where:
    """Return ``output_dir / name``, or refuse a name that leaves ``output_dir``.

    Raises
    ------
    InputError
        If ``name`` is absolute, climbs out (also through a link), or names the folder itself.
    """
    if "\0" in name:
        msg = f"output {name!r} holds a NUL; no file can have this name"
        raise InputError(msg)
    if isinstance(output_dir, RemotePath):
        return output_dir / name  # which refuses what would climb
    target = output_dir / name
    if Path(name).is_absolute() or _resolved(output_dir) not in _resolved(target).parents:
        msg = f"output {name!r} leaves the output folder {output_dir}; give a path below it"
        raise InputError(msg)
    return target


def check_allowed(path: Where, roots: Iterable[Where]) -> None:
    """Refuse ``path`` if roots are set and it lies outside all of them, links resolved.

    A URL is allowed by a root that is a URL and begins it, a path by one that is a path.

    Raises
    ------
    SinkError
        With code PERMISSION.
    """
    allowed = [_resolved(root) for root in roots]
    if allowed and not any(_lies_in(_resolved(path), root) for root in allowed):
        names = ", ".join(printable(str(root)) for root in allowed)
        shown = printable(str(path))
        msg = f"{shown} lies outside the allowed folders ({names}); see ANC_ALLOWED_ROOTS"
        raise SinkError(ErrorCode.PERMISSION, msg)


def _lies_in(path: Where, root: Where) -> bool:
    if isinstance(path, RemotePath) or isinstance(root, RemotePath):
        return isinstance(path, RemotePath) and path.is_relative_to(root)
    return path.is_relative_to(root)


def is_allowed(path: Where, roots: Iterable[Where]) -> bool:
    """Return whether :func:`check_allowed` lets ``path`` pass."""
    try:
        check_allowed(path, roots)
    except SinkError:
        return False
    return True


def check_named(
    paths: Iterable[Where | None], roots: Iterable[Where], *, own: Iterable[Path] = ()
) -> None:
    """Refuse what a caller named outside of the allowed folders and of ``own``.

    Parameters
    ----------
    paths : iterable of path or None
        Parameters of a flow or a command; None = not given.
    roots : iterable of path
        The allowed folders; none = everything is allowed.
    own : iterable of path
        Folders that this installation keeps for this very purpose: what lies there by default may
        be named as well.

    Raises
    ------
    SinkError
        With code PERMISSION.
    """
    roots = tuple(roots)
    allowed = (*roots, *own) if roots else ()
    for path in paths:
        if path is not None:
            check_allowed(path.expanduser(), allowed)


def check_collisions(pairs: Iterable[tuple[Where, Where]], *, case_blind: bool) -> None:
    """Refuse two sources with one output, and outputs that are inputs.

    Parameters
    ----------
    pairs : iterable of (source, sink)
        The plan.
    case_blind : bool
        The output's file system takes ``X.wav`` and ``x.wav`` for one file. It is then taken to
        be blind to Unicode composition as well (as APFS is); elsewhere the NFC and the NFD form
        of a name are two files.

    Raises
    ------
    SinkError
        With code COLLISION; the message names both.
    """

    def key(path: Where) -> str:
        real = real_name(path)
        return unicodedata.normalize("NFC", real).casefold() if case_blind else real

    pairs = list(pairs)
    sources = {key(source) for source, _ in pairs}
    taken: dict[str, Where] = {}
    for source, sink in pairs:
        place = key(sink)
        if place in taken:
            msg = f"{taken[place]} and {source} would both be written to {sink}; rename one of them"
            raise SinkError(ErrorCode.COLLISION, msg)
        taken[place] = source
        if place in sources:
            msg = f"the output {sink} is itself an input; choose another output folder"
            raise SinkError(ErrorCode.COLLISION, msg)


def real_name(path: Where) -> str:
    """Return the one name of what ``path`` leads to, through all links."""
    # realpath() answers for a link to itself, too, where Path.resolve() raises.
    return str(path) if isinstance(path, RemotePath) else os.path.realpath(path)


def is_case_blind(folder: Where) -> bool:
    """Return whether ``folder``'s file system takes ``X.wav`` and ``x.wav`` for one file.

    Looks whether something that exists there answers to its own name in the other case; writes
    nothing. Where nothing has a name with letters in it, the system's habit decides.
    """
    if isinstance(folder, RemotePath):
        return False
    for candidate in _on_file_system(existing_parent(folder)):
        other = candidate.with_name(candidate.name.swapcase())
        if other.name != candidate.name and candidate.exists():
            return other.exists() and other.samefile(candidate)
    return sys.platform in {"darwin", "win32"}


def _on_file_system(folder: Path) -> Iterator[Path]:
    """Yield what lies on ``folder``'s file system: some entries, itself, its parents.

    The name of a mount point belongs to the file system that it is mounted on, and is left out.
    """
    with os.scandir(folder) if folder.is_dir() else nullcontext(()) as entries:
        for entry in islice(entries, _MAX_ENTRIES_TRIED):
            yield Path(entry.path)
    device = folder.stat().st_dev
    while folder != folder.parent and folder.parent.stat().st_dev == device:
        yield folder
        folder = folder.parent


def existing_parent(folder: Path) -> Path:
    """Return ``folder`` or the nearest of its parents that exists."""
    folder = Path(os.path.abspath(folder))  # noqa: PTH100
    while not os.path.exists(folder):  # noqa: PTH110 - answers for names that are too long, too
        folder = folder.parent
    return folder


@overload
def _resolved(path: Path) -> Path: ...
@overload
def _resolved(path: Where) -> Where: ...
def _resolved(path: Where) -> Where:
    return path if isinstance(path, RemotePath) else Path(os.path.realpath(path))
