"""Sound levels of a session and of a period, under the calibrations that the store knows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import func, select

from anc_core.metrics.calibration import UNDATED, CalibrationBook
from anc_core.metrics.sound_exposure import DayParts, Exposure, SpanLevels
from anc_core.sound_records import SoundLevels
from anc_core.store.calibrations import list_calibrations
from anc_core.store.noise_view import undated_in
from anc_core.store.scopes import STATUS, Scope
from anc_core.store.tables import PROCESSED, AudioSession, Calibration, LevelSpan

if TYPE_CHECKING:
    from sqlalchemy import Result
    from sqlalchemy.orm import Session

    from anc_core.analysis_records import Period
    from anc_core.records import SessionSummary

MAX_CHANNELS = 200
_OVERLAP_S = 1.0
"""Recordings may share so much without being the same: clocks of recorders are not better."""
_PAGE = 2_000
_CALIBRATED_DEVICES = select(Calibration.device_id)


def sound_levels_of_session(
    db: Session, found: SessionSummary, timezone: str
) -> tuple[SoundLevels, ...]:
    """Return the levels of each channel of a session, before and after."""
    book = CalibrationBook(
        [] if found.device_id is None else list_calibrations(db, device_id=found.device_id)
    )
    start = found.recorded_at
    begin = datetime.fromtimestamp(0, UTC) if start is None else start
    parts = DayParts.of(begin, begin + timedelta(seconds=found.duration_s or 0.0), timezone)
    levels = []
    for channel, spans in groupby(found.level_spans, key=lambda span: span.channel):
        sides: tuple[tuple[Literal["input", "output"], Exposure], ...] = (
            ("input", Exposure(parts)),
            ("output", Exposure(parts)),
        )
        for span in spans:
            at = None if start is None else start + timedelta(seconds=span.start_s)
            chosen = book.find(found.device_id, channel, found.gain_setting, at)
            for side, exposure in sides:
                exposure.add(
                    SpanLevels(
                        seconds=span.end_s - span.start_s,
                        laeq_dbfs=getattr(span, f"{side}_laeq_dbfs"),
                        lafmax_dbfs=getattr(span, f"{side}_lafmax_dbfs"),
                        lasmax_dbfs=getattr(span, f"{side}_lasmax_dbfs"),
                        levels=getattr(span, f"{side}_levels"),
                    ),
                    None if at is None else at.timestamp(),
                    chosen.calibration,
                    chosen.reason,
                )
        levels += [
            exposure.levels(sessions=1, device_id=found.device_id, channel=channel, side=side)
            for side, exposure in sides
        ]
    return tuple(levels)


def sound_levels_of(db: Session, scope: Scope, period: Period) -> tuple[SoundLevels, ...]:
    """Return the input levels of each channel of each device; at most 200, calibrated ones first.

    Only the spans of devices with a calibration are read one by one: of the others there are no
    figures but the energy, which the database sums up.
    """
    book = CalibrationBook(list_calibrations(db))
    parts = DayParts.of(period.start, period.end, period.timezone)
    levels = [*_calibrated(db, scope, book, parts), *_uncalibrated(db, scope, book, parts)]
    levels.sort(key=lambda one: (one.laeq_db is None, one.device_id or "", one.channel))
    return tuple(levels[:MAX_CHANNELS])


def sound_levels_between(
    db: Session, period: Period, starts: Sequence[datetime]
) -> tuple[tuple[SoundLevels, ...], tuple[SoundLevels, ...]]:
    """Return the levels of each channel, and of all together by time, of what was recorded."""
    scope = Scope.of(period, "recorded")
    by_channel = sound_levels_of(db, scope, period)
    # Recordings without a time are shown by when they were processed, and are not calibrated.
    if undated_in(db, scope):
        return by_channel, ()
    return by_channel, _over_time(db, scope, period, starts)


def _over_time(
    db: Session, scope: Scope, period: Period, starts: Sequence[datetime]
) -> tuple[SoundLevels, ...]:
    """Return the levels of all channels together from each of ``starts`` to the next.

    Nothing where not every recording of the scope is calibrated: levels of two kinds in one line
    would be read as one. A span counts where it begins.
    """
    book = CalibrationBook(list_calibrations(db))
    if not book.devices or _has_uncalibrated(db, scope):
        return ()
    parts = DayParts.of(period.start, period.end, period.timezone)
    exposures = [Exposure(parts) for _ in starts]
    edges = [start.timestamp() for start in starts]
    for (device, channel), own in groupby(_rows(db, scope), key=lambda row: (row[0], row[1])):
        for span in _once(own):
            chosen = book.find(device, channel, span.gain_setting, span.at)
            if chosen.calibration is None or span.at is None:
                return ()
            place = bisect_right(edges, span.at.timestamp()) - 1
            exposures[max(place, 0)].add(
                span.levels, span.at.timestamp(), chosen.calibration, chosen.reason
            )
    if not any(exposure.seconds for exposure in exposures):
        return ()
    return tuple(exposure.levels() for exposure in exposures)


def _has_uncalibrated(db: Session, scope: Scope) -> bool:
    """Return whether a recording has no calibrated device, or no spans."""
    sessions = scope.sessions(
        AudioSession.id, AudioSession.device_id, AudioSession.duration_s, STATUS
    )
    measured = select(LevelSpan.session_id).where(LevelSpan.session_id == sessions.c.id).exists()
    count = db.scalar(
        select(func.count())
        .select_from(sessions)
        .where(
            sessions.c.status.in_(PROCESSED),
            sessions.c.duration_s > 0,
            sessions.c.device_id.is_(None)
            | sessions.c.device_id.not_in(_CALIBRATED_DEVICES)
            | ~measured,
        )
    )
    return bool(count)


@dataclass(frozen=True, slots=True)
class _Span:
    """A span of a session, and when it began, if that is known."""

    session_id: str
    gain_setting: str | None
    at: datetime | None
    levels: SpanLevels
    overlaps: bool
    """An earlier session has the same time: the same recording with two presets is one sound."""


def _once(rows: Iterable[Any]) -> Iterator[_Span]:
    """Yield the spans of one channel, in order of time; of those that overlap the first counts."""
    for span in _marked(rows):
        if not span.overlaps:
            yield span


def _marked(rows: Iterable[Any]) -> Iterator[_Span]:
    covered_until = float("-inf")
    for _, _, recorded, gain, session_id, start_s, end_s, *levels in rows:
        at = None if recorded is None else recorded + timedelta(seconds=start_s)
        overlaps = at is not None and at.timestamp() < covered_until - _OVERLAP_S
        if at is not None and not overlaps:
            covered_until = at.timestamp() + end_s - start_s
        yield _Span(session_id, gain, at, SpanLevels(end_s - start_s, *levels), overlaps)


def _calibrated(
    db: Session, scope: Scope, book: CalibrationBook, parts: DayParts
) -> Iterator[SoundLevels]:
    if not book.devices:
        return
    for (device, channel), own in groupby(_rows(db, scope), key=lambda row: (row[0], row[1])):
        yield _of_channel(own, book, parts, device, channel)


def _rows(db: Session, scope: Scope) -> Result[Any]:
    """Return the spans of devices that have a calibration, by device, channel and time."""
    sessions = scope.sessions(
        AudioSession.id,
        AudioSession.device_id,
        AudioSession.gain_setting,
        AudioSession.recorded_at,
        STATUS,
    )
    return db.execute(
        select(
            sessions.c.device_id,
            LevelSpan.channel,
            sessions.c.recorded_at,
            sessions.c.gain_setting,
            LevelSpan.session_id,
            LevelSpan.start_s,
            LevelSpan.end_s,
            LevelSpan.input_laeq_dbfs,
            LevelSpan.input_lafmax_dbfs,
            LevelSpan.input_lasmax_dbfs,
            LevelSpan.input_levels,
        )
        .join(sessions, sessions.c.id == LevelSpan.session_id)
        .where(sessions.c.status.in_(PROCESSED), sessions.c.device_id.in_(_CALIBRATED_DEVICES))
        .order_by(
            sessions.c.device_id,
            LevelSpan.channel,
            sessions.c.recorded_at,
            LevelSpan.session_id,
            LevelSpan.start_s,
        ),
        execution_options={"yield_per": _PAGE},
    )


def _of_channel(
    rows: Iterable[Any], book: CalibrationBook, parts: DayParts, device: str, channel: int
) -> SoundLevels:
    exposure, sessions, overlapping_s = Exposure(parts), dict[str, None](), 0.0
    for span in _marked(rows):
        sessions[span.session_id] = None
        if span.overlaps:
            overlapping_s += span.levels.seconds
            continue
        chosen = book.find(device, channel, span.gain_setting, span.at)
        exposure.add(
            span.levels,
            None if span.at is None else span.at.timestamp(),
            chosen.calibration,
            chosen.reason,
        )
    return exposure.levels(
        sessions=len(sessions), overlapping_s=overlapping_s, device_id=device, channel=channel
    )


def _uncalibrated(
    db: Session, scope: Scope, book: CalibrationBook, parts: DayParts
) -> Iterator[SoundLevels]:
    sessions = scope.sessions(
        AudioSession.id, AudioSession.device_id, AudioSession.recorded_at, STATUS
    )
    length_s = LevelSpan.end_s - LevelSpan.start_s
    energy_s = length_s * func.power(10.0, LevelSpan.input_laeq_dbfs / 10.0)
    rows = db.execute(
        select(
            sessions.c.device_id,
            LevelSpan.channel,
            func.count(LevelSpan.session_id.distinct()),
            func.sum(length_s),
            func.coalesce(func.sum(energy_s), 0.0),
        )
        .join(sessions, sessions.c.id == LevelSpan.session_id)
        .where(
            sessions.c.status.in_(PROCESSED),
            sessions.c.device_id.is_(None) | sessions.c.device_id.not_in(_CALIBRATED_DEVICES),
        )
        .group_by(sessions.c.device_id, LevelSpan.channel)
    )
    for device, channel, count, seconds, energy in rows:
        reason = book.find(device, channel, None, None).reason or UNDATED
        exposure = Exposure(parts, seconds=seconds, energy_s=energy, reasons={reason: seconds})
        yield exposure.levels(sessions=count, device_id=device, channel=channel)
