"""Give the space of removed rows back to the disk.

SQLite: VACUUM writes the database anew, for which it needs the file to itself and twice its size
on the disk. PostgreSQL: VACUUM (ANALYZE) makes the space usable again and never locks anybody out;
VACUUM FULL would, and is left to the administrator.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text

from anc_core.errors import SchemaError, StoreBusyError, StoreError
from anc_core.store.database import Database
from anc_core.store.engine import BUSY_TIMEOUT_S, sqlite_file
from anc_core.store.failures import store_errors

MIN_FREE_SHARE = 0.2
"""Share of unused pages below which it is not worth writing the file anew."""
NEEDED_SPACE = 2
"""Times the size of the database: the copy, and the log through which it is written back."""

_CHECKPOINT_PATIENCE_MS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction:
    """What a vacuum did."""

    bytes_before: int
    """Database with its write-ahead log."""
    bytes_after: int
    log_bytes_after: int
    """Of that, the write-ahead log."""
    free_share: float
    """Share of unused pages (SQLite) or of dead rows (PostgreSQL) before."""
    skipped: str | None
    """Why the database was not written anew."""
    seconds: float


def vacuum(database: Database) -> Compaction:
    """Compact the database.

    Raises
    ------
    StoreBusyError
        If this process has a transaction open on it, or another one does not end.
    StoreError
        If the disk has not twice the size of the database free.
    SchemaError
        If the file is damaged; nothing was changed.
    """
    _refuse_own_transaction(database)
    file = sqlite_file(database.engine.url)
    if file is None:
        with store_errors(database.display_url):
            return _vacuum_postgresql(database)
    try:
        return _vacuum_sqlite(file)
    except sqlite3.DatabaseError as err:
        raise _translated(file, err) from err


def checkpoint(database: Database) -> None:
    """Carry what stands in SQLite's write-ahead log over to the database; waits for nobody."""
    file = sqlite_file(database.engine.url)
    if file is None:
        return
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _refuse_own_transaction(database: Database) -> None:
    in_use = database.engine.pool.checkedout()  # type: ignore[attr-defined]
    if in_use:
        msg = f"{database.display_url}: {in_use} transactions are open here; end them first"
        raise StoreBusyError(msg)


def _vacuum_sqlite(file: Path) -> Compaction:
    start = time.monotonic()
    before = _size(file)
    with (
        _temporary_files_beside(file),
        closing(sqlite3.connect(file, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as connection,
    ):
        _refuse_damaged(file, connection)
        free_share = _free_share(connection)
        skipped = None
        if free_share < MIN_FREE_SHARE:
            skipped = (
                f"only {100 * free_share:.0f} % of the pages are unused, "
                f"less than {100 * MIN_FREE_SHARE:.0f} %"
            )
        else:
            _refuse_full_disk(file)
        connection.execute("PRAGMA optimize")
        if skipped is None:
            connection.execute("VACUUM")
        # The new pages are in the log: without this it stays as large as the database. It keeps
        # writers out while it waits for readers, so it does not wait long.
        connection.execute(f"PRAGMA busy_timeout={_CHECKPOINT_PATIENCE_MS}")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        if skipped is None:
            _refuse_damaged(file, connection)
    log = _log_of(file)
    return Compaction(
        bytes_before=before,
        bytes_after=_size(file),
        log_bytes_after=log.stat().st_size if log.exists() else 0,
        free_share=free_share,
        skipped=skipped,
        seconds=time.monotonic() - start,
    )


def _vacuum_postgresql(database: Database) -> Compaction:
    start = time.monotonic()
    engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    size = text("SELECT pg_database_size(current_database())")
    dead = text(
        "SELECT coalesce(sum(n_dead_tup) / nullif(sum(n_dead_tup + n_live_tup), 0), 0) "
        "FROM pg_stat_user_tables"
    )
    with engine.connect() as connection:
        before = int(connection.scalar(size) or 0)
        free_share = float(connection.scalar(dead) or 0.0)
        connection.execute(text("VACUUM (ANALYZE)"))
        after = int(connection.scalar(size) or 0)
    return Compaction(
        bytes_before=before,
        bytes_after=after,
        log_bytes_after=0,
        free_share=free_share,
        skipped=None,
        seconds=time.monotonic() - start,
    )


@contextmanager
def _temporary_files_beside(file: Path) -> Iterator[None]:
    """Let SQLite put its copy on the database's own disk: /tmp is often small, or memory."""
    name = "SQLITE_TMPDIR"
    before = os.environ.get(name)
    os.environ[name] = str(file.absolute().parent)
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _refuse_damaged(file: Path, connection: sqlite3.Connection) -> None:
    findings = [row[0] for row in connection.execute("PRAGMA quick_check")]
    if findings != ["ok"]:
        msg = f"{file}: damaged ({'; '.join(findings[:3])}); restore a backup: anc db restore"
        raise SchemaError(msg)


def _refuse_full_disk(file: Path) -> None:
    needed = NEEDED_SPACE * _size(file)
    free = shutil.disk_usage(file.absolute().parent).free
    if free < needed:
        msg = (
            f"{file}: writing it anew needs {needed / 1e6:.0f} MB, but {free / 1e6:.0f} MB are "
            "free; free some space first"
        )
        raise StoreError(msg)


def _free_share(connection: sqlite3.Connection) -> float:
    unused, pages = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("freelist_count", "page_count")
    )
    return float(unused / pages) if pages else 0.0


def _size(file: Path) -> int:
    log = _log_of(file)
    return file.stat().st_size + (log.stat().st_size if log.exists() else 0)


def _log_of(file: Path) -> Path:
    return file.with_name(file.name + "-wal")


def _translated(file: Path, err: sqlite3.DatabaseError) -> StoreError:
    words = str(err)
    if "locked" in words:
        return StoreBusyError(f"{file}: another transaction did not end: {words}")
    if "malformed" in words or "not a database" in words:
        return SchemaError(f"{file}: damaged ({words}); restore a backup: anc db restore")
    return StoreError(f"{file}: {words}")
