"""Sound levels of a period, put together from spans: LAeq, percentiles, Lden, doses.

Levels are added as energies and counted, never averaged as decibels. What is missing (calibration,
audio of the night) is told and never made up.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from anc_core.dsp.levels import level_db
from anc_core.records import LEVEL_STEP_DB
from anc_core.sound_records import CALIBRATED_UNIT, Calibration, SoundLevels

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BIN_DB, _LOWEST_DB, _HIGHEST_DB = 0.1, -150.0, 250.0
_BINS_PER_STEP = round(LEVEL_STEP_DB / _BIN_DB)
_PART_STARTS = (7, 19, 23)
"""Hours at which day, evening and night begin, Directive 2002/49/EC, Annex I."""
_PENALTIES_DB = (0.0, 5.0, 10.0)
_ENOUGH = 0.99
"""Share of each part of the day that makes a complete Lden; gaps between files are not missed."""
_DAY_S = 86_400.0
_SILENT = "digital silence"
_CALIBRATED_FIGURES = (
    *("laeq_db", "la10_db", "la50_db", "la90_db", "lafmax_db", "lasmax_db", "lden_db"),
    *("niosh_dose_percent", "who_dose_percent", "osha_dose_percent"),
)


@dataclass(frozen=True, slots=True)
class DayParts:
    """Day, evening and night of a stretch of time, by local clocks.

    Attributes
    ----------
    edges : list of float
        Seconds since 1970 at which a part begins, ascending.
    parts : list of int
        0 = day, 1 = evening, 2 = night, one for each edge.
    nominal_s : tuple of float
        Seconds of each part in the whole days of the period.
    """

    edges: list[float]
    parts: list[int]
    nominal_s: tuple[float, float, float]

    @classmethod
    def of(cls, start: datetime, end: datetime, timezone: str) -> DayParts:
        """Return the parts of the days that [start, end) touches."""
        zone = ZoneInfo(timezone)
        midnight = start.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        edges: list[float] = []
        # Wall clocks: a day of 23 or 25 hours has a shorter or longer night. One day more at each
        # end, since recordings may begin before the period and end after it.
        day = midnight - timedelta(days=1)
        last = end.astimezone(zone) + timedelta(days=2)
        while day <= last:
            edges += [day.replace(hour=hour).timestamp() for hour in _PART_STARTS]
            day += timedelta(days=1)
        parts = [n % len(_PART_STARTS) for n in range(len(edges))]
        final = end.astimezone(zone)
        ends_at_midnight = final.timetz().replace(tzinfo=None).isoformat() == "00:00:00"
        closing = final.replace(hour=0, minute=0, second=0, microsecond=0)
        if not ends_at_midnight or closing <= midnight:
            closing += timedelta(days=1)
        made = cls(edges, parts, (0.0, 0.0, 0.0))
        shares = made.split(midnight.timestamp(), closing.timestamp())
        return cls(edges, parts, shares)

    def split(self, start: float, stop: float) -> tuple[float, float, float]:
        """Return how many seconds of [start, stop) lie in day, evening and night."""
        found = [0.0, 0.0, 0.0]
        place = bisect_right(self.edges, start)
        while start < stop:
            high = min(stop, self.edges[place]) if place < len(self.edges) else stop
            # Before the first edge is the night before it.
            found[self.parts[place - 1] if place else 2] += high - start
            start, place = high, place + 1
        return found[0], found[1], found[2]


@dataclass(slots=True)
class SpanLevels:
    """What a span says of one side; dBFS."""

    seconds: float
    laeq_dbfs: float | None
    lafmax_dbfs: float | None
    lasmax_dbfs: float | None
    levels: Sequence[int]


@dataclass(slots=True)
class Exposure:
    """Sums over the spans of one channel of a device."""

    parts: DayParts
    seconds: float = 0.0
    energy_s: float = 0.0
    loud_s: NDArray[np.float64] = field(
        default_factory=lambda: np.zeros(round((_HIGHEST_DB - _LOWEST_DB) / _BIN_DB))
    )
    """Seconds by sound pressure level."""
    pressure_s: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    """Energies, as sound pressure, of day, evening and night."""
    parts_s: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    calibrated_s: float = 0.0
    fast_max: float = -math.inf
    slow_max: float = -math.inf
    calibrations: dict[str, None] = field(default_factory=dict)
    reasons: dict[str, float] = field(default_factory=dict)
    """Why there is no calibration -> for how many seconds."""

    def add(
        self,
        span: SpanLevels,
        start: float | None,
        calibration: Calibration | None,
        reason: str,
    ) -> None:
        """Add a span that began at ``start``, seconds since 1970 (``None`` = not known)."""
        energy_s = 0.0 if span.laeq_dbfs is None else span.seconds * _power(span.laeq_dbfs)
        self.seconds += span.seconds
        self.energy_s += energy_s
        if calibration is None or start is None:
            self.reasons[reason] = self.reasons.get(reason, 0.0) + span.seconds
            return
        self.calibrations[calibration.id] = None
        self.calibrated_s += span.seconds
        offset = calibration.offset_db
        if span.lafmax_dbfs is not None:
            self.fast_max = max(self.fast_max, span.lafmax_dbfs + offset)
        if span.lasmax_dbfs is not None:
            self.slow_max = max(self.slow_max, span.lasmax_dbfs + offset)
        seconds = np.array(self.parts.split(start, start + span.seconds))
        self.parts_s += seconds
        if span.seconds > 0:
            self.pressure_s += energy_s * _power(offset) * seconds / span.seconds
        self._count(span, offset)

    def _count(self, span: SpanLevels, offset: float) -> None:
        if len(span.levels) < 2:
            return
        # What of the 125 ms levels is not counted was silence.
        slots = max(round(span.seconds / 0.125), sum(span.levels[1:]), 1)
        seconds = np.repeat(np.array(span.levels[1:], dtype=np.float64), _BINS_PER_STEP)
        seconds *= span.seconds / slots / _BINS_PER_STEP
        low = round((span.levels[0] * LEVEL_STEP_DB + offset - _LOWEST_DB) / _BIN_DB)
        places = np.clip(low + np.arange(len(seconds)), 0, len(self.loud_s) - 1)
        np.add.at(self.loud_s, places, seconds)

    def levels(
        self, *, sessions: int = 0, overlapping_s: float = 0.0, **whose: str | int | None
    ) -> SoundLevels:
        """Return the figures; null with a reason where not all of it was calibrated."""
        figures: dict[str, float | None] = dict.fromkeys(_CALIBRATED_FIGURES)
        reasons: dict[str, str] = {}
        coverage: dict[str, str | float | None] = {}
        why = self._why_uncalibrated()
        if why is None:
            figures |= self._calibrated()
            coverage = self._coverage()
            reasons = {name: _SILENT for name, value in figures.items() if value is None}
        else:
            reasons = dict.fromkeys(figures, why)
        leq = level_db(self.energy_s / self.seconds) if self.seconds else None
        if leq is None:
            reasons["laeq_dbfs"] = _SILENT
        rounded = {
            name: None if value is None else round(value, 2) for name, value in figures.items()
        }
        fields = {
            **whose,
            **rounded,
            **coverage,
            "sessions": sessions,
            "seconds": round(self.seconds, 3),
            "overlapping_s": round(overlapping_s, 3),
            "laeq_dbfs": None if leq is None else round(leq, 2),
            "calibration_ids": tuple(self.calibrations),
            "null_reasons": reasons,
        }
        if why is None:
            fields["unit"] = CALIBRATED_UNIT
        return SoundLevels.model_validate(fields)

    def _why_uncalibrated(self) -> str | None:
        if not self.reasons:
            return None if self.seconds else "no audio"
        worst = max(self.reasons, key=lambda reason: (self.reasons[reason], reason))
        if not self.calibrated_s:
            return worst
        missing = sum(self.reasons.values())
        return (
            f"levels mix: {missing:.0f} s of {self.seconds:.0f} s have no calibration ({worst}); "
            "choose a period that is calibrated"
        )

    def _calibrated(self) -> dict[str, float | None]:
        total = float(self.pressure_s.sum())
        centres = _LOWEST_DB + _BIN_DB * (np.arange(len(self.loud_s)) + 0.5)
        audible = centres >= 80.0
        return {
            "laeq_db": level_db(total / self.calibrated_s),
            "la10_db": self._exceeded(0.1),
            "la50_db": self._exceeded(0.5),
            "la90_db": self._exceeded(0.9),
            "lafmax_db": self.fast_max if math.isfinite(self.fast_max) else None,
            "lasmax_db": self.slow_max if math.isfinite(self.slow_max) else None,
            "lden_db": self._lden(),
            # t / (8 h / 2^((L - 85) / 3)), NIOSH 98-126, 1.3.1 and 29 CFR 1910.95, Table G-16.
            "niosh_dose_percent": 100.0
            * float(self.loud_s @ 2.0 ** ((centres - 85.0) / 3.0))
            / (8.0 * 3_600.0),
            # 80 dB(A) for 40 hours in 7 days, ITU-T H.870, 8.1 (mode 1: adults).
            "who_dose_percent": 100.0 * total / (_power(80.0) * 40.0 * 3_600.0),
            "osha_dose_percent": 100.0
            * float(self.loud_s[audible] @ 2.0 ** ((centres[audible] - 90.0) / 5.0))
            / (8.0 * 3_600.0),
        }

    def _exceeded(self, share: float) -> float | None:
        """Return the level that is exceeded for ``share`` of the time; silence is below all."""
        from_above = np.cumsum(self.loud_s[::-1])
        wanted = share * self.calibrated_s
        place = int(np.searchsorted(from_above, wanted * (1.0 - 1e-9)))
        if place >= len(from_above):
            return None
        inside = (wanted - (from_above[place - 1] if place else 0.0)) / self.loud_s[::-1][place]
        return float(_HIGHEST_DB - (place + min(inside, 1.0)) * _BIN_DB)

    def _lden(self) -> float | None:
        heard = self.parts_s > 0
        if not heard.any():
            return None
        hours = np.array((12.0, 4.0, 8.0))[heard]
        means = self.pressure_s[heard] / self.parts_s[heard]
        penalties = np.array([_power(one) for one in _PENALTIES_DB])[heard]
        return level_db(float(hours @ (means * penalties)) / float(hours.sum()))

    def _coverage(self) -> dict[str, str | float | None]:
        nominal = np.array(self.parts.nominal_s)
        least = float((self.parts_s / nominal).min())
        share = float(np.minimum(self.parts_s, nominal).sum() / nominal.sum())
        return {
            "lden_coverage": "complete" if least >= _ENOUGH else "partial",
            "covered_share": round(share, 4),
        }


def _power(level: float) -> float:
    return float(10.0 ** (level / 10.0))
