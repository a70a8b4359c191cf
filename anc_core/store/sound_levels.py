"""Sound levels of a session and of a period, under the calibrations that the store knows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import func, select

from anc_core.metrics.calibration import UNDATED, CalibrationBook
from anc_core.metrics.sound_exposure import DayParts, Exposure, SpanLevels
from anc_core.sound_records import SoundLevels
from anc_core.store.calibrations import list_calibrations
from anc_core.store.scopes import PROCESSED, STATUS, Scope
from anc_core.store.tables import AudioSession, Calibration, LevelSpan

if TYPE_CHECKING:
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


def _calibrated(
    db: Session, scope: Scope, book: CalibrationBook, parts: DayParts
) -> Iterator[SoundLevels]:
    if not book.devices:
        return
    sessions = scope.sessions(
        AudioSession.id,
        AudioSession.device_id,
        AudioSession.gain_setting,
        AudioSession.recorded_at,
        STATUS,
    )
    rows = db.execute(
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
    for (device, channel), own in groupby(rows, key=lambda row: (row[0], row[1])):
        yield _of_channel(own, book, parts, device, channel)


def _of_channel(
    rows: Iterator[Any], book: CalibrationBook, parts: DayParts, device: str, channel: int
) -> SoundLevels:
    exposure, sessions, overlapping_s = Exposure(parts), dict[str, None](), 0.0
    covered_until = float("-inf")
    for _, _, recorded, gain, session_id, start_s, end_s, *levels in rows:
        sessions[session_id] = None
        seconds = end_s - start_s
        at = None if recorded is None else recorded + timedelta(seconds=start_s)
        if at is not None:
            # The same recording with two presets is two sessions, and one sound.
            if at.timestamp() < covered_until - _OVERLAP_S:
                overlapping_s += seconds
                continue
            covered_until = at.timestamp() + seconds
        chosen = book.find(device, channel, gain, at)
        exposure.add(
            SpanLevels(seconds, *levels),
            None if at is None else at.timestamp(),
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
