"""The kernel of :mod:`anc_core.dsp.adaptive_kalman`: one call a block.

Spectra are real arrays, (..., 2, num_bins): real parts, then imaginary parts. Each loop over bins
writes one row and reads few: only then the compiler can tell that they don't overlap and makes SIMD
code of it. Signals are (2, n): their samples of even number, then those of odd number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anc_core.dsp.jit import jit_by_dtype, part_of_kernel
from anc_core.dsp.real_fft import SIGNATURE, backward, copy, forward

Array = NDArray[Any]

CONSTRAIN_EVERY = (2, 4)
"""Blocks after which each partition of the two filters is freed of its circular part; doing it in
every block is worth 0.3 dB and costs a third of the time."""

COMPARISON_MEMORY = 0.8
_CLEARLY_LESS = 0.8
_MUCH_MORE = 2.0

_MAX_RATIO = 1e24

# Layout of ``numbers``: what is counted and added up from block to block.
(
    COUNT,
    POWER_FOREGROUND,
    POWER_BACKGROUND,
    OUT_POWER,
    IN_POWER,
    RATIO_OUT,
    RATIO_IN,
    GAIN,
    HARM_BLOCKS,
    TRIPS,
    LATCH_LEFT,
    STARTED,
    NUM_NUMBERS,
) = range(13)

# Layout of ``constants``, of which the first two are the shares of change.
(_, _, _REST_MEMORY, _REST_WEIGHT, _FILLED, _UNSEEN, NUM_CONSTANTS) = range(7)


@part_of_kernel
def _expect(spectra: Array, newest: int, weights: Array, out: Array) -> None:
    """Write the spectrum of what a filter expects of the primary into ``out``."""
    num_slots = spectra.shape[0]
    real, imag = out[0], out[1]
    _clear(real)
    _clear(imag)
    for p in range(weights.shape[1]):
        slot = (newest - p + num_slots) % num_slots
        for j in range(weights.shape[0]):
            a, b = spectra[slot, j, 0], spectra[slot, j, 1]
            c, d = weights[j, p, 0], weights[j, p, 1]
            for k in range(len(real)):
                real[k] += a[k] * c[k] - b[k] * d[k]
            for k in range(len(imag)):
                imag[k] += a[k] * d[k] + b[k] * c[k]


@part_of_kernel
def _hear(
    heard: Array,
    start: int,
    spectra: Array,
    signal: Array,
    sides: Array,
    places: Array,
    turns: Array,
    twist: Array,
    work: Array,
) -> float:
    """Write the spectra of what is heard from ``start`` on into ``spectra``; return their power."""
    half = signal.shape[1]
    power = 0.0
    for j in range(len(heard)):
        pairs = heard[j, start : start + 2 * half].reshape(half, 2)
        for n in range(half):
            signal[0, n], signal[1, n] = pairs[n, 0], pairs[n, 1]
        forward(signal, spectra[j], sides, places, turns, twist, work)
        power += _energy(spectra[j, 0]) + _energy(spectra[j, 1])
    return power


@part_of_kernel
def _energy(values: Array) -> float:
    energy = 0.0
    for n in range(len(values)):
        energy += np.float64(values[n]) * np.float64(values[n])
    return energy


@part_of_kernel
def _shrink(
    spectra: Array,
    newest: int,
    variances: Array,
    rest: Array,
    errors: Array,
    shrink: Array,
    constants: Array,
) -> None:
    """Bring ``rest`` up to date and write 1 / denominator of the gains into ``shrink``."""
    num_slots = spectra.shape[0]
    real = rest.dtype.type
    one, zero = real(1.0), real(0.0)
    keep, weight = real(constants[_REST_MEMORY]), real(constants[_REST_WEIGHT])
    filled = real(constants[_FILLED])
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
    for n in range(len(left)):
        left[n] = wanted[n, parity] - left[n]
    return _energy(left)


@part_of_kernel
def _are_finite(values: Array) -> bool:
    num_broken = 0
    for k in range(len(values)):
        num_broken += not np.isfinite(values[k])
    return num_broken == 0


@part_of_kernel
def _adapt(
    spectra: Array,
    newest: int,
    count: int,
    weights: Array,
    variances: Array,
    rest: Array,
    block: Array,
    num_taps: int,
    unseen: Array,
    constants: Array,
    powers: Array,
    signal: Array,
    spectrum: Array,
    sides: Array,
    places: Array,
    turns: Array,
    twist: Array,
    work: Array,
) -> bool:
    """Let both filters learn from a block; return whether all is finite.

    ``powers`` (2,) becomes the energy of what each filter leaves of the block; ``unseen``
    (num_parts,) is the power of the path that may appear where the weights are zero.
    """
    num_references, num_parts, num_bins = variances.shape[1:]
    num_slots, half = spectra.shape[0], num_bins - 1
    wanted = block.reshape(len(block) // 2, 2)
    before = half - len(wanted)
    filled = rest.dtype.type(constants[_FILLED])
    shrink = np.empty(num_bins, rest.dtype)
    is_finite = True
    for f in range(2):
        share = rest.dtype.type(constants[f])
        _expect(spectra, newest, weights[f], spectrum)
        backward(spectrum, signal, sides, places, turns, twist, work)
        power = 0.0
        for parity in range(2):
            left = signal[parity]
            _clear(left[:before])
            power += _subtract_from(wanted, parity, left[before:])
        powers[f] = power
        forward(signal, spectrum, sides, places, turns, twist, work)
        _shrink(spectra, newest, variances[f], rest[f], spectrum, shrink, constants)
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
                    _clear(signal[0, (kept + 1) // 2 :])
                    _clear(signal[1, kept // 2 :])
                    forward(signal, w, sides, places, turns, twist, work)
        is_finite &= np.isfinite(power)
    return is_finite


@part_of_kernel
def _clear(values: Array) -> None:
    for k in range(len(values)):
        values[k] = values.dtype.type(0.0)


@part_of_kernel
def _begin(variances: Array, prior: Array, ratio: float) -> None:
    """Give the variances their prior."""
    for f in range(variances.shape[0]):
        for j in range(variances.shape[1]):
            for p in range(len(prior)):
                for k in range(variances.shape[3]):
                    variances[f, j, p, k] = variances.dtype.type(prior[p] * ratio)


@part_of_kernel
def _compare(weights: Array, variances: Array, rest: Array, powers: Array, numbers: Array) -> None:
    """Let the filter that clearly leaves less teach the other one."""
    for f in range(2):
        numbers[POWER_FOREGROUND + f] *= COMPARISON_MEMORY
        numbers[POWER_FOREGROUND + f] += (1.0 - COMPARISON_MEMORY) * powers[f]
    ahead, behind = numbers[POWER_FOREGROUND], numbers[POWER_BACKGROUND]
    if behind < _CLEARLY_LESS * ahead:
        copy(weights[1].reshape(-1), weights[0].reshape(-1))
        copy(variances[1].reshape(-1), variances[0].reshape(-1))
        copy(rest[1], rest[0])
        numbers[POWER_FOREGROUND] = behind
    elif behind > _MUCH_MORE * ahead:
        copy(weights[0].reshape(-1), weights[1].reshape(-1))
        steady, restless = variances[0].reshape(-1), variances[1].reshape(-1)
        for k in range(len(steady)):
            restless[k] = max(steady[k], restless[k])
        numbers[POWER_BACKGROUND] = ahead


@jit_by_dtype(
    "void(real[:, ::1], int64, real[::1], real[:, :, :, ::1], real[:, :, :, :, ::1],"
    " real[:, :, :, ::1], real[:, ::1], float64[::1], float64[::1], float64[::1], int64, int64,"
    f" real[::1], {SIGNATURE})",
    uses=(forward, backward),
)
def advance(
    heard: Array,
    start: int,
    block: Array,
    spectra: Array,
    weights: Array,
    variances: Array,
    rest: Array,
    numbers: Array,
    prior: Array,
    constants: Array,
    num_taps: int,
    ahead: int,
    explained: Array,
    sides: Array,
    places: Array,
    turns: Array,
    twist: Array,
    work: Array,
) -> None:
    """Let both filters learn from one block and write what the first makes of an earlier one.

    Parameters
    ----------
    heard : (J, n)
        References; a transform begins at ``start`` and ends with the block.
    block : (block_length,)
        Of the primary.
    spectra : (num_slots, J, 2, num_bins)
        A ring of spectra of the references.
    weights : (2, J, num_parts, 2, num_bins)
    variances : (2, J, num_parts, num_bins)
    rest : (2, num_bins)
        Power spectra of what is left.
    numbers : (NUM_NUMBERS,)
    prior : (num_parts,)
        Power of the path, relative to the ratio of the levels.
    constants : (NUM_CONSTANTS,)
        Shares of change, memory of ``rest``, its weight, share of a transform that is a block,
        share of the prior that may appear unseen.
    num_taps : int
        Of each path.
    ahead : int
        Blocks that the output lies behind.
    explained : (block_length,)
        Written: what is expected of the primary ``ahead`` blocks ago.
    sides, places, turns, twist, work
        Of the :class:`~anc_core.dsp.real_fft.Plan`.
    """
    count, num_bins = int(numbers[COUNT]), rest.shape[1]
    newest = count % len(spectra)
    spectrum = np.empty((2, num_bins), rest.dtype)
    signal = np.empty((2, num_bins - 1), rest.dtype)
    num_pairs = len(block) // 2
    first = num_bins - 1 - num_pairs
    # Parseval, but for the factors of the lowest and the highest bin: a level is all it gives.
    power = _hear(heard, start, spectra[newest], signal, sides, places, turns, twist, work)
    numbers[RATIO_IN] += power / (2 * first)
    numbers[RATIO_OUT] += _energy(block)
    _clear(explained)
    numbers[COUNT] += 1.0
    if not (numbers[RATIO_IN] > 0.0 and numbers[RATIO_OUT] > 0.0):
        return
    ratio = min(numbers[RATIO_OUT] / numbers[RATIO_IN], _MAX_RATIO)
    if not numbers[STARTED]:
        numbers[STARTED] = 1.0
        _begin(variances, prior, ratio)
    unseen = np.empty(len(prior), block.dtype)
    for p in range(len(prior)):
        unseen[p] = block.dtype.type(constants[_UNSEEN] * ratio * prior[p])
    powers = np.empty(2)
    if _adapt(
        spectra,
        newest,
        count,
        weights,
        variances,
        rest,
        block,
        num_taps,
        unseen,
        constants,
        powers,
        signal,
        spectrum,
        sides,
        places,
        turns,
        twist,
        work,
    ):
        _compare(weights, variances, rest, powers, numbers)
    else:
        _clear(weights.reshape(-1))
        _clear(rest.reshape(-1))
        numbers[POWER_FOREGROUND] = numbers[POWER_BACKGROUND] = numbers[STARTED] = 0.0
    if count < ahead:
        return
    _expect(spectra, (count - ahead) % len(spectra), weights[0], spectrum)
    backward(spectrum, signal, sides, places, turns, twist, work)
    pairs = explained.reshape(num_pairs, 2)
    for n in range(num_pairs):
        pairs[n, 0], pairs[n, 1] = signal[0, first + n], signal[1, first + n]
