"""What a monitoring system asks the store, many times an hour: every query is cheap.

Context: a counter that falls is taken for one that began again, and ``increase()`` then adds all of
it; but cleanup deletes sessions, and the daily aggregates know no session of today.
Decision: totals are sums over days (UTC), each taken from its aggregate or from its sessions,
whichever knows more of them. A day that was rolled up after its end is not read again.
Consequence: deleting sessions changes no total. A session that is done again counts for the day of
its latest end; what that takes away from an earlier day, the caller's floor gives back
(:mod:`anc_core.monitoring.floor`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, func, select, text

from anc_core.store.daily_aggregates import UTC_NAME
from anc_core.store.emergency_totals import emergencies_between
from anc_core.store.scopes import STATUS, Scope, day_of
from anc_core.store.tables import (
    DONE,
    FAILED,
    PROCESSED,
    RUNNING,
    AlertDelivery,
    AudioSession,
    AuditEntry,
    Batch,
    DailyAggregate,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

HEALTH_NOTE = "health"
"""Action of the audit log; the subject is the status of the whole installation."""
NO_CODE = "none"

_HEALTH_LOOK_BACK = timedelta(days=31)


@dataclass(slots=True)
class Totals:
    """What became of sessions; sums, so that two of them can be added."""

    by_status: Counter[str] = field(default_factory=Counter)
    failures_by_code: Counter[str] = field(default_factory=Counter)
    emergencies_by_type: Counter[str] = field(default_factory=Counter)
    safety_violations: int = 0
    audio_s: float = 0.0
    """Of processed sessions (ok, degraded)."""
    wall_s: float = 0.0
    """Processing time of the same."""

    @property
    def sessions(self) -> int:
        """Return how many ended."""
        return self.by_status.total()

    def add(self, other: Totals) -> None:
        """Count ``other`` in."""
        self.by_status.update(other.by_status)
        self.failures_by_code.update(other.failures_by_code)
        self.emergencies_by_type.update(other.emergencies_by_type)
        self.safety_violations += other.safety_violations
        self.audio_s += other.audio_s
        self.wall_s += other.wall_s


class Backlog(NamedTuple):
    """Work that was begun or planned and has not ended."""

    running: int
    oldest_started_at: datetime | None
    """When the oldest session in work was begun."""
    oldest_heartbeat_at: datetime | None
    """The oldest last sign of life of a session in work."""
    open_batches: int
    waiting: int
    """Recordings that open batches planned, less those that have a session of the batch."""
    oldest_batch_at: datetime | None


class DeliveryCount(NamedTuple):
    """Alerts in one state."""

    alerts: int
    oldest_at: datetime


def totals_by_day(db: Session, now: datetime) -> dict[date, Totals]:
    """Return what ended on each day (UTC), deleted sessions included.

    Parameters
    ----------
    db : Session
        A reading transaction is enough.
    now : datetime
        The clock, aware.
    """
    known = dict(_aggregated(db))
    settled = {day for day, (_, rolled_up_at) in known.items() if rolled_up_at >= _start_after(day)}
    found = {day: totals for day, (totals, _) in known.items()}
    first = _first_unsettled(db, settled)
    if first is None:
        return found
    for day, live in _live(db, _start_of(first), _start_after(now.date())).items():
        if day not in settled and (day not in found or live.sessions >= found[day].sessions):
            found[day] = live
    return found


def recent_totals(db: Session, start: datetime, end: datetime) -> Totals:
    """Return what ended in [start, end), as far as it is still there."""
    total = Totals()
    for live in _live(db, start, end).values():
        total.add(live)
    return total


def stored_sessions(db: Session) -> dict[str, int]:
    """Return how many sessions are in the store, by status."""
    rows = db.execute(select(AudioSession.status, func.count()).group_by(AudioSession.status))
    return {str(status): int(count) for status, count in rows}


def backlog(db: Session) -> Backlog:
    """Return what waits and what is in work."""
    sessions = db.execute(
        select(
            func.count(), func.min(AudioSession.started_at), func.min(AudioSession.heartbeat_at)
        ).where(AudioSession.status == RUNNING)
    ).one()
    batches = db.execute(
        select(Batch.id, Batch.planned, Batch.created_at).where(Batch.finished_at.is_(None))
    ).all()
    begun = sum(min(_sessions_of(db, batch.id), batch.planned) for batch in batches)
    return Backlog(
        running=sessions[0],
        oldest_started_at=sessions[1],
        oldest_heartbeat_at=sessions[2],
        open_batches=len(batches),
        waiting=sum(batch.planned for batch in batches) - begun,
        oldest_batch_at=min((batch.created_at for batch in batches), default=None),
    )


def deliveries_by_status(db: Session) -> dict[str, DeliveryCount]:
    """Return how many alerts are in each state, tests included, and since when the oldest."""
    rows = db.execute(
        select(AlertDelivery.status, func.count(), func.min(AlertDelivery.created_at)).group_by(
            AlertDelivery.status
        )
    )
    return {status: DeliveryCount(count, oldest_at) for status, count, oldest_at in rows}


def last_health(db: Session, now: datetime) -> tuple[str, datetime] | None:
    """Return what the last health check that was noted said, and when."""
    row = db.execute(
        select(AuditEntry.subject, AuditEntry.at)
        .where(AuditEntry.at >= now - _HEALTH_LOOK_BACK, AuditEntry.action == HEALTH_NOTE)
        .order_by(AuditEntry.at.desc())
        .limit(1)
    ).first()
    return None if row is None else (row.subject, row.at)


def unused_bytes(db: Session) -> int | None:
    """Return how much of a SQLite file a vacuum would give back, ``None`` on PostgreSQL."""
    if db.get_bind().dialect.name != "sqlite":
        return None
    pages, size = (
        db.execute(text(f"PRAGMA {name}")).scalar_one() for name in ("freelist_count", "page_size")
    )
    return int(pages) * int(size)


def _aggregated(db: Session) -> Iterable[tuple[date, tuple[Totals, datetime]]]:
    rows = db.execute(
        select(DailyAggregate.day, DailyAggregate.processing, DailyAggregate.rolled_up_at).where(
            DailyAggregate.timezone == UTC_NAME
        )
    )
    for day, processing, rolled_up_at in rows:
        yield day, (_totals_of(processing), rolled_up_at)


def _totals_of(processing: dict[str, Any]) -> Totals:
    """Read a stored :class:`~anc_core.analysis_records.ProcessingDay`, of this version or older.

    Not validated: that would cost more than all queries together.
    """
    return Totals(
        by_status=Counter(processing["by_status"]),
        failures_by_code=Counter(processing["failures_by_code"]),
        emergencies_by_type=Counter(processing.get("emergencies_by_type", {})),
        safety_violations=processing.get("safety_violations", 0),
        audio_s=processing["audio_s"],
        wall_s=processing["wall_s"],
    )


def _first_unsettled(db: Session, settled: set[date]) -> date | None:
    """Return the first day that may have sessions which no aggregate will ever tell of better."""
    oldest = db.scalar(select(func.min(AudioSession.finished_at)))
    if oldest is None:
        return None
    day = oldest.date()
    while day in settled:
        day += timedelta(days=1)
    return day


def _live(db: Session, start: datetime, end: datetime) -> dict[date, Totals]:
    day = day_of(AudioSession.finished_at).label("day")
    code = func.coalesce(AudioSession.error_code, NO_CODE).label("code")
    rows = db.execute(
        select(
            day,
            STATUS,
            code,
            func.count(),
            func.sum(AudioSession.duration_s),
            func.sum(AudioSession.wall_s),
        )
        .where(*Scope(start=start, end=end, view="finished").conditions)
        .group_by(day, STATUS, code)
    )
    found: defaultdict[date, Totals] = defaultdict(Totals)
    # What is true of a status is sorted out here: in SQL it would be asked of every row.
    for moment, status, failure, count, audio_s, wall_s in rows:
        totals = found[date.fromisoformat(moment)]
        totals.by_status[status] += count
        if status == FAILED:
            totals.failures_by_code[failure] += count
        if status in PROCESSED:
            totals.audio_s += audio_s or 0.0
            totals.wall_s += wall_s or 0.0
    for ended_on, by_type in emergencies_between(db, start, end).items():
        for noise_type, heard in by_type.items():
            found[ended_on].emergencies_by_type[noise_type] += heard.events
            found[ended_on].safety_violations += heard.violations
    return dict(found)


def _sessions_of(db: Session, batch_id: str) -> int:
    begun = and_(
        AudioSession.batch_id == batch_id, AudioSession.status.in_((*DONE, FAILED, RUNNING))
    )
    return db.scalar(select(func.count()).select_from(AudioSession).where(begun)) or 0


def _start_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _start_after(day: date) -> datetime:
    return _start_of(day + timedelta(days=1))
