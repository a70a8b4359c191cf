"""What a :class:`anc_core.metrics.SessionMeter` hands over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from anc_core.metrics.stretches import Stretch
from anc_core.records import IntervalMetrics, LevelSpan, Remark


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFigures:
    """What the quality gate looks at; ``None`` = could not be measured.

    Attributes
    ----------
    all_finite : bool
        No NaN and no infinity came out.
    longest_new_silence_s : float
        Active seconds of the input inside the worst stretch of output silence (< -90 dBFS).
    residual_lag_samples : int or None
        Samples by which the output comes late.
    speech_level_change_db : float or None
        Output over input; negative = quieter.
    """

    all_finite: bool
    longest_new_silence_s: float
    residual_lag_samples: int | None
    speech_level_change_db: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterResult:
    """The figures of one recording.

    Attributes
    ----------
    figures : dict
        By the names of :class:`anc_core.records.Metrics`, ``null_reasons`` included; the fields
        that other parts of the pipeline own (times, lag, clipping of the output) are left out.
    intervals : tuple of IntervalMetrics
        At most 600 rows.
    level_spans : tuple of LevelSpan
        A-weighted levels, at most 96 for each channel.
    remarks : tuple of Remark
        CLIPPED, DC_OFFSET, DEAD_CHANNEL, NARROWBAND.
    gate : GateFigures
    stretch_attenuation : tuple of ((start, stop), loss)
        Per protected stretch (samples) the largest loss in any 100 ms of any channel, dB;
        ``None`` if the stretch is silent.
    """

    figures: dict[str, Any]
    intervals: tuple[IntervalMetrics, ...]
    level_spans: tuple[LevelSpan, ...]
    remarks: tuple[Remark, ...]
    gate: GateFigures
    stretch_attenuation: tuple[tuple[Stretch, float | None], ...]
