"""The formulas of the kernels of the classical engine, float64, one array operation a line."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate1d
from scipy.special import exp1


def is_silent(psd):
    """Return whether a frame holds nothing."""
    return psd.sum() <= 1e-24 * len(psd)


def track_noise(psd, least_noise_psd, noise_psd, presence, smoothing):
    """Return (noise of every frame, presence after the last)."""
    present = 10**1.5
    noises = []
    for frame, least in zip(psd, least_noise_psd, strict=True):
        if is_silent(frame):
            noises.append(noise_psd)
            continue
        if np.mean(least > noise_psd) > 0.7:
            noise_psd = np.maximum(noise_psd, least)
        # Gerkmann & Hendriks 2012, Eq. 18, prior 0.5
        ratio = frame / noise_psd
        p = 1 / (1 + (1 + present) * np.exp(-ratio * present / (1 + present)))
        presence = 0.9 * presence + 0.1 * p  # Eq. 22
        p = np.where(presence > 0.99, np.minimum(p, 0.99), p)  # Eq. 23
        noise_now = p * noise_psd + (1 - p) * frame  # Eq. 21
        noise_psd = smoothing * noise_psd + (1 - smoothing) * noise_now
        noises.append(noise_psd)
    return np.array(noises), presence


def a_priori_snr(psd, noise, clean_psd, smoothing, min_snr):
    """Return (a-priori SNR of every frame, speech PSD of the last); reverse to go backwards."""
    found = []
    for frame, level in zip(psd, noise, strict=True):
        # Ephraim & Malah 1984, Eq. 51, the present frame's term over five bins
        around = correlate1d(frame / level - 1, np.array([1, 4, 6, 4, 1]) / 16, mode="constant")
        snr = smoothing * clean_psd / level + (1 - smoothing) * np.maximum(around, 0)
        snr = np.maximum(snr, min_snr)
        clean_psd = (snr / (1 + snr)) ** 2 * frame
        found.append(snr)
    return np.array(found), clean_psd


def track_loudness(psd, loud_psd, rise, fall):
    """Return the loudness after every frame."""
    louds = []
    for frame in psd:
        if not is_silent(frame):
            smooth = frame
            for step in (1, 2, 4):
                weights = np.zeros(2 * step + 1)
                weights[[0, step, -1]] = 0.25, 0.5, 0.25
                smooth = correlate1d(smooth, weights, mode="nearest")
            loud_psd = np.maximum(loud_psd * np.where(smooth > loud_psd, rise, fall), 1e-24)
        louds.append(loud_psd)
    return np.array(louds)


def gain(psd, noise, snr, loud, is_click, *, min_a_priori_snr, min_gain, residual, strength):
    """Return the gain of every cell; ``snr`` is the greater of both passes."""
    a_posteriori = psd / noise
    wiener = snr / (1 + snr)
    # Plapous et al. 2006, Eq. 16
    a_priori = np.maximum(wiener**2 * a_posteriori, min_a_priori_snr)
    # Ephraim & Malah 1985, Eq. 20
    v = a_priori / (1 + a_priori) * a_posteriori
    found = a_priori / (1 + a_priori) * np.exp(exp1(np.maximum(v, 1e-9)) / 2)
    found = found * snr / (0.55 + snr)  # times the probability of speech
    floor = np.maximum(min_gain, np.minimum(np.sqrt(residual * loud / noise), 1))
    buried = np.maximum(floor / np.sqrt(np.maximum(a_posteriori, 1)), min_gain)
    found = np.where(is_click[:, None], buried, np.maximum(found, floor))
    return np.minimum(found, 1) ** strength
