"""The list of recordings a model is trained on: a table that travels with the model.

Columns: ``path`` (below a root), ``kind`` (speech or noise), ``group`` (speaker or source
recording: never divided between training and validation), ``split`` (train or validation),
``licence``, ``credit``. The table is the recipe: whoever has the files can train the same model.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from anc_core.errors import InputError
from anc_core.files import write_text_atomic

SPEECH, NOISE = "speech", "noise"
TRAIN, VALIDATION = "train", "validation"
_VALIDATION_SHARE = 10
"""One group in ten is for validation, where the table does not say."""

AUDIO_SUFFIXES = {".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".w64", ".caf", ".opus", ".m4a"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecording:
    """One row of the table."""

    path: str
    kind: str
    group: str
    split: str
    licence: str = ""
    credit: str = ""


def read_table(path: Path) -> list[TrainingRecording]:
    """Return the rows of a table, checked.

    Raises
    ------
    InputError
        If a column is missing, a word is unknown, or a group is in both splits.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = {"path", "kind", "group", "split"} - set(reader.fieldnames or ())
        if missing:
            msg = f"{path}: column {min(missing)!r} is missing"
            raise InputError(msg)
        known = {field.name for field in fields(TrainingRecording)}
        rows = [
            TrainingRecording(**{key: value or "" for key, value in row.items() if key in known})
            for row in reader
        ]
    return checked(rows, name=str(path))


def write_table(rows: Iterable[TrainingRecording], path: Path) -> None:
    """Write ``rows`` as CSV, sorted by path."""
    lines = [",".join(field.name for field in fields(TrainingRecording))]
    for row in sorted(rows, key=lambda row: row.path):
        cells = (str(value).replace('"', '""') for value in asdict(row).values())
        lines.append(",".join(f'"{cell}"' if set(cell) & set(',"\n') else cell for cell in cells))
    write_text_atomic(path, "\n".join(lines) + "\n")


def scan_folders(
    root: Path, speech: Sequence[Path], noise: Sequence[Path]
) -> list[TrainingRecording]:
    """Return a table of all audio files below the folders, one group a folder or file-name stem.

    The group of a file is what stands before the first ``-`` or ``_`` of its name (a speaker in
    LibriSpeech, a source recording in many noise collections), together with its folder. One group
    in ten, chosen by a digest of its name, is for validation.
    """
    rows = []
    for kind, folders in ((SPEECH, speech), (NOISE, noise)):
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith("."):
                    stem = path.stem.replace("_", "-").split("-")[0]
                    group = f"{path.parent.name}/{stem}"
                    rows.append(
                        TrainingRecording(
                            path=path.absolute().relative_to(root.absolute()).as_posix(),
                            kind=kind,
                            group=group,
                            split=split_of(group),
                        )
                    )
    return checked(rows, name="the folders")


def split_of(group: str) -> str:
    """Return the split of a group: by a digest of its name, so the same on every machine."""
    digest = hashlib.blake2b(group.encode(), digest_size=8).digest()
    is_validation = int.from_bytes(digest, "big") % _VALIDATION_SHARE == 0
    return VALIDATION if is_validation else TRAIN


def checked(rows: list[TrainingRecording], *, name: str) -> list[TrainingRecording]:
    """Return ``rows``, or raise :class:`InputError` where they can't be trained on honestly."""
    split_by_group: dict[tuple[str, str], str] = {}
    for row in rows:
        if row.kind not in {SPEECH, NOISE} or row.split not in {TRAIN, VALIDATION}:
            msg = (
                f"{name}: {row.path}: kind {row.kind!r} and split {row.split!r}; they must be "
                "speech or noise, and train or validation"
            )
            raise InputError(msg)
        if split_by_group.setdefault((row.kind, row.group), row.split) != row.split:
            msg = f"{name}: group {row.group!r} is in both splits; a group must not be divided"
            raise InputError(msg)
    for kind in (SPEECH, NOISE):
        for split in (TRAIN, VALIDATION):
            if not any(row.kind == kind and row.split == split for row in rows):
                msg = f"{name}: there is no {kind} for {split}; add recordings of other groups"
                raise InputError(msg)
    return rows


def data_digest(rows: Iterable[TrainingRecording], root: Path) -> str:
    """Return the SHA-256 over paths, splits and contents: the same digest is the same data."""
    total = hashlib.sha256()
    for row in sorted(rows, key=lambda row: row.path):
        content = hashlib.sha256((root / row.path).read_bytes()).hexdigest()
        total.update(f"{row.path}\t{row.kind}\t{row.group}\t{row.split}\t{content}\n".encode())
    return total.hexdigest()
