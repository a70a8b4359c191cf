"""What the network sees of a stretch of spectra: magnitudes, and how far each cell is above noise.

The same functions serve training and inference, so the network meets at work what it was trained
on. They look at the whole stretch, the future included: work here is offline.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

SAMPLE_RATE = 16_000
"""Hz the network was made for. Other rates use frames of the same duration: bins stay in place."""

FRAME_S = 0.032
"""Duration of a frame; 512 samples at 16 kHz, half-overlapping, square-root Hann window."""

NUM_BINS = 256
"""Bins the network sees and gives gains for: 1 to 256 of the frame, 31.25 Hz to 8 kHz."""

NUM_FEATURES = 2

FEATURE_SCHEMA = "compressed-magnitude+floor-ratio/1"
"""Changes with anything in this file that changes a figure; a bundle of another one is refused."""

COMPRESSION = 0.3
"""Exponent on magnitudes, in features and loss (power-law compression, Ephrat et al. 2018)."""

_FLOOR_QUANTILE = 0.15
"""Even in dense speech a bin is free of it for more than 15 % of the time."""

_RELATIVE_EPSILON = 1e-7
"""-70 dB below the mean power of a bin: what is quieter counts as nothing."""

_FLOOR_SCALE = 0.11
"""Of the natural logarithm: 40 dB above the floor is about 1."""
_FLOOR_LIMITS = (-1.0, 1.5)


def mean_power(power: FloatArray) -> float:
    """Return the mean of ``power`` (num_frames, num_bins) over the frames that hold something.

    Digital silence must not make the rest of a stretch look louder.
    """
    frames = np.atleast_1d(np.mean(power, axis=1, dtype=np.float64))
    active = frames[frames > frames.max(initial=0.0) * 1e-6]
    return float(active.mean()) if len(active) else 0.0


def features(power: FloatArray, level: float) -> FloatArray:
    """Return the input of the network.

    Parameters
    ----------
    power : float32, shape (num_frames, NUM_BINS)
        Squared magnitudes of bins 1 to 256.
    level : float
        Mean power, > 0; what is fed is relative to it.

    Returns
    -------
    float32, shape (NUM_FEATURES, num_frames, NUM_BINS)
        Magnitude relative to the level, compressed; and the logarithm of the power over that of the
        bin's quiet moments, scaled to about +-1.
    """
    log_power = power * np.float32(1.0 / level)
    log_power += np.float32(_RELATIVE_EPSILON)
    np.log(log_power, out=log_power)
    stacked = np.empty((NUM_FEATURES, *power.shape), np.float32)
    np.multiply(log_power, np.float32(COMPRESSION / 2.0), out=stacked[0])
    np.exp(stacked[0], out=stacked[0])
    np.subtract(log_power, noise_floor(log_power), out=stacked[1])
    stacked[1] *= np.float32(_FLOOR_SCALE)
    np.clip(stacked[1], *_FLOOR_LIMITS, out=stacked[1])
    return stacked


def noise_floor(power: FloatArray) -> FloatArray:
    """Return the power that each bin falls below for 15 % of the time, shape (num_bins,)."""
    # Loads numba: only who suppresses pays.
    from anc_core.dsp.rank_kernels import ranked

    floor = np.empty(power.shape[1], np.float32)
    ranked(np.ascontiguousarray(power.T), int(_FLOOR_QUANTILE * len(power)), floor)
    return floor
