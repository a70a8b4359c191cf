"""Sound levels over time in constant memory: spans of a minute that double when there are too many.

Each span keeps, for each channel and for input and output, the A-weighted energy, the largest
levels with the time weightings F and S, and how often each level of 125 ms occurred, in steps of
half a decibel. So the levels of any period can be put together from the spans of its recordings,
whatever the calibration of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.levels import level_db, power_to_db
from anc_core.records import LEVEL_STEP_DB, LevelSpan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SPAN_S = 60.0
_MAX_SPANS = 96
_MAX_ROWS = 96 * 64
"""Of more than 64 channels there are fewer spans."""
_LOWEST_DB, _HIGHEST_DB = -130.0, 30.0
"""Lower levels count as silence; higher ones are counted in the last step."""
_NUM_BINS = round((_HIGHEST_DB - _LOWEST_DB) / LEVEL_STEP_DB)


class SpanTable:
    """Sums per span, merged in pairs whenever there would be too many.

    Parameters
    ----------
    sample_rate : int
        Hz.
    num_channels : int
    slot_length : int
        Samples in 125 ms.
    slots_per_span : int
        Length of a span at first.
    """

    def __init__(
        self, sample_rate: int, num_channels: int, slot_length: int, slots_per_span: int
    ) -> None:
        self._sample_rate = sample_rate
        self._slot_length = slot_length
        self.slots_per_span = slots_per_span
        self._max_spans = max(2, min(_MAX_SPANS, _MAX_ROWS // num_channels // 2 * 2))
        self._num_samples = 0
        self._energies = np.zeros((0, num_channels, 2))
        self._peaks = np.zeros((0, num_channels, 2, 2))
        self._counts = np.zeros((0, num_channels, 2, _NUM_BINS), dtype=np.uint32)

    def add(self, num_samples: int, energies: Array, peaks: Array) -> None:
        """Add the next slots; only the recording's last may be short.

        Parameters
        ----------
        num_samples : int
            In all of them.
        energies : ndarray, shape (num_slots, num_channels, 2)
            Sums of A-weighted squares of input and output.
        peaks : ndarray, shape (num_slots, num_channels, 2, 2)
            Largest mean squares with F and with S.
        """
        slots = self._num_samples // self._slot_length + np.arange(len(energies))
        self._num_samples += num_samples
        while slots[-1] >= self._max_spans * self.slots_per_span:
            self._halve()
        spans = slots // self.slots_per_span
        self._grow(int(spans[-1]) + 1)
        np.add.at(self._energies, spans, energies)
        np.maximum.at(self._peaks, spans, peaks)
        whole = num_samples // self._slot_length
        levels = power_to_db(energies[:whole] / self._slot_length)
        bins = np.floor((levels - _LOWEST_DB) / LEVEL_STEP_DB).astype(np.int64)
        slot, channel, which = np.nonzero(bins >= 0)
        place = np.minimum(bins[slot, channel, which], _NUM_BINS - 1)
        np.add.at(self._counts, (spans[slot], channel, which, place), 1)

    def _grow(self, num_spans: int) -> None:
        missing = num_spans - len(self._energies)
        if missing > 0:
            self._energies, self._peaks, self._counts = (
                np.concatenate([old, np.zeros((missing, *old.shape[1:]), dtype=old.dtype)])
                for old in (self._energies, self._peaks, self._counts)
            )

    def _halve(self) -> None:
        self._grow(self._max_spans)
        self._energies = self._energies[::2] + self._energies[1::2]
        self._counts = self._counts[::2] + self._counts[1::2]
        self._peaks = np.maximum(self._peaks[::2], self._peaks[1::2])
        self.slots_per_span *= 2

    def power(self) -> Array:
        """Return the A-weighted mean squares of input and output, means over the channels."""
        energies = self._energies.sum(axis=0).mean(axis=0)
        return np.asarray(energies / max(self._num_samples, 1))

    def compute(self) -> tuple[LevelSpan, ...]:
        """Return the spans of each channel, by channel and time."""
        length = self.slots_per_span * self._slot_length
        used = -(-self._num_samples // length)
        return tuple(
            self._span(index, channel, length)
            for channel in range(self._energies.shape[1])
            for index in range(used)
        )

    def _span(self, index: int, channel: int, length: int) -> LevelSpan:
        start, stop = index * length, min((index + 1) * length, self._num_samples)
        energies = self._energies[index, channel] / (stop - start)
        (fast_in, slow_in), (fast_out, slow_out) = self._peaks[index, channel]
        levels = {
            "input_laeq_dbfs": energies[0],
            "output_laeq_dbfs": energies[1],
            "input_lafmax_dbfs": fast_in,
            "output_lafmax_dbfs": fast_out,
            "input_lasmax_dbfs": slow_in,
            "output_lasmax_dbfs": slow_out,
        }
        return LevelSpan(
            channel=channel,
            start_s=start / self._sample_rate,
            end_s=stop / self._sample_rate,
            input_levels=_compact(self._counts[index, channel, 0]),
            output_levels=_compact(self._counts[index, channel, 1]),
            **{name: _rounded(float(power)) for name, power in levels.items()},
        )


def _rounded(power: float) -> float | None:
    level = level_db(power)
    return None if level is None else round(level, 3)


def _compact(counts: NDArray[np.uint32]) -> tuple[int, ...]:
    """Return the lowest occupied step, from 0 dBFS, and the counts from there on."""
    (occupied,) = np.nonzero(counts)
    if not len(occupied):
        return ()
    low, high = int(occupied[0]), int(occupied[-1])
    return (low + round(_LOWEST_DB / LEVEL_STEP_DB), *counts[low : high + 1].tolist())
