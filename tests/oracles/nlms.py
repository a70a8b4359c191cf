"""NLMS as the books write it, float64, one sample after the other, without guards."""

from __future__ import annotations

import numpy as np


def nlms(reference, primary, *, num_taps, step_size):
    """Return the error signal; ``reference`` (num_samples, num_reference_channels)."""
    num_samples, num_channels = reference.shape
    padded = np.vstack([np.zeros((num_taps - 1, num_channels)), reference])
    weights = np.zeros((num_taps, num_channels))
    error = np.empty(num_samples)
    for n in range(num_samples):
        x = padded[n : n + num_taps]
        error[n] = primary[n] - np.sum(weights * x)
        weights += step_size * error[n] * x / np.sum(x**2)
    return error
