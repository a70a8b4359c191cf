"""Days in figures, in a table of their own, so that trends outlive deleted sessions.

Context: cleanup deletes sessions, a trend of 28 days must not notice; and a curve over a year must
not read every session of it.
Decision: a row for each day and time zone (UTC, and whichever zones were asked for), written by the
report and by cleanup *before* sessions go. Each view keeps what it knew when it knew most: a day
that counts fewer sessions than before has lost some, and is not rolled up again.
Consequence: rolling up is idempotent and may be repeated at any time; a session that arrives late
is counted as long as none of its day was deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from anc_core.analysis_records import (
    DailyFigures,
    Dimension,
    NoiseDay,
    Period,
    ProcessingDay,
    zone_of,
)
from anc_core.records import METRICS_VERSION, Status
from anc_core.store.emergency_totals import EmergencyCount, emergencies_between
from anc_core.store.noise_view import levels_of, loudness_of, noise_of
from anc_core.store.performance import failures_of, figures_of, performance_of
from anc_core.store.rows import pages
from anc_core.store.scopes import Scope
from anc_core.store.tables import AudioSession, DailyAggregate

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

UTC_NAME = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCount:
    """A day in figures, counted and not yet written."""

    timezone: str
    day: date
    values: dict[str, Any]
    """By column of :class:`~anc_core.store.tables.DailyAggregate`."""


def roll_up(
    db: Session, day: date, timezone: str = UTC_NAME, *, now: datetime | None = None
) -> DailyFigures:
    """Write the figures of a day, and return them as they now stand.

    Parameters
    ----------
    db : Session
        From :meth:`Database.begin`.
    day : date
        A calendar day of ``timezone``.
    timezone : str
        IANA name.
    now : datetime, optional
        By default the clock's.

    Raises
    ------
    InputError
        If the time zone is not known.
    """
    return keep_day(db, count_day(db, day, timezone, now=now))


def count_day(
    db: Session, day: date, timezone: str = UTC_NAME, *, now: datetime | None = None
) -> DayCount:
    """Return the figures of a day as the sessions give them; a reading transaction is enough.

    Reading a large day takes seconds, in which :meth:`Database.begin` would hold up all writers.
    """
    period = Period.of_day(day, timezone)
    processing, noise = _processing(db, period), _noise(db, period)
    return DayCount(
        timezone=timezone,
        day=day,
        values={
            "sessions": processing.sessions,
            "processing": processing.model_dump(mode="json"),
            "recorded": noise.sessions,
            "noise": noise.model_dump(mode="json"),
            "database_bytes": database_bytes(db),
            "metrics_version": METRICS_VERSION,
            "rolled_up_at": now or datetime.now(UTC),
        },
    )


def keep_day(db: Session, count: DayCount) -> DailyFigures:
    """Write the figures of a day, each view where it knows no less than before."""
    fresh = dict(count.values)
    row = _row(db, count.timezone, count.day, fresh)
    if fresh["sessions"] < row.sessions:
        del fresh["sessions"], fresh["processing"]
    if fresh["recorded"] < row.recorded:
        del fresh["recorded"], fresh["noise"]
    for name, value in fresh.items():
        setattr(row, name, value)
    db.flush()
    return _figures(row)


def roll_up_sessions(
    db: Session, session_ids: Collection[str], *, now: datetime | None = None
) -> int:
    """Roll up every day that any of these sessions counts for; to be called before they go.

    Parameters
    ----------
    db : Session
        From :meth:`Database.begin`: the transaction that marks or deletes them.
    session_ids : collection of str
        Any number; not yet marked as being deleted, or they count no more.

    Returns
    -------
    int
        Days that were rolled up, over all time zones in use: UTC, and those that reports were made
        for.
    """
    days = days_of_sessions(db, session_ids)
    for zone, day in sorted(days):
        roll_up(db, day, zone, now=now)
    return len(days)


def days_of_sessions(db: Session, session_ids: Collection[str]) -> set[tuple[str, date]]:
    """Return (time zone, day) for every day that any of these sessions counts for."""
    moments = list(_moments(db, session_ids))
    zones = {UTC_NAME, *db.scalars(select(DailyAggregate.timezone).distinct())}
    return {(zone, moment.astimezone(zone_of(zone)).date()) for zone in zones for moment in moments}


def daily_figures(
    db: Session, first: date, end: date, timezone: str = UTC_NAME
) -> list[DailyFigures]:
    """Return the days from ``first`` up to and without ``end`` that were rolled up, in order."""
    rows = db.scalars(
        select(DailyAggregate)
        .where(
            DailyAggregate.timezone == timezone,
            DailyAggregate.day >= first,
            DailyAggregate.day < end,
        )
        .order_by(DailyAggregate.day)
    )
    return [_figures(row) for row in rows]


def database_bytes(db: Session) -> int:
    """Return the size of the database; on SQLite without its write-ahead log."""
    if db.get_bind().dialect.name == "sqlite":
        pages_, size = (
            db.execute(text(f"PRAGMA {name}")).scalar_one() for name in ("page_count", "page_size")
        )
        return int(pages_) * int(size)
    return int(db.execute(select(func.pg_database_size(func.current_database()))).scalar_one())


def _row(db: Session, timezone: str, day: date, values: dict[str, Any]) -> DailyAggregate:
    """Return the row of a day, locked; it is made of ``values`` where there was none."""
    known = select(DailyAggregate).where(
        DailyAggregate.timezone == timezone, DailyAggregate.day == day
    )
    row = db.scalar(known.with_for_update())
    if row is not None:
        return row
    try:
        with db.begin_nested():
            row = DailyAggregate(timezone=timezone, day=day, **values)
            db.add(row)
    except IntegrityError:  # PostgreSQL: another roll-up of the day was faster
        row = db.scalars(known.with_for_update()).one()
    return row


def _processing(db: Session, period: Period) -> ProcessingDay:
    scope = Scope.of(period, "finished")
    total = performance_of(db, scope)[()]
    presets = performance_of(db, scope.grouped((Dimension.PRESET,)))
    models = performance_of(db, scope.grouped((Dimension.MODEL,)))
    emergencies = _emergencies(db, period)
    return ProcessingDay(
        sessions=total.sessions,
        by_status=total.by_status,
        audio_s=total.audio_s,
        wall_s=total.wall_s,
        real_time_factor=total.real_time_factor,
        real_time_factor_p95=figures_of(db, scope)[()].percentile("real_time_factor", 95),
        cancellation_db=total.cancellation_db,
        cancellation_by_preset={
            str(key[0]): own.cancellation_db for key, own in sorted(presets.items()) if key
        },
        became_noisier=total.became_noisier,
        failures_by_code={
            one.error_code: one.count
            for one in failures_of(db, scope)
            if one.status is Status.FAILED
        },
        sessions_by_model={
            str(key[0]): own.sessions for key, own in models.items() if key and key[0] is not None
        },
        emergencies_by_type={name: count.events for name, count in sorted(emergencies.items())},
        safety_violations=sum(count.violations for count in emergencies.values()),
    )


def _emergencies(db: Session, period: Period) -> dict[str, EmergencyCount]:
    """Return the events of a day; of another zone's than UTC, which two days of UTC share."""
    found: dict[str, EmergencyCount] = {}
    for by_type in emergencies_between(db, period.start, period.end).values():
        for name, (events, violations) in by_type.items():
            known = found.get(name, EmergencyCount(0, 0))
            found[name] = EmergencyCount(known.events + events, known.violations + violations)
    return found


def _noise(db: Session, period: Period) -> NoiseDay:
    scope = Scope.of(period, "recorded")
    view = noise_of(db, scope)[()]
    devices = loudness_of(db, scope.grouped((Dimension.DEVICE,)))
    levels = {str(key[0]): own.levels.leq_dbfs for key, own in devices.items() if key and key[0]}
    statistics = view.statistics
    return NoiseDay(
        sessions=statistics.sessions,
        audio_s=statistics.audio_s,
        class_seconds={one.noise_type: one.seconds for one in view.distribution},
        class_events={one.noise_type: one.events for one in view.distribution if one.events},
        emergency_events=statistics.emergency_events,
        safety_violations=statistics.safety_violations,
        confidence_histogram=statistics.confidence_histogram,
        levels=levels_of(db, scope, statistics.levels),
        device_leq_dbfs={name: level for name, level in levels.items() if level is not None},
    )


def _figures(row: DailyAggregate) -> DailyFigures:
    return DailyFigures(
        day=row.day,
        timezone=row.timezone,
        processing=ProcessingDay.model_validate(row.processing),
        noise=NoiseDay.model_validate(row.noise),
        database_bytes=row.database_bytes,
        metrics_version=row.metrics_version,
        rolled_up_at=row.rolled_up_at,
    )


def _moments(db: Session, session_ids: Collection[str]) -> Iterator[datetime]:
    for page in pages(session_ids):
        rows: Any = db.execute(
            select(AudioSession.finished_at, AudioSession.recorded_at).where(
                AudioSession.id.in_(page)
            )
        )
        for moments in rows:
            yield from (moment for moment in moments if moment is not None)
