"""Sessions to numbers: what a day comes to, by status, device, preset and hour.

Sessions stream through once and leave sums and the few figures that percentiles need: a month of
them never is in memory at a time.
"""

from __future__ import annotations

import math
import statistics
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

from anc_core.analysis_records import DailyFigures
from anc_core.reports.daily_figures import (
    FEW,
    RECENT_DAYS,
    AbsentDevice,
    Counts,
    DayFigures,
    DeviceFigures,
    HourFigures,
    LevelHour,
    MeanCounts,
    PresetFigures,
    Spread,
)
from anc_core.reports.period import ReportPeriod, Span

SILENT_BELOW_DBFS = -70.0
"""Quieter than any room on a working microphone at a usable gain."""
NEGATIVE_BELOW_DB = 0.0
"""Of the cancellation; as ``became_noisier`` of analyses."""
HARDLY = 0.25
"""Of the sessions that were due from a device; stragglers of the day before come all the same."""
VOICE_BELOW_DB = -1.0
"""A voice that became quieter by more is worth a look."""

_LOWEST_DB, _STEP_DB, _NUM_STEPS = -120.0, 0.1, 1300
"""Levels are counted in steps of 0.1 dB: exact enough, and any number of them fits in memory."""


class Session(Protocol):
    """What is counted of a session (``anc_core.store.SessionFacts``)."""

    @property
    def finished_at(self) -> datetime: ...  # noqa: D102
    @property
    def status(self) -> str: ...  # noqa: D102
    @property
    def device_id(self) -> str | None: ...  # noqa: D102
    @property
    def preset(self) -> str: ...  # noqa: D102
    @property
    def duration_s(self) -> float | None: ...  # noqa: D102
    @property
    def wall_s(self) -> float | None: ...  # noqa: D102
    @property
    def real_time_factor(self) -> float | None: ...  # noqa: D102
    @property
    def cancellation_db(self) -> float | None: ...  # noqa: D102
    @property
    def input_rms_dbfs(self) -> float | None: ...  # noqa: D102
    @property
    def output_bytes(self) -> int | None: ...  # noqa: D102
    @property
    def clipped(self) -> bool: ...  # noqa: D102


@dataclass(slots=True)
class DeviceSums:
    """A device in a stretch of time; sums merge."""

    sessions: int = 0
    analysed: int = 0
    """Sessions that were not failures: those that a level would be known of."""
    silent: int = 0
    clipped: int = 0
    negative: int = 0
    cancellation_n: int = 0
    levels: array[float] = field(default_factory=lambda: array("d"))
    """Of sessions that were not silent, dBFS."""
    last_at: datetime | None = None

    def add(self, session: Session) -> None:
        """Count one session."""
        self.sessions += 1
        if self.last_at is None or session.finished_at > self.last_at:
            self.last_at = session.finished_at
        if session.status == "failed":
            return
        self.analysed += 1
        level = session.input_rms_dbfs
        if session.duration_s and (level is None or level < SILENT_BELOW_DBFS):
            self.silent += 1
        elif level is not None:
            self.levels.append(level)
        self.clipped += bool(session.clipped)
        if session.cancellation_db is not None:
            self.cancellation_n += 1
            self.negative += session.cancellation_db < NEGATIVE_BELOW_DB

    def merge(self, other: DeviceSums) -> None:
        """Add what ``other`` counted."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.levels.extend(other.levels)
        self.last_at = max((at for at in (self.last_at, other.last_at) if at), default=None)

    @property
    def median_level(self) -> float | None:
        """Median input level, dBFS: one strange recording moves no median."""
        return statistics.median(self.levels) if self.levels else None

    @property
    def level_sd(self) -> float | None:
        """Spread of the input level between sessions, dB: of the middle half, scaled to a sigma."""
        if len(self.levels) < 4:
            return None
        low, _, high = statistics.quantiles(self.levels, n=4)
        return (high - low) / _QUARTILES_OF_NORMAL


_QUARTILES_OF_NORMAL = 1.349
_SUMS = ("sessions", "analysed", "silent", "clipped", "negative", "cancellation_n")


@dataclass(slots=True)
class Tally:
    """What the sessions of a stretch of time come to; tallies merge."""

    starts: Sequence[datetime] = ()
    """Where the bars of the first chart begin; sessions before the first belong to none."""
    statuses: dict[str, int] = field(default_factory=dict)
    bars: dict[tuple[int, str], int] = field(default_factory=dict)
    audio_s: float = 0.0
    work_s: float = 0.0
    """Audio whose time of work is known: what the speed is of."""
    wall_s: float = 0.0
    rtf: list[float] = field(default_factory=list)
    cancellation: list[float] = field(default_factory=list)
    presets: dict[str, list[float]] = field(default_factory=dict)
    output_bytes: int = 0
    devices: dict[str | None, DeviceSums] = field(default_factory=dict)

    def add_all(self, sessions: Iterable[Session]) -> Tally:
        """Count sessions; return the tally itself."""
        for session in sessions:
            self._add(session)
        return self

    def _add(self, session: Session) -> None:
        self.statuses[session.status] = self.statuses.get(session.status, 0) + 1
        if self.starts:
            bar = (bisect_right(self.starts, session.finished_at) - 1, session.status)
            self.bars[bar] = self.bars.get(bar, 0) + 1
        device = self.devices.get(session.device_id)
        if device is None:
            device = self.devices[session.device_id] = DeviceSums()
        device.add(session)
        self.output_bytes += session.output_bytes or 0
        if session.status == "failed":
            return
        self.audio_s += session.duration_s or 0.0
        if session.wall_s is not None and session.duration_s:
            self.wall_s += session.wall_s
            self.work_s += session.duration_s
        if session.real_time_factor is not None:
            self.rtf.append(session.real_time_factor)
        if session.cancellation_db is not None:
            self.cancellation.append(session.cancellation_db)
            self.presets.setdefault(session.preset, []).append(session.cancellation_db)

    def merge(self, other: Tally) -> None:
        """Add what ``other`` counted; its bars are of the same chart."""
        _add_counts(self.statuses, other.statuses)
        _add_counts(self.bars, other.bars)
        for name in ("audio_s", "work_s", "wall_s", "output_bytes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.rtf += other.rtf
        self.cancellation += other.cancellation
        for preset, values in other.presets.items():
            self.presets.setdefault(preset, []).extend(values)
        for device, sums in other.devices.items():
            self.devices.setdefault(device, DeviceSums()).merge(sums)

    @property
    def counts(self) -> Counts:
        """Sessions by status."""
        return Counts(**self.statuses)

    @property
    def speed_x(self) -> float | None:
        """Seconds of audio for each second of work."""
        return self.work_s / self.wall_s if self.wall_s > 0 else None

    @property
    def negative(self) -> int:
        """Sessions that became louder."""
        return sum(value < NEGATIVE_BELOW_DB for value in self.cancellation)


def _add_counts(into: dict[Any, int], more: Mapping[Any, int]) -> None:
    for key, count in more.items():
        into[key] = into.get(key, 0) + count


def spread_of(values: Sequence[float], null_n: int = 0) -> Spread:
    """Return the percentiles of ``values``, linear between ranks; too few are only counted."""
    import numpy as np

    if len(values) < FEW:
        return Spread(n=len(values), null_n=null_n)
    names = ("minimum", "p10", "p25", "median", "p75", "p90", "p95", "maximum")
    found = np.percentile(np.asarray(values, float), [0, 10, 25, 50, 75, 90, 95, 100])
    return Spread(n=len(values), null_n=null_n, **dict(zip(names, map(float, found), strict=True)))


def day_figures(span: Span, tally: Tally, **more: object) -> DayFigures:
    """Return a day of the history."""
    counts = tally.counts
    values = {
        "day": span.label,
        "counts": counts,
        "audio_s": tally.audio_s,
        "wall_s": tally.wall_s,
        "rtf": spread_of(tally.rtf),
        "negative": tally.negative,
        "cancellation_n": len(tally.cancellation),
        "output_bytes": tally.output_bytes,
    }
    return DayFigures.model_validate(values | more)


def restored(day: DayFigures, rolled: DailyFigures | None) -> DayFigures:
    """Return a day of the history with what was known of it before its sessions were deleted.

    Parameters
    ----------
    day : DayFigures
        From the sessions that are there.
    rolled : DailyFigures or None
        What was rolled up of the same day; a view of it counts where it knew more sessions.
    """
    if rolled is None:
        return day
    known: dict[str, object] = {}
    processing, noise = rolled.processing, rolled.noise
    if processing.sessions > day.counts.total:
        factor = processing.real_time_factor
        known |= {
            "counts": Counts(
                **{name: processing.by_status.get(name, 0) for name in Counts.model_fields}
            ),
            "audio_s": processing.audio_s,
            "wall_s": processing.wall_s,
            "rtf": Spread(n=factor.n, median=factor.median, p95=processing.real_time_factor_p95),
            "negative": processing.became_noisier,
            "cancellation_n": processing.cancellation_db.n,
        }
    if noise.sessions > day.noise_sessions:
        known |= {
            "noise_s": noise.class_seconds,
            "noise_sessions": noise.sessions,
            "emergency_events": max(day.emergency_events, noise.emergency_events),
        }
    return day.model_copy(update=known)


def hour_figures(spans: Sequence[Span], tally: Tally) -> tuple[HourFigures, ...]:
    """Return the bars of the first chart."""
    return tuple(
        HourFigures(
            label=span.label,
            start=span.start,
            counts=Counts(
                **{status: tally.bars.get((place, status), 0) for status in Counts.model_fields}
            ),
        )
        for place, span in enumerate(spans)
    )


def mean_counts(days: Sequence[DayFigures], num_days: int) -> MeanCounts:
    """Return the mean of the last seven days with sessions, for a period of ``num_days``."""
    active = [day for day in days[-RECENT_DAYS:] if day.counts.total]
    if not active:
        return MeanCounts(days=0)
    factor = num_days / len(active)
    return MeanCounts(
        days=len(active),
        ok=factor * sum(day.counts.ok for day in active),
        degraded=factor * sum(day.counts.degraded for day in active),
        failed=factor * sum(day.counts.failed for day in active),
        audio_s=factor * math.fsum(day.audio_s for day in active),
    )


def preset_figures(tally: Tally) -> tuple[PresetFigures, ...]:
    """Return the cancellation of each preset, the most used first."""
    names = sorted(tally.presets, key=lambda name: (-len(tally.presets[name]), name))
    return tuple(
        PresetFigures(preset=name, cancellation_db=spread_of(tally.presets[name])) for name in names
    )


def device_figures(
    now: Mapping[str | None, DeviceSums], before: Mapping[str | None, DeviceSums]
) -> tuple[DeviceFigures, ...]:
    """Return the devices of the period beside what they were in the baseline."""
    lines = []
    for device in sorted(now, key=lambda name: (name is None, name or "")):
        sums, old = now[device], before.get(device, DeviceSums())
        lines.append(
            DeviceFigures(
                device=device,
                sessions=sums.sessions,
                analysed=sums.analysed,
                measured=len(sums.levels),
                silent=sums.silent,
                clipped=sums.clipped,
                negative=sums.negative,
                cancellation_n=sums.cancellation_n,
                level_dbfs=sums.median_level,
                baseline_analysed=old.analysed,
                baseline_silent=old.silent,
                baseline_clipped=old.clipped,
                baseline_negative=old.negative,
                baseline_cancellation_n=old.cancellation_n,
                baseline_measured=len(old.levels),
                baseline_level_dbfs=old.median_level,
                baseline_level_sd_db=old.level_sd,
            )
        )
    return tuple(lines)


def absent_devices(
    now: Mapping[str | None, DeviceSums],
    before: Mapping[str | None, DeviceSums],
    history: Sequence[tuple[date, Mapping[str | None, int]]],
    period: ReportPeriod,
) -> tuple[AbsentDevice, ...]:
    """Return devices of the last seven days that are not, or hardly, of ``now``; busiest first.

    Parameters
    ----------
    now, before : mapping of DeviceSums
        By device, of the period and of the baseline.
    history : sequence of (date, sessions by device)
        The days of the baseline, oldest first.
    period : ReportPeriod
    """
    recent = [day for _, day in history[-RECENT_DAYS:]]
    in_recent = sum(map(sum, (day.values() for day in recent)))
    total = sum(sums.sessions for sums in now.values())
    weekend = period.first.weekday() >= 5
    alike = [day for when, day in history if (when.weekday() >= 5) == weekend and day]
    lines = []
    for name in {name for day in recent for name in day if name is not None}:
        counts = [day[name] for day in recent if name in day]
        came = now[name].sessions if name in now else 0
        expected = total * sum(counts) / in_recent
        fewest = min((day.get(name, 0) for day in alike), default=0)
        last_at = before[name].last_at
        if last_at is None or (came and (came >= fewest or came > HARDLY * expected)):
            continue
        lines.append(
            AbsentDevice(
                device=name,
                now=came,
                last_at=last_at,
                days=len(counts),
                sessions=sum(counts),
                expected=round(expected, 2),
                fewest=fewest,
                days_alike=len(alike),
            )
        )
    return tuple(sorted(lines, key=lambda line: (-line.sessions, line.device)))


# --------------------------------------------------------------------------- levels


class LevelSums:
    """Input levels by hour (or day), from stretches of sessions, in constant memory."""

    def __init__(self, spans: Sequence[Span]) -> None:
        import numpy as np

        self._spans = spans
        self._starts = np.array([span.start.timestamp() for span in spans])
        self._seconds = np.zeros((len(spans), _NUM_STEPS))
        self._energy = np.zeros(len(spans))
        self._counts = np.zeros(len(spans), int)

    def add(
        self, moments: Sequence[float], seconds: Sequence[float], levels_dbfs: Sequence[float]
    ) -> None:
        """Add stretches: when each began (seconds since 1970), its length, its level."""
        import numpy as np

        at = np.asarray(moments, float)
        length, level = np.asarray(seconds, float), np.asarray(levels_dbfs, float)
        place = np.searchsorted(self._starts, at, side="right") - 1
        inside = (place >= 0) & (at < self._spans[-1].end.timestamp())
        place, length, level = place[inside], length[inside], level[inside]
        step = np.clip((level - _LOWEST_DB) / _STEP_DB, 0, _NUM_STEPS - 1).astype(int)
        np.add.at(self._seconds, (place, step), length)
        np.add.at(self._energy, place, length * 10.0 ** (level / 10.0))
        np.add.at(self._counts, place, 1)

    def figures(self) -> tuple[LevelHour, ...]:
        """Return Leq and what was exceeded 10 % and 90 % of the time."""
        return tuple(self._of(place, span) for place, span in enumerate(self._spans))

    def _of(self, place: int, span: Span) -> LevelHour:
        import numpy as np

        count = int(self._counts[place])
        if count < FEW:
            return LevelHour(label=span.label, n=count, leq_dbfs=None, l10_dbfs=None, l90_dbfs=None)
        row = self._seconds[place]
        total = float(row.sum())
        below = np.cumsum(row) / total

        def quantile(share: float) -> float:
            return _LOWEST_DB + _STEP_DB * (int(np.searchsorted(below, share)) + 0.5)

        return LevelHour(
            label=span.label,
            n=count,
            leq_dbfs=10.0 * math.log10(max(float(self._energy[place]) / total, 1e-20)),
            l10_dbfs=quantile(0.9),
            l90_dbfs=quantile(0.1),
        )
