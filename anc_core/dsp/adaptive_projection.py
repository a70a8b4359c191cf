"""Affine projection: NLMS that looks at the last errors together, for coloured references.

NLMS moves the weights along one vector of samples; where neighbouring vectors resemble each other,
as with a reference that is louder in the bass, most of each step repeats the one before. Affine
projection of order K makes the errors of the last K samples vanish at once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from anc_core.dsp.adaptive_guard import (
    BLOCK,
    BLOCK_ERROR,
    CLIP,
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
    hold,
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

DEFAULT_ORDER = 4
_MAX_ORDER = 8

_LEAST_PIVOT = 1e-6
"""Of the power of the reference: below it, rounding of float32 sums decides."""

# Layout of the scratch rows
_ERRORS, _FACTORS, _WANTED, _NUM_ROWS = range(4)


class ProjectionFilter(SampleFilter):
    """Cancel in one primary channel what J references explain, by affine projection.

    Parameters
    ----------
    sample_rate, num_references, num_taps, step_size, leakage, guarded, dtype
        See :class:`~anc_core.dsp.adaptive_stream.SampleFilter`.
    order : int, default 4
        K, 2 to 8.
    regularization : float, default 0.01
        0 to 10: share of the usual power of the references added to the diagonal of the matrix.

    Raises
    ------
    InputError
        If a parameter is out of its range.

    Examples
    --------
    >>> x = np.cumsum(np.random.default_rng(0).normal(size=(1, 4_000)), axis=1)
    >>> one = ProjectionFilter(8_000, num_taps=4, step_size=0.5)
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
        order: int = DEFAULT_ORDER,
        step_size: float = 0.1,
        leakage: float = 0.0,
        regularization: float = 1e-2,
        guarded: bool = True,
        dtype: DTypeLike = "float32",
    ) -> None:
        if not 2 <= order <= _MAX_ORDER or order != int(order):
            msg = f"order is {order}; it must be a whole number from 2 to {_MAX_ORDER}"
            raise InputError(msg)
        self.order = int(order)
        self._history = self.order
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
        self._kernel = projection_block(self.dtype)
        self._scratch = np.zeros((self.order + _NUM_ROWS, self.order))

    def _run(self, heard: Array, primary: Array, broken: Array, output: Array) -> None:
        state = self._state
        self._kernel(
            heard,
            primary,
            broken,
            output,
            state["weights"],
            state["saved"],
            state["wanted"],
            state["gram"],
            self._scratch,
            state["numbers"],
            state["events"],
            self._limits,
            self._parameters,
            self.guarded,
        )

    def _signals(self) -> dict[str, Array]:
        return super()._signals() | {
            "wanted": np.zeros(self.order),
            "gram": np.zeros((self.order, self.order)),
        }


@part_of_kernel
def _products(weights: Array, x: Array, first: int, late: int) -> Any:  # noqa: ANN401
    """Return estimate of the sample ``late`` ago, and its reference times the newest one."""
    num_taps = weights.shape[1]
    estimate = weights.dtype.type(0.0)
    product = weights.dtype.type(0.0)
    for j in range(weights.shape[0]):
        w = weights[j]
        old = x[j, first - late : first - late + num_taps]
        now = x[j, first : first + num_taps]
        for k in range(num_taps):
            estimate += w[k] * old[k]
            product += now[k] * old[k]
    return estimate, product


@part_of_kernel
def _add(weights: Array, keep: Any, factor: Any, x: Array, first: int) -> None:  # noqa: ANN401
    num_taps = weights.shape[1]
    for j in range(weights.shape[0]):
        w = weights[j]
        old = x[j, first : first + num_taps]
        for k in range(num_taps):
            w[k] = keep * w[k] + factor * old[k]


@part_of_kernel
def _solve(gram: Array, loading: float, least: float, factor: Array, right: Array) -> bool:
    """Replace ``right`` by the solution of (gram + loading·I)·c = right, by Cholesky's method."""
    order = gram.shape[0]
    for i in range(order):
        for j in range(i + 1):
            total = gram[i, j] + (loading if i == j else 0.0)
            for k in range(j):
                total -= factor[i, k] * factor[j, k]
            if i > j:
                factor[i, j] = total / factor[j, j]
            elif total > least:
                factor[i, i] = math.sqrt(total)
            else:
                return False
    for i in range(order):
        for k in range(i):
            right[i] -= factor[i, k] * right[k]
        right[i] /= factor[i, i]
    for i in range(order - 1, -1, -1):
        for k in range(i + 1, order):
            right[i] -= factor[k, i] * right[k]
        right[i] /= factor[i, i]
    return True


@jit_by_dtype(
    "void(real[:, ::1], real[::1], uint8[::1], real[::1], real[:, ::1], real[:, ::1],"
    " float64[::1], float64[:, ::1], float64[:, ::1], float64[::1], float64[:, ::1], float64[::1],"
    " float64[::1], boolean)"
)
def projection_block(  # noqa: PLR0912, PLR0915 - one straight recipe, sample by sample
    references: Array,
    primary: Array,
    broken: Array,
    output: Array,
    weights: Array,
    saved: Array,
    wanted: Array,
    gram: Array,
    scratch: Array,
    numbers: Array,
    events: Array,
    limits: Array,
    parameters: Array,
    guarded: bool,
) -> None:
    """Subtract from ``primary`` what ``references`` explain.

    Parameters
    ----------
    references : (J, num_taps + K + n)
        The samples before this chunk, then the chunk.
    primary, broken, output, weights, saved, numbers, events, limits, guarded
        See :func:`anc_core.dsp.adaptive_lms_kernel.lms_block`.
    wanted : (K,)
        The last samples of the primary, newest first; changed.
    gram : (K, K)
        Products of the last K vectors of references; changed. Each is summed once, afresh.
    scratch : (K + 3, K)
    parameters : (3,)
        Step size, regularization, leakage.

    Notes
    -----
    e_k = d(n - k) - w(n)·x(n - k), k = 0 ... K - 1;  G_kl = x(n - k)·x(n - l);
    w(n+1) = (1 - leakage)·w(n) + step·Σ_k c_k·x(n - k),  (G + regularization·usual P·I)·c = e.

    References
    ----------
    K. Ozeki, T. Umeda, "An adaptive filtering algorithm using an orthogonal projection to an affine
    subspace and its properties", Electron. Commun. Japan 67-A (1984) 19.
    A. H. Sayed, Adaptive Filters, 2008, Eq. 13.4.
    """
    order = gram.shape[0]
    one = weights.dtype.type(1.0)
    step_size, regularization = parameters[0], parameters[1]
    leaky = weights.dtype.type(1.0 - parameters[2])
    factors = scratch[:order]
    errors = scratch[order]
    for n in range(primary.shape[0]):
        first = n + order + 1
        # ---------------------------------------------------------------- errors and products
        for k in range(order - 1, 0, -1):
            wanted[k] = wanted[k - 1]
            for i in range(order - 1, 0, -1):
                gram[k, i] = gram[k - 1, i - 1]
        wanted[0] = float(primary[n])
        for k in range(order):
            estimate_, product = _products(weights, references, first, k)
            errors[k] = wanted[k] - float(estimate_)
            gram[0, k] = gram[k, 0] = float(product)
        estimate, power = wanted[0] - errors[0], gram[0, 0]
        usual = usual_power(numbers[USUAL_POWER], power, limits[RISE], limits[FALL])
        numbers[USUAL_POWER] = usual

        # ---------------------------------------------------------------- what goes out
        may_learn = True
        if guarded:
            numbers[BLOCK_ERROR] += errors[0] * errors[0]
            numbers[BLOCK_PRIMARY] += wanted[0] * wanted[0]
            out, gain, peak = let_out(
                wanted[0],
                estimate,
                numbers[GAIN],
                numbers[GATE],
                numbers[PEAK],
                limits[PEAK_DECAY],
            )
            output[n] = out
            numbers[GAIN], numbers[PEAK] = gain, peak
            if broken[n]:
                hold(numbers, events, limits)
                output[n] = 0.0 if broken[n] >= BROKEN_PRIMARY else output[n]
            limit = CLIP * numbers[MEAN_LEARNT]
            errors[0], mean, hurry = clipped_error(
                errors[0],
                numbers[MEAN_LEARNT],
                numbers[HURRY],
                limits[CLIP_RISE],
                limits[CLIP_RATE],
            )
            numbers[MEAN_LEARNT], numbers[HURRY] = mean, hurry
            if limit > 0.0:
                for k in range(1, order):
                    errors[k] = min(max(errors[k], -limit), limit)
            may_learn = is_heard(power, usual)
            if numbers[HOLD] > 0.0:
                numbers[HOLD] -= 1.0
                may_learn = False
        else:
            output[n] = errors[0]

        # ---------------------------------------------------------------- what is learnt from it
        loading = regularization * usual
        if may_learn and _solve(gram, loading, _LEAST_PIVOT * power, factors, errors):
            keep = leaky
            for k in range(order):
                factor = weights.dtype.type(step_size * errors[k])
                _add(weights, keep, factor, references, first - k)
                keep = one

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
