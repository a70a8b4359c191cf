"""Sessions and all that belongs to them as one file, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from anc_core.errors import ErrorCode, InputError, SinkError
from anc_core.exchange.cells import TableDigest, content_digest
from anc_core.exchange.records import (
    SCHEMA_VERSION,
    ExportRequest,
    ExportResult,
    Format,
    Manifest,
    PartManifest,
    TableManifest,
)
from anc_core.exchange.redaction import Redaction
from anc_core.exchange.requests import default_output
from anc_core.exchange.writers import TablesWriter, require_pyarrow, tables_writer
from anc_core.files import atomic_path, printable
from anc_core.jobs.naming import check_allowed
from anc_core.settings import Settings
from anc_core.store import Database, open_database, record_audit
from anc_core.store.engine import parse_url, sqlite_file
from anc_core.store.ledger import session_of_file
from anc_core.store.plain_rows import (
    CHILD_TABLES,
    SESSIONS,
    SHAPES,
    SHARED_TABLES,
    PlainRow,
    begin_snapshot,
    count_running,
    refuse_unknown,
    stream_plain,
)
from anc_core.version import __version__

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

MAX_NOTED = 10_000
"""Users and sessions that the audit log names one by one; of more it tells the selection."""

# A name that says one table; what is written is several.
_TABLE_SUFFIXES = (".csv", ".parquet")
_SQLITE_FILES = ("", "-wal", "-shm", "-journal")


def export_sessions(
    settings: Settings,
    request: ExportRequest,
    *,
    actor: str,
    progress: Callable[[int], None] | None = None,
) -> ExportResult:
    """Write the selected sessions to a file, which is complete or does not exist.

    The export is noted in the audit log before its file appears: an erasure finds every export
    that may hold somebody.

    Parameters
    ----------
    settings : Settings
        Database, folders that may be written, home of the key of the pseudonyms.
    request : ExportRequest
        What, how and where to.
    actor : str
        For the audit log.
    progress : callable, optional
        Called with the number of rows written so far.

    Raises
    ------
    InputError
        If a table does not exist, a session is still running or Parquet cannot be written.
    SessionNotFoundError
        Lists the ids that are not in the store.
    SinkError
        COLLISION where the file exists, or is the database or a recording; PERMISSION outside the
        allowed folders; NO_SPACE, NOT_WRITABLE.
    """
    unknown = sorted(set(request.include) - set(CHILD_TABLES))
    if unknown:
        msg = f"include names {', '.join(unknown)}; choose from {', '.join(CHILD_TABLES)}"
        raise InputError(msg)
    if request.format is Format.PARQUET:
        require_pyarrow()
    path = request.output_path.expanduser().absolute()
    if path.is_dir():
        path /= default_output(request.format)
    check_allowed(path, settings.allowed_roots)
    database = open_database(settings.resolved_database_url)
    try:
        _refuse_collision(database, path, overwrite=request.overwrite)
        redaction = Redaction.of_home(settings.home) if request.redact else None
        export = _Export(database, request, redaction, actor, progress)
        with atomic_path(path) as temp:
            with temp.open("wb") as sink:
                manifest = export.write(sink)
            export.note(path, manifest)
        return export.result(path, manifest)
    finally:
        database.dispose()


class _Export:
    """One export on its way: what it counts, and whom it holds."""

    def __init__(
        self,
        database: Database,
        request: ExportRequest,
        redaction: Redaction | None,
        actor: str,
        progress: Callable[[int], None] | None,
    ) -> None:
        self._database = database
        self._request = request
        self._redaction = redaction
        self._actor = actor
        self._progress = progress
        self._rows = 0
        self._users: set[str] = set()
        self._sessions: set[str] = set()
        self._running = 0

    def write(self, sink: IO[bytes]) -> Manifest:
        """Write all tables and the manifest, which is returned."""
        request = self._request
        writer = tables_writer(request, sink)
        try:
            tables = self._write_tables(writer)
            manifest = self._manifest(tables, writer.parts())
            writer.finish(manifest)
        except BaseException:
            writer.abandon()
            raise
        return manifest

    def _write_tables(self, writer: TablesWriter) -> dict[str, TableManifest]:
        request = self._request
        with self._database.read() as db:
            begin_snapshot(db)
            if request.selection.session_ids is not None:
                refuse_unknown(db, request.selection.session_ids)
            else:
                self._running = count_running(db)
            return {
                name: self._write_table(db, name, writer)
                for name in (*SHARED_TABLES, SESSIONS, *request.include)
            }

    def _manifest(
        self, tables: dict[str, TableManifest], parts: Sequence[PartManifest]
    ) -> Manifest:
        request = self._request
        return Manifest(
            schema_version=SCHEMA_VERSION,
            program=__version__,
            exported_at=datetime.now(UTC),
            format=request.format,
            csv_safe=request.csv_safe,
            bom=request.bom,
            redacted=request.redact,
            selection={} if request.redact else self._selection(),
            digest=content_digest({name: table.digest for name, table in tables.items()}),
            tables=tables,
            parts=tuple(parts),
        )

    def note(self, path: Path, manifest: Manifest) -> None:
        """Add the export to the audit log."""
        detail = {
            "path": printable(path),
            "digest": manifest.digest,
            "format": manifest.format.value,
            "redacted": manifest.redacted,
            "sessions": manifest.tables[SESSIONS].rows,
            "selection": self._selection(),
            "user_ids": _few(self._users),
            "session_ids": _few(self._sessions),
        }
        with self._database.begin() as db:
            record_audit(db, "export", printable(path), detail, self._actor)

    def result(self, path: Path, manifest: Manifest) -> ExportResult:
        """Return what was written to ``path``."""
        sessions = manifest.tables[SESSIONS].rows
        warnings = []
        if not sessions:
            warnings.append("no session matches: the tables have a header and no rows")
        if path.suffix.lower() in _TABLE_SUFFIXES:
            warnings.append(
                f"{path.name} is a zip with a file for each table, whatever its name; "
                "unpack it to open them"
            )
        if self._running:
            warnings.append(f"{self._running} sessions are still running and were left out")
        return ExportResult(
            output_path=printable(path),
            paths=(printable(path),),
            format=manifest.format,
            exported_at=manifest.exported_at,
            sessions=sessions,
            row_counts={name: table.rows for name, table in manifest.tables.items()},
            digest=manifest.digest,
            size=path.stat().st_size,
            redacted=manifest.redacted,
            parts=manifest.parts,
            warnings=tuple(warnings),
        )

    def _write_table(self, db: Session, name: str, writer: TablesWriter) -> TableManifest:
        shape = SHAPES[name]
        digest = TableDigest(shape)
        writer.begin(shape)
        for page in stream_plain(db, name, self._request.selection):
            rows: Sequence[PlainRow] = page
            if name == SESSIONS:
                self._remember(rows)
            if self._redaction is not None:
                rows = self._redaction.apply(shape, list(rows))
            writer.write(rows, digest.update(rows))
            self._rows += len(rows)
            if self._progress is not None:
                self._progress(self._rows)
        writer.end()
        return TableManifest(rows=digest.rows, digest=digest.hexdigest(), columns=shape.names)

    def _remember(self, rows: Sequence[PlainRow]) -> None:
        shape = SHAPES[SESSIONS]
        for names, column in ((self._users, "user_id"), (self._sessions, "id")):
            if len(names) <= MAX_NOTED:
                i = shape.index(column)
                names.update(str(row[i]) for row in rows if row[i] is not None)

    def _selection(self) -> dict[str, Any]:
        given = asdict(self._request.selection)
        ids = given.pop("session_ids")
        found = {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in given.items()
            if value is not None
        }
        if found.keys().isdisjoint({"start", "end"}):
            found.pop("by")
        return found if ids is None else {**found, "session_ids": list(ids[:MAX_NOTED])}


def _few(names: set[str]) -> list[str] | None:
    """Return ``names``, or ``None`` where they are too many: then the export may hold anybody."""
    return sorted(names) if len(names) <= MAX_NOTED else None


def _refuse_collision(database: Database, path: Path, *, overwrite: bool) -> None:
    """Refuse a path whose file must not be replaced.

    Raises
    ------
    SinkError
        COLLISION.
    """
    shown, real = printable(path), path.resolve()
    file = sqlite_file(parse_url(database.url))
    if file is not None:
        guarded = [Path(f"{file.resolve()}{end}") for end in _SQLITE_FILES]
        if real in guarded or any(
            one.exists() and path.exists() and path.samefile(one) for one in guarded
        ):
            msg = f"{shown}: is the database itself; choose another name"
            raise SinkError(ErrorCode.COLLISION, msg)
    with database.read() as db:
        session_id = session_of_file(db, {str(path), str(real)})
    if session_id is not None:
        msg = f"{shown}: is a file of session {session_id}; choose another name"
        raise SinkError(ErrorCode.COLLISION, msg)
    if path.exists() and not overwrite:
        msg = f"{shown}: exists; choose another name, or say --overwrite (overwrite=True)"
        raise SinkError(ErrorCode.COLLISION, msg)
