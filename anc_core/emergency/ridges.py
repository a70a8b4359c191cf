"""Spectral ridges: the tonal peaks of every frame, measured against their own neighbourhood.

Alarms are narrow-band and loud against what surrounds them in frequency, whatever the level of the
recording. A peak is therefore a local maximum that stands :data:`MIN_PROMINENCE_DB` over the 40 %
quantile of the bins within about +-350 Hz; broadband noise and the dense harmonics of a low voice
raise that quantile and hide themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ANALYSIS_RATE_HZ = 16_000
FRAME_LENGTH = 512
"""32 ms: short enough for a yelp (8 oct/s), long enough to part a tone from noise."""
HOP_LENGTH = 250
"""64 frames a second, so that half a second is a whole number of frames."""
FRAMES_PER_S = ANALYSIS_RATE_HZ / HOP_LENGTH
NUM_PEAKS = 6
"""Most prominent peaks kept of a frame."""

MIN_PROMINENCE_DB = 9.0
_LOW_HZ, _HIGH_HZ = 340.0, 4_500.0
_BIN_HZ = ANALYSIS_RATE_HZ / FRAME_LENGTH
_FIRST_BIN = int(_LOW_HZ / _BIN_HZ)
_NUM_BINS = int(_HIGH_HZ / _BIN_HZ) - _FIRST_BIN + 1
_REACH = 11
"""Bins on either side that make the neighbourhood: +-344 Hz."""
_STRIDE = 4
"""The neighbourhood changes slowly: every fourth bin is computed, the rest interpolated."""
_QUANTILE_RANK = 9
"""Of 23 bins: 40 %."""
_SILENCE_DB = -95.0
"""A peak below this level (dBFS) is the noise of the arithmetic or of an empty band."""
_RANGE_DB = 45.0
"""A peak further below the loudest bin of its frame is a side lobe or an artefact."""

_WINDOW = np.hanning(FRAME_LENGTH + 1)[:-1].astype(np.float32)
_POWER_SCALE = np.float32(2.0 / float(np.sum(_WINDOW)) ** 2)
"""A sine of amplitude 1 gives a peak of -3.01 dBFS (full-scale square = 0)."""


@dataclass(frozen=True, slots=True)
class Ridges:
    """Peaks of consecutive frames, most prominent first; unused places hold NaN.

    Attributes
    ----------
    pitch : ndarray of float32, shape (num_frames, NUM_PEAKS)
        log2 of the frequency in Hz.
    level_db : ndarray of float32, shape (num_frames, NUM_PEAKS)
        dBFS.
    prominence_db : ndarray of float32, shape (num_frames, NUM_PEAKS)
        dB over the neighbourhood, at least :data:`MIN_PROMINENCE_DB`.
    """

    pitch: NDArray[np.float32]
    level_db: NDArray[np.float32]
    prominence_db: NDArray[np.float32]


def find_ridges(samples: NDArray[np.float32]) -> Ridges:
    """Return the peaks of all complete frames of ``samples``.

    Parameters
    ----------
    samples : ndarray of float32, shape (num_samples,)
        Finite, at :data:`ANALYSIS_RATE_HZ`. Frame ``i`` begins at ``i * HOP_LENGTH``.

    Returns
    -------
    Ridges
        ``(num_samples - FRAME_LENGTH) // HOP_LENGTH + 1`` frames.
    """
    level = _levels(samples)
    prominence = level - _background(level)
    centre = level[:, 1:-1]
    is_peak = (centre > level[:, :-2]) & (centre >= level[:, 2:])
    floor = np.maximum(centre.max(axis=1, keepdims=True) - _RANGE_DB, _SILENCE_DB)
    is_peak &= (prominence[:, 1:-1] >= MIN_PROMINENCE_DB) & (centre > floor)
    score = np.where(is_peak, prominence[:, 1:-1], np.float32(0))
    best = np.argpartition(score, -NUM_PEAKS, axis=1)[:, -NUM_PEAKS:]
    chosen = np.take_along_axis(score, best, axis=1)
    order = np.argsort(-chosen, axis=1, kind="stable")
    best = np.take_along_axis(best, order, axis=1)
    chosen = np.take_along_axis(chosen, order, axis=1)
    return _refine(level, best + 1, np.where(chosen > 0, chosen, np.float32(np.nan)))


def _levels(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the power in dBFS per frame and bin of the analysed band."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME_LENGTH)[::HOP_LENGTH]
    spectrum = np.fft.rfft(frames * _WINDOW, axis=1)[:, _FIRST_BIN : _FIRST_BIN + _NUM_BINS]
    power = spectrum.real**2 + spectrum.imag**2
    level: NDArray[np.float32] = 10.0 * np.log10(_POWER_SCALE * power + np.float32(1e-16))
    return level


def _background(level: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the 40 % quantile of the neighbourhood of every bin, in dB."""
    padded = np.pad(level, ((0, 0), (_REACH, _REACH + _STRIDE)), mode="reflect")
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * _REACH + 1, axis=1)[:, ::_STRIDE]
    coarse = np.partition(around, _QUANTILE_RANK, axis=2)[:, :, _QUANTILE_RANK]
    steps = (np.arange(_STRIDE, dtype=np.float32) / _STRIDE)[np.newaxis, np.newaxis, :]
    left, right = coarse[:, :-1, np.newaxis], coarse[:, 1:, np.newaxis]
    fine = (left + (right - left) * steps).reshape(len(level), -1)
    return fine[:, : level.shape[1]]


def _refine(
    level: NDArray[np.float32], index: NDArray[np.intp], prominence: NDArray[np.float32]
) -> Ridges:
    """Interpolate each peak with a parabola through its three bins (Smith & Serra 1987)."""
    left = np.take_along_axis(level, index - 1, axis=1)
    top = np.take_along_axis(level, index, axis=1)
    right = np.take_along_axis(level, index + 1, axis=1)
    curvature = np.minimum(left - 2.0 * top + right, np.float32(-1e-3))
    offset = np.clip(0.5 * (left - right) / curvature, -0.5, 0.5)
    valid = ~np.isnan(prominence)
    hertz = (index + offset + _FIRST_BIN) * _BIN_HZ
    nan = np.float32(np.nan)
    return Ridges(
        pitch=np.where(valid, np.log2(hertz), nan).astype(np.float32),
        level_db=np.where(valid, top, nan),
        prominence_db=prominence,
    )
