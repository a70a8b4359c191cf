"""The kernels of :mod:`anc_core.dsp.adaptive_kalman`: one call a block and step.

Spectra are real arrays, (..., 2, num_bins): real parts, then imaginary parts. Each loop over bins
writes one row and reads few: only then the compiler can tell that they don't overlap and makes SIMD
code of it. Signals are (2, n): their samples of even number, then those of odd number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anc_core.dsp.jit import jit_by_dtype, part_of_kernel
from anc_core.dsp.real_fft import SIGNATURE, backward, forward

Array = NDArray[Any]

CONSTRAIN_EVERY = (2, 4)
"""Blocks after which each partition of the two filters is freed of its circular part; doing it in
every block is worth 0.3 dB and costs a third of the time."""

_TRANSFORMS = (forward, backward)


@part_of_kernel
def _expect(spectra: Array, newest: int, weights: Array, out: Array) -> None:
    """Write the spectrum of what a filter expects of the primary into ``out``."""
    num_slots = spectra.shape[0]
    out[:] = out.dtype.type(0.0)
    real, imag = out[0], out[1]
    for p in range(weights.shape[1]):
        slot = (newest - p + num_slots) % num_slots
        for j in range(weights.shape[0]):
            a, b = spectra[slot, j, 0], spectra[slot, j, 1]
            c, d = weights[j, p, 0], weights[j, p, 1]
            for k in range(len(real)):
                real[k] += a[k] * c[k] - b[k] * d[k]
            for k in range(len(imag)):
                imag[k] += a[k] * d[k] + b[k] * c[k]


@jit_by_dtype(f"float64(real[:, ::1], int64, real[:, :, ::1], {SIGNATURE})", uses=_TRANSFORMS)
def hear(
    heard: Array,
    start: int,
    spectra: Array,
    sides: Array,
    places: Array,
    turns: Array,
    twist: Array,
    work: Array,
) -> float:
    """Write the spectra of the references from ``start`` on into ``spectra``; return their power.

    Parameters
    ----------
    heard : (J, n)
    spectra : (J, 2, num_bins)
    sides, places, turns, twist, work
        Of the :class:`~anc_core.dsp.real_fft.Plan`.
    """
    half = spectra.shape[2] - 1
    signal = np.empty((2, half), spectra.dtype)
    power = 0.0
    for j in range(len(heard)):
        pairs = heard[j, start : start + 2 * half].reshape(half, 2)
        for n in range(half):
            signal[0, n], signal[1, n] = pairs[n, 0], pairs[n, 1]
        forward(signal, spectra[j], sides, places, turns, twist, work)
        for part in range(2):
            row = spectra[j, part]
            total = row.dtype.type(0.0)
            for k in range(len(row)):
                total += row[k] * row[k]
            power += total
    return power


@jit_by_dtype(
    f"void(real[:, :, :, ::1], int64, real[:, :, :, ::1], real[::1], {SIGNATURE})",
    uses=_TRANSFORMS,
)
def explain(
    spectra: Array,
    newest: int,
    weights: Array,
    explained: Array,
    sides: Array,
    places: Array,
    turns: Array,
    twist: Array,
    work: Array,
) -> None:
    """Write what a filter expects of a block of the primary into ``explained``.

    Parameters
    ----------
    spectra : (num_slots, J, 2, num_bins)
        A ring of spectra of the references.
    newest : int
        Its slot of the block.
    weights : (J, num_parts, 2, num_bins)
    explained : (block_length,)
    sides, places, turns, twist, work
        Of the :class:`~anc_core.dsp.real_fft.Plan`.
    """
    spectrum = np.empty_like(weights[0, 0])
    signal = np.empty((2, spectrum.shape[1] - 1), spectrum.dtype)
    _expect(spectra, newest, weights, spectrum)
    backward(spectrum, signal, sides, places, turns, twist, work)
    num_pairs = len(explained) // 2
    pairs, first = explained.reshape(num_pairs, 2), signal.shape[1] - num_pairs
    for n in range(num_pairs):
        pairs[n, 0], pairs[n, 1] = signal[0, first + n], signal[1, first + n]


@part_of_kernel
def _shrink(
    spectra: Array,
    newest: int,
    variances: Array,
    rest: Array,
    errors: Array,
    shrink: Array,
    numbers: Array,
) -> None:
    """Bring ``rest`` up to date and write 1 / denominator of the gains into ``shrink``."""
    num_slots = spectra.shape[0]
    real = rest.dtype.type
    one, zero = real(1.0), real(0.0)
    keep, weight, filled = real(numbers[2]), real(numbers[3]), real(numbers[4])
    d, g = errors[0], errors[1]
    for k in range(len(rest)):
        rest[k] = keep * rest[k] + (one - keep) * (d[k] * d[k] + g[k] * g[k])
    for k in range(len(rest)):
        shrink[k] = weight * rest[k]
    for p in range(variances.shape[1]):
        slot = (newest - p + num_slots) % num_slots
        for j in range(variances.shape[0]):
            a, b, c = spectra[slot, j, 0], spectra[slot, j, 1], variances[j, p]
            for k in range(len(rest)):
                shrink[k] += filled * c[k] * (a[k] * a[k] + b[k] * b[k])
    for k in range(len(rest)):
        shrink[k] = one / shrink[k] if shrink[k] > zero else zero


@part_of_kernel
def _settle(
    w: Array, x: Array, c: Array, errors: Array, shrink: Array, share: float, filled: float
) -> None:
    """Add K·E to one partition's weights ``w`` and take from its variances what that taught."""
    one = c.dtype.type(1.0)
    real, imag = w[0], w[1]
    a, b = x[0], x[1]
    d, g = errors[0], errors[1]
    for k in range(len(c)):
        real[k] += c[k] * shrink[k] * (a[k] * d[k] + b[k] * g[k])
    for k in range(len(c)):
        imag[k] += c[k] * shrink[k] * (a[k] * g[k] - b[k] * d[k])
    for k in range(len(c)):
        learnt = filled * c[k] * shrink[k] * (a[k] * a[k] + b[k] * b[k])
        c[k] = (one - share) * (one - learnt) * c[k]


@part_of_kernel
def _expect_change(w: Array, c: Array, share: float, unseen: float) -> None:
    """Add to the variances ``c`` what a change of the path may add."""
    real, imag = w[0], w[1]
    for k in range(len(c)):
        c[k] += share * (real[k] * real[k] + imag[k] * imag[k] + unseen)


@part_of_kernel
def _subtract_from(wanted: Array, parity: int, left: Array) -> float:
    """Replace what is expected in ``left`` by what of ``wanted`` is left; return its energy."""
    energy = 0.0
    for n in range(len(left)):
        left[n] = wanted[n, parity] - left[n]
    for n in range(len(left)):
        energy += np.float64(left[n]) * np.float64(left[n])
    return energy


@part_of_kernel
def _are_finite(values: Array) -> bool:
    num_broken = 0
    for k in range(len(values)):
        num_broken += not np.isfinite(values[k])
    return num_broken == 0


@jit_by_dtype(
    "boolean(real[:, :, :, ::1], int64, int64, real[:, :, :, :, ::1], real[:, :, :, ::1],"
    f" real[:, ::1], real[::1], int64, real[::1], float64[::1], float64[::1], {SIGNATURE})",
    uses=_TRANSFORMS,
)
def adapt(
    spectra: Array,
    newest: int,
    count: int,
    weights: Array,
    variances: Array,
    rest: Array,
    block: Array,
    num_taps: int,
    unseen: Array,
    numbers: Array,
    powers: Array,
    sides: Array,
    places: Array,
    turns: Array,
    twist: Array,
    work: Array,
) -> bool:
    """Let both filters learn from a block; return whether all is finite.

    Parameters
    ----------
    spectra, newest
        See :func:`explain`.
    count : int
        Blocks before this one.
    weights : (2, J, num_parts, 2, num_bins)
    variances : (2, J, num_parts, num_bins)
    rest : (2, num_bins)
        Power spectra of what is left.
    block : (block_length,)
        Of the primary.
    num_taps : int
        Of each path.
    unseen : (num_parts,)
        Power of the path that may appear where the weights are zero.
    numbers : (5,)
        Shares of change, memory of ``rest``, its weight, share of a transform that is a block.
    powers : (2,)
        Written: energy of what each filter leaves of the block.
    sides, places, turns, twist, work
        Of the :class:`~anc_core.dsp.real_fft.Plan`.
    """
    num_references, num_parts, num_bins = variances.shape[1:]
    num_slots, half = spectra.shape[0], num_bins - 1
    wanted = block.reshape(len(block) // 2, 2)
    before = half - len(wanted)
    zero, filled = rest.dtype.type(0.0), rest.dtype.type(numbers[4])
    spectrum = np.empty((2, num_bins), rest.dtype)
    signal, shrink = np.empty((2, half), rest.dtype), np.empty(num_bins, rest.dtype)
    is_finite = True
    for f in range(2):
        share = rest.dtype.type(numbers[f])
        _expect(spectra, newest, weights[f], spectrum)
        backward(spectrum, signal, sides, places, turns, twist, work)
        power = 0.0
        for parity in range(2):
            left = signal[parity]
            left[:before] = zero
            power += _subtract_from(wanted, parity, left[before:])
        powers[f] = power
        forward(signal, spectrum, sides, places, turns, twist, work)
        _shrink(spectra, newest, variances[f], rest[f], spectrum, shrink, numbers)
        for p in range(num_parts):
            slot = (newest - p + num_slots) % num_slots
            is_due = p % CONSTRAIN_EVERY[f] == count % CONSTRAIN_EVERY[f]
            kept = min(2 * before, num_taps - 2 * before * p)
            for j in range(num_references):
                w, c = weights[f, j, p], variances[f, j, p]
                _settle(w, spectra[slot, j], c, spectrum, shrink, share, filled)
                _expect_change(w, c, share, unseen[p])
                is_finite &= _are_finite(c)
                if is_due:
                    backward(w, signal, sides, places, turns, twist, work)
                    signal[0, (kept + 1) // 2 :] = zero
                    signal[1, kept // 2 :] = zero
                    forward(signal, w, sides, places, turns, twist, work)
        is_finite &= np.isfinite(power)
    return is_finite
