"""What changed and how loud it is: figures of a recording, and statistics that merge."""

from __future__ import annotations

from anc_core.metrics.meter import SessionMeter
from anc_core.metrics.result import GateFigures, MeterResult
from anc_core.metrics.si_sdr import si_sdr_db
from anc_core.metrics.statistics import (
    Histogram,
    Levels,
    LevelStatistics,
    PowerStatistics,
    SpectralStatistics,
)

__all__ = [
    "GateFigures",
    "Histogram",
    "LevelStatistics",
    "Levels",
    "MeterResult",
    "PowerStatistics",
    "SessionMeter",
    "SpectralStatistics",
    "si_sdr_db",
]
