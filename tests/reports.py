"""Figures of a made-up installation whose every day is like the one before."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from anc_core.reports.daily_figures import (
    Counts,
    DailyReport,
    DayFigures,
    DeviceFigures,
    EventLine,
    ReportFigures,
    Spread,
)
from anc_core.reports.daily_flags import judge
from anc_core.reports.period import ReportPeriod, period_of

TUESDAY = date(2026, 11, 3)
NOW = datetime(2026, 11, 4, 1, tzinfo=UTC)
MIX = {"engine_idling": 600.0, "dog_bark": 300.0, "unknown": 100.0}


def period(**changes: Any) -> ReportPeriod:
    return period_of(TUESDAY, "UTC").model_copy(update=changes)


def day(name: str = "2026-11-03", **changes: Any) -> DayFigures:
    values: dict[str, Any] = {
        "day": name,
        "counts": Counts(ok=97, degraded=2, failed=1),
        "audio_s": 36_000.0,
        "wall_s": 400.0,
        "rtf": Spread(n=100, median=0.01, p95=0.02),
        "cancellation_n": 90,
        "emergency_events": 1,
        "noise_s": MIX,
        "noise_sessions": 100,
    }
    return DayFigures(**(values | changes))


def baseline(**changes: Any) -> tuple[DayFigures, ...]:
    first = TUESDAY - timedelta(days=28)
    return tuple(day((first + timedelta(days=n)).isoformat(), **changes) for n in range(28))


def device(name: str | None = "hall-2", **changes: Any) -> DeviceFigures:
    values: dict[str, Any] = {
        "device": name,
        "sessions": 20,
        "analysed": 20,
        "measured": 20,
        "cancellation_n": 20,
        "level_dbfs": -30.0,
        "baseline_analysed": 500,
        "baseline_measured": 500,
        "baseline_cancellation_n": 500,
        "baseline_level_dbfs": -31.0,
        "baseline_level_sd_db": 4.0,
    }
    return DeviceFigures(**(values | changes))


def event(position: int = 0, **changes: Any) -> EventLine:
    values: dict[str, Any] = {
        "event_id": f"s1:{position}",
        "session_id": "s1",
        "device": "hall-2",
        "site": "north",
        "noise_type": "smoke_alarm",
        "at": datetime(2026, 11, 3, 8, 30, tzinfo=UTC),
        "start_s": 12.0,
        "end_s": 24.0,
        "channel": 0,
        "peak_confidence": 0.9,
        "evidence": "T3 rhythm",
        "max_attenuation_db": 0.2,
        "violation": False,
        "first_at_device": False,
        "acknowledged": False,
        "source_path": "/in/a.wav",
        "source_bytes": None,
        "output_path": None,
        "output_bytes": None,
    }
    return EventLine(**(values | changes))


def figures(**changes: Any) -> ReportFigures:
    today = day()
    values: dict[str, Any] = {
        "period": period(),
        "sessions": today.counts,
        "failed_share": today.counts.failed_share,
        "audio_s": today.audio_s,
        "wall_s": today.wall_s,
        "speed_x": 90.0,
        "rtf": today.rtf,
        "cancellation_db": Spread(n=90, null_n=10, median=12.0, p10=7.0),
        "baseline": baseline(),
        "days": (today,),
        "devices": (device(),),
    }
    return ReportFigures(**(values | changes))


def report(shown: ReportFigures | None = None, **changes: Any) -> DailyReport:
    shown = shown or figures()
    verdict, reasons, flags = judge(shown)
    values: dict[str, Any] = {
        "verdict": verdict,
        "reasons": reasons,
        "flags": flags,
        "figures": shown,
        "created_at": NOW,
        "core_version": "0",
    }
    return DailyReport(**(values | changes))
