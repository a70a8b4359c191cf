"""Learning from a block of errors: each band of a coloured signal at the pace that suits it.

A filter that learns from each sample shares one step among all frequencies, so that weak bands of a
coloured noise are learnt slowly. Here the errors of a block are correlated with the signals by
partitioned overlap-save, and that gradient is divided by the power of the signals, frequency by
frequency. Only the learning is in blocks: who filters does so sample by sample, without delay.

Context: the textbooks divide first and cut off afterwards what is circular. A filter that is too
short, or a path that begins before the loudspeaker's sound arrives, then ends elsewhere than at the
best one: 1 dB off on white noise, 3 and 5 dB with a secondary path 30 and 60 degrees wrong.
Decision: cut off first, then divide, then cut off again: a positive definite map of the true
gradient, which vanishes where that does. What leaks from strong into weak bands would make it
unstable for strongly coloured signals, so each step is limited to the one that leaves the least of
this block's errors. Consequence: no signal makes it unstable, whatever the step below 2.

References
----------
J. J. Shynk, "Frequency-domain and multirate adaptive filtering", IEEE Signal Process. Mag. 9 (1992)
14. J. S. Soo & K. K. Pang, "Multidelay block frequency domain adaptive filter", IEEE Trans. Acoust.
Speech Signal Process. 38 (1990) 373. S. J. Elliott & B. Rafaely, "Frequency-domain adaptation of
causal digital filters", IEEE Trans. Signal Process. 48 (2000) 1354 (where the textbooks end).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from anc_core.dsp.adaptive_guard import usual_power
from anc_core.dsp.jit import check_dtype, jit_by_dtype, part_of_kernel
from anc_core.dsp.path_filter import sum_partitions

Array = NDArray[Any]

_BLOCK_S = 0.004
_MULTIPLE = 32
"""Of the block; that of the divergence detector, so that what it undoes is whole blocks."""

_MEMORY = 0.9
"""Of the power spectrum, a block."""

_RISE_S, _FALL_S = 1.0, 10.0
"""Of the usual power of a filter's signals: one that fades is learnt from ever more slowly, so that
it is not in disorder when it comes back."""


def block_length(sample_rate: float) -> int:
    """Return the samples of a block: about 4 ms, 64 at 16 kHz."""
    return _MULTIPLE * max(1, round(_BLOCK_S * sample_rate / _MULTIPLE))


@part_of_kernel
def _add_power(out: Array, x: Array, m: int, slot: int, r: int) -> None:
    for k in range(out.shape[1]):
        a, b = float(x[m, slot, r, 2 * k]), float(x[m, slot, r, 2 * k + 1])
        out[r, k] += a * a + b * b


@part_of_kernel
def _add_product(out: Array, p: int, x: Array, slot: int, r: int, e: Array, m: int) -> None:
    for k in range(0, e.shape[1], 2):
        a, b = x[m, slot, r, k], x[m, slot, r, k + 1]
        c, d = e[m, k], e[m, k + 1]
        out[p, r, k] += a * c + b * d
        out[p, r, k + 1] += a * d - b * c


@jit_by_dtype(
    "boolean(real[:, :, :, ::1], int64, real[:, ::1], float64[:, ::1], float64[::1], float64[::1],"
    " real[:, :, ::1], real[:, ::1])",
    uses=(usual_power,),
)
def correlate(  # noqa: PLR0912 - loops only
    spectra: Array,
    newest: int,
    errors: Array,
    powers: Array,
    usual: Array,
    parameters: Array,
    gradients: Array,
    inverse: Array,
) -> bool:
    """Correlate errors and signals, and bring the powers up to date; return whether there are any.

    Parameters
    ----------
    spectra : (M, num_parts, R, 2·num_bins)
        A ring of the signals' spectra, real and imaginary parts in turn.
    newest : int
        Place of the newest block in the ring.
    errors : (M, 2·num_bins)
        Their spectra. Changed: divided by the mean power.
    powers : (R, num_bins)
        Mean powers of each filter's signals.
    usual : (R,)
        Their means over the bins, as they usually are; brought up to date.
    parameters : (3,)
        Share of ``usual`` that is added to the power of each bin; its rates of rise and fall.
    gradients : (num_parts, R, 2·num_bins)
        Written.
    inverse : (R, num_bins)
        Written: mean power of all signals together over that of each bin.
    """
    num_mics, num_parts, num_filters = spectra.shape[:3]
    num_bins = powers.shape[1]
    present = np.zeros(powers.shape)
    for m in range(num_mics):
        for p in range(num_parts):
            for r in range(num_filters):
                _add_power(present, spectra, m, p, r)
    mean = 0.0
    for r in range(num_filters):
        level = 0.0
        for k in range(num_bins):
            # Half of what a transform spans is the errors' block.
            powers[r, k] = _MEMORY * powers[r, k] + (1.0 - _MEMORY) * 0.5 * present[r, k]
            level += powers[r, k] / num_bins
        usual[r] = usual_power(usual[r], level, parameters[1], parameters[2])
        mean += level
    if not mean > 0.0:
        return False
    for r in range(num_filters):
        floor = parameters[0] * usual[r]
        for k in range(num_bins):
            divisor = num_filters * (powers[r, k] + floor)
            inverse[r, k] = mean / divisor if divisor > 0.0 else 0.0
    # So that nothing overflows in single precision, however loud or faint the signals are.
    for m in range(num_mics):
        for k in range(errors.shape[1]):
            errors[m, k] = errors[m, k] / mean
    gradients[:] = 0.0
    for m in range(num_mics):
        for p in range(num_parts):
            slot = (newest - p) % num_parts
            for r in range(num_filters):
                _add_product(gradients, p, spectra, slot, r, errors, m)
    return True


class BlockGradient:
    """Collects the signals that filters learn from, and turns a block of errors into a change.

    Parameters
    ----------
    sample_rate : float
        Hz.
    num_errors : int
        M.
    num_filters : int
        R; each has one signal for each error.
    num_taps : int
        Of each filter.
    regularization : float
        Share of the usual power of a filter's signals that is added to that of each bin.
    dtype : {"float32", "float64"}

    Attributes
    ----------
    block_length : int
        B, samples of a block and taps of a partition.

    Notes
    -----
    For a block with the spectra X_mrp of the signals p blocks ago (over the 2·B samples that end
    there), and E_m of the errors behind B zeros:

    P_r = memory·P_r + (1 - memory)·1/2·Σ_mp |X_mrp|²
    g_rp = first B samples of the inverse transform of Σ_m X_mrp*·E_m; g_r = these in a row
    h_r = inverse transform of 1 / (P_r + regularization·usual P_r) / R, lag l weighted by 1 - |l|/B
    u_r = first num_taps samples of h_r * g_r, a linear convolution
    v_m = Σ_r u_r * x_mr, what u does to the errors of this block
    change = min(1, <e, v> / <v, v>)·u

    Each filter's signals are divided by their own power, so that the level of one reference beside
    that of another does not matter. The weighting of the lags keeps the spectrum of h_r positive
    between its bins.
    """

    def __init__(
        self,
        sample_rate: float,
        num_errors: int,
        num_filters: int,
        num_taps: int,
        regularization: float,
        dtype: DTypeLike,
    ) -> None:
        from scipy import fft  # 0.2 s that only who learns in blocks should pay

        self._fft = fft
        self._dtype = check_dtype(dtype)
        self._complex = np.result_type(self._dtype, np.complex64)
        self.num_errors, self.num_filters, self.num_taps = num_errors, num_filters, num_taps
        self.block_length = length = block_length(sample_rate)
        self._num_parts = -(-num_taps // length)
        self._width = int(fft.next_fast_len((self._num_parts + 1) * length, real=True))
        self._lag_weights = (1.0 - np.arange(length) / length).astype(self._dtype)
        rise, fall = (1.0 - math.exp(-length / (s * sample_rate)) for s in (_RISE_S, _FALL_S))
        self._parameters = np.array([regularization, rise, fall])
        self._correlate = correlate(self._dtype)
        self._sum = sum_partitions(self._dtype)

    def start(self) -> dict[str, Array]:
        """Return what is to be remembered from block to block, as it begins."""
        return self.start_signals() | self.start_powers()

    def start_signals(self) -> dict[str, Array]:
        """Return the part of it that belongs to the signals of the moment."""
        ring = self.num_errors, self._num_parts, self.num_filters, 2 * (self.block_length + 1)
        signals = self.num_errors * self.num_filters, 2 * self.block_length
        return {
            "block_signals": np.zeros(signals, self._dtype),
            "block_spectra": np.zeros(ring, self._dtype),
        }

    def start_powers(self) -> dict[str, Array]:
        """Return the part of it that was learnt of their powers."""
        return {
            "block_powers": np.zeros((self.num_filters, self.block_length + 1)),
            "block_usual": np.zeros(self.num_filters),
        }

    def take(self, state: dict[str, Array], signals: Array) -> None:
        """Remember ``signals`` (M·R, n <= B), line m·R + r, that follow those so far."""
        kept, num = state["block_signals"], signals.shape[1]
        kept[:, : kept.shape[1] - num] = kept[:, num:].copy()
        kept[:, kept.shape[1] - num :] = signals

    def change(self, state: dict[str, Array], errors: Array, number: int) -> Array:
        """Return what the weights have to lose, (R, num_taps), last tap first.

        Parameters
        ----------
        state : dict
            What :meth:`start` returned; changed.
        errors : shape (M, B)
            Of the block whose signals are now complete.
        number : int
            Of the block since the beginning.
        """
        real, length = self._dtype, self.block_length
        shape = (self.num_errors, self.num_filters, 2 * (length + 1))
        newest = number % self._num_parts
        spectra, inverse = state["block_spectra"], np.empty((self.num_filters, length + 1), real)
        spectra[:, newest] = self._fft.rfft(state["block_signals"]).view(real).reshape(shape)
        gradients = np.empty(spectra.shape[1:], real)
        bent = self._fft.rfft(self._behind_zeros(errors)).view(real)
        if not self._correlate(
            spectra,
            newest,
            bent,
            state["block_powers"],
            state["block_usual"],
            self._parameters,
            gradients,
            inverse,
        ):
            return np.zeros((self.num_filters, self.num_taps), real)
        whole = self._divided(self._in_time(gradients)[..., :length], inverse)
        parts = whole.reshape(self.num_filters, self._num_parts, length).transpose(1, 0, 2)
        responses = np.ascontiguousarray(self._fft.rfft(parts, n=2 * length)).view(real)
        effect = np.empty((self.num_errors, shape[2]), real)
        for m in range(self.num_errors):
            self._sum(spectra[m], responses[np.newaxis], newest, effect[m : m + 1])
        share = _best_share(errors, self._in_time(effect)[:, length:])
        return np.ascontiguousarray(real.type(share) * whole[:, self.num_taps - 1 :: -1])

    def _divided(self, gradients: Array, inverse: Array) -> Array:
        """Return the gradient (num_parts, R, B) over the power, in a row: (R, num_parts·B)."""
        row = gradients.transpose(1, 0, 2).reshape(self.num_filters, -1)
        row[:, self.num_taps :] = 0.0
        length, width = self.block_length, self._width
        half = self._fft.irfft(inverse)[:, :length] * self._lag_weights
        kernel = np.zeros((self.num_filters, width), self._dtype)
        kernel[:, :length] = half
        kernel[:, width - length + 1 :] = half[:, :0:-1]
        spectrum = self._fft.rfft(row, n=width) * self._fft.rfft(kernel)
        whole = self._fft.irfft(spectrum, n=width)[:, : row.shape[1]]
        whole[:, self.num_taps :] = 0.0
        return np.asarray(whole)

    def _in_time(self, spectra: Array) -> Array:
        return np.asarray(self._fft.irfft(spectra.view(self._complex), n=2 * self.block_length))

    def _behind_zeros(self, errors: Array) -> Array:
        return np.concatenate([np.zeros_like(errors), errors], axis=1)


def _best_share(errors: Array, effect: Array) -> float:
    """Return the share of a change, 1 at most, that leaves the least of the errors."""
    energy = float(np.einsum("mn,mn->", effect, effect, dtype=np.float64))
    if not energy > 0.0:
        return 0.0
    together = float(np.einsum("mn,mn->", errors, effect, dtype=np.float64))
    return min(1.0, max(0.0, together / energy))
