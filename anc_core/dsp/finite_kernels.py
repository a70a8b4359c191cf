"""Repairs sample by sample, in one pass: kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.dsp.jit import jit, jit_by_dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray


@jit_by_dtype("void(real[::1], real[::1])")
def repair(samples: NDArray[Any], repaired: NDArray[Any]) -> None:
    """Write ``samples`` with NaN and infinities replaced by 0, all else bit for bit."""
    for n in range(len(samples)):
        is_finite = abs(samples[n]) < np.inf
        repaired[n] = samples[n] if is_finite else samples.dtype.type(0.0)


@jit_by_dtype("void(real[::1], real, real, real[::1])")
def tame(samples: NDArray[Any], least: float, most: float, tamed: NDArray[Any]) -> None:
    """Write ``samples``, at most ``most`` in magnitude; NaN, infinities and less than ``least``: 0.

    NaN compares as false, so it ends as 0 like what is too small.
    """
    for n in range(len(samples)):
        magnitude = abs(samples[n])
        is_usable = (magnitude >= least) & (magnitude < np.inf)
        limited = max(min(samples[n], most), -most)
        tamed[n] = limited if is_usable else samples.dtype.type(0.0)


@jit("float64(float32[::1])")
def energy(samples: NDArray[np.float32]) -> float:
    """Return the sum of the squares of ``samples``."""
    total = 0.0
    for n in range(len(samples)):
        value = np.float64(samples[n])
        total += value * value
    return total


@jit("void(float32[:, ::1], int64[::1], float64[:, ::1])")
def energies(
    samples: NDArray[np.float32], starts: NDArray[np.int64], sums: NDArray[np.float64]
) -> None:
    """Write the sum of the squares of each column between one of ``starts`` and the next.

    ``samples`` is (num_samples, num_channels), ``sums`` (len(starts), num_channels); the last
    stretch ends with the samples.
    """
    num_channels = samples.shape[1]
    for i in range(len(starts)):
        stop = starts[i + 1] if i + 1 < len(starts) else len(samples)
        for channel in range(num_channels):
            total = 0.0
            for n in range(starts[i], stop):
                value = np.float64(samples[n, channel])
                total += value * value
            sums[i, channel] = total
