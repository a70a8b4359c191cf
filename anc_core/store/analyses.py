"""What a period comes to: the processing view and the noise view, groups, comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from anc_core.analysis_records import (
    BASELINE_DAYS,
    TOO_FEW,
    Comparison,
    Dimension,
    Filters,
    GroupAnalysis,
    Levels,
    NoiseStatistics,
    PerformanceStatistics,
    Period,
    PeriodAnalysis,
)
from anc_core.store.noise_view import (
    NoiseView,
    emergencies_of,
    events_of,
    heat_map_of,
    levels_of,
    loudness_of,
    noise_of,
    silent_devices_of,
    undated_in,
)
from anc_core.store.performance import counts_over_time, failures_of, performance_of
from anc_core.store.scopes import Key, Scope, View
from anc_core.store.sound_levels import sound_levels_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_STEADY = 0.05
"""A change of less than a twentieth is none, ..."""
_STEADY_DB = 0.5
"""... of decibels, which are ratios already, one of less than half a decibel."""


def analyse_period(
    db: Session,
    period: Period,
    *,
    filters: Filters | None = None,
    group_by: Sequence[Dimension | str] = (),
    noise_by: Literal["recorded", "finished"] = "recorded",
    compare: bool = True,
) -> PeriodAnalysis:
    """Return what the sessions of a period come to.

    Parameters
    ----------
    db : Session
        A reading transaction (:meth:`Database.read`), so that all figures are of one moment.
    period : Period
        Half open; its time zone says where hours and days begin.
    filters : Filters, optional
        Sessions to look at; by default all.
    group_by : sequence of Dimension
        A group for each combination of values that occurs.
    noise_by : {"recorded", "finished"}
        Which sessions the noise view is of. Those without a time of recording are in the view by
        finish time only.
    compare : bool
        Also look at the previous equal period and the 28 days before.

    Returns
    -------
    PeriodAnalysis
        Of an empty period too: with zeros, and ``None`` where there is no figure.
    """
    filters = filters or Filters()
    dimensions = tuple(Dimension(name) for name in dict.fromkeys(group_by))
    finished = Scope.of(period, "finished", filters)
    heard = Scope.of(period, noise_by, filters)
    performance = performance_of(db, finished.grouped(dimensions))
    noise = noise_of(db, heard.grouped(dimensions))
    bad = failures_of(db, finished)
    by_hour, by_day = counts_over_time(db, finished, period)
    heat_map, sources = heat_map_of(db, heard, period)
    total, view = performance.pop(()), noise.pop(())
    levels = levels_of(db, heard, view.statistics.levels)
    return PeriodAnalysis(
        period=period,
        filters=filters,
        noise_by=noise_by,
        group_by=dimensions,
        performance_statistics=total.model_copy(
            update={
                "failures": tuple(one for one in bad if one.status == "failed"),
                "degradations": tuple(one for one in bad if one.status != "failed"),
                "by_hour": by_hour,
                "by_day": by_day,
            }
        ),
        noise_distribution=view.distribution,
        noise_statistics=view.statistics.model_copy(
            update={
                "undated": undated_in(db, heard) if noise_by == "recorded" else 0,
                "levels": levels,
                "sound_levels": sound_levels_of(db, heard, period),
                "heat_map": heat_map,
                "top_sources": sources,
            }
        ),
        emergency_events=emergencies_of(db, heard),
        silent_devices=silent_devices_of(db, period),
        comparison=_comparison(db, period, filters, noise_by, (total, view)) if compare else (),
        groups=_groups(dimensions, performance, noise),
    )


def _groups(
    dimensions: tuple[Dimension, ...],
    performance: dict[Key, PerformanceStatistics],
    noise: dict[Key, NoiseView],
) -> tuple[GroupAnalysis, ...]:
    if not dimensions:
        return ()
    nothing = NoiseView((), NoiseStatistics())
    keys = sorted(performance | noise, key=lambda key: [(v is None, v or "") for v in key])
    return tuple(
        GroupAnalysis(
            key=dict(zip((d.value for d in dimensions), key, strict=True)),
            performance_statistics=performance.get(key, PerformanceStatistics()),
            noise_distribution=noise.get(key, nothing).distribution,
            noise_statistics=noise.get(key, nothing).statistics,
        )
        for key in keys
    )


def _comparison(
    db: Session,
    period: Period,
    filters: Filters,
    noise_by: View,
    now: tuple[PerformanceStatistics, NoiseView],
) -> tuple[Comparison, ...]:
    previous, baseline = period.previous(), period.before()
    scale = period.num_days / BASELINE_DAYS
    performance, view = now
    counted = view.statistics.events, view.statistics.emergency_events
    heard = view.statistics.sessions
    figures = [_figures(performance, heard, view.statistics.levels, counted, 1.0)]
    for other, factor in ((previous, 1.0), (baseline, scale)):
        performance = performance_of(db, Scope.of(other, "finished", filters))[()]
        scope = Scope.of(other, noise_by, filters)
        loudness = loudness_of(db, scope)[()]
        counted = events_of(db, scope)
        figures.append(_figures(performance, loudness.sessions, loudness.levels, counted, factor))
    return tuple(_compared(name, *(one[name] for one in figures)) for name in figures[0])


def _figures(
    performance: PerformanceStatistics,
    recorded: int,
    levels: Levels,
    events: tuple[int, int],
    factor: float,
) -> dict[str, tuple[float | None, int]]:
    """Return what is compared, and how many sessions each figure stands on."""
    sessions = performance.sessions
    cancellation, factor_x = performance.cancellation_db, performance.real_time_factor
    return {
        "sessions": (sessions * factor, sessions),
        "failed_sessions": (performance.by_status.get("failed", 0) * factor, sessions),
        "failure_rate": (performance.failure_rate, sessions),
        "audio_hours": (performance.audio_hours * factor, sessions),
        "speed_x": (performance.speed_x, sessions),
        "cancellation_db_median": (cancellation.median, cancellation.n),
        "cancellation_db_p10": (cancellation.p10, cancellation.n),
        "snr_improvement_db_median": (
            performance.snr_improvement_db.median,
            performance.snr_improvement_db.n,
        ),
        "real_time_factor_median": (factor_x.median, factor_x.n),
        "real_time_factor_p90": (factor_x.p90, factor_x.n),
        "events": (events[0] * factor, recorded),
        "emergency_events": (events[1] * factor, recorded),
        "leq_dbfs": (levels.leq_dbfs, recorded),
    }


def _compared(
    name: str,
    now: tuple[float | None, int],
    previous: tuple[float | None, int],
    baseline: tuple[float | None, int],
) -> Comparison:
    return Comparison(
        name=name,
        value=now[0],
        previous=previous[0],
        baseline=baseline[0],
        n=min(now[1], previous[1], baseline[1]),
        trend=_trend(name, now, previous),
        baseline_trend=_trend(name, now, baseline),
    )


def _trend(
    name: str, now: tuple[float | None, int], then: tuple[float | None, int]
) -> Literal["up", "down", "steady"] | None:
    (value, n), (other, other_n) = now, then
    if value is None or other is None or min(n, other_n) < TOO_FEW:
        return None
    if abs(value - other) <= (_STEADY_DB if "_db" in name else _STEADY * abs(other)):
        return "steady"
    return "up" if value > other else "down"
