"""The level of any stretch of a stream, to 20 ms, as it came in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.buffer import SampleBuffer
from anc_core.features import FRAMES_PER_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anc_core.arrays import Chunk


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
        self._sum_frames(self.num_samples * FRAMES_PER_S // self._rate - self._num_frames)

    def finish(self) -> None:
        """Sum what is left, less than a frame."""
        self._sum_frames(int(len(self._buffer) > 0))

    def mean_power(
        self, start_s: NDArray[np.float64], end_s: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the mean square of each channel in stretches.

        Parameters
        ----------
        start_s, end_s : float64, shape (num_stretches,)
            The frames that begin there, taken whole; not before what was forgotten.

        Returns
        -------
        float64, shape (num_stretches, num_channels)
        """
        first = np.rint(start_s * FRAMES_PER_S).astype(np.int64)
        stop = np.maximum(np.rint(end_s * FRAMES_PER_S).astype(np.int64), first + 1)
        num_samples = np.minimum(self._sample(stop), self.num_samples) - self._sample(first)
        energy = np.stack(
            [
                self._energy[begin:end].sum(axis=0)
                for begin, end in zip(first - self._first, stop - self._first, strict=True)
            ]
        )
        return energy / np.maximum(1, num_samples)[:, np.newaxis]

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

    def _sample(self, frame: NDArray[np.int64]) -> NDArray[np.int64]:
        return frame * self._rate // FRAMES_PER_S

    def _sum_frames(self, num_frames: int) -> None:
        if num_frames <= 0:
            return
        # Loads numba: only who listens pays.
        from anc_core.dsp import finite_kernels

        starts = self._sample(self._num_frames + np.arange(num_frames + 1))
        starts -= starts[0]
        samples = self._buffer.take(min(int(starts[-1]), len(self._buffer)))
        # Every frame is summed by itself: any split gives the same bits.
        sums = np.empty((num_frames, samples.shape[1]))
        finite_kernels.energies(samples, starts[:-1], sums)
        self._energy = np.concatenate([self._energy, sums])
