"""The level of any stretch of a stream, to 20 ms, as it came in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.buffer import SampleBuffer
from anc_core.features import FRAMES_PER_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anc_core.arrays import Chunk

_PIECE_FRAMES = FRAMES_PER_S // 2
"""Powers are summed in half seconds counted from the start: any split gives the same bits."""


class StretchLevels:
    """Powers of the frames of a stream; a frame is the hop of the features, 20 ms.

    Parameters
    ----------
    sample_rate : int
        Hz, of the stream: nothing is resampled, so that what the features don't hear counts too.
    num_channels : int
    """

    def __init__(self, sample_rate: int, num_channels: int) -> None:
        self._rate = sample_rate
        self._buffer = SampleBuffer(num_channels)
        self._nothing = np.zeros((0, num_channels))
        self._energy = self._nothing
        self._first: int = 0  # frame of the first energy that is kept
        self.num_samples: int = 0

    def put(self, chunk: Chunk) -> None:
        """Take finite samples (num_samples, num_channels)."""
        self.num_samples += len(chunk)
        self._buffer.put(chunk)
        while self._is_whole():
            self._sum_piece(_PIECE_FRAMES)

    def finish(self) -> None:
        """Sum what is left of the last half second."""
        frames = -(-len(self._buffer) * FRAMES_PER_S // self._rate)
        self._sum_piece(min(frames, _PIECE_FRAMES))

    def mean_power(self, start_s: float, end_s: float) -> NDArray[np.float64]:
        """Return the mean square of each channel.

        Parameters
        ----------
        start_s, end_s : float
            The frames that begin there, taken whole; not before what was forgotten.

        Returns
        -------
        float64, shape (num_channels,)
        """
        start, stop = round(start_s * FRAMES_PER_S), round(end_s * FRAMES_PER_S)
        stop = max(stop, start + 1)
        num_samples = min(self._sample(stop), self.num_samples) - self._sample(start)
        energy = self._energy[start - self._first : stop - self._first].sum(axis=0)
        return np.asarray(energy / max(1, num_samples))

    def forget(self, before_s: float) -> None:
        """Drop the frames before ``before_s``."""
        drop = max(0, round(before_s * FRAMES_PER_S) - self._first)
        self._energy = self._energy[drop:]
        self._first += drop

    def reset(self) -> None:
        """Forget everything."""
        self._buffer.clear()
        self._energy = self._nothing
        self._first = self.num_samples = 0

    @property
    def _num_frames(self) -> int:
        return self._first + len(self._energy)

    def _sample(self, frame: int) -> int:
        return frame * self._rate // FRAMES_PER_S

    def _is_whole(self) -> bool:
        stop = self._sample(self._num_frames + _PIECE_FRAMES)
        return len(self._buffer) >= stop - self._sample(self._num_frames)

    def _sum_piece(self, num_frames: int) -> None:
        if not num_frames:
            return
        first = self._num_frames
        starts = np.array([self._sample(first + i) for i in range(num_frames + 1)])
        starts -= starts[0]
        samples = self._buffer.take(int(starts[-1])).astype(np.float64)
        sums = np.add.reduceat(samples**2, starts[:-1][starts[:-1] < len(samples)], axis=0)
        self._energy = np.concatenate([self._energy, sums])
