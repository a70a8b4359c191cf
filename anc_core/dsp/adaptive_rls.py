"""Recursive least squares: the fastest learner for short filters, at a cost of taps squared."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from anc_core.dsp.adaptive_guard import (
    BLOCK,
    BLOCK_ERROR,
    CLIP_RATE,
    COUNT,
    FALL,
    GAIN,
    HOLD,
    NOTHING,
    RISE,
    SAVE,
    USUAL_POWER,
    ZERO,
    GuardEventKind,
    hold,
    log_event,
    usual_power,
)
from anc_core.dsp.adaptive_stream import SampleFilter
from anc_core.dsp.adaptive_watch import (
    BLOCK_PRIMARY,
    BROKEN_PRIMARY,
    CLIP_RISE,
    GATE,
    HURRY,
    MEAN_LEARNT,
    PEAK,
    PEAK_DECAY,
    clipped_error,
    is_heard,
    judged,
    let_out,
)
from anc_core.dsp.jit import jit_by_dtype, part_of_kernel
from anc_core.errors import InputError

Array = NDArray[Any]

MAX_WEIGHTS = 256

# Layout of the memory
GROWTH, NUM_HEARD, NUM_MEMORIES = range(3)
"""Factor of the matrix not yet applied, 0 = it has to begin anew; samples with a reference so far,
up to num_taps."""

# Layout of the rows of vectors
_PENDING, _HEARD, _GAIN_ROW, _NUM_ROWS = range(4)

_RESCUED = list(GuardEventKind).index(GuardEventKind.RESCUED)


class RlsFilter(SampleFilter):
    """Cancel in one primary channel what J references explain, by recursive least squares.

    Parameters
    ----------
    sample_rate, num_references, guarded, dtype
        See :class:`~anc_core.dsp.adaptive_stream.SampleFilter`; the matrix is float64 always.
    num_taps : int
        J·num_taps is at most 256.
    step_size : float, default 0.1
        Above 0 and below 2. A sample that is m samples old counts λ^m,
        λ = 1 / (1 + step_size / (J·num_taps)): of what is no noise, about as much is added to the
        output as by NLMS of this step.
    leakage : float, default 0.0
        0 to below 1: share of the weights that is forgotten with every sample learnt from.
    regularization : float, default 1e-3
        Above 0 to 10: share of the usual power of a reference below which a direction counts as not
        heard. It bounds the matrix, whatever is missing in the references.

    Raises
    ------
    InputError
        If a parameter is out of its range.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(1, 200))
    >>> one = RlsFilter(8_000, num_taps=4)
    >>> _ = one.process(x, np.append([0.0, 0.0], 0.8 * x[0, :-2]))
    >>> bool(np.allclose(one.taps, [[0, 0, 0.8, 0]], atol=0.01))
    True
    """

    def __init__(
        self,
        sample_rate: float,
        num_references: int = 1,
        *,
        num_taps: int,
        step_size: float = 0.1,
        leakage: float = 0.0,
        regularization: float = 1e-3,
        guarded: bool = True,
        dtype: DTypeLike = "float32",
    ) -> None:
        self._num_weights = int(num_references) * int(num_taps)
        if self._num_weights > MAX_WEIGHTS:
            msg = (
                f"num_taps is {num_taps} for {num_references} reference(s); RLS takes"
                f" {MAX_WEIGHTS} weights in all, use kalman or apa for more"
            )
            raise InputError(msg)
        if regularization == 0:
            raise InputError("regularization is 0; RLS needs some, 0.001 is usual")
        super().__init__(
            sample_rate,
            num_references,
            num_taps=num_taps,
            step_size=step_size,
            leakage=leakage,
            regularization=regularization,
            guarded=guarded,
            dtype=dtype,
        )
        self._kernel = rls_block(self.dtype)

    @property
    def forgetting(self) -> float:
        """λ: how much of the weight of a sample is left one sample later."""
        return 1.0 / (1.0 + float(self._parameters[0]) / self._num_weights)

    def _run(self, heard: Array, primary: Array, broken: Array, output: Array) -> None:
        state = self._state
        parameters = self._parameters.copy()
        parameters[0] = self.forgetting
        self._kernel(
            heard,
            primary,
            broken,
            output,
            state["weights"],
            state["saved"],
            state["matrix"],
            state["vectors"],
            state["memory"],
            state["numbers"],
            state["events"],
            self._limits,
            parameters,
            self.guarded,
        )

    def _learnt(self) -> dict[str, Array]:
        return {
            "matrix": np.zeros((self._num_weights, self._num_weights)),
            "vectors": np.zeros((_NUM_ROWS, self._num_weights)),
            "memory": np.zeros(NUM_MEMORIES),
        }


@part_of_kernel
def _estimate(weights: Array, x: Array, first: int, heard: Array) -> Any:  # noqa: ANN401
    """Return estimate and power; write all references one behind the other into ``heard``."""
    num_taps = weights.shape[1]
    estimate = weights.dtype.type(0.0)
    power = weights.dtype.type(0.0)
    for j in range(weights.shape[0]):
        w = weights[j]
        now = x[j, first : first + num_taps]
        line = heard[j * num_taps : (j + 1) * num_taps]
        for k in range(num_taps):
            estimate += w[k] * now[k]
            power += now[k] * now[k]
            line[k] = now[k]
    return estimate, power


@part_of_kernel
def _advance(
    matrix: Array, pending: Array, growth: float, heard: Array, gains: Array
) -> tuple[float, float, float]:
    """Bring the matrix up to date and multiply it by ``heard``, in one pass over memory.

    Returns
    -------
    energy, trace, least
        heard·matrix·heard, sum and smallest element of the diagonal.
    """
    size = matrix.shape[0]
    energy = trace = 0.0
    least = math.inf
    for i in range(size):
        row = matrix[i]
        own = pending[i]
        total = 0.0
        for k in range(size):
            # Symmetric to the last bit, since the product is.
            value = growth * (row[k] - own * pending[k])
            row[k] = value
            total += value * heard[k]
        gains[i] = total
        energy += total * heard[i]
        trace += row[i]
        least = min(least, row[i])
    return energy, trace, least


@part_of_kernel
def _begin_anew(matrix: Array, pending: Array, value: float) -> None:
    for i in range(matrix.shape[0]):
        for k in range(matrix.shape[0]):
            matrix[i, k] = value if i == k else 0.0
        pending[i] = 0.0


@part_of_kernel
def _learn(weights: Array, keep: float, factor: float, gains: Array) -> None:
    num_taps = weights.shape[1]
    for j in range(weights.shape[0]):
        for k in range(num_taps):
            weights[j, k] = keep * weights[j, k] + factor * gains[j * num_taps + k]


@jit_by_dtype(
    "void(real[:, ::1], real[::1], uint8[::1], real[::1], real[:, ::1], real[:, ::1],"
    " float64[:, ::1], float64[:, ::1], float64[::1], float64[::1], float64[:, ::1], float64[::1],"
    " float64[::1], boolean)"
)
def rls_block(  # noqa: PLR0912, PLR0915 - one straight recipe, sample by sample
    references: Array,
    primary: Array,
    broken: Array,
    output: Array,
    weights: Array,
    saved: Array,
    matrix: Array,
    vectors: Array,
    memory: Array,
    numbers: Array,
    events: Array,
    limits: Array,
    parameters: Array,
    guarded: bool,
) -> None:
    """Subtract from ``primary`` what ``references`` explain.

    Parameters
    ----------
    references, primary, broken, output, weights, saved, numbers, events, limits, guarded
        See :func:`anc_core.dsp.adaptive_lms_kernel.lms_block`.
    matrix : (N, N)
        P, the inverse of the matrix of correlations of the N weights; changed.
    vectors : (3, N)
        Update of the matrix not yet applied, and room for two vectors; changed.
    memory : (NUM_MEMORIES,)
        Changed.
    parameters : (3,)
        λ, regularization, leakage.

    Notes
    -----
    g = P·x / (λ + x·P·x);  w(n+1) = (1 - leakage)·w(n) + g·e(n);  P = (P - g·(P·x)ᵀ) / λ,
    without the division while the trace of P is N / (regularization·usual power of one weight):
    what the references have not contained for long would let P grow without end. The product is
    made symmetric by construction. P begins, once the filters are full of samples, as the inverse
    of the power of one weight; where rounding has made it indefinite it begins anew, and the
    weights stay.

    References
    ----------
    S. Haykin, Adaptive Filter Theory, 4th ed., 2002, Table 9.1 and Sec. 9.9.
    """
    size = matrix.shape[0]
    forgetting, regularization = parameters[0], parameters[1]
    keep = 1.0 - parameters[2]
    pending, heard, gains = vectors[_PENDING], vectors[_HEARD], vectors[_GAIN_ROW]
    for n in range(primary.shape[0]):
        # ---------------------------------------------------------------- estimate
        estimate_, power_ = _estimate(weights, references, n + 1, heard)
        estimate, power, wanted = float(estimate_), float(power_), float(primary[n])
        error = wanted - estimate
        usual = usual_power(numbers[USUAL_POWER], power, limits[RISE], limits[FALL])
        numbers[USUAL_POWER] = usual

        # ---------------------------------------------------------------- what goes out
        may_learn = power > 0.0
        if guarded:
            numbers[BLOCK_ERROR] += error * error
            numbers[BLOCK_PRIMARY] += wanted * wanted
            out, gain, peak = let_out(
                wanted, estimate, numbers[GAIN], numbers[GATE], numbers[PEAK], limits[PEAK_DECAY]
            )
            output[n] = out
            numbers[GAIN], numbers[PEAK] = gain, peak
            if broken[n]:
                hold(numbers, events, limits)
                output[n] = 0.0 if broken[n] >= BROKEN_PRIMARY else output[n]
            error, mean, hurry = clipped_error(
                error, numbers[MEAN_LEARNT], numbers[HURRY], limits[CLIP_RISE], limits[CLIP_RATE]
            )
            numbers[MEAN_LEARNT], numbers[HURRY] = mean, hurry
            may_learn = is_heard(power, usual)
            if numbers[HOLD] > 0.0:
                numbers[HOLD] -= 1.0
                may_learn = False
        else:
            output[n] = error

        # ---------------------------------------------------------------- what is learnt from it
        if may_learn and memory[NUM_HEARD] < weights.shape[1]:
            # A few samples fit anything, and the first may be as small as chance wants them.
            memory[NUM_HEARD] += 1.0
        elif may_learn:
            most = size / (regularization * max(power, usual))
            if memory[GROWTH] == 0.0:
                _begin_anew(matrix, pending, size / max(power, usual))
                memory[GROWTH] = 1.0
            energy, trace, least = _advance(matrix, pending, memory[GROWTH], heard, gains)
            divisor = forgetting + energy
            # Written so that NaN is a case for rescue.
            if not (energy >= 0.0 and least > 0.0 and trace < math.inf):
                log_event(numbers, events, _RESCUED, math.nan)
                memory[GROWTH] = 0.0
            else:
                _learn(weights, keep, error / divisor, gains)
                scale = 1.0 / math.sqrt(divisor)
                for i in range(size):
                    pending[i] = scale * gains[i]
                memory[GROWTH] = 1.0 / forgetting if trace < size * most else 1.0

        # ---------------------------------------------------------------- guards
        numbers[COUNT] += 1.0
        if not guarded or np.int64(numbers[COUNT]) % BLOCK:
            continue
        action = judged(numbers, events, limits)
        if action == SAVE:
            saved[:] = weights
        elif action != NOTHING:
            if action == ZERO:
                saved[:] = 0.0
            weights[:] = saved
            memory[GROWTH] = 0.0
