"""The least-mean-squares family: NLMS, LMS, sign-error, variable step, proportionate; all leaky."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from anc_core.dsp.adaptive_lms_kernel import NUM_MEMORIES, LmsRule, lms_block
from anc_core.dsp.adaptive_stream import SampleFilter

Array = NDArray[Any]

DEFAULT_STEP = {
    LmsRule.NORMALISED: 0.1,
    LmsRule.PLAIN: 0.1,
    LmsRule.SIGN: 0.05,
    LmsRule.VARIABLE: 0.5,
    LmsRule.PROPORTIONATE: 0.1,
    LmsRule.BLOCK: 0.3,
}
"""Of what is no noise, a voice above all, a step s adds s / (2 - s) to the output as noise: 13 dB
below it at 0.1. The variable step is the largest one."""

_PROPORTION = -0.5
"""Between NLMS, -1, and fully proportionate, 1; Benesty & Gay choose -0.5 or 0."""

_LEVEL_S = 0.05


class LmsFilter(SampleFilter):
    """Cancel in one primary channel what J references explain, by least mean squares.

    Parameters
    ----------
    sample_rate, num_references, num_taps, leakage, regularization, guarded, dtype
        See :class:`~anc_core.dsp.adaptive_stream.SampleFilter`.
    rule : LmsRule, default NORMALISED
    step_size : float, optional
        Above 0 and below 2; by default what suits the rule.

    Raises
    ------
    InputError
        If a parameter is out of its range.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(1, 4_000)).astype(np.float32)
    >>> one = LmsFilter(8_000, num_taps=4, step_size=0.5)
    >>> _ = one.process(x, np.float32(0.8) * np.roll(x[0], 2))
    >>> bool(np.allclose(one.taps, [[0, 0, 0.8, 0]], atol=0.01))
    True
    """

    def __init__(
        self,
        sample_rate: float,
        num_references: int = 1,
        *,
        num_taps: int,
        rule: LmsRule = LmsRule.NORMALISED,
        step_size: float | None = None,
        leakage: float = 0.0,
        regularization: float = 1e-3,
        guarded: bool = True,
        dtype: DTypeLike = "float32",
    ) -> None:
        self.rule = LmsRule(rule)
        super().__init__(
            sample_rate,
            num_references,
            num_taps=num_taps,
            step_size=DEFAULT_STEP[self.rule] if step_size is None else step_size,
            leakage=leakage,
            regularization=regularization,
            guarded=guarded,
            dtype=dtype,
        )
        self._kernel = lms_block(self.dtype)

    def _run(self, heard: Array, primary: Array, broken: Array, output: Array) -> None:
        state = self._state
        self._kernel(
            heard,
            primary,
            broken,
            output,
            state["weights"],
            state["saved"],
            state["memory"],
            state["numbers"],
            state["events"],
            self._limits,
            self._parameters,
            state["learnt"],
            int(self.rule),
            self.guarded,
        )

    def _more_parameters(self) -> tuple[float, ...]:
        return (_PROPORTION, 1.0 - math.exp(-1.0 / (_LEVEL_S * self.sample_rate)))

    def _learnt(self) -> dict[str, Array]:
        return {"memory": np.zeros(NUM_MEMORIES)}

    def _signals(self) -> dict[str, Array]:
        return super()._signals() | {"learnt": self._zeros(0)}
