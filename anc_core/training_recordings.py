"""The list of recordings a model is trained on: a table that travels with the model.

Columns: ``path`` (below a root), ``kind`` (speech or noise), ``group`` (speaker or source
recording: never divided between training and validation), ``split`` (train or validation),
``licence``, ``credit``. The table is the recipe: whoever has the files can train the same model.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from anc_core.errors import InputError
from anc_core.files import write_text_atomic

SPEECH, NOISE = "speech", "noise"
TRAIN, VALIDATION = "train", "validation"

RECORDINGS_FILE = "recordings.csv"
"""Name of the table in a model's folder."""

AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".w64", ".caf", ".opus", ".m4a"}
)
"""What a training takes out of a folder."""


_RESTRICTED = ("NC", "SA", "GPL", "NON-COMMERCIAL", "SHAREALIKE")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecording:
    """One row of the table."""

    path: str
    kind: str
    group: str
    split: str
    licence: str = ""
    credit: str = ""


COLUMNS = tuple(field.name for field in fields(TrainingRecording))


def read_table(path: Path, *, required: Collection[str]) -> list[TrainingRecording]:
    """Return the rows of a table, checked.

    Parameters
    ----------
    path : Path
        CSV, UTF-8; columns that are not known are passed over.
    required : collection of str
        Columns that must be there; the others may be missing.

    Raises
    ------
    InputError
        If a column is missing, a word is unknown, a group is in both splits, or a kind is missing.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = set(required) - set(reader.fieldnames or ())
        if missing:
            msg = f"{path}: column {min(missing)!r} is missing"
            raise InputError(msg)
        rows = [
            TrainingRecording(**{key: value or "" for key, value in row.items() if key in COLUMNS})
            for row in reader
        ]
    return checked(rows, name=str(path))


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
            if not chosen(rows, kind, split):
                msg = f"{name}: there is no {kind} for {split}; add recordings of other groups"
                raise InputError(msg)
    return rows


def chosen(rows: Iterable[TrainingRecording], kind: str, split: str) -> list[TrainingRecording]:
    """Return the rows of a kind and split, in the order of the table."""
    return [row for row in rows if row.kind == kind and row.split == split]


def restricted_licences(rows: Sequence[TrainingRecording]) -> list[str]:
    """Return the licences among ``rows`` that a model that ships may not be trained under."""
    found = set()
    for row in rows:
        words = row.licence.upper().replace("-", " ").replace("_", " ").split()
        if not words or any(word.startswith(_RESTRICTED) for word in words):
            found.add(row.licence or "unknown")
    return sorted(found)


def write_table(rows: Iterable[TrainingRecording], path: Path) -> None:
    """Write ``rows`` as CSV, sorted by path."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in sorted(rows, key=lambda row: row.path))
    write_text_atomic(path, text.getvalue())


def data_digest(rows: Iterable[TrainingRecording], root: Path, columns: Sequence[str]) -> str:
    """Return the SHA-256 over columns and contents: the same digest is the same data.

    Parameters
    ----------
    rows : iterable of TrainingRecording
        In any order.
    root : Path
        Folder that their paths are below.
    columns : sequence of str
        What of a row the model depends on, besides the content of its file.
    """
    total = hashlib.sha256()
    for row in sorted(rows, key=lambda row: row.path):
        content = hashlib.sha256((root / row.path).read_bytes()).hexdigest()
        cells = (*(getattr(row, column) for column in columns), content)
        total.update(("\t".join(cells) + "\n").encode())
    return total.hexdigest()
