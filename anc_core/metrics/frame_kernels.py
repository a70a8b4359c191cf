"""What the meter does to every sample, without arrays in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.jit import jit

if TYPE_CHECKING:
    from numpy.typing import NDArray


@jit("void(float32[:, ::1], float64[::1], float64[::1])")
def add_up(
    frames: NDArray[np.float32], sums: NDArray[np.float64], squares: NDArray[np.float64]
) -> None:
    """Write the sum and the sum of the squares of each row of ``frames``."""
    for i in range(len(frames)):
        row = frames[i]
        total = energy = 0.0
        for n in range(len(row)):
            value = np.float64(row[n])
            total += value
            energy += value * value
        sums[i], squares[i] = total, energy


@jit("void(float32[:, ::1], float32[::1], float32[:, ::1])")
def centre_and_window(
    frames: NDArray[np.float32], window: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Write the rows of ``frames`` without their means, times ``window``, into ``out``."""
    for i in range(len(frames)):
        row, into = frames[i], out[i]
        total = 0.0
        for n in range(len(row)):
            total += np.float64(row[n])
        mean = np.float32(total / len(row))
        for n in range(len(row)):
            into[n] = (row[n] - mean) * window[n]


@jit("void(float32[:, ::1], float64[::1], float64[:, ::1])")
def add_powers(
    spectra: NDArray[np.float32], scale: NDArray[np.float64], powers: NDArray[np.float64]
) -> None:
    """Add to ``powers`` (m, num_bins) those of ``spectra``: real and imaginary parts in turns."""
    for i in range(len(spectra)):
        row, into = spectra[i].reshape(len(scale), 2), powers[i]
        for k in range(len(scale)):
            real, imag = row[k, 0], row[k, 1]
            into[k] += scale[k] * np.float64(real * real + imag * imag)
