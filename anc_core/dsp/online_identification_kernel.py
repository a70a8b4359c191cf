"""Kernel of the online identification: the estimate and the filter that clears its way, learning.

See :mod:`anc_core.dsp.online_identification` for what is computed and why.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anc_core.dsp.adaptive_guard import BLOCK, CLIP, COUNT, FALL, RISE, clipped, usual_power
from anc_core.dsp.auxiliary_schedule import (
    BLOCK_ANSWER,
    BLOCK_HEARD,
    BLOCK_PRODUCT,
    BLOCK_RESIDUAL,
    MAGNITUDE,
    MEAN_HEARD,
    MEAN_LEVEL,
    PREDICTOR_AGE,
    REFERENCE,
    REMAINDER,
    REMAINDER_RATE,
    USUAL_REFERENCE,
    VARIANCE,
    measure,
)
from anc_core.dsp.identification_phases import schedule
from anc_core.dsp.jit import jit_by_dtype, part_of_kernel

Array = NDArray[Any]

_FIRST_STEP, _LEAST_STEP = 0.2, 0.05
"""Of the predictor. Falls as 1/n: with a lasting large step and a reference of few frequencies the
filter follows whatever is heard at these, the answer to the noise as well, and hides it."""

_PREDICTOR_REGULARIZATION = 1e-3

_LARGEST_ANSWER = 4.0
"""The foreseen answer to the noise may not have more than so many times the power of all that is
heard; an estimate that foresees more is scaled down."""


@part_of_kernel
def _dot(a: Array, row: int, b: Array, line: int, first: int) -> Any:  # noqa: ANN401
    w = a[row]
    x = b[line, first : first + a.shape[1]]
    total = a.dtype.type(0.0)
    for i in range(a.shape[1]):
        total += w[i] * x[i]
    return total


@part_of_kernel
def _power(a: Array, row: int, first: int, count: int) -> Any:  # noqa: ANN401
    x = a[row, first : first + count]
    total = a.dtype.type(0.0)
    for i in range(count):
        total += x[i] * x[i]
    return total


@part_of_kernel
def _update(weights: Array, row: int, factor: Any, signal: Array, line: int, first: int) -> None:  # noqa: ANN401
    w = weights[row]
    x = signal[line, first : first + weights.shape[1]]
    for i in range(weights.shape[1]):
        w[i] += factor * x[i]


@part_of_kernel
def _energy(weights: Array) -> float:
    total = 0.0
    for row in range(weights.shape[0]):
        total += float(_power(weights, row, 0, weights.shape[1]))
    return total


@part_of_kernel
def _bounded_energy(working: Array, predictor: Array, numbers: Array) -> float:
    """Return the estimate's energy, after it was brought back within what is possible."""
    energy = _energy(working)
    if not math.isfinite(energy):
        working[:] = working.dtype.type(0.0)
        predictor[:] = working.dtype.type(0.0)
        return 0.0
    largest = _LARGEST_ANSWER * numbers[MEAN_HEARD]
    if energy * numbers[MEAN_LEVEL] > largest > 0.0:
        working *= working.dtype.type(math.sqrt(largest / (energy * numbers[MEAN_LEVEL])))
        energy = _energy(working)
    return energy


@jit_by_dtype(
    "void(real[:, ::1], float64[:, ::1], real[:, ::1], real[:, ::1], real[:, ::1], real[:, ::1],"
    " float64[:, ::1], float64[::1], float64[::1], real[:, ::1], real[:, ::1], real[:, ::1],"
    " real[::1], float64[::1], float64[:, ::1], float64[::1], int64, int64, int64)",
    uses=(usual_power, measure, schedule),
)
def identify_block(  # noqa: PLR0915 - one straight recipe, sample by sample
    references: Array,
    probes: Array,
    auxiliary: Array,
    working: Array,
    estimate: Array,
    predictor: Array,
    microphones: Array,
    numbers: Array,
    limits: Array,
    weights: Array,
    averaged: Array,
    saved: Array,
    updates: Array,
    guard: Array,
    events: Array,
    guard_limits: Array,
    num_references: int,
    begin: int,
    end: int,
) -> None:
    """Run over samples of one chunk that the controller has just run over.

    Parameters
    ----------
    references : (., H + n)
        What the controller learnt from; the first ``num_references`` rows count.
    probes : (2·M, n)
        What the microphones heard; that less the controller's own anti-noise.
    auxiliary : (K, H + n)
    working, estimate : (M·K, .)
        The estimate as learnt so far, and as the controller has it: a copy from the end of the
        last block of 32 samples. Last tap first.
    predictor : (M·J, .)
        Foresees from the references what is not the loudspeakers'. Last tap first.
    microphones, numbers, limits
        See :mod:`anc_core.dsp.auxiliary_schedule`.
    weights, averaged, saved, updates, guard, events, guard_limits
        Of the controller; weights are zeroed when the estimate has to begin anew.
    begin, end : int
        ``end`` lies in the block of ``begin`` or at its end.
    """
    num_mics = microphones.shape[0]
    num_sources = auxiliary.shape[0]
    num_samples = probes.shape[1]
    num_estimate = working.shape[1]
    num_predictor = predictor.shape[1]
    num_weights = num_sources * num_estimate
    zero = working.dtype.type(0.0)
    rate = limits[REMAINDER_RATE]
    predictor_step = max(1.0 / (1.0 / _FIRST_STEP + numbers[PREDICTOR_AGE]), _LEAST_STEP)
    for n in range(begin, end):
        first_noise = auxiliary.shape[1] - num_samples + n - num_estimate + 1
        first_heard = references.shape[1] - num_samples + n - num_predictor + 1
        played = 0.0
        for k in range(num_sources):
            played += float(_power(auxiliary, k, first_noise, num_estimate))
        present = 0.0
        for j in range(num_references):
            present += float(_power(references, j, first_heard, num_predictor))
        usual = usual_power(
            numbers[USUAL_REFERENCE], present, guard_limits[RISE], guard_limits[FALL]
        )
        numbers[REFERENCE], numbers[USUAL_REFERENCE] = present, usual
        for m in range(num_mics):
            acc = zero
            for k in range(num_sources):
                acc += _dot(working, m * num_sources + k, auxiliary, k, first_noise)
            answer = float(acc)
            acc = zero
            for j in range(num_references):
                acc += _dot(predictor, m * num_references + j, references, j, first_heard)
            remainder = probes[num_mics + m, n] - answer - float(acc)
            mean = microphones[m, MAGNITUDE]
            remainder = clipped(remainder, mean, CLIP)
            microphones[m, MAGNITUDE] = mean + rate * (abs(remainder) - mean)
            microphones[m, REMAINDER] += rate * (remainder**2 - microphones[m, REMAINDER])
            numbers[BLOCK_RESIDUAL] += (probes[m, n] - answer) ** 2
            numbers[BLOCK_HEARD] += probes[m, n] ** 2
            numbers[BLOCK_PRODUCT] += remainder * answer
            numbers[BLOCK_ANSWER] += answer**2

            own = microphones[m, VARIANCE] * played
            divisor = own + microphones[m, REMAINDER]
            if own > 0.0 and divisor > 0.0:
                step = own / divisor
                microphones[m, VARIANCE] *= 1.0 - step / num_weights
                factor = working.dtype.type(step * remainder / played)
                for k in range(num_sources):
                    _update(working, m * num_sources + k, factor, auxiliary, k, first_noise)
            divisor = present + _PREDICTOR_REGULARIZATION * usual
            if divisor > 0.0:
                factor = working.dtype.type(predictor_step * remainder / divisor)
                for j in range(num_references):
                    _update(predictor, m * num_references + j, factor, references, j, first_heard)
    if np.uint64(guard[COUNT]) % np.uint64(BLOCK) != 0:
        return
    energy = _bounded_energy(working, predictor, numbers)
    begins = schedule(
        numbers, microphones, energy, num_weights, limits, guard, events, guard_limits
    )
    estimate[:] = working
    if begins:
        weights[:] = zero
        averaged[:] = zero
        saved[:] = zero
        updates[:] = zero
