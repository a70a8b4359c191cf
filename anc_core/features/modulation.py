"""How a sound pulses: bands of mel slowly (words, waves, barks), the whole of it fast (motors)."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from anc_core.features.frame_features import FAST_PER_FRAME, FRAMES_PER_S

FloatArray = NDArray[np.float32]

NUM_GROUPS = 16
"""Of neighbouring mel bands."""
SLOW_HZ = ((1, 2), (2, 3), (3, 5), (5, 9), (9, 15), (15, 26))
"""Bands of modulation, each from the first up to below the second."""
FAST_HZ = ((3, 6), (6, 12), (12, 25), (25, 50), (50, 100), (100, 200))

SIGNALS = ("all", "high")
"""Rows of :attr:`FrameFeatures.fast_power`."""
_SPREAD = ("std", "top", "bottom", "share_high")

SLOW_NAMES = tuple(
    f"modulation_{group}.{low}-{high}_hz" for low, high in SLOW_HZ for group in range(NUM_GROUPS)
)
FAST_NAMES = (
    *(
        f"fast_{what}_{signal}.{low}-{high}_hz"
        for what in ("modulation", "peak")
        for low, high in FAST_HZ
        for signal in SIGNALS
    ),
    *(f"fast_{what}_{signal}" for what in _SPREAD for signal in SIGNALS),
)

_FAST_RATE_HZ = FRAMES_PER_S * FAST_PER_FRAME
_SILENCE = np.float32(1e-20)
_SLOW_FLOOR = np.float32(1e-2)  # dB²
_FAST_FLOOR = np.float32(1e-5)  # of the squared mean
_LEAST_MEAN = np.float32(1e-3)  # of a second, of the whole window's root mean square
_HIGH_DB = 10.0


def slow_modulation(log_mel: FloatArray) -> list[FloatArray]:
    """Return how strongly groups of bands pulse at the rates of SLOW_HZ, dB.

    The mean power spectrum of a band's level in dB over seconds that overlap by half.

    Parameters
    ----------
    log_mel : float32, shape (num_mels, num_windows, length)
        dB, FRAMES_PER_S a second. Less than a second is continued with its last value.

    Returns
    -------
    list of float32, shape (NUM_GROUPS, num_windows)
        One for each of SLOW_HZ.
    """
    num_mels, num_windows, length = log_mel.shape
    groups = log_mel.reshape(NUM_GROUPS, num_mels // NUM_GROUPS, num_windows, length).mean(axis=1)
    seconds = _seconds(groups, FRAMES_PER_S)
    power = _spectra(seconds - seconds.mean(axis=3, keepdims=True)).mean(axis=2)
    power /= np.float32(FRAMES_PER_S / 2)
    return [
        np.float32(10.0) * np.log10(power[:, :, low:high].sum(axis=2) + _SLOW_FLOOR)
        for low, high in SLOW_HZ
    ]


def fast_modulation(power: FloatArray) -> list[FloatArray]:
    """Return how a sound pulses faster than frames follow.

    Parameters
    ----------
    power : float32, shape (len(SIGNALS), num_windows, num_values)
        FAST_PER_FRAME values a frame.

    Returns
    -------
    list of float32, shape (len(SIGNALS), num_windows)
        For each of FAST_HZ the modulation of the amplitude over its mean, dB; for each how far the
        highest line stands above the mean of the band, dB: rotors and motors have such lines. Then
        of the levels: standard deviation, 99th percentile over median, median over 10th percentile,
        dB, and the share of those 10 dB above the median.
    """
    share = power / np.maximum(power.mean(axis=2, keepdims=True), _SILENCE)
    seconds = _seconds(np.sqrt(share), _FAST_RATE_HZ)
    mean = seconds.mean(axis=3, keepdims=True)
    spectra = _spectra(seconds - mean)
    spectra /= np.square(np.maximum(mean, _LEAST_MEAN)) * np.float32(_FAST_RATE_HZ**2 / 8)
    whole, peaks = spectra.mean(axis=2), []
    for low, high in FAST_HZ:
        band = spectra[:, :, :, low:high]
        # Of lines that are there: where nothing pulses, none stands out.
        peak = (band.max(axis=3) + _FAST_FLOOR) / (band.mean(axis=3) + _FAST_FLOOR)
        peaks.append(_decibels(peak.mean(axis=2)))
    return [
        *(_decibels(whole[:, :, low:high].sum(axis=2) + _FAST_FLOOR) for low, high in FAST_HZ),
        *peaks,
        *_spread(_decibels(share + np.float32(1e-6))),
    ]


def _seconds(values: FloatArray, rate: int) -> FloatArray:
    """Return (rows, num_windows, num_seconds, rate), half overlapping, at least one."""
    missing = rate - values.shape[2]
    if missing > 0:
        values = np.pad(values, [(0, 0), (0, 0), (0, missing)], mode="edge")
    return sliding_window_view(values, rate, axis=2)[:, :, :: rate // 2]


def _spectra(seconds: FloatArray) -> FloatArray:
    """Return the power spectra, 1 Hz a bin, with a sine window."""
    rate = seconds.shape[3]
    window = np.sin(np.pi * (np.arange(rate) + 0.5) / rate).astype(np.float32)
    spectra = np.fft.rfft(seconds * window, axis=3)
    return np.square(spectra.real) + np.square(spectra.imag)


def _spread(level: FloatArray) -> list[FloatArray]:
    num = level.shape[2]
    ordered = np.sort(level, axis=2)
    median = ordered[:, :, num // 2]
    return [
        level.std(axis=2),
        ordered[:, :, int(0.99 * num)] - median,
        median - ordered[:, :, int(0.1 * num)],
        (level > median[:, :, np.newaxis] + np.float32(_HIGH_DB)).mean(axis=2, dtype=np.float32),
    ]


def _decibels(ratio: FloatArray) -> FloatArray:
    return np.float32(10.0) * np.log10(ratio)
