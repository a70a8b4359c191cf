"""Tables to a file, a page at a time; the manifest last.

One file in every format: CSV and Parquet are a zip with a file for each table, JSON and JSON lines
hold a row on each line.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib.util import find_spec
from typing import IO, Any, Protocol

from anc_core.errors import InputError
from anc_core.exchange.cells import csv_lines, header_line, is_same_when_safe
from anc_core.exchange.records import SCHEMA_VERSION, ExportRequest, Format, Manifest, PartManifest
from anc_core.store.plain_rows import Cell, Kind, PlainRow, TableShape

MANIFEST_NAME = "manifest.json"
BOM = "\ufeff".encode()

# A row group of Parquet is held until it has so many rows or bytes; windows fill it by rows.
_ROW_GROUP = 100_000
_ROW_GROUP_BYTES = 16 << 20
# Deflate's level: 1 packs these tables by 5 to 6, 6 by 7 to 8 in three times the time.
_LEVEL = 1


class TablesWriter(Protocol):
    """Takes tables one after the other."""

    def begin(self, shape: TableShape) -> None:
        """Begin a table."""

    def write(self, rows: Sequence[PlainRow], lines: bytes) -> None:
        """Add rows; ``lines`` are the same as plain CSV."""

    def end(self) -> None:
        """End the table."""

    def parts(self) -> list[PartManifest]:
        """Return what was written so far: no more tables come."""

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest; the file is complete."""

    def abandon(self) -> None:
        """Give up: nothing is written any more, not even on the way out."""


def tables_writer(request: ExportRequest, sink: IO[bytes]) -> TablesWriter:
    """Return the writer of the format that is asked for.

    Raises
    ------
    InputError
        If Parquet is asked for and pyarrow is not installed.
    """
    if request.format is Format.CSV:
        return _CsvWriter(sink, safe=request.csv_safe, bom=request.bom)
    if request.format is Format.PARQUET:
        require_pyarrow()
        return _ParquetWriter(sink)
    return _LinesWriter(sink) if request.format is Format.JSONL else _JsonWriter(sink)


def require_pyarrow() -> None:
    """Refuse Parquet where it cannot be.

    Raises
    ------
    InputError
        Names the extra that brings pyarrow.
    """
    if find_spec("pyarrow") is None:
        msg = "Parquet needs pyarrow; pip install 'anc-platform[parquet]', or choose jsonl or csv"
        raise InputError(msg)


class _Counted:
    """A sink that knows how much went through it, and its digest."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._sink = sink
        self._digest = hashlib.sha256()
        self.size = 0
        self.closed = False

    def write(self, data: Any) -> int:  # noqa: ANN401 - bytes or a buffer of pyarrow's
        view = memoryview(data)
        self._sink.write(view)
        self._digest.update(view)
        self.size += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self._sink.flush()

    def close(self) -> None:
        self.closed = True

    def abandon(self) -> None:
        self._sink = io.BytesIO()

    def part(self, name: str) -> PartManifest:
        return PartManifest(name=name, size=self.size, sha256=self._digest.hexdigest())


class _ZipTables:
    """A zip with a file for each table."""

    suffix: str
    compression: int

    def __init__(self, sink: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(sink, "w", self.compression, compresslevel=_LEVEL)
        self._parts: list[PartManifest] = []
        self._shape: TableShape
        self._member: IO[bytes]
        self._counted: _Counted

    def begin(self, shape: TableShape) -> None:
        self._shape = shape
        # force_zip64: nobody knows yet whether it will exceed 4 GiB.
        self._member = self._zip.open(f"{shape.name}{self.suffix}", "w", force_zip64=True)
        self._counted = _Counted(self._member)

    def end(self) -> None:
        self._member.close()
        self._parts.append(self._counted.part(f"{self._shape.name}{self.suffix}"))

    def parts(self) -> list[PartManifest]:
        return self._parts

    def finish(self, manifest: Manifest) -> None:
        self._zip.writestr(MANIFEST_NAME, manifest.to_json(indent=2) + "\n")
        self._zip.close()

    def abandon(self) -> None:
        self._zip.fp = None


class _CsvWriter(_ZipTables):
    suffix = ".csv"
    compression = zipfile.ZIP_DEFLATED

    def __init__(self, sink: IO[bytes], *, safe: bool, bom: bool) -> None:
        super().__init__(sink)
        self._safe = safe
        self._bom = bom

    def begin(self, shape: TableShape) -> None:
        super().begin(shape)
        if self._bom:
            self._counted.write(BOM)
        self._counted.write(header_line(shape.names).encode())

    def write(self, rows: Sequence[PlainRow], lines: bytes) -> None:
        if self._safe and not is_same_when_safe(self._shape, rows):
            lines = csv_lines(self._shape, rows, safe=True).encode()
        self._counted.write(lines)


class _ParquetWriter(_ZipTables):
    suffix = ".parquet"
    # Not packed twice, and a reader can seek in it.
    compression = zipfile.ZIP_STORED
    _parquet: Any = None

    def begin(self, shape: TableShape) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        super().begin(shape)
        self._schema = pa.schema(
            [
                pa.field(column.name, _arrow_type(column.kind, pa), nullable=column.nullable)
                for column in shape.columns
            ]
        )
        self._parquet = parquet.ParquetWriter(self._counted, self._schema, compression="zstd")
        self._batches: list[Any] = []

    def write(self, rows: Sequence[PlainRow], lines: bytes) -> None:
        import pyarrow as pa

        columns = zip(*rows, strict=True)
        arrays = [
            pa.array(_arrow_cells(cells, column.kind), field.type)
            for cells, column, field in zip(columns, self._shape.columns, self._schema, strict=True)
        ]
        self._batches.append(pa.record_batch(arrays, schema=self._schema))
        is_many = sum(batch.num_rows for batch in self._batches) >= _ROW_GROUP
        if is_many or sum(batch.nbytes for batch in self._batches) >= _ROW_GROUP_BYTES:
            self._write_group()

    def end(self) -> None:
        self._write_group()
        self._parquet.close()
        self._parquet = None
        super().end()

    def abandon(self) -> None:
        super().abandon()
        if self._parquet is not None:
            self._counted.abandon()
            self._parquet.close()

    def _write_group(self) -> None:
        import pyarrow as pa

        if self._batches:
            self._parquet.write_table(
                pa.Table.from_batches(self._batches), row_group_size=_ROW_GROUP
            )
        self._batches = []


class _LinesWriter:
    """JSON lines: what the file is, a row with the name of its table on each line, the manifest."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._counted = _Counted(sink)
        self._counted.write(_json({"anc_export": _about(Format.JSONL)}) + b"\n")
        self._table = ""
        self._row: Callable[[PlainRow], dict[str, Any]]

    def begin(self, shape: TableShape) -> None:
        self._table, self._row = shape.name, _row_reader(shape)

    def write(self, rows: Sequence[PlainRow], lines: bytes) -> None:
        name, read = self._table, self._row
        text = io.BytesIO()
        for row in rows:
            text.write(_json({"table": name, **read(row)}))
            text.write(b"\n")
        self._counted.write(text.getbuffer())

    def end(self) -> None:
        """Nothing stands between tables."""

    def parts(self) -> list[PartManifest]:
        return [self._counted.part("before the manifest")]

    def finish(self, manifest: Manifest) -> None:
        self._counted.write(_json({"manifest": json.loads(manifest.to_json())}) + b"\n")

    def abandon(self) -> None:
        """Nothing is held back."""


class _JsonWriter(_LinesWriter):
    """One JSON document, laid out with a row on each line, so that it can be read that way."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._counted = _Counted(sink)
        about = _json(_about(Format.JSON))
        self._counted.write(b'{"anc_export":' + about + b',\n"tables":{')
        self._is_first_table, self._is_first_row = True, True

    def begin(self, shape: TableShape) -> None:
        self._row = _row_reader(shape)
        separator = b"\n" if self._is_first_table else b",\n"
        self._counted.write(separator + _json(shape.name) + b":[")
        self._is_first_table, self._is_first_row = False, True

    def write(self, rows: Sequence[PlainRow], lines: bytes) -> None:
        text = ",\n".join(_json(self._row(row)).decode() for row in rows)
        self._counted.write(("\n" if self._is_first_row else ",\n").encode() + text.encode())
        self._is_first_row = False

    def end(self) -> None:
        self._counted.write(b"\n]")

    def parts(self) -> list[PartManifest]:
        self._counted.write(b"},\n")
        return super().parts()

    def finish(self, manifest: Manifest) -> None:
        self._counted.write(b'"manifest":' + _json(json.loads(manifest.to_json())) + b"}\n")


def _about(format_: Format) -> dict[str, Any]:
    return {"schema_version": SCHEMA_VERSION, "format": format_.value}


def _json(value: object) -> bytes:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:  # undecodable bytes of a file name, inside a JSON column
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _row_reader(shape: TableShape) -> Callable[[PlainRow], dict[str, Any]]:
    """Return what makes an object of a row; truth and JSON become what they mean."""
    names = shape.names
    special = [
        (column.name, column.kind)
        for column in shape.columns
        if column.kind in {Kind.TRUTH, Kind.JSON}
    ]

    def read(row: PlainRow) -> dict[str, Any]:
        found: dict[str, Any] = dict(zip(names, row, strict=True))
        for name, kind in special:
            cell = found[name]
            if cell is not None:
                found[name] = cell == "true" if kind is Kind.TRUTH else json.loads(cell)
        return found

    return read


def _arrow_type(kind: Kind, pa: Any) -> Any:  # noqa: ANN401 - pyarrow is loaded only where it is used
    return {
        Kind.INTEGER: pa.int64(),
        Kind.NUMBER: pa.float64(),
        Kind.TRUTH: pa.bool_(),
        Kind.TIME: pa.timestamp("us", tz="UTC"),
    }.get(kind, pa.string())


def _arrow_cells(cells: Sequence[Cell], kind: Kind) -> Sequence[Any]:
    if kind is Kind.TRUTH:
        return [None if cell is None else cell == "true" for cell in cells]
    if kind is Kind.TIME:
        return [None if cell is None else datetime.fromisoformat(str(cell)) for cell in cells]
    return cells
