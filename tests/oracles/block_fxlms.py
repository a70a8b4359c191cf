"""Block filtered-x LMS with a step for each frequency, as its formulas stand; float64."""

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
    weights, error, memory = np.zeros(num_taps), np.empty(num), fresh_memory(1, block)
    for n in range(num):
        sound[n] = sum(weights[i] * x[before + n - i] for i in range(num_taps))
        heard = sum(secondary[i] * sound[n - i] for i in range(min(len(secondary), n + 1)))
        error[n] = disturbance[n] + heard
        if (n + 1) % block == 0:
            past = filtered[n + 1 : before + n + 1]
            change = block_change(
                past[np.newaxis, np.newaxis],
                step_size * error[np.newaxis, n + 1 - block : n + 1],
                memory,
                num_taps=num_taps,
                regularization=regularization,
            )
            weights = (1 - leakage) ** block * weights - change[0]
    return error, weights


def pbnlms(references, primary, *, num_taps, step_size, regularization, block, rate, leakage=0.0):
    """Return the error and the weights of the canceller with J references, (J, num_taps)."""
    num_references, num = references.shape
    before = (-(-num_taps // block) + 1) * block
    x = np.concatenate([np.zeros((num_references, before)), references], axis=1)
    memory = fresh_memory(num_references, block)
    weights, error = np.zeros((num_references, num_taps)), np.empty(num)
    for n in range(num):
        past = x[:, before + n - num_taps + 1 : before + n + 1]
        error[n] = primary[n] - np.sum(weights * past[:, ::-1])
        if (n + 1) % block == 0:
            change = block_change(
                x[np.newaxis, :, n + 1 : before + n + 1],
                step_size * error[np.newaxis, n + 1 - block : n + 1],
                memory,
                num_taps=num_taps,
                regularization=regularization,
                rate=rate,
            )
            weights = (1 - leakage) ** block * weights + change
    return error, weights


def fresh_memory(num_filters, block):
    return {"powers": np.zeros((num_filters, block + 1)), "usual": np.zeros(num_filters)}


def block_change(past, errors, memory, *, num_taps, regularization, rate=16_000):
    """Return what R filters have to lose, (R, num_taps); changes the memory.

    past : (M, R, (P + 1)·B), the signals, which end with the block; errors : (M, B).
    """
    num_mics, num_filters, length = past.shape
    block = errors.shape[1]
    frames = [past[..., end - 2 * block : end] for end in range(length, block, -block)]
    present = sum(np.sum(np.abs(np.fft.rfft(frame)) ** 2, axis=0) for frame in frames)
    powers = MEMORY * memory["powers"] + (1 - MEMORY) * 0.5 * present
    usual, level = memory["usual"], powers.mean(axis=1)
    rise, fall = (1 - np.exp(-block / (seconds * rate)) for seconds in (1, 10))
    rising = rise * (np.minimum(level, 100 * usual) - usual)
    moved = usual + np.where(level > usual, rising, fall * (level - usual))
    usual = np.where(usual == 0, level, moved)
    memory.update(powers=powers, usual=usual)
    lag = np.minimum(np.arange(2 * block), 2 * block - np.arange(2 * block))
    divisor = num_filters * (powers + regularization * usual[:, np.newaxis])
    divide = np.fft.irfft(1 / divisor) * (1 - lag / block)
    divide = np.roll(divide, block - 1, axis=1)[:, : 2 * block - 1]  # lags 1 - B to B - 1
    change = np.empty((num_filters, num_taps))
    for r in range(num_filters):
        gradient = [
            sum(errors[m] @ past[m, r, length - block - i : length - i] for m in range(num_mics))
            for i in range(num_taps)
        ]
        change[r] = np.convolve(gradient, divide[r])[block - 1 : block - 1 + num_taps]
    effect = np.zeros_like(errors)
    for m in range(num_mics):
        for i in range(num_taps):
            effect[m] += change[:, i] @ past[m, :, length - block - i : length - i]
    share = np.sum(errors * effect) / np.sum(effect**2) if effect.any() else 0.0
    return min(1.0, max(0.0, share)) * change
