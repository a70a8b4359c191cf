"""Requests from access logs into the store: each line once, however often a log is imported.

A log is known by its first line and by the bytes before the place where its reading ended, not by
name or inode: rotation renames it, copies and truncates it, compresses it. What was written and how
far was read are one transaction, so that a killed import goes on where it was. What this cannot
tell: an older, shorter copy of a log that was read further since is taken for another log.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from anc_core.api_requests import MAX_ENDPOINTS, ApiRequest, Endpoints
from anc_core.errors import InputError
from anc_core.files import open_regular, printable
from anc_core.jobs.access_log_lines import MAX_LINE_BYTES, LineReader
from anc_core.jobs.naming import check_allowed
from anc_core.records import Record
from anc_core.settings import Settings
from anc_core.store import Database, open_database, record_api_requests
from anc_core.store.api_logs import lock_positions, new_position, positions_of
from anc_core.store.api_requests import known_endpoints

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from anc_core.store.tables import ApiLogPosition

MAX_EXAMPLES = 5
_LINES_AT_ONCE = 5_000
_TAIL_BYTES = 256
_SHOWN = 120
_GZIP = b"\x1f\x8b"
_TORN = (OSError, EOFError, zlib.error)


class BadLine(Record):
    """A line that is no request."""

    line: int
    """Number in this reading, from 1."""
    text: str
    reason: str


class LogImport(Record):
    """What became of one log."""

    path: str
    lines: int = 0
    """Lines that were new."""
    requests: int = 0
    bad_lines: int = 0
    examples: tuple[BadLine, ...] = ()
    resumed_at: int = 0
    """Bytes of text that were read before."""
    position: int = 0
    """Bytes of text that are read now."""
    error: str | None = None
    """Why it could not be read to its end; what was read before that is in the store."""


class ApiLogImport(Record):
    """What became of all logs."""

    files: tuple[LogImport, ...] = ()
    lines: int = 0
    requests: int = 0
    bad_lines: int = 0
    failed: int = 0
    """Files with an error."""


def import_access_logs(
    settings: Settings,
    paths: Iterable[Path],
    *,
    keep_client: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ApiLogImport:
    """Read what is new in access logs, plain or gz, in the common, combined or JSON lines format.

    Parameters
    ----------
    settings : Settings
        Database, folders that may be read.
    paths : iterable of Path
        Logs in any order, rotated ones among them.
    keep_client : bool
        Store addresses of clients, which are personal data.
    progress : callable, optional
        Called with the number of lines read so far.

    Raises
    ------
    InputError
        If no path is given.
    """
    found = list(paths)
    if not found:
        msg = "name at least one log"
        raise InputError(msg)
    database = open_database(settings.resolved_database_url)
    try:
        with database.read() as db:
            reader = LineReader(
                Endpoints(known_endpoints(db, MAX_ENDPOINTS)), keep_client=keep_client
            )
        files: list[LogImport] = []
        for path in found:
            so_far = sum(one.lines for one in files)
            report = _no_progress if progress is None else partial(_add, progress, so_far)
            files.append(_import_one(settings, database, path, reader, report))
    finally:
        database.dispose()
    return ApiLogImport(
        files=tuple(files),
        lines=sum(one.lines for one in files),
        requests=sum(one.requests for one in files),
        bad_lines=sum(one.bad_lines for one in files),
        failed=sum(one.error is not None for one in files),
    )


def _add(progress: Callable[[int], None], so_far: int, lines: int) -> None:
    progress(so_far + lines)


def _no_progress(_: int) -> None:
    """Tell nobody."""


class _Lines:
    """The text of a log, line by line; knows where it is and what stands before that."""

    def __init__(self, file: IO[bytes], *, is_packed: bool) -> None:
        self._file = file
        self._is_packed = is_packed
        self.position = 0
        self.tail = b""

    def rewind(self) -> None:
        """Begin anew."""
        self._file.seek(0)
        self.position, self.tail = 0, b""

    def resume(self, row: ApiLogPosition) -> bool:
        """Go to where a log was read to, if this is that log: the bytes before it are the same."""
        try:
            self._file.seek(row.position - row.tail_bytes)
            tail = self._file.read(row.tail_bytes)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            return False
        if len(tail) < row.tail_bytes or _digest(tail) != row.tail_digest:
            return False
        self.position, self.tail = row.position, tail
        return True

    def __iter__(self) -> Iterator[bytes]:
        """Yield whole lines; of a line that is too long the beginning, which no reader takes."""
        while start := self._file.readline(MAX_LINE_BYTES + 1):
            size, end = len(start), start[-_TAIL_BYTES:]
            while not end.endswith(b"\n"):
                more = self._file.readline(MAX_LINE_BYTES)
                if not more:
                    break
                size, end = size + len(more), (end + more)[-_TAIL_BYTES:]
            # Without its end the last line of a plain file is still in writing.
            if not end.endswith(b"\n") and not self._is_packed:
                return
            self.position += size
            self.tail = (self.tail + end)[-_TAIL_BYTES:]
            yield start


class _LogReading:
    """One log on its way into the store."""

    def __init__(self, database: Database, path: Path, reader: LineReader) -> None:
        self._database = database
        self._path = path
        self._reader = reader
        self._row_id: int | None = None
        self._seen: set[int] = set()
        self._head_digest = ""
        self._counts = {"lines": 0, "requests": 0, "bad_lines": 0, "resumed_at": 0, "position": 0}
        self._examples: list[BadLine] = []

    def result(self, error: str | None = None) -> LogImport:
        """Return what became of it so far."""
        return LogImport(
            path=printable(self._path),
            examples=tuple(self._examples),
            error=error,
            **self._counts,
        )

    def run(self, lines: _Lines, progress: Callable[[int], None]) -> None:
        """Read and write, some lines a transaction.

        Raises
        ------
        OSError, EOFError, zlib.error
            If the file ends before its text; what came before is written.
        InputError
            If another import reads the same log.
        """
        if not self._begin(lines):
            return
        while True:
            before, page, fault = lines.position, list[bytes](), None
            try:
                page.extend(islice(lines, _LINES_AT_ONCE))
            except _TORN as err:
                fault = err
            if page:
                self._write(lines, page, before)
                progress(self._counts["lines"])
            if fault is not None:
                raise fault
            if not page:
                return

    def _begin(self, lines: _Lines) -> bool:
        """Find the place to go on at; false where there is no whole line."""
        lines.rewind()
        first = next(iter(lines), None)
        if first is None:
            return False
        self._head_digest = _digest(first)
        with self._database.read() as db:
            rows = positions_of(db, self._head_digest)
        self._seen = {row.id for row in rows}
        # Nearest first, so that a packed file is read forward; the furthest that fits stands.
        fitting = [row for row in rows if lines.resume(row)]
        lines.rewind()
        if fitting:
            lines.resume(fitting[-1])
            self._row_id = fitting[-1].id
        self._counts["resumed_at"] = self._counts["position"] = lines.position
        return True

    def _write(self, lines: _Lines, page: list[bytes], before: int) -> None:
        bad_before = self._counts["bad_lines"]
        requests = list(self._parsed(page))
        self._counts["requests"] += len(requests)
        self._counts["position"] = lines.position
        with self._database.begin() as db:
            row = self._row(db, before)
            record_api_requests(db, requests)
            row.path, row.updated_at = printable(self._path), datetime.now(UTC)
            row.position = lines.position
            row.tail_bytes, row.tail_digest = len(lines.tail), _digest(lines.tail)
            row.lines += len(page)
            row.bad_lines += self._counts["bad_lines"] - bad_before

    def _row(self, db: Session, before: int) -> ApiLogPosition:
        """Return the log's row, as it was left; another import may not have moved it."""
        lock_positions(db)
        rows = {row.id: row for row in positions_of(db, self._head_digest)}
        if self._row_id is None and rows.keys() == self._seen:
            row = new_position(db, printable(self._path), self._head_digest)
            self._row_id = row.id
            return row
        known = None if self._row_id is None else rows.get(self._row_id)
        if known is None or known.position != before:
            msg = f"{printable(self._path)}: another import reads it; import it again"
            raise InputError(msg)
        return known

    def _parsed(self, page: list[bytes]) -> Iterator[ApiRequest]:
        for line in page:
            self._counts["lines"] += 1
            try:
                request = self._reader.read(line)
            except InputError as err:
                self._counts["bad_lines"] += 1
                if len(self._examples) < MAX_EXAMPLES:
                    text = line[:_SHOWN].decode("utf-8", "backslashreplace").rstrip("\r\n")
                    number = self._counts["lines"]
                    self._examples.append(BadLine(line=number, text=text, reason=str(err)))
            else:
                if request is not None:
                    yield request


def _import_one(
    settings: Settings,
    database: Database,
    path: Path,
    reader: LineReader,
    progress: Callable[[int], None],
) -> LogImport:
    reading = _LogReading(database, path, reader)
    try:
        check_allowed(path, settings.allowed_roots)
        with _open_log(path) as lines:
            reading.run(lines, progress)
    except (*_TORN, InputError) as err:
        # A log among many: the others are still worth reading.
        return reading.result(str(err) or type(err).__name__)
    return reading.result()


@contextmanager
def _open_log(path: Path) -> Iterator[_Lines]:
    with open_regular(path) as raw, io.BufferedReader(raw) as plain:
        if plain.peek(2)[:2] == _GZIP:
            with gzip.open(plain) as unpacked:
                yield _Lines(cast("IO[bytes]", unpacked), is_packed=True)
        else:
            yield _Lines(plain, is_packed=False)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
