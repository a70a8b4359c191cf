"""Sessions of an export into the store: all of them, or nothing.

First the whole file is read and verified: every row, the SHA-256 of every part, the digest of the
content. Then it is read again and written in one transaction, in which what is here already is
compared once more. Paths are text: no file is opened, and the store knows (``imported_at``) that
the outputs are not its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from anc_core.errors import InputError, StoreBusyError
from anc_core.exchange.cells import TableDigest, content_digest
from anc_core.exchange.checks import RowChecks
from anc_core.exchange.readers import ExportFile, Faults, open_export
from anc_core.exchange.records import ImportResult
from anc_core.files import printable
from anc_core.jobs.naming import check_allowed
from anc_core.settings import Settings
from anc_core.store import Database, open_database, record_audit
from anc_core.store.incoming import (
    Present,
    SessionDigests,
    TotalsWriter,
    digests_present,
    remove_sessions,
    same_recordings,
    sessions_present,
    shared_present,
    update_shared,
    write_plain,
)
from anc_core.store.plain_rows import (
    SESSIONS,
    SHARED_TABLES,
    WINDOWS,
    PlainRow,
    TableShape,
    some_of,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

Progress = Callable[[int], None]


def import_sessions(
    settings: Settings,
    path: Path,
    *,
    replace: bool = False,
    actor: str,
    progress: Progress | None = None,
) -> ImportResult:
    """Bring the sessions of an export into the database.

    Sessions that are here already and the same are skipped.

    Parameters
    ----------
    settings : Settings
        Database, folders that may be read.
    path : Path
        What ``export_sessions`` wrote, in any format.
    replace : bool
        Let sessions of the file stand in the place of different ones of the same id; never of
        those that are running or on hold.
    actor : str
        For the audit log.
    progress : callable, optional
        Called with the number of rows done so far; each row counts twice.

    Raises
    ------
    SourceError
        NOT_FOUND or PERMISSION.
    InputError
        If the file is no export, newer, damaged or changed, names its bad rows; or if sessions are
        here that are not the same. Nothing was written.
    StoreBusyError
        If the store changed meanwhile, or was locked: try again.
    """
    path = path.expanduser().absolute()
    check_allowed(path, settings.allowed_roots)
    database = open_database(settings.resolved_database_url)
    try:
        with open_export(path) as file:
            verified = _verify(database, file, progress)
            return _Import(database, file, verified, replace, actor, progress).run()
    finally:
        database.dispose()


@dataclass(frozen=True, slots=True)
class _Verified:
    """What the first reading found."""

    session_ids: Collection[str]
    shared: dict[str, dict[str, PlainRow]]
    present: dict[str, Present]
    digests: SessionDigests
    """Of those that are present, as they are in the file."""
    rows: int


def _verify(database: Database, file: ExportFile, progress: Progress | None) -> _Verified:
    faults, digests, present = Faults(), SessionDigests(), dict[str, Present]()
    checks = RowChecks(file.shapes, faults)
    tables = {name: TableDigest(shape) for name, shape in file.shapes.items()}
    done = 0
    for table, first, rows in file.pages(faults):
        shape = file.shapes[table]
        checks.check(table, first, rows)
        tables[table].update(rows)
        if table == SESSIONS:
            present |= _found(database, file, shape, rows, digests)
        if table not in SHARED_TABLES:
            digests.update(shape, rows)
        done += len(rows)
        if progress is not None:
            progress(done)
    faults.raise_any(file.path)
    _check_digests(file, tables)
    return _Verified(checks.session_ids, checks.shared, present, digests, done)


def _found(
    database: Database,
    file: ExportFile,
    shape: TableShape,
    rows: list[tuple[str | int | float | None, ...]],
    digests: SessionDigests,
) -> dict[str, Present]:
    """Return which sessions of ``rows`` are here; their digests are taken from now on."""
    id_, fingerprint = shape.index("id"), shape.index("fingerprint")
    with database.read() as db:
        present = sessions_present(db, [str(row[id_]) for row in rows])
        twins = same_recordings(db, {str(row[fingerprint]): str(row[id_]) for row in rows})
    if twins:
        pairs = [f"{given} (here {here})" for here, given in twins]
        msg = (
            f"{printable(file.path)}: {len(twins)} sessions are here under another id, nothing was "
            f"imported: {some_of(pairs)}"
        )
        raise InputError(msg)
    digests.watch(present)
    return present


def _check_digests(file: ExportFile, tables: dict[str, TableDigest]) -> None:
    for name, table in tables.items():
        claimed = file.manifest.tables[name]
        if (table.rows, table.hexdigest()) != (claimed.rows, claimed.digest):
            msg = (
                f"{printable(file.path)}: {name} has {table.rows} rows, and their content is not "
                f"that of the {claimed.rows} that were exported; nothing was imported"
            )
            raise InputError(msg)
    if content_digest({n: t.hexdigest() for n, t in tables.items()}) != file.manifest.digest:
        msg = f"{printable(file.path)}: the digest of the content is not the manifest's"
        raise InputError(msg)


class _Import:
    """The second reading: what is new goes into the store."""

    def __init__(
        self,
        database: Database,
        file: ExportFile,
        verified: _Verified,
        replace: bool,
        actor: str,
        progress: Progress | None,
    ) -> None:
        self._database = database
        self._file = file
        self._verified = verified
        self._replace = replace
        self._actor = actor
        self._progress = progress
        self._now = datetime.now(UTC)

    def run(self) -> ImportResult:
        """Write all in one transaction."""
        with self._database.begin() as db:
            differing = self._differing(db)
            remove_sessions(db, differing)
            skipped = self._verified.present.keys() - set(differing)
            rows = self._write(db, skipped)
            result = self._result(len(skipped), len(differing), rows)
            detail = result.model_dump(mode="json", exclude={"path", "warnings"})
            record_audit(db, "import", result.path, detail, self._actor)
        return result

    def _differing(self, db: Session) -> list[str]:
        """Return the sessions that are here and not the same, if they may be replaced."""
        shown, verified = printable(self._file.path), self._verified
        present = sessions_present(db, verified.session_ids)
        if present.keys() != verified.present.keys():
            msg = f"{shown}: sessions came or went while it was verified; import it again"
            raise StoreBusyError(msg)
        here = digests_present(db, present, self._file.shapes)
        differing = verified.digests.differing(here)
        if differing and not self._replace:
            msg = (
                f"{shown}: {len(differing)} sessions are here already and not the same, nothing "
                f"was imported: {some_of(differing)}; --replace takes those of the file"
            )
            raise InputError(msg)
        guarded = [one for one in differing if not present[one].may_go]
        if guarded:
            msg = f"{shown}: running or on hold, so they are not replaced: {some_of(guarded)}"
            raise InputError(msg)
        return differing

    def _write(self, db: Session, skipped: Collection[str]) -> dict[str, int]:
        written = dict.fromkeys(self._file.shapes, 0)
        done, faults = self._verified.rows, Faults()
        for table in SHARED_TABLES:
            if table in self._file.shapes:
                written[table] = self._write_shared(db, table)
        totals = TotalsWriter(db, self._file.shapes[WINDOWS])
        for table, _, rows in self._file.pages(faults):
            if table in SHARED_TABLES:
                continue
            shape = self._file.shapes[table]
            place = shape.index("id" if table == SESSIONS else "session_id")
            new = [row for row in rows if row[place] not in skipped] if skipped else rows
            write_plain(db, shape, new, now=self._now)
            if table == WINDOWS:
                totals.add(new)
            written[table] += len(new)
            done += len(rows)
            if self._progress is not None:
                self._progress(done)
        totals.end()
        return written

    def _write_shared(self, db: Session, table: str) -> int:
        shape, rows = self._file.shapes[table], self._verified.shared[table]
        present = shared_present(db, rows, shape)
        differing = [one for one, same in present.items() if not same]
        if differing and not self._replace:
            msg = (
                f"{printable(self._file.path)}: {table} are here already and not the same, nothing "
                f"was imported: {some_of(differing)}; --replace takes those of the file"
            )
            raise InputError(msg)
        new = [row for one, row in rows.items() if one not in present]
        write_plain(db, shape, new, now=self._now)
        update_shared(db, shape, [rows[one] for one in differing])
        return len(new) + len(differing)

    def _result(self, skipped: int, replaced: int, rows: dict[str, int]) -> ImportResult:
        manifest, sessions = self._file.manifest, len(self._verified.session_ids)
        warnings = []
        if manifest.redacted:
            warnings.append("the export was redacted: names and paths are pseudonyms")
        if not sessions:
            warnings.append("the export has no sessions")
        return ImportResult(
            path=printable(self._file.path),
            format=manifest.format,
            digest=manifest.digest,
            sessions=sessions,
            added=sessions - skipped - replaced,
            skipped=skipped,
            replaced=replaced,
            row_counts=rows,
            warnings=tuple(warnings),
        )
