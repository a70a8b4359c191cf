"""The features frame by frame and window by window, in the plainest words, float64."""

from __future__ import annotations

import numpy as np

from anc_core.features import frame_features as f
from anc_core.features.modulation import FAST_HZ, NUM_GROUPS, SLOW_HZ


def spectrum(frame):
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(f.FRAME_LENGTH) / f.FRAME_LENGTH)
    return np.abs(np.fft.rfft(frame * window)) ** 2


def contrast_and_flatness(power):
    """Of each octave."""
    contrast, flatness = [], []
    hz = np.arange(len(power)) * f.SAMPLE_RATE / f.FRAME_LENGTH
    for low, high in zip(f.BAND_EDGES_HZ, f.BAND_EDGES_HZ[1:], strict=False):
        band = np.sort(power[(hz >= low) & (hz < high)])
        num = max(1, round(0.1 * len(band)))
        contrast.append(10 * np.log10(band[-num:].mean() / band[:num].mean()))
        flatness.append(10 * np.log10(np.exp(np.mean(np.log(band))) / band.mean()))
    return contrast, flatness


def pitch(power):
    """Autocorrelation of the windowed frame over that of the window: highest value, frequency."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(f.FRAME_LENGTH) / f.FRAME_LENGTH)
    of_window = np.fft.irfft(np.abs(np.fft.rfft(window)) ** 2)
    correlation = np.fft.irfft(power)
    lags = np.arange(round(f.SAMPLE_RATE / 1000), round(f.SAMPLE_RATE / 70) + 1)
    found = correlation[lags] / correlation[0] / (of_window[lags] / of_window[0])
    return found.max(), f.SAMPLE_RATE / lags[np.argmax(found)]


def statistics(track, audible):
    heard = np.sort(track[audible])
    pairs = [
        abs(track[i + 1] - track[i]) for i in range(len(track) - 1) if audible[i : i + 2].all()
    ]
    places = [round(q * (len(heard) - 1)) for q in (0.1, 0.5, 0.9)]
    return [heard.mean(), heard.std(), *heard[places], np.mean(pairs) if pairs else 0.0]


def slow_modulation(log_mel):
    """(len(SLOW_HZ), NUM_GROUPS)."""
    rate = f.FRAMES_PER_S
    window = np.sin(np.pi * (np.arange(rate) + 0.5) / rate)
    rows = []
    for group in np.split(log_mel, NUM_GROUPS):
        track = group.mean(axis=0)
        powers = []
        for start in range(0, len(track) - rate + 1, rate // 2):
            second = track[start : start + rate]
            powers.append(np.abs(np.fft.rfft((second - second.mean()) * window)) ** 2)
        power = np.mean(powers, axis=0) / (rate / 2)
        rows.append([10 * np.log10(power[low:high].sum() + 1e-2) for low, high in SLOW_HZ])
    return np.array(rows).T


def fast_modulation(power):
    """Of one signal: modulation and peak of each of FAST_HZ."""
    rate = f.FRAMES_PER_S * f.FAST_PER_FRAME
    amplitude = np.sqrt(power / power.mean())
    window = np.sin(np.pi * (np.arange(rate) + 0.5) / rate)
    spectra = []
    for start in range(0, len(amplitude) - rate + 1, rate // 2):
        second = amplitude[start : start + rate]
        line = np.abs(np.fft.rfft((second - second.mean()) * window)) ** 2
        spectra.append(line / (second.mean() ** 2 * rate**2 / 8))
    spectra = np.array(spectra)
    whole = [10 * np.log10(spectra.mean(axis=0)[low:high].sum() + 1e-5) for low, high in FAST_HZ]
    bands = [spectra[:, low:high] for low, high in FAST_HZ]
    ratios = [(band.max(axis=1) + 1e-5) / (band.mean(axis=1) + 1e-5) for band in bands]
    return whole, [10 * np.log10(ratio.mean()) for ratio in ratios]
