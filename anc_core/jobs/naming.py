"""Where outputs go: the tree of the inputs is mirrored, and no two outputs share a name."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from anc_core.errors import ErrorCode, InputError, SinkError


def mirrored(source: Path, root: Path, output_dir: Path, suffix: str | None = None) -> Path:
    """Return the place of ``source``'s output below ``output_dir``.

    Parameters
    ----------
    source : path
        The recording.
    root : path
        The folder that ``output_dir`` mirrors; a source outside it goes to the top.
    output_dir : path
        Where outputs go.
    suffix : str, optional
        Replaces the source's where the output's format has another.
    """
    absolute = Path(os.path.abspath(source))  # noqa: PTH100 - links stay links
    base = Path(os.path.abspath(root))  # noqa: PTH100
    relative = absolute.relative_to(base) if absolute.is_relative_to(base) else Path(absolute.name)
    target = output_dir / relative
    return target if suffix is None else target.with_suffix(suffix)


def inside(output_dir: Path, name: str) -> Path:
    """Return ``output_dir / name``, or refuse a name that leaves ``output_dir``.

    Raises
    ------
    InputError
        If ``name`` is absolute or climbs out.
    """
    target = output_dir / name
    if Path(name).is_absolute() or not _resolved(target).is_relative_to(_resolved(output_dir)):
        msg = f"output {name!r} leaves the output folder {output_dir}; give a path below it"
        raise InputError(msg)
    return target


def check_allowed(path: Path, roots: Iterable[Path]) -> None:
    """Refuse ``path`` if roots are set and it lies outside all of them, links resolved.

    Raises
    ------
    SinkError
        With code PERMISSION.
    """
    allowed = [_resolved(root) for root in roots]
    if allowed and not any(_resolved(path).is_relative_to(root) for root in allowed):
        names = ", ".join(map(str, allowed))
        msg = f"{path} lies outside the allowed folders ({names}); see ANC_ALLOWED_ROOTS"
        raise SinkError(ErrorCode.PERMISSION, msg)


def check_collisions(pairs: Iterable[tuple[Path, Path]], *, case_blind: bool) -> None:
    """Refuse two sources with one output, and outputs that are inputs.

    Parameters
    ----------
    pairs : iterable of (source, sink)
        The plan.
    case_blind : bool
        The output's file system takes ``X.wav`` and ``x.wav`` for one file.

    Raises
    ------
    SinkError
        With code COLLISION; the message names both.
    """
    pairs = list(pairs)
    sources = {os.path.realpath(source): source for source, _ in pairs}
    taken: dict[str, Path] = {}
    for source, sink in pairs:
        key = unicodedata.normalize("NFC", os.path.realpath(sink))
        key = key.casefold() if case_blind else key
        if key in taken:
            msg = f"{taken[key]} and {source} would both be written to {sink}; rename one of them"
            raise SinkError(ErrorCode.COLLISION, msg)
        taken[key] = source
        if os.path.realpath(sink) in sources:
            msg = f"the output {sink} is itself an input; choose another output folder"
            raise SinkError(ErrorCode.COLLISION, msg)


def is_case_blind(folder: Path) -> bool:
    """Return whether ``folder``'s file system takes ``X.wav`` and ``x.wav`` for one file.

    Looks whether an existing parent answers to its own name in the other case; writes nothing.
    """
    existing = existing_parent(folder)
    for candidate in (existing, *existing.parents):
        other = candidate.with_name(candidate.name.swapcase())
        if other.name != candidate.name:
            return other.exists() and other.samefile(candidate)
    return False


def existing_parent(folder: Path) -> Path:
    """Return ``folder`` or the nearest of its parents that exists."""
    folder = Path(os.path.abspath(folder))  # noqa: PTH100
    while not folder.exists():
        folder = folder.parent
    return folder


def _resolved(path: Path) -> Path:
    return Path(os.path.realpath(path))
