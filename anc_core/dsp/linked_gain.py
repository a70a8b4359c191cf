"""One gain for all channels of a cell, so that a stereo image stays where it is.

The gain that the channels share is the mean of their own ones, each weighted by the power that its
channel has in the cell: what is loud decides. A voice on one side keeps its gain there, and in its
pauses the noise of the other side sinks. The largest gain instead would let a channel with little
noise, which hardly sinks, hold up the others: with a voice to the left and noise 4 dB louder on the
right that cost 0.7 (spectral engine) to 2 dB (neural engine) of SI-SDR on the right.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


class LinkedGain:
    """Collects the gains of the channels of the same cells, one channel after the other.

    Parameters
    ----------
    num_frames, num_bins : int
    """

    def __init__(self, num_frames: int, num_bins: int) -> None:
        self._weighted = np.zeros((num_frames, num_bins), np.float32)
        self._power = np.zeros((num_frames, num_bins), np.float32)

    def add(self, gain: FloatArray, power: FloatArray) -> None:
        """Take a channel: amplitude gains and squared magnitudes, (num_frames, num_bins)."""
        self._weighted += gain * power
        self._power += power

    def result(self) -> FloatArray:
        """Return the gain that they share, 0 to 1; 1 where all of them are silent."""
        shared = np.ones_like(self._power)
        np.divide(self._weighted, self._power, out=shared, where=self._power > 0.0)
        return np.minimum(shared, np.float32(1.0))
