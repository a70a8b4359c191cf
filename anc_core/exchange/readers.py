"""Exports read back, a page of plain rows at a time, whatever their format.

Nothing in a file is trusted: no name in it becomes a path, nothing is unpacked to a folder, sizes
are limited, and what cannot be a row is noted by its number.
"""

from __future__ import annotations

import csv
import hashlib
import io
import tempfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from anc_core.errors import InputError
from anc_core.exchange.parsing import FROM_ARROW, FROM_JSON, csv_row_parser, object_parser
from anc_core.exchange.parsing import parse_json_line as parse_json
from anc_core.exchange.records import SCHEMA_VERSION, Manifest
from anc_core.exchange.writers import BOM, MANIFEST_NAME, require_pyarrow
from anc_core.files import open_regular, printable
from anc_core.store.plain_rows import (
    CALIBRATIONS,
    PAGE_ROWS,
    SESSIONS,
    SHAPES,
    Cell,
    TableShape,
    some_of,
)

MAX_FAULTS = 20
"""Bad rows that a message names one by one."""

# An export from before sound levels were measured has no such column, and none of the tables.
_CAME_WITH = "gain_setting"
_CAME_LATER = frozenset({CALIBRATIONS, "level_spans"})
_MAX_LINE = 64 << 20
_MAX_MANIFEST = 16 << 20
_COPY_BYTES = 1 << 20
# RuntimeError: it is encrypted; NotImplementedError: packed in a way that we never do.
_ZIP_FAULTS = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)


class Faults:
    """Rows that cannot be: the first few by their number, the rest by their count."""

    def __init__(self) -> None:
        self.count = 0
        self._lines: list[str] = []

    def add(self, table: str, number: int, what: str) -> None:
        """Note that row ``number`` (from 1) of ``table`` is bad."""
        self.count += 1
        if len(self._lines) < MAX_FAULTS:
            self._lines.append(f"{table} row {number}: {what}")

    def raise_any(self, path: Path) -> None:
        """Raise if there was one.

        Raises
        ------
        InputError
            Names the rows.
        """
        if not self.count:
            return
        more = self.count - len(self._lines)
        lines = "; ".join(self._lines) + (f"; and {more} more" if more else "")
        msg = f"{printable(path)}: {self.count} bad rows, nothing was imported: {lines}"
        raise InputError(msg)


class ExportFile(ABC):
    """An export, open for reading; ``manifest`` says what is in it."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self._file = file
        self.manifest = self._read_manifest()
        self.shapes = {name: self._shape(name) for name in self._table_names()}

    @abstractmethod
    def pages(self, faults: Faults) -> Iterator[tuple[str, int, list[tuple[Cell, ...]]]]:
        """Yield (table, number of the first row, rows), tables in the order of ``shapes``.

        Bad rows are left out, and noted in ``faults``.

        Raises
        ------
        InputError
            If the file is not what its manifest says.
        """

    @abstractmethod
    def _read_manifest(self) -> Manifest: ...

    def _parse_manifest(self, text: bytes) -> Manifest:
        try:
            value = parse_json(text)
            value = value.get("manifest", value)
            version = value["schema_version"]
            # Before all else: a newer one may have fields that this program does not know.
            if isinstance(version, int) and version > SCHEMA_VERSION:
                msg = (
                    f"{printable(self.path)}: schema_version {version} is newer than this "
                    f"program's ({SCHEMA_VERSION}); update anc-platform"
                )
                raise InputError(msg)
            return Manifest.model_validate(value)
        except (AttributeError, TypeError, KeyError, ValidationError) as err:
            msg = f"{printable(self.path)}: has no manifest of an export, or a damaged one: {err}"
            raise InputError(msg) from err

    def _table_names(self) -> list[str]:
        unknown = sorted(set(self.manifest.tables) - set(SHAPES))
        if unknown:
            msg = f"{printable(self.path)}: has tables that are unknown here: {some_of(unknown)}"
            raise InputError(msg)
        missing = [name for name in SHAPES if name not in self.manifest.tables]
        if SESSIONS not in missing and _CAME_WITH not in self.manifest.tables[SESSIONS].columns:
            missing = [name for name in missing if name not in _CAME_LATER]
        if missing:
            msg = (
                f"{printable(self.path)}: was exported without {', '.join(missing)}: sessions "
                "that are not complete cannot be imported"
            )
            raise InputError(msg)
        return [name for name in SHAPES if name in self.manifest.tables]

    def _shape(self, name: str) -> TableShape:
        """Return the shape that the file has: an older one may know fewer columns."""
        full, given = SHAPES[name], self.manifest.tables[name].columns
        known = {column.name: column for column in full.columns}
        unknown = sorted(set(given) - set(known))
        needed = {c.name for c in full.columns if not c.nullable} | set(full.key)
        missing = sorted(needed - set(given))
        if unknown or missing or len(set(given)) != len(given):
            words = [f"unknown: {some_of(unknown)}"] if unknown else []
            words += [f"missing: {some_of(missing)}"] if missing else []
            msg = (
                f"{printable(self.path)}: table {name} has other columns than this program's "
                f"({'; '.join(words) or 'one twice'}); was it written by a newer version?"
            )
            raise InputError(msg)
        return TableShape(name, tuple(known[column] for column in given), full.key)

    def _check_part(self, faults: Faults, name: str, size: int, sha256: str) -> None:
        # Who changed a row wants to know which one, not that the file was changed.
        faults.raise_any(self.path)
        part = next((one for one in self.manifest.parts if one.name == name), None)
        if part is None or (part.size, part.sha256) != (size, sha256):
            msg = (
                f"{printable(self.path)}: {name} is not what was exported (its SHA-256 differs "
                "from the manifest's); nothing was imported"
            )
            raise InputError(msg)


@contextmanager
def open_export(path: Path) -> Iterator[ExportFile]:
    """Open an export of any format, told by its content.

    Raises
    ------
    SourceError
        NOT_FOUND or PERMISSION.
    InputError
        If it is no export, of a newer schema, or damaged.
    """
    with open_regular(path) as raw, io.BufferedReader(raw) as file:
        start = file.peek(4)[:4]
        try:
            if start.startswith(b"PK"):
                with zipfile.ZipFile(file) as archive:
                    yield _zip_file(path, file, archive)
            elif start.startswith(b"{"):
                yield _lines_file(path, file)
            else:
                msg = f"{printable(path)}: is no export of this program; 'anc export' writes them"
                raise InputError(msg)
        except _ZIP_FAULTS as err:
            msg = f"{printable(path)}: the zip is damaged or not an export's: {err}"
            raise InputError(msg) from err
        except UnicodeDecodeError as err:
            msg = f"{printable(path)}: is not UTF-8: {err}"
            raise InputError(msg) from err


# --------------------------------------------------------------------------- zip


def _zip_file(path: Path, file: IO[bytes], archive: zipfile.ZipFile) -> ExportFile:
    names = archive.namelist()
    if len(set(names)) != len(names):
        msg = f"{printable(path)}: the zip has a name twice; that is no export"
        raise InputError(msg)
    kind = _ParquetFile if any(name.endswith(".parquet") for name in names) else _CsvFile
    return kind(path, file, archive)


class _ZipFile(ExportFile):
    suffix: str

    def __init__(self, path: Path, file: IO[bytes], archive: zipfile.ZipFile) -> None:
        self._zip = archive
        super().__init__(path, file)

    def _read_manifest(self) -> Manifest:
        with self._member(MANIFEST_NAME) as member:
            return self._parse_manifest(member.read(_MAX_MANIFEST))

    def _member(self, name: str) -> IO[bytes]:
        try:
            return self._zip.open(name)
        except KeyError as err:
            msg = f"{printable(self.path)}: {name} is missing in the zip; that is no whole export"
            raise InputError(msg) from err
        except OSError as err:  # a table of contents that points before the beginning of the file
            msg = f"{printable(self.path)}: {name} is not where the zip says ({err.strerror})"
            raise InputError(msg) from err


class _HashedStream(io.RawIOBase):
    """Reads on, and knows the digest of what was read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.digest = hashlib.sha256()
        self.size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - a writable buffer
        data = self._source.read(len(buffer))
        buffer[: len(data)] = data
        self.digest.update(data)
        self.size += len(data)
        return len(data)


class _CsvFile(_ZipFile):
    suffix = ".csv"

    def pages(self, faults: Faults) -> Iterator[tuple[str, int, list[tuple[Cell, ...]]]]:
        for name, shape in self.shapes.items():
            part = f"{name}{self.suffix}"
            with self._member(part) as member:
                stream = _HashedStream(member)
                buffered = io.BufferedReader(stream, _COPY_BYTES)
                if self.manifest.bom and buffered.read(len(BOM)) != BOM:
                    msg = f"{printable(self.path)}: {part} has no byte order mark"
                    raise InputError(msg)
                text = io.TextIOWrapper(buffered, encoding="utf-8", newline="")
                yield from self._table(shape, text, faults)
                self._check_part(faults, part, stream.size, stream.digest.hexdigest())

    def _table(
        self, shape: TableShape, text: IO[str], faults: Faults
    ) -> Iterator[tuple[str, int, list[tuple[Cell, ...]]]]:
        # The limit is that of the whole process: others rely on theirs.
        limit = csv.field_size_limit(_MAX_LINE)
        rows = csv.reader(text, strict=True)
        try:
            if tuple(next(rows, ())) != shape.names:
                msg = f"{printable(self.path)}: the header of {shape.name} is not its manifest's"
                raise InputError(msg)
            parse = csv_row_parser(shape, safe=self.manifest.csv_safe)
            yield from _parsed(shape.name, rows, parse, faults)
        except csv.Error as err:
            msg = f"{printable(self.path)}: {shape.name} is no CSV: {err}"
            raise InputError(msg) from err
        finally:
            csv.field_size_limit(limit)


class _ParquetFile(_ZipFile):
    suffix = ".parquet"

    def pages(self, faults: Faults) -> Iterator[tuple[str, int, list[tuple[Cell, ...]]]]:
        require_pyarrow()
        import pyarrow as pa
        from pyarrow import parquet

        for name, shape in self.shapes.items():
            with self._seekable(f"{name}{self.suffix}", faults) as file:
                try:
                    table = parquet.ParquetFile(file)
                    if tuple(table.schema_arrow.names) != shape.names:
                        msg = f"{printable(self.path)}: {name} has other columns than its manifest"
                        raise InputError(msg)
                    rows = _arrow_rows(table)
                    yield from _parsed(name, rows, object_parser(shape, FROM_ARROW), faults)
                except pa.ArrowException as err:
                    msg = f"{printable(self.path)}: {name} is no Parquet: {err}"
                    raise InputError(msg) from err

    @contextmanager
    def _seekable(self, part: str, faults: Faults) -> Iterator[IO[bytes]]:
        """Copy a part to a nameless file, which Parquet is read from out of order."""
        # What is stored as it is cannot be larger than the zip: no bomb.
        if part in self._zip.namelist() and self._zip.getinfo(part).compress_type:
            msg = f"{printable(self.path)}: {part} is compressed in the zip; no export does that"
            raise InputError(msg)
        digest, size = hashlib.sha256(), 0
        with self._member(part) as member, tempfile.TemporaryFile() as copy:
            while block := member.read(_COPY_BYTES):
                digest.update(block)
                size += len(block)
                copy.write(block)
            self._check_part(faults, part, size, digest.hexdigest())
            copy.seek(0)
            yield copy


def _arrow_rows(table: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - pyarrow is loaded late
    for batch in table.iter_batches(batch_size=PAGE_ROWS):
        yield from batch.to_pylist()


# --------------------------------------------------------------------------- lines


def _lines_file(path: Path, file: IO[bytes]) -> ExportFile:
    first = file.readline(_MAX_LINE)
    file.seek(0)
    is_document = first.rstrip().endswith(b",")
    return (_JsonFile if is_document else _JsonLinesFile)(path, file)


class _JsonLinesFile(ExportFile):
    def _read_manifest(self) -> Manifest:
        line = self._last_line()
        return self._parse_manifest(self._manifest_of(line))

    def _manifest_of(self, line: bytes) -> bytes:
        return line

    def _last_line(self) -> bytes:
        self._end = self._file.seek(0, io.SEEK_END)
        start = max(0, self._end - _MAX_MANIFEST)
        self._file.seek(start)
        tail = self._file.read(_MAX_MANIFEST)
        line = tail.rstrip(b"\r\n").rpartition(b"\n")[2]
        self._manifest_at = start + len(tail.rstrip(b"\r\n")) - len(line)
        return line

    def _lines(self, faults: Faults) -> Iterator[bytes]:
        """Yield the lines before the manifest; at the end their digest is checked."""
        digest, size = hashlib.sha256(), 0
        self._file.seek(0)
        while size < self._manifest_at:
            line = self._file.readline(_MAX_LINE)
            if not line.endswith(b"\n"):
                msg = f"{printable(self.path)}: has a line of more than {_MAX_LINE >> 20} MiB"
                raise InputError(msg)
            digest.update(line)
            size += len(line)
            yield line
        self._check_part(faults, "before the manifest", size, digest.hexdigest())

    def pages(self, faults: Faults) -> Iterator[tuple[str, int, list[tuple[Cell, ...]]]]:
        parsers = {name: object_parser(shape, FROM_JSON) for name, shape in self.shapes.items()}
        rank = {name: place for place, name in enumerate(self.shapes)}
        numbers = dict.fromkeys(self.shapes, 0)
        table, rows, first = next(iter(rank)), list[tuple[Cell, ...]](), 1
        for name, line in self._named_rows(faults):
            if name not in rank or rank[name] < rank[table]:
                msg = f"{printable(self.path)}: tables are unknown or out of order at {name!r}"
                raise InputError(msg)
            if name != table or len(rows) >= PAGE_ROWS:
                yield table, first, rows
                table, rows, first = name, [], numbers[name] + 1
            numbers[name] += 1
            try:
                value = line if isinstance(line, dict) else parse_json(line)
                rows.append(parsers[name](value))
            except (InputError, AttributeError) as err:
                faults.add(name, numbers[name], str(err))
        yield table, first, rows

    def _named_rows(self, faults: Faults) -> Iterator[tuple[str, Any]]:
        for number, line in enumerate(self._lines(faults), start=1):
            if number == 1:
                continue
            try:
                row = parse_json(line)
                name = row.pop("table")
            except (InputError, AttributeError, TypeError, KeyError) as err:
                faults.add("line", number, str(err))
                continue
            yield str(name), row


class _JsonFile(_JsonLinesFile):
    def _manifest_of(self, line: bytes) -> bytes:
        return b"{" + line

    def _named_rows(self, faults: Faults) -> Iterator[tuple[str, Any]]:
        table = ""
        for number, line in enumerate(self._lines(faults), start=1):
            bare = line.rstrip(b"\r\n").rstrip(b",")
            if bare.startswith(b'"') and bare.endswith(b":["):
                table = bare[1:-3].decode(errors="replace")
            elif bare.startswith(b"{") and number > 1 and table:
                yield table, bare
            elif bare not in {b"]", b"]}"} and number > 2:
                msg = (
                    f"{printable(self.path)}: line {number} is not laid out as it was exported "
                    "(was it formatted anew?); export as jsonl or csv to edit elsewhere"
                )
                raise InputError(msg)


def _parsed(
    table: str, rows: Iterator[Any], parse: Callable[[Any], tuple[Cell, ...]], faults: Faults
) -> Iterator[tuple[str, int, list[tuple[Cell, ...]]]]:
    first = 1
    while page := list(islice(rows, PAGE_ROWS)):
        plain = []
        for number, row in enumerate(page, start=first):
            try:
                plain.append(parse(row))
            except InputError as err:
                faults.add(table, number, str(err))
        yield table, first, plain
        first += len(page)
