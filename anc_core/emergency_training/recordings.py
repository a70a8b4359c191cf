"""The list of recordings that speech and noise are taken from: a table that travels with the model.

Columns: ``path`` (below a root), ``kind`` (speech or noise), ``group`` (speaker or source
recording), ``split`` (train or validation), ``licence``, ``credit``, as ``anc train-suppressor``.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from anc_core.errors import InputError

SPEECH, NOISE = "speech", "noise"
TRAIN, VALIDATION = "train", "validation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One row of the table."""

    path: str
    kind: str
    group: str
    split: str
    licence: str
    credit: str


def read_table(path: Path) -> list[Recording]:
    """Return the rows of a table, checked.

    Raises
    ------
    InputError
        If a column is missing, a word is unknown, a group is in both splits, or a kind is missing.
    """
    names = [field.name for field in fields(Recording)]
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = set(names) - set(reader.fieldnames or ())
        if missing:
            msg = f"{path}: column {min(missing)!r} is missing"
            raise InputError(msg)
        rows = [Recording(**{name: row[name] or "" for name in names}) for row in reader]
    split_by_group: dict[tuple[str, str], str] = {}
    for row in rows:
        if row.kind not in {SPEECH, NOISE} or row.split not in {TRAIN, VALIDATION}:
            msg = (
                f"{path}: {row.path}: kind {row.kind!r} and split {row.split!r}; they must be "
                "speech or noise, and train or validation"
            )
            raise InputError(msg)
        if split_by_group.setdefault((row.kind, row.group), row.split) != row.split:
            msg = f"{path}: group {row.group!r} is in both splits; a group must not be divided"
            raise InputError(msg)
    for kind in (SPEECH, NOISE):
        for split in (TRAIN, VALIDATION):
            if not paths_of(rows, Path(), kind, split):
                msg = f"{path}: there is no {kind} for {split}; add recordings of other groups"
                raise InputError(msg)
    return rows


def paths_of(rows: Iterable[Recording], root: Path, kind: str, split: str) -> list[Path]:
    """Return the files of a kind and split, in the order of the table."""
    return [root / row.path for row in rows if row.kind == kind and row.split == split]


def write_table(rows: Iterable[Recording], path: Path) -> None:
    """Write ``rows`` as CSV, sorted by path."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(
            file, [field.name for field in fields(Recording)], lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(asdict(row) for row in sorted(rows, key=lambda row: row.path))


def data_digest(rows: Iterable[Recording], root: Path) -> str:
    """Return the SHA-256 over paths, splits and contents: the same digest is the same data."""
    total = hashlib.sha256()
    for row in sorted(rows, key=lambda row: row.path):
        content = hashlib.sha256((root / row.path).read_bytes()).hexdigest()
        total.update(f"{row.path}\t{row.kind}\t{row.split}\t{content}\n".encode())
    return total.hexdigest()
