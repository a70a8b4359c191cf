"""Matrices that turn a spectrum into bands: mel filters, cepstra, octaves.

References
----------
M. Slaney, "Auditory Toolbox", Technical Report 1998-010, Interval Research, 1998: mel scale linear
below 1 kHz, logarithmic above, triangles of equal area.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

_BREAK_HZ = 1_000.0
_HZ_PER_MEL = 200.0 / 3.0
_LOG_STEP = np.log(6.4) / 27.0


def hz_to_mel(hz: float) -> float:
    """Return the Slaney mel of a frequency.

    Examples
    --------
    >>> hz_to_mel(200.0), round(hz_to_mel(6400.0), 6)
    (3.0, 42.0)
    """
    if hz < _BREAK_HZ:
        return hz / _HZ_PER_MEL
    return float(_BREAK_HZ / _HZ_PER_MEL + np.log(hz / _BREAK_HZ) / _LOG_STEP)


def mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the frequencies of Slaney mels, shape kept."""
    break_mel = _BREAK_HZ / _HZ_PER_MEL
    return np.where(
        mel < break_mel,
        mel * _HZ_PER_MEL,
        _BREAK_HZ * np.exp(_LOG_STEP * (mel - break_mel)),
    )


def mel_filters(
    sample_rate: int, frame_length: int, num_bands: int, low_hz: float, high_hz: float
) -> FloatArray:
    """Return triangles of equal area, float32, shape (num_bands, frame_length // 2 + 1).

    They stand equally far apart on the mel scale from ``low_hz`` to ``high_hz``.
    """
    corners = mel_to_hz(np.linspace(hz_to_mel(low_hz), hz_to_mel(high_hz), num_bands + 2))
    bins = np.arange(frame_length // 2 + 1) * (sample_rate / frame_length)
    rising = (bins - corners[:-2, np.newaxis]) / np.diff(corners)[:-1, np.newaxis]
    falling = (corners[2:, np.newaxis] - bins) / np.diff(corners)[1:, np.newaxis]
    area = (corners[2:] - corners[:-2])[:, np.newaxis] / 2.0
    return (np.maximum(0.0, np.minimum(rising, falling)) / area).astype(np.float32)


def cosine_transform(num_coefficients: int, num_bands: int) -> FloatArray:
    """Return the orthonormal DCT-II, float32, shape (num_coefficients, num_bands)."""
    k, n = np.arange(num_coefficients)[:, np.newaxis], np.arange(num_bands)
    matrix: NDArray[np.float64] = np.cos(np.pi * k * (2 * n + 1) / (2 * num_bands))
    matrix *= np.where(k == 0, np.sqrt(1.0 / num_bands), np.sqrt(2.0 / num_bands))
    return matrix.astype(np.float32)


def octave_bins(
    sample_rate: int, frame_length: int, edges_hz: tuple[float, ...]
) -> NDArray[np.int64]:
    """Return the first bin at or above each edge, shape (num_edges,)."""
    return np.ceil(np.array(edges_hz) * frame_length / sample_rate).astype(np.int64)
