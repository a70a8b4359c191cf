"""Gather the figures of a report: ask the store, let ``anc_core.reports`` make numbers of it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from anc_core import store
from anc_core.analysis_records import Period, is_violation
from anc_core.classifier.model import KIND
from anc_core.periodic_jobs import PERIODIC_JOBS
from anc_core.reports.daily_figures import (
    BASELINE_DAYS,
    RECENT_DAYS,
    ApiFigures,
    Backlog,
    DayFigures,
    DiskFigures,
    EndpointFigures,
    EventCounts,
    EventLine,
    FailureGroup,
    LevelHour,
    ModelFigures,
    QualityLine,
    ReportFigures,
    ScheduleLine,
    SizePoint,
)
from anc_core.reports.daily_flags import expected_events
from anc_core.reports.daily_summary import (
    NEGATIVE_BELOW_DB,
    VOICE_BELOW_DB,
    DeviceSums,
    LevelSums,
    Tally,
    absent_devices,
    day_figures,
    device_figures,
    hour_figures,
    mean_counts,
    preset_figures,
    restored,
    spread_of,
)
from anc_core.reports.period import PeriodKind, ReportPeriod, Span
from anc_core.settings import Settings
from anc_core.sound_records import CALIBRATED_UNIT, UNCALIBRATED_UNIT, SoundLevels
from anc_core.store import Database, EventFacts, JobRun

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

MAX_EVENT_LINES = 1_000
MAX_DEVICES_OF_A_FAILURE = 5
WORST = 10

_DAY = timedelta(days=1)
_LOOK_BACK = 35 * _DAY
"""A job that left no trace for so long is taken for one that this installation does not run."""


def gather(
    database: Database, settings: Settings, period: ReportPeriod, now: datetime
) -> ReportFigures:
    """Return all figures of a period; nothing is written.

    Parameters
    ----------
    database : Database
    settings : Settings
        Names the place whose disk is measured where there are no outputs yet.
    period : ReportPeriod
    now : datetime
        What has not happened yet is no gap: jobs are judged until the end of the period or now.
    """
    spans = period.hour_spans() if period.kind is PeriodKind.DAY else period.day_spans()
    with database.read() as db:
        baseline, before, history = _history(db, period)
        days, tally = _days(db, period.day_spans(), [span.start for span in spans])
        levels = LevelSums(spans)
        for span in period.day_spans():
            for columns in store.level_facts(db, span.start, span.end):
                levels.add(*columns)
        facts = store.emergency_facts(db, period.start, period.end, MAX_EVENT_LINES)
        lines = _event_lines(db, period, facts)
        total, violated = store.emergency_counts(db, period.start, period.end)
        refused = set(store.gate_violations(db, period.start, period.end))
        refused -= {line.session_id for line in lines if line.violation}
        runs = store.job_runs(db, period.start - _LOOK_BACK, min(period.end, now))
        model = store.model_in_use(db, period.end, KIND)
        models = _models(db, period.start, period.end)
        counts = tally.counts
        by_channel, by_hour = _sound_levels(db, period, spans)
        figures = ReportFigures(
            period=period,
            sessions=counts,
            failed_share=counts.failed_share,
            recent=mean_counts(baseline, period.num_days),
            audio_s=tally.audio_s,
            wall_s=tally.wall_s,
            speed_x=tally.speed_x,
            rtf=spread_of(tally.rtf, counts.total - len(tally.rtf)),
            backlog=_backlog(db, min(period.end, now)),
            events=EventCounts(
                total=total,
                first_at_device=sum(line.first_at_device for line in lines),
                unacknowledged=sum(not line.acknowledged for line in lines),
                violations=violated + len(refused),
                expected=expected_events(baseline, days),
            ),
            cancellation_db=spread_of(tally.cancellation, counts.total - len(tally.cancellation)),
            negative=tally.negative,
            api=_api(db, period),
            model_id=model or (models[0].model if models else None),
            baseline=baseline,
            days=days,
            hours=hour_figures(spans, tally),
            presets=preset_figures(tally),
            devices=device_figures(tally.devices, before),
            models=models,
            baseline_models=_models(db, period.days_before(BASELINE_DAYS)[0].start, period.start),
            noise_hours=_noise_hours(db, period),
            unplaced_recordings=store.noise_facts(db, period.start, period.end).undated,
            levels=_with_sound_levels(levels.figures(), by_hour),
            level_unit=CALIBRATED_UNIT if by_hour else UNCALIBRATED_UNIT,
            sound_levels=by_channel,
            event_lines=lines,
            refused_sessions=tuple(sorted(refused)),
            failures=_failures(db, period),
            worst=_worst(db, period),
            absent_devices=absent_devices(tally.devices, before, history, period),
            schedules=_schedules(runs, period, now),
            sizes=_sizes(db, period),
        )
        place = store.latest_output(db, period.end)
        size = store.database_bytes(db)
    disk = _disk(place, settings, figures, size)
    return figures.model_copy(update={"disk": disk})


def _sound_levels(
    db: Session, period: ReportPeriod, spans: Sequence[Span]
) -> tuple[tuple[SoundLevels, ...], tuple[SoundLevels, ...]]:
    asked = Period(start=period.start, end=period.end, timezone=period.timezone)
    return store.sound_levels_between(db, asked, [span.start for span in spans])


def _with_sound_levels(
    hours: tuple[LevelHour, ...], levels: tuple[SoundLevels, ...]
) -> tuple[LevelHour, ...]:
    """Return ``hours`` with sound pressure levels, where all of the period has them."""
    if not levels:
        return hours
    return tuple(
        hour.model_copy(update={name: one[name] for name in ("laeq_db", "la10_db", "la90_db")})
        for hour, one in zip(hours, levels, strict=True)
    )


# --------------------------------------------------------------------------- sessions


def _history(
    db: Session, period: ReportPeriod
) -> tuple[
    tuple[DayFigures, ...], dict[str | None, DeviceSums], list[tuple[date, dict[str | None, int]]]
]:
    """Return the baseline by days, its devices, and the sessions of each device by days."""
    days: list[DayFigures] = []
    devices: dict[str | None, DeviceSums] = {}
    by_day: list[tuple[date, dict[str | None, int]]] = []
    spans = period.days_before(BASELINE_DAYS)
    first = date.fromisoformat(spans[0].label)
    # What cleanup has deleted is still known by its sums.
    rolled = store.daily_figures(db, first, period.first, period.timezone)
    known = {one.day.isoformat(): one for one in rolled}
    for span in spans:
        day, tally = _day(db, span, ())
        days.append(restored(day, known.get(span.label)))
        counts = {name: sums.sessions for name, sums in tally.devices.items()}
        by_day.append((date.fromisoformat(span.label), counts))
        for name, sums in tally.devices.items():
            devices.setdefault(name, DeviceSums()).merge(sums)
    return tuple(days), devices, by_day


def _days(
    db: Session, spans: Sequence[Span], starts: Sequence[datetime]
) -> tuple[tuple[DayFigures, ...], Tally]:
    """Return the days of the period, and their sessions all together."""
    whole = Tally(starts)
    days = []
    for span in spans:
        day, tally = _day(db, span, starts)
        days.append(day)
        whole.merge(tally)
    return tuple(days), whole


def _day(db: Session, span: Span, starts: Sequence[datetime]) -> tuple[DayFigures, Tally]:
    tally = Tally(starts).add_all(store.session_facts(db, span.start, span.end))
    noise = store.noise_facts(db, span.start, span.end)
    events, _ = store.emergency_counts(db, span.start, span.end)
    day = day_figures(
        span,
        tally,
        emergency_events=events,
        noise_s=noise.seconds,
        noise_sessions=noise.recordings,
    )
    return day, tally


def _failures(db: Session, period: ReportPeriod) -> tuple[FailureGroup, ...]:
    return tuple(
        FailureGroup(
            code=fact.code,
            count=fact.sessions,
            session_id=fact.session_id,
            source_path=fact.source_path,
            message=fact.message,
            devices=fact.devices[:MAX_DEVICES_OF_A_FAILURE],
        )
        for fact in store.failure_facts(db, period.start, period.end)
    )


def _worst(db: Session, period: ReportPeriod) -> tuple[QualityLine, ...]:
    facts = store.quality_facts(
        db,
        period.start,
        period.end,
        louder_below_db=NEGATIVE_BELOW_DB,
        voice_below_db=VOICE_BELOW_DB,
        limit=WORST,
    )
    return tuple(
        QualityLine(
            session_id=fact.session_id,
            source_path=fact.source_path,
            device=fact.device_id,
            preset=fact.preset,
            status=fact.status,
            cancellation_db=fact.cancellation_db,
            speech_level_change_db=fact.speech_level_change_db,
            reason=fact.reason,
        )
        for fact in facts
    )


def _backlog(db: Session, at: datetime) -> Backlog:
    sessions, batches, oldest = store.unfinished(db, at)
    age_s = None if oldest is None else (at - oldest).total_seconds()
    return Backlog(sessions=sessions, batches=batches, oldest_at=oldest, age_s=age_s)


# --------------------------------------------------------------------------- what was heard


def _event_lines(
    db: Session, period: ReportPeriod, facts: Sequence[EventFacts]
) -> tuple[EventLine, ...]:
    known = store.emergency_kinds(db, period.days_before(BASELINE_DAYS)[0].start, period.start)
    seen = store.acknowledged(db, {fact.session_id for fact in facts})
    return tuple(
        _event_line(
            fact,
            first=(fact.device_id, fact.noise_type) not in known,
            acknowledged=fact.session_id in seen,
        )
        for fact in facts
    )


def _event_line(fact: EventFacts, *, first: bool, acknowledged: bool) -> EventLine:
    loss, made = fact.max_attenuation_db, fact.recorded_at
    return EventLine(
        event_id=f"{fact.session_id}:{fact.position}",
        session_id=fact.session_id,
        device=fact.device_id,
        site=fact.site,
        noise_type=fact.noise_type,
        at=None if made is None else made + timedelta(seconds=fact.start_s),
        start_s=fact.start_s,
        end_s=fact.end_s,
        channel=min(fact.channels, default=0),
        peak_confidence=fact.peak_confidence,
        evidence=fact.evidence,
        max_attenuation_db=loss,
        violation=is_violation(loss),
        first_at_device=first,
        acknowledged=acknowledged,
        source_path=fact.source_path,
        source_bytes=fact.source_bytes,
        output_path=fact.output_path,
        output_bytes=fact.output_bytes,
        imported=fact.imported_at is not None,
    )


def _models(db: Session, start: datetime, end: datetime) -> tuple[ModelFigures, ...]:
    return tuple(
        ModelFigures(
            model=fact.model_id,
            sessions=fact.recordings,
            mean_confidence=fact.mean,
            sd_confidence=fact.sd,
        )
        for fact in store.confidence_facts(db, start, end)
    )


def _noise_hours(db: Session, period: ReportPeriod) -> dict[str, tuple[float, ...]]:
    """Return seconds of each class by hour of the clock, over all days of the period."""
    zone = ZoneInfo(period.timezone)
    hours: dict[str, list[float]] = {}
    for name, when, seconds in store.noise_totals_between(db, period.start, period.end):
        hours.setdefault(name, [0.0] * 24)[datetime.fromtimestamp(when, zone).hour] += seconds
    return {name: tuple(values) for name, values in sorted(hours.items())}


# --------------------------------------------------------------------------- service and machine


def _api(db: Session, period: ReportPeriod) -> ApiFigures:
    found = store.api_request_figures(db, period.start, period.end)
    total = found.total
    return ApiFigures(
        requests=total.requests,
        errors=total.server_errors,
        error_share=total.server_error_share,
        p95_ms=total.p95_ms,
        endpoints=tuple(
            EndpointFigures(
                endpoint=f"{line.method} {line.path}",
                requests=line.requests,
                errors=line.server_errors,
                p50_ms=line.p50_ms,
                p95_ms=line.p95_ms,
                p99_ms=line.p99_ms,
            )
            for line in found.endpoints
        ),
    )


def _schedules(
    runs: Sequence[JobRun], period: ReportPeriod, now: datetime
) -> tuple[ScheduleLine, ...]:
    """Judge the jobs by the clock; one that never ran here is no job of this installation."""
    lines = []
    for job in PERIODIC_JOBS:
        own = [run for run in runs if run.job == job.name]
        good = [run.at for run in own if not run.failed]
        if not own:
            continue
        lines.append(
            ScheduleLine(
                name=job.name,
                every=job.every,
                runs=sum(at >= period.start for at in good),
                failed=sum(run.failed and run.at >= period.start for run in own),
                last_at=good[-1] if good else None,
                longest_gap_s=_longest_gap(good or [own[0].at], period, now),
                limit_s=(job.period + job.grace).total_seconds(),
            )
        )
    return tuple(lines)


def _longest_gap(moments: Sequence[datetime], period: ReportPeriod, now: datetime) -> float:
    """Return the longest time without a run that reaches into the period."""
    end = min(period.end, now)
    first = max((at for at in moments if at < period.start), default=None)
    marks = [at for at in moments if at >= period.start]
    chain = [*([] if first is None else [first]), *marks, end]
    return max(((b - a).total_seconds() for a, b in pairwise(chain)), default=0.0)


def _sizes(db: Session, period: ReportPeriod) -> tuple[SizePoint, ...]:
    first = date.fromisoformat(period.days_before(BASELINE_DAYS)[0].label)
    return tuple(
        SizePoint(
            day=day.isoformat(),
            free_bytes=disk["free_bytes"],
            database_bytes=disk.get("database_bytes"),
        )
        for day, disk in store.report_sizes(db, first, period.last)
    )


def _disk(
    output: str | None, settings: Settings, figures: ReportFigures, database_bytes: int | None
) -> DiskFigures | None:
    """Measure the disk that outputs go to, or that of the installation's own folder."""
    place = _existing(Path(settings.home).expanduser() if output is None else Path(output).parent)
    try:
        usage = shutil.disk_usage(place)
    except OSError:  # a mount that is away: no reason to have no report
        return None
    written = [day.output_bytes for day in (*figures.baseline, *figures.days)]
    while written and not written[0]:
        written.pop(0)  # days before there were any outputs
    growth = sum(written) / len(written) if len(written) >= RECENT_DAYS else None
    return DiskFigures(
        path=str(place),
        free_bytes=usage.free,
        total_bytes=usage.total,
        database_bytes=database_bytes,
        growth_bytes_per_day=growth,
        days_to_full=usage.free / growth if growth else None,
    )


def _existing(path: Path) -> Path:
    """Return the nearest folder that is there: an output folder may be gone by now."""
    for folder in (path, *path.parents):
        if folder.is_dir():
            return folder
    return Path.cwd()
