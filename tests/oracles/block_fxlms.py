"""Partitioned-block filtered-x LMS as its formulas stand; float64, without guards."""

from __future__ import annotations

import numpy as np

MEMORY = 0.9


def pbfxlms(
    reference,
    disturbance,
    secondary,
    estimate,
    *,
    num_taps,
    step_size,
    regularization,
    block,
    leakage=0.0,
):
    """Return the error and the weights; one reference, loudspeaker and microphone, plain form.

    Correlations are circular sums over two blocks, as a discrete Fourier transform makes them; of
    those of partition p the first ``block`` lags are the taps from p·block on.
    """
    num, width = len(disturbance), 2 * block
    num_parts = -(-num_taps // block)
    before = num_parts * block + block
    x = np.concatenate([np.zeros(before), reference])
    filtered = np.concatenate([np.zeros(before), np.convolve(reference, estimate)[:num]])
    sound = np.zeros(num)
    weights, error, usual = np.zeros(num_taps), np.empty(num), 0.0
    powers = np.zeros(width // 2 + 1)
    rise, fall = 1 - np.exp(-1 / 16_000), 1 - np.exp(-1 / 160_000)
    for n in range(num):
        sound[n] = sum(weights[i] * x[before + n - i] for i in range(num_taps))
        heard = sum(secondary[i] * sound[n - i] for i in range(min(len(secondary), n + 1)))
        error[n] = disturbance[n] + heard
        power = np.sum(filtered[before + n - num_taps + 1 : before + n + 1] ** 2)
        if usual == 0.0:
            usual = power
        elif power > usual:
            usual += rise * (min(power, 100 * usual) - usual)
        else:
            usual += fall * (power - usual)
        if (n + 1) % block:
            continue
        ends = [before + n + 1 - p * block for p in range(num_parts)]
        spectra = [np.fft.rfft(filtered[end - width : end]) for end in ends]
        present = 0.5 * sum(np.abs(spectrum) ** 2 for spectrum in spectra)
        powers = MEMORY * powers + (1 - MEMORY) * present
        floor = regularization * usual / num_taps * block * num_parts
        errors = np.fft.rfft(np.concatenate([np.zeros(block), error[n + 1 - block : n + 1]]))
        errors /= np.maximum(powers, present) + floor
        taps = [np.fft.irfft(np.conj(spectrum) * errors, width)[:block] for spectrum in spectra]
        weights = (1 - leakage) ** block * weights - step_size * np.concatenate(taps)[:num_taps]
    return error, weights
