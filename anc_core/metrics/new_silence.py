"""New silence: sound that went in and did not come out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.levels import SILENCE_POWER

if TYPE_CHECKING:
    from numpy.typing import NDArray

ACTIVE_POWER = 1e-6
"""-60 dBFS: what is quieter than this is not missed."""
ABOVE_NOISE = 4.0
"""6 dB above the channel's noise: noise that was removed is no loss."""


class NewSilenceDetector:
    """Find the worst stretch of output silence, per channel.

    Within one stretch of output below -90 dBFS the active seconds of the input are counted, not
    the pauses between them; the largest count of any stretch and channel is the figure.

    Parameters
    ----------
    num_channels : int
    """

    def __init__(self, num_channels: int) -> None:
        self._running = np.zeros(num_channels)
        self.longest_frames = 0

    def update(
        self,
        power_in: NDArray[np.float64],
        power_out: NDArray[np.float64],
        active: NDArray[np.bool_],
        noise: NDArray[np.float64],
    ) -> None:
        """Take the next frames.

        Parameters
        ----------
        power_in, power_out : ndarray, shape (num_frames, num_channels)
            Mean squares without DC.
        active : ndarray of bool, shape (num_frames,)
            What the activity mask calls active or speech.
        noise : ndarray, shape (num_channels,)
            Power of the noise per channel.
        """
        if len(power_in) == 0:
            return
        silent = power_out < SILENCE_POWER
        missed = silent & active[:, np.newaxis]
        missed &= (power_in > ACTIVE_POWER) & (power_in > ABOVE_NOISE * noise)
        count = self._running + np.cumsum(missed, axis=0)
        # What had been counted when the output was last heard is not part of this silence.
        heard = np.maximum.accumulate(np.where(silent, 0.0, count), axis=0)
        run = count - heard
        self._running = run[-1]
        self.longest_frames = max(self.longest_frames, int(run.max()))
