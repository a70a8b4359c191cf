"""The two filters of the online identification as its docstring writes them; float64, one pair."""

from __future__ import annotations

import numpy as np


def identify(reference, probe, noise, *, num_taps, num_predictor, variance, remainder, rate):
    """Return the estimate, first tap first, and the variance that it is believed to have.

    ``probe`` is e - ŝ*y; ``remainder`` the mean square to begin with; the predictor is in its first
    block, so its step is 0.2.
    """
    x = np.concatenate([np.zeros(num_predictor), reference])
    v = np.concatenate([np.zeros(num_taps), noise])
    estimate, predictor = np.zeros(num_taps), np.zeros(num_predictor)
    magnitude, usual = 0.0, 0.0
    rise, fall = 1 - np.exp(-1 / 16_000), 1 - np.exp(-1 / 160_000)
    for n in range(len(reference)):
        heard, played = x[n + num_predictor : n : -1], v[n + num_taps : n : -1]
        g = probe[n] - estimate @ played - predictor @ heard
        if magnitude > 0:
            g = np.clip(g, -8 * magnitude, 8 * magnitude)
        magnitude += rate * (abs(g) - magnitude)
        remainder += rate * (g**2 - remainder)
        energy = played @ played
        if energy > 0:
            step = variance * energy / (variance * energy + remainder)
            estimate += step * g * played / energy
            variance *= 1 - step / num_taps
        power = heard @ heard
        if usual == 0:
            usual = power
        elif power > usual:
            usual += rise * (min(power, 100 * usual) - usual)
        else:
            usual += fall * (power - usual)
        predictor += 0.2 * g * heard / (power + 1e-3 * usual)
    return estimate, variance
