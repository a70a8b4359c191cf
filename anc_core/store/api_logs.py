"""How far access logs were read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import select, text

from anc_core.store.tables import ApiLogPosition

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def lock_positions(db: Session) -> None:
    """Let no other import write until the transaction ends; SQLite has one writer anyway."""
    if db.get_bind().dialect.name == "postgresql":
        table = ApiLogPosition.__tablename__
        db.execute(text(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"))


def positions_of(db: Session, head_digest: str) -> list[ApiLogPosition]:
    """Return how far the logs were read that begin with this line, the furthest last."""
    return list(
        db.scalars(
            select(ApiLogPosition)
            .where(ApiLogPosition.head_digest == head_digest)
            .order_by(ApiLogPosition.position, ApiLogPosition.id),
            execution_options={"populate_existing": True},
        )
    )


def new_position(db: Session, path: str, head_digest: str) -> ApiLogPosition:
    """Begin a log."""
    row = ApiLogPosition(
        path=path,
        head_digest=head_digest,
        tail_digest="",
        tail_bytes=0,
        position=0,
        lines=0,
        bad_lines=0,
        updated_at=datetime.now(UTC),
    )
    db.add(row)
    db.flush()
    return row
