"""Block filtered-x LMS with a step for each frequency, as its formulas stand; float64, no guards."""

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
    """Return the error and the weights; one reference, loudspeaker and microphone, plain form."""
    num, num_parts = len(disturbance), -(-num_taps // block)
    before = (num_parts + 1) * block
    x = np.concatenate([np.zeros(before), reference])
    filtered = np.concatenate([np.zeros(before), np.convolve(reference, estimate)[:num]])
    sound = np.zeros(num)
    weights, error, powers = np.zeros(num_taps), np.empty(num), np.zeros(block + 1)
    for n in range(num):
        sound[n] = sum(weights[i] * x[before + n - i] for i in range(num_taps))
        heard = sum(secondary[i] * sound[n - i] for i in range(min(len(secondary), n + 1)))
        error[n] = disturbance[n] + heard
        if (n + 1) % block == 0:
            past = filtered[n + 1 : before + n + 1]
            change, powers = block_change(
                past[np.newaxis, np.newaxis],
                step_size * error[np.newaxis, n + 1 - block : n + 1],
                powers,
                num_taps=num_taps,
                regularization=regularization,
            )
            weights = (1 - leakage) ** block * weights - change[0]
    return error, weights


def block_change(past, errors, powers, *, num_taps, regularization):
    """Return what R filters have to lose, (R, num_taps), and the powers.

    past : (M, R, (P + 1)·B), the signals, which end with the block; errors : (M, B).
    """
    num_mics, num_filters, length = past.shape
    block = errors.shape[1]
    frames = [past[..., end - 2 * block : end] for end in range(length, block, -block)]
    present = sum(np.sum(np.abs(np.fft.rfft(frame)) ** 2, axis=(0, 1)) for frame in frames)
    powers = MEMORY * powers + (1 - MEMORY) * 0.5 * present
    lag = np.minimum(np.arange(2 * block), 2 * block - np.arange(2 * block))
    divide = np.fft.irfft(1 / (powers + regularization * powers.mean())) * (1 - lag / block)
    divide = np.roll(divide, block - 1)[: 2 * block - 1]  # lags 1 - B to B - 1
    change = np.empty((num_filters, num_taps))
    for r in range(num_filters):
        gradient = [
            sum(errors[m] @ past[m, r, length - block - i : length - i] for m in range(num_mics))
            for i in range(num_taps)
        ]
        change[r] = np.convolve(gradient, divide)[block - 1 : block - 1 + num_taps]
    effect = np.zeros_like(errors)
    for m in range(num_mics):
        for i in range(num_taps):
            effect[m] += change[:, i] @ past[m, :, length - block - i : length - i]
    share = np.sum(errors * effect) / np.sum(effect**2) if effect.any() else 0.0
    return min(1.0, max(0.0, share)) * change, powers
