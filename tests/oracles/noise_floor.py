"""The formula of anc_core/dsp/noise_floor.py, float64."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate1d


def future_floor(psd, min_frames, num_frames):
    """Return the bound of the first ``num_frames``."""
    local = correlate1d(psd.astype(float), [0.25, 0.5, 0.25], axis=1, mode="nearest")
    smooth = local.copy()
    for t in range(len(psd) - 2, -1, -1):
        smooth[t] = 0.8 * smooth[t + 1] + 0.2 * local[t]
    floor = np.array([0.7 * smooth[t:].min(axis=0) for t in range(num_frames)])
    floor[[len(psd) - t < min_frames for t in range(num_frames)]] = 0.0
    return floor
