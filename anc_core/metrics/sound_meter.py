"""Sound levels and loudness of a recording before and after, while it passes.

The channels are A- and K-weighted sample by sample (:mod:`anc_core.metrics.sound_kernels`); what
comes out is kept by frame of 25 ms and added up: five make a level of 125 ms, four a hop of 100 ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.dsp.levels import level_db
from anc_core.dsp.weighting_filters import (
    LEAST_K_RATE_HZ,
    a_weighting_filter,
    k_weighting_filter,
)
from anc_core.metrics.frames import FRAMES_PER_SLOT
from anc_core.metrics.level_spans import SPAN_S, SpanTable
from anc_core.metrics.loudness import HOPS_PER_BLOCK, LoudnessMeter, channel_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anc_core.metrics.frames import FrameGrid
    from anc_core.records import LevelSpan

FAST_S, SLOW_S = 0.125, 1.0
"""Time constants of the time weightings F and S, IEC 61672-1:2013, 5.8.1."""
_FRAMES_PER_HOP = 4
_SIDES = ("input", "output")
_SHORT = "shorter than 400 ms: no gating block of BS.1770 fits in"
_QUIET = "no 400 ms of it are louder than -70 LUFS"
_LOW_RATE = f"sample rate below {LEAST_K_RATE_HZ} Hz: the K-weighting cannot be had"
_BRIEF = "shorter than 3 s, or digital silence"
_SILENT = "digital silence"


class SoundMeter:
    """Measure sound levels and loudness of input and output.

    Parameters
    ----------
    grid : FrameGrid

    Notes
    -----
    Levels are dBFS, full-scale square 0, as all levels here; with a calibration they become sound
    pressure levels (:mod:`anc_core.metrics.sound_exposure`).
    """

    def __init__(self, grid: FrameGrid) -> None:
        # Kernels load numba: only who measures pays.
        from anc_core.metrics import sound_kernels as kernels

        self._kernels = kernels
        self._grid = grid
        rate, channels = grid.sample_rate, grid.num_channels
        self._has_loudness = rate >= LEAST_K_RATE_HZ
        self._poles, self._taps = _coefficients(rate, with_k=self._has_loudness)
        self._rates = np.array([1.0 / (FAST_S * rate), 1.0 / (SLOW_S * rate)])
        self._states = np.zeros((channels, kernels.NUM_STATES, 2))
        self._work = np.zeros((kernels.NUM_ROWS, 2 * grid.frame_length + 8))
        self._spans = SpanTable(
            rate, channels, grid.slot_length, round(SPAN_S * rate / grid.slot_length)
        )
        self._weights = channel_weights(channels)
        self._loudness = (LoudnessMeter(), LoudnessMeter())
        self._waiting = np.zeros((0, 2))  # frames that are no whole hop yet

    def add(self, samples_in: NDArray[np.float32], samples_out: NDArray[np.float32]) -> None:
        """Add the next block of whole frames; the recording's last frame may be short.

        Parameters
        ----------
        samples_in, samples_out : ndarray of float32, shape (num_channels, num_samples)
            Finite.
        """
        grid, kernels = self._grid, self._kernels
        num_samples = samples_in.shape[1]
        num_frames = -(-num_samples // grid.frame_length)
        figures = np.zeros((grid.num_channels, num_frames, 2, kernels.NUM_FIGURES))
        for channel, (before, after) in enumerate(zip(samples_in, samples_out, strict=True)):
            kernels.weigh(
                before,
                after,
                grid.frame_length,
                self._poles,
                self._taps,
                self._rates,
                self._states[channel],
                self._work,
                figures[channel],
            )
        firsts = np.arange(0, num_frames, FRAMES_PER_SLOT)
        energies = np.add.reduceat(figures[..., kernels.A_ENERGY], firsts, axis=1)
        peaks = np.maximum.reduceat(figures[..., kernels.FAST_PEAK :], firsts, axis=1)
        self._spans.add(num_samples, np.swapaxes(energies, 0, 1), np.swapaxes(peaks, 0, 1))
        if self._has_loudness:
            whole = num_samples // grid.frame_length
            self._add_loudness(figures[:, :whole, :, kernels.K_ENERGY])

    def _add_loudness(self, energies: NDArray[np.float64]) -> None:
        frames = np.einsum("c,cfs->fs", self._weights, energies)
        frames = np.concatenate([self._waiting, frames])
        num_hops = len(frames) // _FRAMES_PER_HOP
        hops = frames[: num_hops * _FRAMES_PER_HOP].reshape(num_hops, _FRAMES_PER_HOP, 2)
        self._waiting = frames[num_hops * _FRAMES_PER_HOP :]
        powers = hops.sum(axis=1) / (_FRAMES_PER_HOP * self._grid.frame_length)
        for meter, values in zip(self._loudness, powers.T, strict=True):
            meter.update(values)

    def spans(self) -> tuple[LevelSpan, ...]:
        """Return the levels by channel and span."""
        return self._spans.compute()

    def figures(self) -> tuple[dict[str, float | None], dict[str, str]]:
        """Return the figures of the whole recording, and why some are ``None``."""
        found: dict[str, float | None] = {}
        reasons: dict[str, str] = {}
        for side, power, meter in zip(_SIDES, self._spans.power(), self._loudness, strict=True):
            values: dict[str, tuple[Any, str]] = {
                "laeq_dbfs": (level_db(float(power)), _SILENT),
                "loudness_lufs": (meter.integrated_lufs(), _QUIET),
                "max_momentary_lufs": (meter.max_momentary_lufs(), _SILENT),
                "max_short_term_lufs": (meter.max_short_term_lufs(), _BRIEF),
            }
            for name, (value, reason) in values.items():
                found[f"{side}_{name}"] = value
                if value is None:
                    reasons[f"{side}_{name}"] = self._why(name, reason, meter)
        return found, reasons

    def _why(self, name: str, reason: str, meter: LoudnessMeter) -> str:
        if name == "laeq_dbfs":
            return reason
        if not self._has_loudness:
            return _LOW_RATE
        return _SHORT if meter.num_hops < HOPS_PER_BLOCK else reason


def _coefficients(
    sample_rate: int, *, with_k: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ``poles`` and ``taps`` as the kernel takes them; without K its output is 0."""
    a_weighting = a_weighting_filter(sample_rate)
    low, middle, high = a_weighting.denominators
    poles = np.zeros(8)
    poles[:4] = np.sqrt(low[1]), *np.roots([1.0, *middle]).real, np.sqrt(high[1])
    taps = np.zeros((2, 3))
    taps[0] = a_weighting.numerator
    if with_k:
        k_weighting = k_weighting_filter(sample_rate)
        poles[4:] = k_weighting.denominators.ravel()
        taps[1] = k_weighting.numerator
    return poles, taps
