"""Filtered-x NLMS as the books write it, and its modified form; float64, without guards."""

from __future__ import annotations

import numpy as np


def fxnlms(
    reference, disturbance, secondary, estimate, *, num_taps, step_size, regularization, leakage=0.0
):
    """Return the error; one reference, loudspeaker and microphone.

    The usual power in the divisor is the mean so far, later it rises in 1 s and falls in 10 s; a
    click counts 100 times.
    """
    num = len(reference)
    x = np.concatenate([np.zeros(num_taps), reference])
    filtered = np.concatenate([np.zeros(num_taps), np.convolve(reference, estimate)[:num]])
    driven = np.zeros(num + len(secondary))
    weights, error, usual = np.zeros(num_taps), np.empty(num), 0.0
    age = 0
    rise, fall = 1 - np.exp(-1 / 16_000), 1 - np.exp(-1 / 160_000)
    for n in range(num):
        past = slice(n + num_taps, n, -1)
        driven[n + len(secondary)] = weights @ x[past] if n + len(secondary) < len(driven) else 0
        error[n] = disturbance[n] + secondary @ driven[n + len(secondary) : n : -1]
        power = np.sum(filtered[past] ** 2)
        age += 1
        if usual == 0.0:
            age, usual = 1, power
        elif power > usual:
            usual += max(rise, 1 / age) * (min(power, 100 * usual) - usual)
        else:
            usual += max(fall, 1 / age) * (power - usual)
        divisor = power + regularization * usual
        if divisor > 0 and power > 0:
            weights = (1 - leakage) * weights
            weights -= step_size * error[n] * filtered[past] / divisor
    return error
