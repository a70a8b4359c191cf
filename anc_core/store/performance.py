"""The processing view: counts, hours, figures and failures of the sessions that finished."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from anc_core.analysis_records import (
    DayCounts,
    Failure,
    HourCounts,
    PerformanceStatistics,
    Period,
    zone_of,
)
from anc_core.records import Status
from anc_core.store.noise_totals import QUARTER_S
from anc_core.store.scopes import STATUS, Key, Scope, quarter_of
from anc_core.store.statistics import Columns, fetch, merged
from anc_core.store.tables import FAILED, PROCESSED, AudioSession

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


FIGURES = (
    "duration_s",
    "wall_s",
    "cancellation_db",
    "snr_improvement_db",
    "real_time_factor",
)
_HOURS_OF_DAYS = 8.5
"""A period of up to eight days is told hour by hour."""
_NO_CODE = "none"


def performance_of(db: Session, scope: Scope) -> dict[Key, PerformanceStatistics]:
    """Return counts and statistics of all sessions, under the key (), and of each group."""
    counts, figures = counts_of(db, scope), figures_of(db, scope)
    nothing = merged((), FIGURES)
    return {key: _performance(own, figures.get(key, nothing)) for key, own in counts.items()}


def counts_of(db: Session, scope: Scope) -> dict[Key, Counter[str]]:
    """Return the sessions by status, of all, under the key (), and of each group."""
    sessions = scope.sessions(STATUS)
    keys = scope.keys_of(sessions)
    rows = db.execute(
        select(*keys, sessions.c.status, func.count()).group_by(*keys, sessions.c.status)
    )
    found: defaultdict[Key, Counter[str]] = defaultdict(Counter)
    for *key, status, count in rows:
        found[tuple(key)][status] += count
    if scope.overlaps:
        return {**found, **counts_of(db, scope.grouped(()))}
    total = sum(found.values(), Counter())
    return {**found, (): total}


def figures_of(db: Session, scope: Scope) -> dict[Key, Columns]:
    """Return the figures of the processed sessions, of all, under the key (), and of each group."""
    sessions = scope.sessions(STATUS, *(getattr(AudioSession, f) for f in FIGURES))
    keys = scope.keys_of(sessions)
    found = fetch(
        db,
        select(*keys, *(sessions.c[name] for name in FIGURES)).where(
            sessions.c.status.in_(PROCESSED)
        ),
        len(keys),
        FIGURES,
    )
    if scope.overlaps:
        return {**found, **figures_of(db, scope.grouped(()))}
    return {**found, (): merged(list(found.values()), FIGURES)}


def _performance(counts: Counter[str], figures: Columns) -> PerformanceStatistics:
    audio_s, wall_s = figures.total("duration_s"), figures.total("wall_s")
    return PerformanceStatistics(
        sessions=counts.total(),
        by_status=_sorted(counts),
        audio_s=audio_s,
        wall_s=wall_s,
        speed_x=audio_s / wall_s if wall_s > 0 else None,
        cancellation_db=figures.statistic("cancellation_db", "duration_s"),
        snr_improvement_db=figures.statistic("snr_improvement_db", "duration_s"),
        real_time_factor=figures.statistic("real_time_factor", "duration_s"),
        processing_s=figures.statistic("wall_s", "duration_s"),
        became_noisier=int((figures.column("cancellation_db") < 0.0).sum()),
    )


def failures_of(db: Session, scope: Scope) -> tuple[Failure, ...]:
    """Return failed, degraded and skipped sessions by status and code, each with its latest."""
    sessions = scope.sessions(
        AudioSession.id,
        STATUS,
        func.coalesce(AudioSession.error_code, _NO_CODE).label("code"),
        AudioSession.finished_at,
    )
    bad = sessions.c.status.in_((FAILED, Status.DEGRADED, Status.SKIPPED))
    latest = func.row_number().over(
        partition_by=(sessions.c.status, sessions.c.code),
        order_by=(sessions.c.finished_at.desc(), sessions.c.id.desc()),
    )
    count = func.count().over(partition_by=(sessions.c.status, sessions.c.code))
    ranked = select(sessions, latest.label("place"), count.label("number")).where(bad).subquery()
    rows = db.execute(
        select(
            ranked.c.status,
            ranked.c.code,
            ranked.c.number,
            ranked.c.id,
            AudioSession.source_path,
            func.coalesce(AudioSession.error_message, AudioSession.reason),
            ranked.c.finished_at,
        )
        .join(AudioSession, AudioSession.id == ranked.c.id)
        .where(ranked.c.place == 1)
        .order_by(ranked.c.number.desc(), ranked.c.status, ranked.c.code)
    )
    return tuple(
        Failure(
            status=Status(status),
            error_code=code,
            count=number,
            session_id=session_id,
            source_path=path,
            message=message,
            at=at,
        )
        for status, code, number, session_id, path, message, at in rows
    )


def counts_over_time(
    db: Session, scope: Scope, period: Period
) -> tuple[tuple[HourCounts, ...], tuple[DayCounts, ...]]:
    """Return the sessions of each hour (of a short period) and of each day, by status."""
    quarter = quarter_of(AudioSession.finished_at).label("quarter")
    rows = db.execute(
        select(quarter, AudioSession.status, func.count())
        .where(*scope.conditions)
        .group_by(quarter, AudioSession.status)
    ).all()
    zone = zone_of(period.timezone)
    hours: defaultdict[datetime, Counter[str]] = defaultdict(Counter)
    days: defaultdict[Any, Counter[str]] = defaultdict(Counter)
    for number, status, count in rows:
        moment = datetime.fromtimestamp(number * QUARTER_S, UTC)
        local = moment.astimezone(zone)
        hours[moment - timedelta(minutes=local.minute)][status] += count
        days[local.date()][status] += count
    by_hour: tuple[HourCounts, ...] = ()
    if period.num_days <= _HOURS_OF_DAYS:
        starts = period.hour_starts()
        by_hour = tuple(HourCounts(start=start, counts=_sorted(hours[start])) for start in starts)
    by_day = tuple(DayCounts(day=day, counts=_sorted(days[day])) for day in period.days())
    return by_hour, by_day


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
