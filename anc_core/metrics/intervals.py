"""Levels over time in constant memory: rows of 1 s that double in length when too many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.levels import level_db, ratio_db
from anc_core.records import IntervalMetrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_INTERVALS = 600
_COLUMNS = 6
_COUNT, _PROTECTED, _IN, _OUT, _NOISE_FRAMES, _NOISE = range(_COLUMNS)


class IntervalTable:
    """Sums per interval, merged in pairs whenever there would be more than 600.

    Parameters
    ----------
    sample_rate : int
        Hz.
    frame_length : int
        Samples.
    frames_per_interval : int
        Length of an interval at first.
    """

    def __init__(self, sample_rate: int, frame_length: int, frames_per_interval: int) -> None:
        self._sample_rate = sample_rate
        self._frame_length = frame_length
        self.frames_per_interval = frames_per_interval
        self._num_frames = 0
        self._sums = np.zeros((MAX_INTERVALS, _COLUMNS))

    def add(
        self,
        *,
        counts: NDArray[np.int64],
        protected: NDArray[np.int64],
        power_in: NDArray[np.float64],
        power_out: NDArray[np.float64],
        is_noise: NDArray[np.bool_],
        noise: NDArray[np.float64],
    ) -> None:
        """Add the next frames; every argument has shape (num_frames,).

        Parameters
        ----------
        counts, protected : ndarray
            Samples in the frame, and how many of them are protected.
        power_in, power_out : ndarray
            Sums of squares, mean over the channels.
        is_noise : ndarray of bool
            Frames of noise alone.
        noise : ndarray
            Mean square of the frame without DC, mean over the channels.
        """
        rows = np.stack(
            [counts, protected, power_in, power_out, is_noise, np.where(is_noise, noise, 0.0)],
            axis=1,
        )
        frames = self._num_frames + np.arange(len(rows))
        self._num_frames += len(rows)
        while self._num_frames > MAX_INTERVALS * self.frames_per_interval:
            self._halve()
        np.add.at(self._sums, frames // self.frames_per_interval, rows)

    def _halve(self) -> None:
        merged = self._sums.reshape(-1, 2, _COLUMNS).sum(axis=1)
        self._sums = np.concatenate([merged, np.zeros_like(merged)])
        self.frames_per_interval *= 2

    def compute(self) -> tuple[IntervalMetrics, ...]:
        """Return the rows so far; the last one ends with the recording."""
        used = -(-self._num_frames // self.frames_per_interval)
        return tuple(self._row(index) for index in range(used))

    def _row(self, index: int) -> IntervalMetrics:
        sums = self._sums[index].tolist()
        start = index * self.frames_per_interval * self._frame_length
        count = max(sums[_COUNT], 1.0)
        return IntervalMetrics(
            index=index,
            start_s=start / self._sample_rate,
            end_s=(start + sums[_COUNT]) / self._sample_rate,
            input_rms_dbfs=level_db(sums[_IN] / count),
            output_rms_dbfs=level_db(sums[_OUT] / count),
            noise_floor_dbfs=level_db(sums[_NOISE] / max(sums[_NOISE_FRAMES], 1.0)),
            attenuation_db=ratio_db(sums[_IN] / count, sums[_OUT] / count),
            protected_share=sums[_PROTECTED] / count,
        )
