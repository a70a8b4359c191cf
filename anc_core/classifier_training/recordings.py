"""Which clips there are, and which of them come from the same recording.

A random split puts takes of one recording on both sides and flatters the result: on UrbanSound8K a
forest of the predecessor's features rises from 31 to 64 % that way. So every clip belongs to a
recording, and recordings are never divided.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

from anc_core.classifier_training.records import Clip, Skipped, TrainingData
from anc_core.errors import InputError
from anc_core.files import printable
from anc_core.training_recordings import AUDIO_SUFFIXES

LICENCES_FILE = "licences.csv"

_BEFORE_SEPARATOR = re.compile(r"([^-_.]+)")
_DEFAULT_GROUPING = 'what precedes the first "-", "_" or "." of the file name'


def scan(
    root: Path, groups: str | None = None, *, may_read: Callable[[Path], bool] = lambda _: True
) -> TrainingData:
    """Return the clips below ``root``, one folder a category.

    Parameters
    ----------
    root : Path
        Its folders are the categories; subfolders belong to theirs. Hidden names are ignored.
    groups : str, optional
        Regular expression with one group, searched in the file name: what it finds names the
        recording. By default what precedes the first ``-``, ``_`` or ``.``.
    may_read : callable
        Asked of every file: a link may lead out of ``root``.

    Returns
    -------
    TrainingData
        Sorted by path. A file with the content of another is left out. Licences are taken from
        ``licences.csv`` in ``root``, if there is one: columns ``path`` (a file or a folder, below
        ``root``) and ``licence``.

    Raises
    ------
    InputError
        If the expression is wrong or does not fit a name, or :func:`check_recordings` refuses.
    """
    rule = _compiled(groups)
    if not root.is_dir():
        msg = f"{printable(root)}: is no folder; give one with a folder of clips for each category"
        raise InputError(msg)
    licences = _licences(root / LICENCES_FILE)
    clips: list[Clip] = []
    skipped: list[Skipped] = []
    first_of: dict[str, str] = {}
    for path in _audio_files(root):
        name = path.relative_to(root).as_posix()
        if not may_read(path):
            skipped.append(Skipped(path=name, reason="lies outside the allowed folders"))
            continue
        try:
            digest = _digest(path, path.stat())
        except OSError as error:
            skipped.append(Skipped(path=name, reason=f"cannot be read: {error.strerror}"))
            continue
        twin = first_of.setdefault(digest, name)
        if twin != name:
            skipped.append(Skipped(path=name, reason=f"the same content as {twin}"))
            continue
        recording = _recording(path, rule)
        category = path.relative_to(root).parts[0]
        clips.append(
            Clip(
                path=name,
                category=category,
                recording=recording,
                digest=digest,
                licence=_licence_of(name, licences),
            )
        )
    grouping = _DEFAULT_GROUPING if groups is None else f"{groups!r} in the file name"
    data = TrainingData(
        root=root.absolute(), clips=tuple(clips), skipped=tuple(skipped), grouping=grouping
    )
    check_recordings(data)
    return data


def check_recordings(data: TrainingData) -> None:
    """Refuse what cannot be trained and tested honestly.

    Raises
    ------
    InputError
        If there are fewer than two categories, or one has a single recording, or most clips are
        unusable.
    """
    categories = data.categories
    if len(categories) < 2:
        found = f"only {categories[0]!r} was" if categories else "none was"
        msg = (
            f"{printable(data.root)}: at least 2 categories are needed, {found} found; make a "
            f"folder of audio files for each{_reasons(data)}"
        )
        raise InputError(msg)
    recordings = defaultdict(set)
    for clip in data.clips:
        recordings[clip.category].add(clip.recording)
    for category in categories:
        if len(recordings[category]) < 2:
            only = min(recordings[category])
            msg = (
                f"category {category!r} has a single recording, {only!r}: it cannot be in the "
                f"training and in the test. Add clips of another recording, or say what names a "
                f"recording with groups, a regular expression such as '^(.*?)_take'; now it is "
                f"{data.grouping}{_reasons(data)}"
            )
            raise InputError(msg)
    if len(data.skipped) > len(data.clips):
        msg = (
            f"{printable(data.root)}: {len(data.skipped)} of "
            f"{len(data.skipped) + len(data.clips)} files can't be used{_reasons(data)}"
        )
        raise InputError(msg)


def data_digest(clips: Iterable[Clip]) -> str:
    """Return the SHA-256 over categories, recordings and contents, in any order, of any name."""
    lines = sorted(f"{clip.category}\t{clip.recording}\t{clip.digest}\n" for clip in clips)
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


def without(data: TrainingData, bad: Iterable[Skipped]) -> TrainingData:
    """Return ``data`` without the clips that turned out to be unusable.

    Raises
    ------
    InputError
        As :func:`check_recordings`, of what is left.
    """
    bad = tuple(bad)
    names = {one.path for one in bad}
    left = data.model_copy(
        update={
            "clips": tuple(clip for clip in data.clips if clip.path not in names),
            "skipped": data.skipped + bad,
        }
    )
    check_recordings(left)
    return left


def _digest(path: Path, state: os.stat_result) -> str:
    """Return the SHA-256 of a file, read once a process for as long as it is not touched."""
    return _digest_of_state(path, state.st_size, state.st_mtime_ns)


@functools.cache
def _digest_of_state(path: Path, _size: int, _changed_ns: int) -> str:
    # ``anc train`` looks at the folder before Prefect starts, and the flow looks again.
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _licences(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = {"path", "licence"} - set(reader.fieldnames or ())
        if missing:
            msg = f"{printable(path)}: column {min(missing)!r} is missing"
            raise InputError(msg)
        return {row["path"].strip("/"): row["licence"] or "" for row in reader if row["path"]}


def _licence_of(name: str, licences: Mapping[str, str]) -> str:
    """Return what is said of the file, or of the nearest folder it lies in."""
    place = PurePosixPath(name)
    said = (licences.get(str(some)) for some in (place, *place.parents))
    return next((licence for licence in said if licence is not None), "")


def _reasons(data: TrainingData) -> str:
    if not data.skipped:
        return ""
    first = data.skipped[0]
    return f" ({len(data.skipped)} files were left out; {first.path}: {first.reason})"


def _compiled(groups: str | None) -> re.Pattern[str]:
    if groups is None:
        return _BEFORE_SEPARATOR
    try:
        rule = re.compile(groups)
    except re.error as error:
        msg = f"groups {groups!r} is no regular expression: {error}"
        raise InputError(msg) from None
    if rule.groups != 1:
        msg = f"groups {groups!r} has {rule.groups} groups; put one pair of parentheses"
        raise InputError(msg)
    return rule


def _recording(path: Path, rule: re.Pattern[str]) -> str:
    found = rule.search(path.name)
    if found is None or not found[1]:
        msg = (
            f"{printable(path)}: {rule.pattern!r} finds no recording in this name; "
            "change groups or the name"
        )
        raise InputError(msg)
    return str(found[1])


def _audio_files(root: Path) -> list[Path]:
    def is_hidden(path: Path) -> bool:
        return any(part.startswith(".") for part in path.relative_to(root).parts)

    return sorted(
        path
        for folder in root.iterdir()
        if folder.is_dir()
        for path in folder.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file() and not is_hidden(path)
    )
