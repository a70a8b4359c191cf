"""The gradient of a block of errors, in the frequency domain: each band learns at its own pace.

A filter that learns from each sample shares one step among all frequencies, so that weak bands of a
coloured noise are learnt slowly. Here the errors of a block are correlated with the signals by
partitioned overlap-save, each bin is divided by the power of the signals *there*, and what is
circular is cut off, of every partition of every block. Only the learning is in blocks: who filters
does so sample by sample with weights that rest meanwhile, without delay.

References
----------
J. J. Shynk, "Frequency-domain and multirate adaptive filtering", IEEE Signal Process. Mag. 9 (1992)
14. J. S. Soo & K. K. Pang, "Multidelay block frequency domain adaptive filter", IEEE Trans. Acoust.
Speech Signal Process. 38 (1990) 373.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from anc_core.dsp.jit import check_dtype, jit_by_dtype, part_of_kernel

Array = NDArray[Any]

_BLOCK_S = 0.004
_MULTIPLE = 32
"""Of the block; that of the divergence detector, so that what it undoes is whole blocks."""

_MEMORY = 0.9
"""Of the power spectrum, a block."""

_FILLED = 0.5
"""Share of a transform that is the errors' block."""


def block_length(sample_rate: float) -> int:
    """Return the samples of a block: about 4 ms, 64 at 16 kHz."""
    return _MULTIPLE * max(1, round(_BLOCK_S * sample_rate / _MULTIPLE))


@part_of_kernel
def _add_power(out: Array, x: Array, line: int, p: int, share: float) -> None:
    for k in range(out.shape[0]):
        a, b = float(x[line, p, 2 * k]), float(x[line, p, 2 * k + 1])
        out[k] += share * (a * a + b * b)


@part_of_kernel
def _add_product(out: Array, row: int, p: int, x: Array, line: int, e: Array, m: int) -> None:
    for k in range(0, e.shape[1], 2):
        a, b = x[line, p, k], x[line, p, k + 1]
        c, d = e[m, k], e[m, k + 1]
        out[row, p, k] += a * c + b * d
        out[row, p, k + 1] += a * d - b * c


@jit_by_dtype("void(real[:, :, ::1], real[:, ::1], float64[::1], float64, real[:, :, ::1])")
def block_gradient(
    spectra: Array,
    errors: Array,
    powers: Array,
    floor: float,
    gradients: Array,
) -> None:
    """Write the normalised gradients of all filters; the spectra are real and imaginary in turn.

    Parameters
    ----------
    spectra : (M·rows, num_parts, 2·num_bins)
        Of the signals, line m·rows + row.
    errors : (M, 2·num_bins)
        Changed: divided by the powers.
    powers : (num_bins,)
        Mean power of all signals together; brought up to date.
    floor : float
        Added to the powers.
    gradients : (rows, num_parts, 2·num_bins)
        Written.
    """
    rows = gradients.shape[0]
    present = np.zeros(powers.shape[0])
    gradients[:] = 0.0
    for line in range(spectra.shape[0]):
        for p in range(spectra.shape[1]):
            _add_power(present, spectra, line, p, _FILLED)
    for k in range(powers.shape[0]):
        powers[k] = _MEMORY * powers[k] + (1.0 - _MEMORY) * present[k]
        # An onset counts at once: its power is in the gradient already.
        divisor = max(powers[k], present[k]) + floor
        factor = 1.0 / divisor if divisor > 0.0 else 0.0
        for m in range(errors.shape[0]):
            errors[m, 2 * k] = factor * errors[m, 2 * k]
            errors[m, 2 * k + 1] = factor * errors[m, 2 * k + 1]
    for line in range(spectra.shape[0]):
        for p in range(spectra.shape[1]):
            _add_product(gradients, line % rows, p, spectra, line, errors, line // rows)


class BlockGradient:
    """Collects the signals that filters learn from, and turns a block of errors into a gradient.

    Parameters
    ----------
    num_errors : int
        M.
    num_filters : int
        R; each has one signal for each error.
    num_taps : int
        Of each filter.
    block_length : int
        B, samples of a block and taps of a partition.
    dtype : {"float32", "float64"}

    Notes
    -----
    For a block with the spectra X_mrp of the signals p blocks ago (over the 2·B samples that end
    there), and E_m of the errors behind B zeros:

    D = 1/2·Σ_mrp |X_mrp|²
    P = memory·P + (1 - memory)·D
    g_rp = first B samples of the inverse transform of Σ_m X_mrp*·E_m / (max(P, D) + floor)

    A step of 1 would correct the error of this block completely, where bins are independent.
    """

    def __init__(
        self,
        num_errors: int,
        num_filters: int,
        num_taps: int,
        block_length: int,
        dtype: DTypeLike,
    ) -> None:
        from scipy import fft  # 0.2 s that only who learns in blocks should pay

        self._fft = fft
        self._dtype = check_dtype(dtype)
        self._complex = np.result_type(self._dtype, np.complex64)
        self.num_errors, self.num_filters, self.num_taps = num_errors, num_filters, num_taps
        self.block_length = block_length
        self._num_parts = -(-num_taps // block_length)
        self._kernel = block_gradient(self._dtype)

    def start(self) -> dict[str, Array]:
        """Return what is to be remembered from block to block, as it begins."""
        num_kept = (self._num_parts + 1) * self.block_length
        return {
            "block_signals": np.zeros((self.num_errors * self.num_filters, num_kept), self._dtype),
            "block_powers": np.zeros(self.block_length + 1),
        }

    def take(self, state: dict[str, Array], signals: Array) -> None:
        """Remember ``signals`` (M·R, n <= B), line m·R + r, that follow those so far."""
        kept, num = state["block_signals"], signals.shape[1]
        kept[:, : kept.shape[1] - num] = kept[:, num:].copy()
        kept[:, kept.shape[1] - num :] = signals

    def gradient(self, state: dict[str, Array], errors: Array, floor: float) -> Array:
        """Return the gradient (R, num_taps), last tap first, of a full block of ``errors`` (M, B).

        Parameters
        ----------
        floor : float
            Added to the power of the signals, as a mean of their squares, all lines together.
        """
        real, length = self._dtype, self.block_length
        signals = state["block_signals"]
        frames = np.lib.stride_tricks.sliding_window_view(signals, 2 * length, axis=1)
        spectra = self._fft.rfft(frames[:, ::-length])
        padded = np.zeros((self.num_errors, 2 * length), real)
        padded[:, length:] = errors
        bent = self._fft.rfft(padded)
        gradients = np.empty((self.num_filters, *spectra.shape[1:]), self._complex)
        self._kernel(
            spectra.view(real),
            bent.view(real),
            state["block_powers"],
            floor * length * self._num_parts,
            gradients.view(real),
        )
        responses = self._fft.irfft(gradients, n=2 * length)[..., :length]
        flat = responses.reshape(self.num_filters, -1)[:, : self.num_taps]
        return np.ascontiguousarray(flat[:, ::-1], real)
