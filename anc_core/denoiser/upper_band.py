"""Gains for what lies above the band that the network sees.

Two witnesses, and the lower gain counts. The network's top band tells when there is no voice at
all: then all above goes with it. Where there is a voice, a hiss above it is not part of it: each
half kilohertz is compared with its own quiet moments, by a Wiener gain. Without the second the
noise of the whole upper band would come and go with every fricative.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anc_core.denoiser.features import NUM_BINS, noise_floor

FloatArray = NDArray[np.float32]

_TOP_BAND = slice(160, NUM_BINS)
"""5 to 8 kHz of what the network sees."""
_BAND_BINS = 16
"""500 Hz: what is up here, fricatives above all, is broad."""
_MEAN_OVER_FLOOR = 1.245
"""Of steady noise: mean of 16 bins and 3 frames over what 15 % of such means fall below."""
_MARGIN = 1.5
"""Noise counts as this much stronger than its mean, which 1 % of its cells exceed."""


def gains_above(
    learned: FloatArray, power: FloatArray, spectra: NDArray[np.complex64]
) -> FloatArray:
    """Return the gain of every cell above the network's band.

    Parameters
    ----------
    learned, power : float32, shape (num_frames, NUM_BINS)
        Gains, 0 to 1, and squared magnitudes of the bins that the network sees.
    spectra : complex64, shape (num_frames, num_bins)
        The bins above, 1 or more.

    Returns
    -------
    float32, shape (num_frames, num_bins)
        ``min(g, w)``, 0 to 1: ``g`` of a frame is sqrt(sum G^2 P / sum P) over 5 to 8 kHz, ``w`` of
        a band max(0, 1 - 1.5 N / P) with the noise N from its quiet moments in these frames.
    """
    frame_gains = _top_gain(learned, power)[:, np.newaxis]
    bands, widths = _band_power(spectra)
    noise = np.float32(_MARGIN * _MEAN_OVER_FLOOR) * noise_floor(bands)
    # A band of digital silence has nothing to lose either way.
    wiener = 1.0 - noise / np.maximum(bands, np.float32(1e-30))
    gains = np.minimum(np.maximum(wiener, 0.0), frame_gains).astype(np.float32)
    return np.repeat(gains, widths, axis=1)


def _top_gain(gains: FloatArray, power: FloatArray) -> FloatArray:
    """Return the gain of the network's top band, shape (num_frames,)."""
    weights = power[:, _TOP_BAND] + np.float32(1e-30)
    kept = np.sum(np.square(gains[:, _TOP_BAND]) * weights, axis=1)
    # Power is summed over neighbouring frames before the ratio is taken: a click of one frame in an
    # empty band must not open or close the upper band by itself.
    ratio = _sum_of_three(kept) / _sum_of_three(np.sum(weights, axis=1))
    return np.sqrt(ratio).astype(np.float32)


def _band_power(spectra: NDArray[np.complex64]) -> tuple[FloatArray, NDArray[np.int64]]:
    """Return the mean power of each band over three frames, and how many bins each band has."""
    num_bins = spectra.shape[1]
    starts = np.arange(0, max(1, num_bins - _BAND_BINS // 2), _BAND_BINS)
    widths = np.diff(starts, append=num_bins)
    power = np.square(spectra.real) + np.square(spectra.imag)
    bands = np.add.reduceat(power, starts, axis=1) / widths
    means = _sum_of_three(bands) / _sum_of_three(np.ones(len(bands)))[:, np.newaxis]
    return means.astype(np.float32), widths


def _sum_of_three(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return each row plus its neighbours, where there are any."""
    beyond = [(1, 1)] + [(0, 0)] * (values.ndim - 1)
    padded = np.pad(values.astype(np.float64), beyond)
    return padded[:-2] + padded[1:-1] + padded[2:]
