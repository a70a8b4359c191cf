"""What is asked of an export and an import, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import Field

from anc_core.records import Record
from anc_core.store.plain_rows import CHILD_TABLES, SessionSelection

SCHEMA_VERSION = 1
"""Of the files: 2 will be what this program cannot read."""


class Format(StrEnum):
    """How an export is written."""

    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"

    @property
    def suffix(self) -> str:
        """Ending of the file's name; several tables in one file are a zip."""
        return ".zip" if self in {Format.CSV, Format.PARQUET} else f".{self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What to export, how and where to."""

    output_path: Path
    format: Format = Format.JSON
    selection: SessionSelection = field(default_factory=SessionSelection)
    include: tuple[str, ...] = CHILD_TABLES
    """Tables besides the sessions and their batches."""
    csv_safe: bool = True
    """Text that a spreadsheet would take for a formula begins with an apostrophe."""
    bom: bool = False
    """CSV begins with a byte order mark, by which Excel knows UTF-8."""
    redact: bool = False
    overwrite: bool = False


class TableManifest(Record):
    """One table of an export."""

    rows: int = Field(ge=0)
    digest: str = Field(pattern="^[0-9a-f]{64}$")
    """Of its content, whatever the format."""
    columns: tuple[str, ...]


class PartManifest(Record):
    """One file in an export, or what stands before the manifest where it is one file."""

    name: str
    size: int = Field(ge=0)
    """Bytes."""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(Record):
    """What an export says of itself; the last thing that is written."""

    schema_version: int = Field(ge=1)
    program: str
    exported_at: datetime
    format: Format
    csv_safe: bool = True
    bom: bool = False
    redacted: bool = False
    selection: dict[str, Any] = Field(default_factory=dict)
    digest: str = Field(pattern="^[0-9a-f]{64}$")
    """Of the content of all tables, whatever the format and the time."""
    tables: dict[str, TableManifest]
    parts: tuple[PartManifest, ...]


class ExportResult(Record):
    """What an export wrote."""

    output_path: str
    paths: tuple[str, ...]
    format: Format
    schema_version: int = SCHEMA_VERSION
    exported_at: datetime
    sessions: int
    rows: dict[str, int]
    """Table to its number of rows."""
    digest: str
    """Of the content: the same for every format and time."""
    size: int
    """Bytes of the file."""
    redacted: bool = False
    parts: tuple[PartManifest, ...] = ()
    warnings: tuple[str, ...] = ()


class ImportResult(Record):
    """What an import brought in."""

    path: str
    format: Format
    digest: str
    sessions: int
    """Sessions in the file; the sum of the next three."""
    added: int
    skipped: int
    """Were there already, all the same."""
    replaced: int
    rows: dict[str, int]
    """Table to the number of rows written."""
    warnings: tuple[str, ...] = ()
