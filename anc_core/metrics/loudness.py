"""Programme loudness by ITU-R BS.1770-4: gated, in constant memory.

The mean squares of gating blocks (400 ms, one every 100 ms) go into bins of 0.01 LU, with their
sum; only blocks in the one bin that the relative gate cuts through are judged by its middle.

References
----------
ITU-R BS.1770-4 (2015), Annex 1, Eqs. (2) to (7). EBU Tech 3341 (2016): momentary and short-term.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.levels import level_db

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOPS_PER_BLOCK = 4
HOPS_PER_SHORT_TERM = 30
"""3 s, of hops of 100 ms."""
_OFFSET_DB = -0.691
_ABSOLUTE_GATE_LUFS, _RELATIVE_GATE_LU = -70.0, -10.0
_TOP_LUFS, _STEP_LU = 50.0, 0.01
"""Loudest bin: nothing that is recorded reaches it; what does is counted in it."""

# Left, right, centre, surround left and right; the fourth of six is the low-frequency channel.
_WEIGHTS_OF_LAYOUT = {
    5: (1.0, 1.0, 1.0, 1.41, 1.41),
    6: (1.0, 1.0, 1.0, 0.0, 1.41, 1.41),
}


def channel_weights(num_channels: int) -> NDArray[np.float64]:
    """Return the weights of the channels: five and six are 5.0 and 5.1 as WAVE orders them.

    Of any other number each channel counts alike.
    """
    return np.array(_WEIGHTS_OF_LAYOUT.get(num_channels, (1.0,) * num_channels))


class LoudnessMeter:
    """Integrated, momentary and short-term loudness of one signal.

    Examples
    --------
    >>> meter = LoudnessMeter()
    >>> meter.update(np.full(30, 10.0 ** ((-23.0 + 0.691) / 10.0)))
    >>> round(meter.integrated_lufs(), 2), round(meter.max_short_term_lufs(), 2)
    (-23.0, -23.0)
    """

    def __init__(self) -> None:
        num_bins = round((_TOP_LUFS - _ABSOLUTE_GATE_LUFS) / _STEP_LU)
        self._counts = np.zeros(num_bins, dtype=np.int64)
        self._sums = np.zeros(num_bins)
        self._last = np.zeros(0)
        self.num_hops = 0
        self._momentary = self._short_term = 0.0

    def update(self, powers: NDArray[np.float64]) -> None:
        """Add hops of 100 ms.

        Parameters
        ----------
        powers : ndarray, shape (num_hops,)
            K-weighted mean squares, summed over the weighted channels.
        """
        self.num_hops += len(powers)
        joined = np.concatenate([self._last, powers])
        new = len(powers)
        blocks = _means(joined, HOPS_PER_BLOCK, new)
        self._momentary = max(self._momentary, float(blocks.max(initial=0.0)))
        short = _means(joined, HOPS_PER_SHORT_TERM, new)
        self._short_term = max(self._short_term, float(short.max(initial=0.0)))
        self._last = joined[-(HOPS_PER_SHORT_TERM - 1) :]
        audible = blocks[blocks > 0.0]
        levels = 10.0 * np.log10(audible) + _OFFSET_DB
        gated = levels > _ABSOLUTE_GATE_LUFS
        bins = np.minimum(
            ((levels[gated] - _ABSOLUTE_GATE_LUFS) / _STEP_LU).astype(np.int64),
            len(self._counts) - 1,
        )
        np.add.at(self._counts, bins, 1)
        np.add.at(self._sums, bins, audible[gated])

    def integrated_lufs(self) -> float | None:
        """Return the gated loudness; ``None`` if no block is above -70 LUFS."""
        count = int(self._counts.sum())
        if count == 0:
            return None
        ungated_lufs = _lufs(float(self._sums.sum()) / count)
        assert ungated_lufs is not None  # noqa: S101 - each of its blocks is above -70 LUFS
        gate = ungated_lufs + _RELATIVE_GATE_LU - _ABSOLUTE_GATE_LUFS
        # The bins whose middle is above the gate; -70 LUFS is the first bin's beginning.
        first = min(
            max(int(np.ceil(gate / _STEP_LU - 0.5)), 0), int(np.nonzero(self._counts)[0][-1])
        )
        return _lufs(float(self._sums[first:].sum()) / int(self._counts[first:].sum()))

    def max_momentary_lufs(self) -> float | None:
        """Return the largest loudness of any 400 ms; ``None`` for silence or less time."""
        return _lufs(self._momentary)

    def max_short_term_lufs(self) -> float | None:
        """Return the largest loudness of any 3 s; ``None`` for silence or less time."""
        return _lufs(self._short_term)


def _means(hops: NDArray[np.float64], length: int, new: int) -> NDArray[np.float64]:
    """Return the means of ``length`` hops that end with one of the last ``new``."""
    if len(hops) < length:
        return np.zeros(0)
    windows = np.lib.stride_tricks.sliding_window_view(hops, length)
    return np.asarray(windows[-new:].mean(axis=1)) if new else np.zeros(0)


def _lufs(power: float) -> float | None:
    level = level_db(power)
    return None if level is None else level + _OFFSET_DB
