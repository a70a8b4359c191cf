"""The modified filtered-x NLMS that recalls what was best over seconds, as its formulas stand."""

from __future__ import annotations

import numpy as np
from scipy.linalg import toeplitz

BLOCK, COMPARED = 32, 8
MEMORY_S, RIDGE = 10.0, 1e-6


def correlations(signals, noises, num_taps):
    """Return auto (R, R, L) and cross (R, L) of signals (M, R, n) and noises (M, n)."""
    num_errors, num_filters, num = signals.shape
    auto = np.zeros((num_filters, num_filters, num_taps))
    cross = np.zeros((num_filters, num_taps))
    for lag in range(num_taps):
        for m in range(num_errors):
            early, late = signals[m, :, : num - lag], signals[m, :, lag:]
            auto[..., lag] += early @ late.T
            cross[:, lag] += early @ noises[m, lag:]
    return auto, cross


def normal_matrix(auto):
    """Return the matrix of the normal equations, (R·L, R·L)."""
    num_filters, _, num_taps = auto.shape
    blocks = [
        [toeplitz(auto[a, b], auto[b, a]) for b in range(num_filters)] for a in range(num_filters)
    ]
    return np.block(blocks) if num_taps > 0 else np.zeros((0, 0))


def solved(auto, cross):
    """Return the filters (R, L) that suit the correlations best."""
    powers = np.tile(np.einsum("rr->r", auto[..., 0])[:, np.newaxis], (1, auto.shape[2])).ravel()
    matrix = normal_matrix(auto) + RIDGE * np.diag(powers)
    return np.linalg.solve(matrix, -cross.ravel()).reshape(cross.shape)


def share(slow, old, both):
    """Return the s from 0 to 1 for which E((1 - s)·slow error + s·old error)² is least."""
    apart = slow + old - 2 * both
    return min(max((slow - both) / apart, 0.0), 1.0) if apart > 0 else 0.0


def recalling_fxnlms(
    reference, disturbance, secondary, *, num_taps, step_size, regularization, rate, stretch
):
    """Return the error; one reference, loudspeaker and microphone, the path known, no guards."""
    num, path = len(reference), len(secondary)
    before = np.zeros(num_taps)
    x = np.concatenate([before, reference])
    filtered = np.concatenate([before, np.convolve(reference, secondary)[:num]])
    driven, error, noise = np.zeros(num + path), np.empty(num), np.empty(num)
    weights, averaged, heard = np.zeros((3, num_taps))
    recalled, since = None, 0
    blocks = dict.fromkeys(("fast", "slow", "averaged", "old", "both"), 0.0)
    means, update, usual, age = dict(blocks), 0.0, 0.0, 0
    long_old = long_free = 0.0
    average, hurry, level, shared = (1 - np.exp(-BLOCK / (s * rate)) for s in (1.0, 0.3, 0.05, 0.1))
    rise, fall = 1 - np.exp(-1 / rate), 1 - np.exp(-1 / (10 * rate))
    for n in range(num):
        past, last = filtered[n + num_taps : n : -1], filtered[n + num_taps - 1 : n - 1 : -1]
        weights = weights + update * last[:num_taps] if n else weights
        driven[n + path] = heard @ x[n + num_taps : n : -1] if n + path < len(driven) else 0.0
        own = secondary @ driven[n + path : n : -1]
        error[n] = disturbance[n] + own
        noise[n] = error[n] - own
        foreseen = noise[n] + weights @ past
        if n % COMPARED == 0:
            slow = noise[n] + averaged @ past
            old = noise[n] + (0.0 if recalled is None else recalled @ past)
            for name, value in zip(
                blocks, (foreseen**2, slow**2, slow**2, old**2, slow * old), strict=True
            ):
                blocks[name] += COMPARED * value
            long_old, long_free = long_old + old**2, long_free + noise[n] ** 2
        power = np.sum(past**2)
        age += 1
        if usual == 0.0:
            age, usual = 1, power
        elif power > usual:
            usual += max(rise, 1 / age) * (min(power, 100 * usual) - usual)
        else:
            usual += max(fall, 1 / age) * (power - usual)
        update = -step_size * foreseen / (power + regularization * usual) if power > 0 else 0.0
        if (n + 1) % BLOCK == 0:
            is_behind = means["fast"] < 0.8 * means["slow"]
            averaged = averaged + (hurry if is_behind else average) * (weights - averaged)
            part = 0.0
            if recalled is not None:
                part = share(means["averaged"], means["old"], means["both"])
            heard = averaged + part * ((0.0 if recalled is None else recalled) - averaged)
            for name, block in blocks.items():
                rate_of = level if name in {"fast", "slow"} else shared
                means[name] += rate_of * (block - means[name])
            blocks = dict.fromkeys(blocks, 0.0)
        if (n + 1) % stretch == 0:
            if recalled is not None and long_old > long_free:
                since = n + 1 - stretch
            long_old = long_free = 0.0
            fade = np.exp(-np.arange(n + 1 - since)[::-1] / (2 * MEMORY_S * rate))
            signals = fade * filtered[num_taps + since : num_taps + n + 1]
            noises = fade * noise[np.newaxis, since : n + 1]
            auto, cross = correlations(signals[np.newaxis, np.newaxis], noises, num_taps)
            recalled = solved(auto, cross)[0]
    return error
