"""The formulas of anc_core/dsp/suppression.py, float64, one array operation a line."""

from __future__ import annotations

import numpy as np
from scipy.special import exp1


def suppress_block(
    spectra,
    noise_psd,
    presence,
    clean_psd,
    *,
    noise_smoothing,
    snr_smoothing,
    min_a_priori_snr,
    min_gain,
    strength,
):
    """Return (spectra, noise_psd, presence, clean_psd) after all frames."""
    present = 10**1.5
    output = np.zeros_like(spectra, dtype=np.complex128)
    for number, frame in enumerate(spectra):
        psd = np.abs(frame.astype(np.complex128)) ** 2
        if psd.sum() <= 1e-24 * len(psd):
            output[number] = frame
            continue
        # Gerkmann & Hendriks 2012, Eq. 18, prior 0.5
        ratio = psd / noise_psd
        p = 1 / (1 + (1 + present) * np.exp(-ratio * present / (1 + present)))
        presence = 0.9 * presence + 0.1 * p  # Eq. 22
        p = np.where(presence > 0.99, np.minimum(p, 0.99), p)  # Eq. 23
        noise_now = p * noise_psd + (1 - p) * psd  # Eq. 21
        noise_psd = noise_smoothing * noise_psd + (1 - noise_smoothing) * noise_now
        # Ephraim & Malah 1984, Eq. 51, the present frame's term over three bins
        a_posteriori = psd / noise_psd
        padded = np.pad(a_posteriori - 1, 1)
        around = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
        a_priori = snr_smoothing * clean_psd / noise_psd
        a_priori = a_priori + (1 - snr_smoothing) * np.maximum(around, 0)
        a_priori = np.maximum(a_priori, min_a_priori_snr)
        wiener = a_priori / (1 + a_priori)
        clean_psd = wiener**2 * psd
        # Plapous et al. 2006, Eq. 16
        a_priori = np.maximum(wiener**2 * a_posteriori, min_a_priori_snr)
        # Ephraim & Malah 1985, Eq. 20
        v = a_priori / (1 + a_priori) * a_posteriori
        gain = a_priori / (1 + a_priori) * np.exp(exp1(np.maximum(v, 1e-9)) / 2)
        gain = np.clip(gain, min_gain, 1)
        output[number] = frame * gain**strength
    return output, noise_psd, presence, clean_psd
