"""Onsets and envelope: how a sound begins, comes again and dies away."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anc_core.features.frame_features import FRAMES_PER_S

FloatArray = NDArray[np.float32]

ONSET_NAMES = ("onset_rate", "onset_periodicity", "onset_period")
ENVELOPE_NAMES = (
    "peak_to_mean",
    "below_20_db",
    "below_40_db",
    "below_60_db",
    "centre_of_time",
    "steepest_rise",
    "steepest_fall",
    "skewness",
)

_PERIODS_S = (0.08, 1.0)
_DEPTHS_DB = (20.0, 40.0, 60.0)
_LEAST_ENERGY = np.float32(1e-20)
_LEAST_SPREAD_DB = np.float32(1e-3)


def onsets(flux: FloatArray) -> list[FloatArray]:
    """Return onsets a second, how regular they are, and their period in seconds.

    Parameters
    ----------
    flux : float32, shape (num_windows, length)
        Mean rise of the bands against the frame before, FRAMES_PER_S a second. A peak more than one
        standard deviation above the mean is an onset; regularity is the largest autocorrelation at
        lags of 0.08 to 1 s, at most half a window.

    Returns
    -------
    list of float32, shape (1, num_windows)
    """
    length = flux.shape[1]
    middle = flux[:, 1:-1]
    high = flux.mean(axis=1, keepdims=True) + flux.std(axis=1, keepdims=True)
    is_onset = (middle > flux[:, :-2]) & (middle >= flux[:, 2:]) & (middle > high)
    rate = is_onset.sum(axis=1) * np.float32(FRAMES_PER_S / length)
    centred = flux - flux.mean(axis=1, keepdims=True)
    correlation = np.fft.irfft(np.square(np.abs(np.fft.rfft(centred, 2 * length, axis=1))), axis=1)
    shortest, longest = (round(period * FRAMES_PER_S) for period in _PERIODS_S)
    lags = slice(shortest, max(min(longest, length // 2), shortest) + 1)
    energy = np.maximum(correlation[:, :1], _LEAST_ENERGY)
    # A lag leaves length - lag products: without the factor short lags would win.
    overlap = np.maximum(length - np.arange(lags.start, lags.stop), 1).astype(np.float32) / length
    strength = correlation[:, lags] / energy / overlap[: correlation[:, lags].shape[1]]
    best = np.argmax(strength, axis=1)
    strongest = np.take_along_axis(strength, best[:, np.newaxis], axis=1)[:, 0]
    period = (best + lags.start) / np.float32(FRAMES_PER_S)
    return [np.asarray(row, np.float32)[np.newaxis] for row in (rate, strongest, period)]


def envelope(level: FloatArray) -> list[FloatArray]:
    """Return the figures of ENVELOPE_NAMES.

    Parameters
    ----------
    level : float32, shape (num_windows, length)
        dB about the mean power of the window.

    Returns
    -------
    list of float32, shape (1, num_windows)
        Loudest frame, dB; share of the frames that lie 20, 40, 60 dB below it; centre of the energy
        in time, 0 to 1; largest rise and fall from frame to frame, dB; skewness of the levels.
    """
    peak = level.max(axis=1, keepdims=True)
    below = [(level < peak - np.float32(depth)).mean(axis=1) for depth in _DEPTHS_DB]
    power = np.power(np.float32(10.0), level / np.float32(10.0))
    time = np.linspace(0.0, 1.0, level.shape[1], dtype=np.float32)
    centre = (power * time).sum(axis=1) / power.sum(axis=1)
    change = np.diff(level, axis=1)
    centred = level - level.mean(axis=1, keepdims=True)
    spread = np.maximum(level.std(axis=1), _LEAST_SPREAD_DB)
    skewness = np.power(centred, 3).mean(axis=1) / spread**3
    rows = [peak[:, 0], *below, centre, change.max(axis=1), change.min(axis=1), skewness]
    return [np.asarray(row, np.float32)[np.newaxis] for row in rows]
