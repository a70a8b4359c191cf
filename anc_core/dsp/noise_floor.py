"""How low the sound of each bin falls in the time that follows: a bound for the noise from ahead.

A tracker that looks back cannot tell louder noise from a voice until it has lasted for seconds.
Looking ahead can: a voice leaves gaps within a second, louder noise leaves none (minimum
statistics, R. Martin, IEEE Trans. SAP 9(5), 2001, here of the future and without its bias formula).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anc_core.dsp.jit import jit

FloatArray = NDArray[np.float32]

_SMOOTHING = np.float32(0.8)
"""Weight of the frame that follows in the smoothed PSD whose minimum is taken."""
SHARE_OF_THE_MINIMUM = np.float32(0.7)
"""The bound as a share of that minimum, which is 0.5 to 0.6 of the mean for white noise and 1 to
2 s. So the bound lies 4 dB below steady noise and speaks only where the tracker is far off."""

_0 = np.float32(0.0)
_1 = np.float32(1.0)
_HALF = np.float32(0.5)
_QUARTER = np.float32(0.25)


@jit("void(float32[:, ::1], int64, float32[:, ::1])")
def future_floor(psd: FloatArray, min_frames: int, floor: FloatArray) -> None:
    """Write a lower bound of the noise of the first frames into ``floor``.

    Parameters
    ----------
    psd : float32, shape (num_known_frames, num_bins)
        Squared magnitude.
    min_frames : int
        Frames that must be known from a frame on, itself included, to speak of a minimum; the
        bound of later ones is 0.
    floor : float32, shape (num_frames, num_bins), num_frames <= num_known_frames
        Receives the bound, squared magnitude.

    Notes
    -----
    s[t] = 0.8 s[t+1] + 0.2 p[t] with p the mean over three bins (weights 1/4, 1/2, 1/4; the bins
    at the ends count for those beyond), and floor[t] = 0.7 min(s[t], ... s[last known frame]).
    """
    num_known, num_bins = psd.shape
    smooth = np.empty(num_bins, np.float32)
    minimum = np.full(num_bins, np.float32(np.inf))
    row = np.empty(num_bins + 2, np.float32)
    for number in range(num_known):
        frame = num_known - 1 - number
        for k in range(num_bins):
            row[k + 1] = psd[frame, k]
        row[0], row[num_bins + 1] = row[1], row[num_bins]
        if number == 0:
            for k in range(num_bins):
                smooth[k] = _HALF * row[k + 1] + _QUARTER * (row[k] + row[k + 2])
        for k in range(num_bins):
            local = _HALF * row[k + 1] + _QUARTER * (row[k] + row[k + 2])
            smooth[k] = _SMOOTHING * smooth[k] + (_1 - _SMOOTHING) * local
            minimum[k] = min(minimum[k], smooth[k])
        if frame < floor.shape[0]:
            share = SHARE_OF_THE_MINIMUM if number + 1 >= min_frames else _0
            for k in range(num_bins):
                floor[frame, k] = share * minimum[k]
