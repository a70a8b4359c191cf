"""Signs of life and of trouble, for the health check: all cheap, all read only."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, text

from anc_core.store.claims import is_live
from anc_core.store.database import Database
from anc_core.store.engine import make_engine, parse_url, sqlite_file
from anc_core.store.owner import STALE_AFTER_S
from anc_core.store.tables import RUNNING, AudioSession, AuditEntry

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class _RolledBackError(Exception):
    pass


def check_writable(database: Database) -> None:
    """Write a row and roll back.

    Raises
    ------
    StoreBusyError, StoreError
        If that is not possible.
    """
    probe = {
        "at": datetime.now(UTC),
        "actor": "anc health",
        "action": "probe",
        "subject": "",
        "detail": {},
    }
    try:
        with database.begin() as db:
            db.execute(insert(AuditEntry), [probe])
            raise _RolledBackError
    except _RolledBackError:
        return


def load_driver(url: str) -> None:
    """Import the driver of a database; nothing is opened."""
    make_engine(parse_url(url)).dispose()


def database_file(url: str) -> Path | None:
    """Return the file of a SQLite database, ``None`` for PostgreSQL."""
    return sqlite_file(parse_url(url))


def live_sessions(db: Session, *, now: datetime, stale_after_s: float = STALE_AFTER_S) -> list[str]:
    """Return the ids of sessions whose worker lives."""
    return [row.id for row in _running(db) if is_live(row, now, stale_after_s)]


def dead_sessions(db: Session, *, now: datetime, stale_after_s: float = STALE_AFTER_S) -> list[str]:
    """Return the ids of running sessions whose worker is dead."""
    return [row.id for row in _running(db) if not is_live(row, now, stale_after_s)]


def latest_moment(db: Session) -> datetime | None:
    """Return when the session ended that ended last."""
    return db.scalar(select(func.max(AudioSession.finished_at)))


def clock_error_s(db: Session) -> float:
    """Return by how many seconds the database server's clock is ahead of ours."""
    if db.get_bind().dialect.name != "postgresql":
        return 0.0
    theirs = db.scalar(text("SELECT clock_timestamp()"))
    return 0.0 if theirs is None else float((theirs - datetime.now(UTC)).total_seconds())


def _running(db: Session) -> list[AudioSession]:
    return list(db.scalars(select(AudioSession).where(AudioSession.status == RUNNING)))
