"""Manifests: a table of recordings with settings of their own (CSV, or JSON lines).

One row a recording. ``path`` is required, relative to the manifest's folder; any of
``output, reference_path, reference_channel, mode, preset, session_id, device_id, gain_setting,
user_id, site, recorded_at`` may follow. A bad row is reported with its number and the good rows
run.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, ValidationError, field_validator

from anc_core.errors import InputError
from anc_core.jobs.naming import Where
from anc_core.presets import get_preset
from anc_core.records import Mode, Record
from anc_core.remote import objects
from anc_core.remote.address import Place, RemotePath

_SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson"})


class ManifestRow(Record):
    """One recording of a manifest; an empty cell takes the batch's setting."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    path: Place
    output: str | None = None
    """Below the batch's output folder."""
    reference_path: Place | None = None
    reference_channel: int | None = Field(default=None, ge=1, le=1024)
    """Counted from 1: of the reference, or else of the recording itself."""
    mode: Mode | None = None
    preset: str | None = None
    session_id: str | None = None
    device_id: str | None = None
    gain_setting: str | None = None
    user_id: str | None = None
    site: str | None = None
    recorded_at: datetime | None = None
    """A time without zone is taken as UTC."""

    @field_validator("path", "reference_path")
    @classmethod
    def _possible(cls, path: Where | None) -> Where | None:
        # What fsencode() raises, UnicodeEncodeError, is a ValueError.
        if isinstance(path, Path) and b"\0" in os.fsencode(path):
            msg = "a NUL can be in no file's name"
            raise ValueError(msg)
        return path

    @field_validator("preset")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return None if name is None else get_preset(name).name

    @field_validator("recorded_at")
    @classmethod
    def _aware(cls, value: datetime | None) -> datetime | None:
        if value is None or value.tzinfo is None:
            return value and value.replace(tzinfo=UTC)
        try:
            value.astimezone(UTC)
        except OverflowError as err:
            msg = f"{value.isoformat()} is outside the calendar once converted to UTC"
            raise ValueError(msg) from err
        return value


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that cannot be used."""

    manifest: Where
    row: int
    message: str

    def __str__(self) -> str:
        return f"{self.manifest}, row {self.row}: {self.message}"


def is_manifest(path: Where) -> bool:
    """Return whether ``path`` is a manifest by its name."""
    named = path.suffix.lower() in _SUFFIXES
    return named and (isinstance(path, RemotePath) or path.is_file())


def read_manifest(path: Where) -> tuple[list[ManifestRow], list[RowError]]:
    """Return the good rows and the errors of the bad ones.

    Raises
    ------
    InputError
        If it cannot be read, is no text, has no ``path`` column or one of an unknown name.
    """
    try:
        content = objects.read(path) if isinstance(path, RemotePath) else path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as err:
        msg = f"{path}: the manifest cannot be read ({err.strerror or err}); check its permissions"
        raise InputError(msg) from err
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
        try:
            rows.append(_beside(row, path.parent))
        except InputError as err:
            errors.append(RowError(path, number, str(err)))
    return rows, errors


def _csv_rows(path: Where, text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    header = text.split("\n", 1)[0]
    # The tab first: a table of one column has no separator, and its paths may hold commas.
    delimiter = max("\t,;", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        names = _column_names(path, next(reader, []))
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue  # spreadsheets end their tables with rows of nothing
            if any(cell.strip() for cell in cells[len(names) :]):
                yield reader.line_num, f"more cells than the {len(names)} columns"
            else:
                yield reader.line_num, dict(zip(names, cells, strict=False))
    except csv.Error as err:
        yield reader.line_num, f"{err}; is a quotation mark left open?"


def _column_names(path: Where, cells: Sequence[str]) -> list[str]:
    names, known = [cell.strip().lower() for cell in cells], ManifestRow.model_fields
    if "path" not in names:
        msg = f"{path}: the first row must name the columns, among them 'path'; found {names}"
        raise InputError(msg)
    wrong = sorted({n for n in names if n and (n not in known or names.count(n) > 1)})
    if wrong:
        msg = f"{path}: columns {wrong} are unknown or named twice; choose from {', '.join(known)}"
        raise InputError(msg)
    return names


def _json_rows(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    # Not splitlines(): JSON strings may hold U+2028, which is a line's end to Python only.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as err:
            yield number, f"no JSON: {err}"
            continue
        yield number, values if isinstance(values, dict) else "no JSON object"


def _beside(row: ManifestRow, folder: Where) -> ManifestRow:
    update: dict[str, Any] = {"path": _below(folder, row.path)}
    if row.reference_path is not None:
        update["reference_path"] = _below(folder, row.reference_path)
    return row.model_copy(update=update)


def _below(folder: Where, path: Where) -> Where:
    return path if isinstance(path, RemotePath) else folder / path


def _describe(err: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in err.errors())
