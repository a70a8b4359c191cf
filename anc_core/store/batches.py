"""Batches: opened before their first session, closed with their counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, exists, func, select, update

from anc_core.errors import StoreError
from anc_core.store.identifiers import validate_session_id
from anc_core.store.tables import DONE, FAILED, RUNNING, AudioSession, Batch

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProgress:
    """How far a batch is; sessions only, so what was skipped or a duplicate is not counted."""

    done: int
    """Sessions that ended ok, degraded or skipped."""
    failed: int
    running: int
    audio_s: float
    """Seconds of audio in ``done``."""


def open_batch(
    db: Session,
    batch_id: str,
    parameters: Mapping[str, Any],
    planned: int,
    *,
    now: datetime | None = None,
) -> None:
    """Open a batch, or open it again to resume it.

    Parameters
    ----------
    db : Session
        From :meth:`Database.begin`.
    batch_id : str
        Rules as for a session id.
    parameters : mapping
        JSON values that tell how it was called.
    planned : int
        Recordings that were named or found, >= 0.
    now : datetime, optional
        Time of creation, aware; by default the clock's.

    Raises
    ------
    InputError
        If ``batch_id`` breaks a rule or ``parameters`` is not JSON.
    """
    validate_session_id(batch_id, what="batch_id")
    batch = db.get(Batch, batch_id)
    if batch is None:
        batch = Batch(id=batch_id, created_at=now or datetime.now(UTC))
        db.add(batch)
    batch.status = RUNNING
    batch.planned = planned
    batch.parameters = dict(parameters)
    batch.counts = None
    batch.finished_at = None
    db.flush()


def close_batch(
    db: Session,
    batch_id: str,
    counts: Mapping[str, Any],
    status: str,
    *,
    now: datetime | None = None,
) -> None:
    """Close a batch with its final counts.

    Raises
    ------
    StoreError
        If it was never opened.
    """
    values = {
        "status": status,
        "counts": dict(counts),
        "finished_at": now or datetime.now(UTC),
    }
    changed = db.execute(
        update(Batch).where(Batch.id == batch_id).values(values).returning(Batch.id),
        execution_options={"synchronize_session": False},
    )
    if changed.first() is None:
        msg = f"batch {batch_id!r} is not in the store"
        raise StoreError(msg)


def close_silent_batches(db: Session, before: datetime) -> list[str]:
    """Close batches whose process must have been killed, as one that was stopped closes itself.

    One that lives after all closes itself again at its end, and a rerun opens it again.

    Parameters
    ----------
    db : Session
        From :meth:`Database.begin`.
    before : datetime
        Aware. Nothing of the batch has begun, or ended, since then, and nothing is in work.

    Returns
    -------
    list of str
        Their ids.
    """
    of_batch = AudioSession.batch_id == Batch.id
    in_work = exists().where(of_batch, AudioSession.status == RUNNING)
    last_end = select(func.max(AudioSession.finished_at)).where(of_batch).scalar_subquery()
    closed = db.execute(
        update(Batch)
        .where(
            Batch.finished_at.is_(None),
            Batch.created_at < before,
            func.coalesce(last_end, Batch.created_at) < before,
            ~in_work,
        )
        .values(
            status=FAILED,
            counts={"stopped": True},
            finished_at=func.coalesce(last_end, Batch.created_at),
        )
        .returning(Batch.id),
        execution_options={"synchronize_session": False},
    )
    return list(closed.scalars())


def batch_progress(db: Session, batch_id: str) -> BatchProgress:
    """Return how far a batch is: one aggregate over an index; zeros for an unknown batch."""
    done = AudioSession.status.in_(DONE)
    row = db.execute(
        select(
            func.coalesce(func.sum(case((done, 1), else_=0)), 0),
            func.coalesce(func.sum(case((AudioSession.status == FAILED, 1), else_=0)), 0),
            func.coalesce(func.sum(case((AudioSession.status == RUNNING, 1), else_=0)), 0),
            func.coalesce(func.sum(case((done, AudioSession.duration_s))), 0.0),
        ).where(AudioSession.batch_id == batch_id)
    ).one()
    return BatchProgress(done=row[0], failed=row[1], running=row[2], audio_s=row[3])
