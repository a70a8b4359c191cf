"""Ten sessions around a day of 23 hours, small enough to work out by hand.

The day is 2026-03-29 in Berlin: 2026-03-28T23:00Z up to 22:00Z, clocks go from 2:00 to 3:00 at
01:00Z. What every figure of it must be, and why, stands in ``test_analyses.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from store_samples import request, result

from anc_core.analysis_records import Period
from anc_core.errors import ErrorCode
from anc_core.records import Event, IntervalMetrics, Metrics, Status, Window
from anc_core.store import Database, Owner, claim, finish

DAY = Period.of_day(date(2026, 3, 29), "Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)


@dataclass(frozen=True)
class Sample:
    name: str
    device: str
    finished: str | None
    """None = running."""
    recorded: str | None = None
    status: Status = Status.OK
    duration_s: float | None = None
    level: float | None = None
    cancellation: float | None = None
    windows: tuple[Window, ...] = ()
    events: tuple[Event, ...] = ()
    error: ErrorCode | None = None


def window(kind: str, start: float, sure: float, level: float | None, channel: int = 0) -> Window:
    return Window(
        start_s=start,
        end_s=start + 1.0,
        channel=channel,
        noise_type=kind,
        confidence=sure,
        level_dbfs=level,
    )


def event(kind: str, start: float, end: float, lost: float | None = None) -> Event:
    return Event(
        noise_type=kind,
        start_s=start,
        end_s=end,
        is_emergency=lost is not None,
        channels=(0,),
        peak_confidence=0.9,
        mean_confidence=0.8,
        window_count=2,
        evidence="" if lost is None else "sweep",
        max_attenuation_db=lost,
    )


SAMPLES = (
    # Begins with the day. A fan on both channels: windows 0-1, 0.5-1.5 and 0-1, together 1.5 s.
    Sample("s1", "A", "03-28T23:10", "03-28T23:00", duration_s=10, level=-20, cancellation=10,
           windows=(window("fan", 0, 0.95, -20), window("fan", 0.5, 0.85, -20),
                    window("fan", 0, 1.0, None, channel=1)),
           events=(event("fan", 0, 1.5),)),
    # A second of rain over the change of the clocks: half of it at 1, half of it at 3 o'clock.
    Sample("s2", "A", "03-29T01:10", "03-29T00:59:59.500", duration_s=20, level=-30,
           cancellation=20, windows=(window("rain", 0, 0.05, -30),)),
    # Digital silence but for a siren that lost too much.
    Sample("s3", "B", "03-29T12:01", "03-29T12:00", status=Status.DEGRADED, duration_s=30,
           cancellation=-2, windows=(window("siren", 2, 0.9, -10),),
           events=(event("siren", 2, 3, lost=1.5),), error=ErrorCode.SPEECH_LOSS),
    # Nobody knows when it was recorded.
    Sample("s4", "B", "03-29T13:00", duration_s=40, level=-25,
           windows=(window("fan", 0, 0.5, -25),)),
    Sample("s5", "A", "03-29T20:00", "03-29T19:00", status=Status.FAILED,
           error=ErrorCode.EMPTY_FILE),
    Sample("s6", "A", "03-29T20:01", "03-29T19:00", status=Status.FAILED,
           error=ErrorCode.EMPTY_FILE),
    # Recorded in the last second of the day, finished in the first moment of the next.
    Sample("s7", "C", "03-29T22:00", "03-29T21:59:59", duration_s=10, level=-20, cancellation=7),
    Sample("s8", "C", "03-27T12:00", "03-27T12:00", duration_s=100, level=-20, cancellation=8),
    Sample("s9", "D", "03-28T12:00", "03-28T12:00", duration_s=50, level=-20, cancellation=5),
    Sample("s10", "A", None, "03-29T15:00"),
)  # fmt: skip


def fill(database: Database) -> None:
    """Process the samples as workers do: claimed, then finished."""
    with database.begin() as db:
        for sample in SAMPLES:
            recorded = None if sample.recorded is None else at(sample.recorded)
            asked = request(
                sample.name,
                session_id=sample.name,
                device_id=sample.device,
                site="north" if sample.device < "C" else None,
                recorded_at=recorded,
            )
            claim(db, asked, Owner.current(), now=recorded or at("03-29T12:59"))
            if sample.finished is not None:
                finish(db, _result(sample), Owner.current())


def _result(sample: Sample) -> Any:
    duration_s = sample.duration_s
    wall_s = None if duration_s is None else duration_s / 50
    return result(
        sample.name,
        sample.name,
        status=sample.status,
        duration_s=duration_s,
        finished_at=at(sample.finished or ""),
        windows=sample.windows,
        events=sample.events,
        level_spans=(),
        intervals=()
        if duration_s is None
        else (
            IntervalMetrics(
                index=0,
                start_s=0.0,
                end_s=duration_s,
                input_rms_dbfs=sample.level,
                output_rms_dbfs=None,
            ),
        ),
        error_code=sample.error,
        error_message=f"{sample.name} says {sample.error}" if sample.error else None,
        metrics=Metrics(
            input_rms_dbfs=sample.level,
            cancellation_db=sample.cancellation,
            wall_s=wall_s,
            real_time_factor=None if wall_s is None else 0.02,
        ),
    )
