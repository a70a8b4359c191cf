"""The formulas of anc_core/dsp/hum.py for the first block of a stream, complex128."""

from __future__ import annotations

import numpy as np

TINY = 1e-12


def _median_step(typical, size):
    if size <= TINY:
        return typical
    return max(typical * (1.06 if size > typical else 1 / 1.06), TINY)


def subtract_hum(spectra, *, hop_s, depth):
    """Return ``spectra`` without their steady tones, where nothing was heard before."""
    output = spectra.astype(complex)
    step = 1 - np.exp(-hop_s / 0.4)
    for k in range(spectra.shape[1]):
        x = spectra[:, k].astype(complex)
        u = np.concatenate([[0, 0], x / np.maximum(np.abs(x), TINY)])
        one_apart = np.mean(u[2:] * u[1:-1].conj())
        two_apart = np.mean(u[2:] * u[:-2].conj())
        rotation = np.exp(0.5j * np.angle(two_apart))
        if (rotation * one_apart.conj()).real < 0:
            rotation = -rotation
        if abs(two_apart) < 0.4:
            continue
        typical = np.median(np.abs(x))

        def follow(a, heard, typical):
            trust = typical / max(abs(heard), typical)
            return a + step * trust**2 * (heard * trust - a)

        a = 0j
        for heard in x:
            a = follow(a * rotation, heard, typical)
        for heard in x[::-1]:
            a = follow(a, heard, typical) * rotation.conj()
        certainty = np.clip((abs(two_apart) - 0.6) / 0.2, 0, 1)
        for t, heard in enumerate(x):
            typical = _median_step(typical, abs(heard))
            a = follow(a * rotation, heard, typical)
            limit = min(1, abs(heard) / max(abs(a), TINY))
            output[t, k] = heard - depth * certainty * limit * a
    return output
