"""What one session comes to: its timeline, noises, levels, timing, and what the gate made of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from math import fsum
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import func, select

from anc_core.analysis_records import (
    BASELINE_DAYS,
    TOO_FEW,
    Levels,
    NoiseShare,
    QualityGate,
    SessionAnalysis,
    SessionPerformance,
    Stretch,
)
from anc_core.dsp.levels import level_db
from anc_core.records import IntervalMetrics, SessionSummary, Status, Window
from anc_core.store.noise_totals import NUM_TENTHS, totals_of
from anc_core.store.noise_view import emergency, exceeded
from anc_core.store.scopes import STATUS
from anc_core.store.sessions import get_session
from anc_core.store.sound_levels import sound_levels_of_session
from anc_core.store.statistics import statistic
from anc_core.store.tables import PROCESSED, AudioSession

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_STAGES = ("queue_s", "decode_s", "classify_s", "suppress_s", "measure_s", "encode_s", "warmup_s")
_SHARED = (
    "session_id",
    "status",
    "source_path",
    "device_id",
    "user_id",
    "site",
    "batch_id",
    "model_id",
    "recorded_at",
    "finished_at",
    "duration_s",
    "error_code",
    "error_message",
    "reason",
    "warnings",
    "events",
)


def analyse_session(db: Session, session_id: str, *, timezone: str = "UTC") -> SessionAnalysis:
    """Return what a session comes to.

    Parameters
    ----------
    db : Session
        A reading transaction is enough.
    session_id : str
    timezone : str
        By whose clock day, evening and night are told apart.

    Returns
    -------
    SessionAnalysis
        Of a failed session too: with its error and without figures.

    Raises
    ------
    SessionNotFoundError
        If there is no session of that id.
    """
    found = get_session(db, session_id)
    distribution, histogram = _noises(found)
    return SessionAnalysis(
        **{name: getattr(found, name) for name in _SHARED},
        metrics_version=found.metrics.metrics_version,
        noise_distribution=distribution,
        confidence_histogram=histogram,
        emergency_events=tuple(
            emergency(
                recorded_at=found.recorded_at,
                session_id=session_id,
                device_id=found.device_id,
                site=found.site,
                **event.model_dump(
                    include={
                        "noise_type",
                        "start_s",
                        "end_s",
                        "peak_confidence",
                        "evidence",
                        "max_attenuation_db",
                    }
                ),
            )
            for event in found.events
            if event.is_emergency
        ),
        performance_statistics=_performance(db, found),
        input_levels=_input_levels(found),
        output_levels=_levels(found.intervals, lambda interval: interval.output_rms_dbfs),
        sound_levels=sound_levels_of_session(db, found, timezone),
        input_loudness_lufs=found.metrics.input_loudness_lufs,
        output_loudness_lufs=found.metrics.output_loudness_lufs,
        quality_gate=_gate(found),
        timeline=stretches_of(found.windows),
    )


def stretches_of(windows: Iterable[Window]) -> tuple[Stretch, ...]:
    """Return consecutive windows of one kind and channel as one, in order of time.

    Windows that overlap or touch go together.
    """
    runs: list[list[Window]] = []
    open_runs: dict[tuple[int, str], list[Window]] = {}
    for window in sorted(windows, key=lambda one: (one.start_s, one.end_s)):
        key = window.channel, window.noise_type
        run = open_runs.get(key)
        if run is None or window.start_s > max(one.end_s for one in run[-2:]):
            run = open_runs[key] = []
            runs.append(run)
        run.append(window)
    return tuple(_stretch(run) for run in runs)


def _stretch(run: Sequence[Window]) -> Stretch:
    loud = [window for window in run if window.level_dbfs is not None]
    energy_s = fsum(
        (window.end_s - window.start_s) * 10.0 ** (window.level_dbfs / 10.0)
        for window in loud
        if window.level_dbfs is not None
    )
    seconds = fsum(window.end_s - window.start_s for window in loud)
    return Stretch(
        start_s=run[0].start_s,
        end_s=max(window.end_s for window in run),
        channel=run[0].channel,
        noise_type=run[0].noise_type,
        windows=len(run),
        mean_confidence=fsum(window.confidence for window in run) / len(run),
        leq_dbfs=level_db(energy_s / seconds) if seconds > 0 else None,
    )


def _noises(found: SessionSummary) -> tuple[tuple[NoiseShare, ...], tuple[int, ...]]:
    # The same sums as of a period, so that a session and a period of it alone say the same.
    rows = {row["noise_type"]: row for row in totals_of(found.windows, None)}
    total_s = fsum(row["seconds"] for row in rows.values())
    events: defaultdict[str, int] = defaultdict(int)
    emergencies: defaultdict[str, int] = defaultdict(int)
    for event in found.events:
        events[event.noise_type] += 1
        emergencies[event.noise_type] += event.is_emergency
    shares = []
    for name in rows.keys() | events.keys():
        row = rows.get(name, {"seconds": 0.0, "windows": 0, "level_s": 0.0})
        shares.append(
            NoiseShare(
                noise_type=name,
                seconds=row["seconds"],
                share=row["seconds"] / total_s if total_s > 0 else 0.0,
                windows=row["windows"],
                events=events[name],
                emergency_events=emergencies[name],
                leq_dbfs=level_db(row["energy_s"] / row["level_s"]) if row["level_s"] > 0 else None,
            )
        )
    shares.sort(key=lambda one: (-one.seconds, one.noise_type))
    tenths = (f"confidence_{n}" for n in range(NUM_TENTHS))
    return tuple(shares), tuple(sum(row[tenth] for row in rows.values()) for tenth in tenths)


def _performance(db: Session, found: SessionSummary) -> SessionPerformance:
    metrics = found.metrics
    losses = [
        (np.nan if one.attenuation_db is None else one.attenuation_db, one.end_s - one.start_s)
        for one in found.intervals
    ]
    values, weights = np.array(losses, dtype=np.float64).reshape(-1, 2).T
    peers, cancellation, speed = _ranks(db, found)
    return SessionPerformance(
        cancellation_db=metrics.cancellation_db,
        snr_improvement_db=metrics.snr_improvement_db,
        attenuation_db=statistic(values, weights),
        wall_s=metrics.wall_s,
        real_time_factor=metrics.real_time_factor,
        speed_x=metrics.speed_x,
        stages_s={
            name.removesuffix("_s"): seconds
            for name in _STAGES
            if (seconds := getattr(metrics, name)) is not None
        },
        cancellation_rank=cancellation,
        speed_rank=speed,
        peers=peers,
    )


def _ranks(db: Session, found: SessionSummary) -> tuple[int, float | None, float | None]:
    """Return the number of peers, and the shares of them that cancel less and that are slower."""
    if found.finished_at is None or found.status not in PROCESSED:
        return 0, None, None
    rank_of = (
        (AudioSession.cancellation_db, found.metrics.cancellation_db, 1),
        (AudioSession.real_time_factor, found.metrics.real_time_factor, -1),
    )
    columns: list[Any] = [func.count()]
    for column, value, sign in rank_of:
        worse = column * sign < (0.0 if value is None else value * sign)
        columns += [func.count(column), func.count().filter(worse)]
    peers, *counts = db.execute(
        select(*columns).where(
            AudioSession.finished_at > found.finished_at - timedelta(days=BASELINE_DAYS),
            AudioSession.finished_at <= found.finished_at,
            STATUS.in_(PROCESSED),
            AudioSession.preset == found.preset,
            AudioSession.id != found.session_id,
        )
    ).one()
    ranks = [
        worse / n if value is not None and n >= TOO_FEW else None
        for (_, value, _), n, worse in zip(rank_of, counts[::2], counts[1::2], strict=True)
    ]
    return peers, ranks[0], ranks[1]


def _input_levels(found: SessionSummary) -> Levels:
    """Return what was measured at 125 ms where the session has it, else by its intervals."""
    by_interval = _levels(found.intervals, lambda interval: interval.input_rms_dbfs)
    metrics = found.metrics
    if metrics.input_l50_dbfs is None:
        return by_interval
    return by_interval.model_copy(
        update={
            "leq_dbfs": metrics.input_rms_dbfs,
            "l10_dbfs": metrics.input_l10_dbfs,
            "l50_dbfs": metrics.input_l50_dbfs,
            "l90_dbfs": metrics.input_l90_dbfs,
        }
    )


def _levels(
    intervals: Sequence[IntervalMetrics], level_of: Callable[[IntervalMetrics], float | None]
) -> Levels:
    lengths = [(one.end_s - one.start_s, level_of(one)) for one in intervals]
    seconds = fsum(length_s for length_s, _ in lengths)
    energy_s = fsum(
        length_s * 10.0 ** (level / 10.0) for length_s, level in lengths if level is not None
    )
    tenths = [
        (None if level is None else int(level * 10 + 10_000.5) - 10_000, length_s)
        for length_s, level in lengths
    ]
    return Levels(
        seconds=seconds,
        leq_dbfs=level_db(energy_s / seconds) if seconds > 0 else None,
        **exceeded(tenths),
    )


def _gate(found: SessionSummary) -> QualityGate:
    lost = [one.max_attenuation_db for one in found.events if one.is_emergency]
    metrics = found.metrics
    return QualityGate(
        passed=found.status is Status.OK,
        preset=found.preset,
        preset_used=found.preset_used,
        reason=found.reason,
        error_code=found.error_code,
        speech_level_change_db=metrics.speech_level_change_db,
        residual_lag_samples=metrics.residual_lag_samples,
        worst_alarm_attenuation_db=max((one for one in lost if one is not None), default=None),
    )
