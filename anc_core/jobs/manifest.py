"""Manifests: a table of recordings with settings of their own (CSV, or JSON lines).

One row a recording. ``path`` is required, relative to the manifest's folder; any of
``output, reference_path, mode, preset, session_id, device_id, user_id, site, recorded_at`` may
follow. A bad row is reported with its number and the good rows run.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError, field_validator

from anc_core.errors import InputError
from anc_core.presets import get_preset
from anc_core.records import Mode, Record

_SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson"})


class ManifestRow(Record):
    """One recording of a manifest; an empty cell takes the batch's setting."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    path: Path
    output: str | None = None
    """Below the batch's output folder."""
    reference_path: Path | None = None
    mode: Mode | None = None
    preset: str | None = None
    session_id: str | None = None
    device_id: str | None = None
    user_id: str | None = None
    site: str | None = None
    recorded_at: datetime | None = None
    """A time without zone is taken as UTC."""

    @field_validator("preset")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return None if name is None else get_preset(name).name

    @field_validator("recorded_at")
    @classmethod
    def _aware(cls, value: datetime | None) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that cannot be used."""

    manifest: Path
    row: int
    message: str

    def __str__(self) -> str:
        return f"{self.manifest}, row {self.row}: {self.message}"


def is_manifest(path: Path) -> bool:
    """Return whether ``path`` is a manifest by its name."""
    return path.suffix.lower() in _SUFFIXES and path.is_file()


def read_manifest(path: Path) -> tuple[list[ManifestRow], list[RowError]]:
    """Return the good rows and the errors of the bad ones.

    Raises
    ------
    InputError
        If it is no text, or has no ``path`` column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as err:
        msg = f"{path}: a manifest must be UTF-8 text ({err.reason} at byte {err.start})"
        raise InputError(msg) from err
    rows: list[ManifestRow] = []
    errors: list[RowError] = []
    cells = _csv_rows(path, text) if path.suffix.lower() in {".csv", ".tsv"} else _json_rows(text)
    for number, values in cells:
        if isinstance(values, str):
            errors.append(RowError(path, number, values))
            continue
        try:
            row = ManifestRow.model_validate(
                {name: value for name, value in values.items() if value is not None and value != ""}
            )
        except ValidationError as err:
            errors.append(RowError(path, number, _describe(err)))
            continue
        rows.append(_beside(row, path.parent))
    return rows, errors


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    header = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=header.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    names = [name.strip().lower() for name in reader.fieldnames or ()]
    if "path" not in names:
        msg = f"{path}: the first row must name the columns, among them 'path'; found {names}"
        raise InputError(msg)
    reader.fieldnames = names
    for values in reader:
        if None in values:
            yield reader.line_num, f"more cells than the {len(names)} columns"
        else:
            yield reader.line_num, dict(values)


def _json_rows(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except json.JSONDecodeError as err:
            yield number, f"no JSON: {err.msg}"
            continue
        yield number, values if isinstance(values, dict) else "no JSON object"


def _beside(row: ManifestRow, folder: Path) -> ManifestRow:
    update: dict[str, Any] = {"path": folder / row.path}
    if row.reference_path is not None:
        update["reference_path"] = folder / row.reference_path
    return row.model_copy(update=update)


def _describe(err: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in err.errors())
