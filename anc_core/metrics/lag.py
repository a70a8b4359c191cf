"""Residual lag: by how much the output is not where the input was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_LAG_S = 0.1
_MAX_STRETCHES = 4
_MIN_HEIGHT = 0.05
"""Peaks below 5 % of perfect alignment are what unrelated signals give."""
_MIN_DOMINANCE = 1.5
"""A lag other than 0 must stand this far above the correlation at 0: a false alarm costs a result,
while a true shift leaves next to nothing at 0."""
_MIN_SHIFTED_HEIGHT = 0.3
"""... and be no echo: what an adaptive filter leaves of the noise is a faint, smeared copy."""
_RELEVANT = 1e-7
"""Bins more than 70 dB below the strongest are rounding, whose phase means nothing."""
_KEPT = 0.1
"""Bins that lost 10 dB more than what makes up the output hold remains, whose phase says nothing
of where the output is: a filter's error, not a delay."""


class LagEstimator:
    """Keep the few loudest stretches of the output and correlate them with the input.

    Parameters
    ----------
    sample_rate : int
        Hz.

    Notes
    -----
    Cross-correlation with phase transform (GCC-PHAT; Knapp & Carter 1976), summed over at most four
    stretches of about 1 s of the strongest channel. A canceller scales the input without turning
    phases, whatever its gains, so a true lag stands out as a single peak even in bass-heavy or
    tonal sound, where plain correlation would be broad.
    """

    def __init__(self, sample_rate: int) -> None:
        self._max_lag = round(MAX_LAG_S * sample_rate)
        self._kept: list[tuple[float, NDArray[np.float32], NDArray[np.float32]]] = []

    def offer(
        self, power: float, samples_in: NDArray[np.float32], samples_out: NDArray[np.float32]
    ) -> None:
        """Keep a copy of the stretch, both shape (num_samples,), if it is among the loudest.

        ``power`` is that of the output: what stayed in is what can be placed.
        """
        if power <= 0.0 or (len(self._kept) == _MAX_STRETCHES and power <= self._kept[-1][0]):
            return
        self._kept.append((power, samples_in.copy(), samples_out.copy()))
        self._kept.sort(key=lambda kept: -kept[0])
        del self._kept[_MAX_STRETCHES:]

    def compute(self) -> int | None:
        """Return the samples by which the output comes late (negative: early).

        Returns
        -------
        int or None
            Within ±100 ms; ``None`` if there is nothing to correlate: silence on either side, or
            an output that has nothing to do with the input.
        """
        correlations = [_phase_correlation(before, after) for _, before, after in self._kept]
        length = max((len(c) for c in correlations), default=0)
        alike = [c for c in correlations if len(c) == length and c.any()]
        if not alike:
            return None
        mean = np.mean(alike, axis=0)
        reach = min(self._max_lag, length // 2 - 1)
        near = np.concatenate([mean[-reach:], mean[: reach + 1]]) if reach > 0 else mean[:1]
        best = int(np.argmax(near))
        if near[best] < _MIN_HEIGHT:
            return None
        is_shifted = near[best] > max(_MIN_DOMINANCE * near[reach], _MIN_SHIFTED_HEIGHT)
        return best - reach if is_shifted else 0


def _typical_gain(power_in: NDArray[np.float64], cross_power: NDArray[np.float64]) -> float:
    """Return the power gain at which half of the output's energy went through."""
    present = power_in > 0.0
    if not present.any():
        return 0.0
    power_out = cross_power[present] / power_in[present]
    gains = power_out / power_in[present]
    order = np.argsort(gains)
    energy = np.cumsum(power_out[order])
    return float(gains[order[np.searchsorted(energy, energy[-1] / 2.0)]])


def _phase_correlation(
    before: NDArray[np.float32], after: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the circular correlation of zero-padded, whitened signals; 1 = perfectly aligned."""
    n_fft = 2 * len(before)
    # Without the means: a DC offset would make every other bin irrelevant.
    spectrum_in = np.fft.rfft(before - before.mean(dtype=np.float64), n_fft)
    cross = np.conj(spectrum_in) * np.fft.rfft(after - after.mean(dtype=np.float64), n_fft)
    magnitude, power_in = np.abs(cross), np.abs(spectrum_in) ** 2
    relevant = (power_in > _RELEVANT * power_in.max()) & (magnitude > 0.0)
    relevant &= magnitude**2 > _KEPT * _typical_gain(power_in, magnitude**2) * power_in**2
    if not relevant.any():
        return np.zeros(n_fft)
    white = np.where(relevant, cross / np.where(relevant, magnitude, 1.0), 0.0)
    return np.asarray(np.fft.irfft(white, n_fft) * (n_fft / 2.0) / np.count_nonzero(relevant))
