"""Least mean squares by blocks: a gradient for 4 ms, each frequency at its own pace."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from anc_core.arrays import check_sample_rate
from anc_core.dsp.adaptive_guard import COUNT
from anc_core.dsp.adaptive_lms import LmsFilter
from anc_core.dsp.adaptive_lms_kernel import LmsRule
from anc_core.dsp.block_gradient import BlockGradient
from anc_core.dsp.paths import check_num_taps

Array = NDArray[Any]


class BlockLmsFilter(LmsFilter):
    """Cancel in one primary channel what J references explain, by blocks of least mean squares.

    Parameters
    ----------
    sample_rate, num_references, num_taps, leakage, guarded, dtype
        See :class:`~anc_core.dsp.adaptive_stream.SampleFilter`.
    step_size : float, default 0.3
        Above 0 and below 2.
    regularization : float, default 0.03
        0 to 10: share of the usual power of a reference that is added to that at each frequency.

    Raises
    ------
    InputError
        If a parameter is out of its range.

    Notes
    -----
    e = d - w*x sample by sample, without delay; w rests during a block, see
    :class:`~anc_core.dsp.block_gradient.BlockGradient`.
    """

    def __init__(
        self,
        sample_rate: float,
        num_references: int = 1,
        *,
        num_taps: int,
        step_size: float | None = None,
        leakage: float = 0.0,
        regularization: float = 0.03,
        guarded: bool = True,
        dtype: DTypeLike = "float32",
    ) -> None:
        rate, length = check_sample_rate(sample_rate), check_num_taps(num_taps)
        self._blocks = BlockGradient(rate, 1, num_references, length, regularization, dtype)
        super().__init__(
            sample_rate,
            num_references,
            num_taps=num_taps,
            rule=LmsRule.BLOCK,
            step_size=step_size,
            leakage=leakage,
            regularization=regularization,
            guarded=guarded,
            dtype=dtype,
        )
        self._keep = self.dtype.type((1.0 - leakage) ** self._blocks.block_length)

    def _run(self, heard: Array, primary: Array, broken: Array, output: Array) -> None:
        state, length = self._state, self._blocks.block_length
        begin = 0
        while begin < len(primary):
            count = int(state["numbers"][COUNT])
            end = min(len(primary), begin + length - count % length)
            part = slice(begin, end)
            piece = np.ascontiguousarray(heard[:, begin : self.num_taps + end])
            super()._run(piece, primary[part], broken[part], output[part])
            self._blocks.take(state, piece[:, self.num_taps :])
            if (count + end - begin) % length == 0:
                change = self._blocks.change(state, state["learnt"][np.newaxis], count // length)
                state["weights"] *= self._keep
                state["weights"] += change
            begin = end

    def _learnt(self) -> dict[str, Array]:
        return super()._learnt() | self._blocks.start_powers()

    def _signals(self) -> dict[str, Array]:
        learnt = {"learnt": self._zeros(self._blocks.block_length)}
        return super()._signals() | learnt | self._blocks.start_signals()
