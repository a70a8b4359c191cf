"""Is the database sound? For ``anc health`` and before and after a vacuum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select, text

from anc_core.errors import SchemaError
from anc_core.store.database import Database
from anc_core.store.tables import CHILDREN, AudioSession

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def check_integrity(database: Database) -> list[str]:
    """Return what is wrong with the database, in words; an empty list = nothing.

    SQLite: ``quick_check`` of the file's structure. Both: child rows without their session, which
    foreign keys prevent but a restored dump or a foreign tool may have left.

    Raises
    ------
    StoreBusyError
        If the database cannot be reached: unknown is not sound.
    """
    try:
        with database.read() as db:
            return _structure(db, database.dialect) + _orphans(db)
    except SchemaError as err:
        return [str(err)]


def _structure(db: Session, dialect: str) -> list[str]:
    if dialect != "sqlite":
        return []
    findings = db.execute(text("PRAGMA quick_check")).scalars().all()
    return [finding for finding in findings if finding != "ok"]


def _orphans(db: Session) -> list[str]:
    findings = []
    for table in CHILDREN:
        parent = select(AudioSession.id).where(AudioSession.id == table.session_id)
        count = db.scalar(select(func.count()).select_from(table).where(~parent.exists())) or 0
        if count:
            findings.append(f"{table.__tablename__}: {count} rows without their session")
    return findings
