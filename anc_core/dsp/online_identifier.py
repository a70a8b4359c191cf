"""What identifies the secondary path of one controller: its arrays, its kernel, its course.

Apart from :mod:`anc_core.dsp.online_identification`, so that kernels are loaded by those who ask.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anc_core.dsp.adaptive_guard import BLOCK
from anc_core.dsp.auxiliary_schedule import (
    LEVEL,
    MEAN_RESIDUAL,
    NUM_MEMORIES,
    NUM_NUMBERS,
)
from anc_core.dsp.misalignment import misalignment_db
from anc_core.dsp.online_identification import IdentificationPoint, OnlineIdentification
from anc_core.dsp.online_identification_kernel import identify_block

Array = NDArray[Any]

_LEVEL_TIME_S = 0.05
_RECENT_TIME_S = 0.01
_REMAINDER_TIME_S = 0.02
_PATIENCE_S = 4.0
_USUAL_RISE_S, _USUAL_FALL_S = 0.4, 4.0
"""In which the usual residual may grow or fall e-fold."""
_TRACE_EVERY_S = 0.1


class OnlineIdentifier:
    """What identifies the path of one controller.

    Parameters
    ----------
    settings : OnlineIdentification
    sample_rate : float
        Hz.
    estimate : ndarray, shape (M·K, num_taps)
        Last tap first; what is believed at the start, 0 throughout = nothing.
    num_sources, num_references : int
        K; J, what the predictor can learn from.
    num_predictor_taps : int
    """

    def __init__(
        self,
        settings: OnlineIdentification,
        sample_rate: float,
        estimate: Array,
        *,
        num_sources: int,
        num_references: int,
        num_predictor_taps: int,
    ) -> None:
        self._sample_rate = sample_rate
        self._start = estimate
        self._num_sources, self._num_references = num_sources, num_references
        self._num_predictor_taps = num_predictor_taps
        self._kernel = identify_block(estimate.dtype)
        self._limits = np.array(
            [
                1.0 - math.exp(-BLOCK / (_LEVEL_TIME_S * sample_rate)),
                1.0 - math.exp(-BLOCK / (_RECENT_TIME_S * sample_rate)),
                1.0 - math.exp(-1.0 / (_REMAINDER_TIME_S * sample_rate)),
                10.0 ** (settings.loud_db / 10.0),
                10.0 ** (settings.floor_db / 10.0),
                _PATIENCE_S * sample_rate / BLOCK,
                math.exp(BLOCK / (_USUAL_RISE_S * sample_rate)),
                math.exp(-BLOCK / (_USUAL_FALL_S * sample_rate)),
                BLOCK / max(num_references * num_predictor_taps, 1),
            ]
        )
        self._trace_every = max(1, round(_TRACE_EVERY_S * sample_rate / BLOCK))
        self._trace: list[IdentificationPoint] = []

    def fresh_state(self, length: int) -> dict[str, Array]:
        """Return the arrays of a stream that begins, ``length`` samples of history."""
        dtype = self._start.dtype
        num_mics = len(self._start) // self._num_sources
        rows = num_mics * self._num_references
        return {
            "auxiliary": np.zeros((self._num_sources, length), dtype),
            "estimate": self._start.copy(),
            "identified": self._start.copy(),
            "predictor": np.zeros((rows, self._num_predictor_taps), dtype),
            "identification": np.zeros(NUM_NUMBERS),
            "identified_mics": np.zeros((num_mics, NUM_MEMORIES)),
        }

    def level(self, state: dict[str, Array]) -> float:
        """Return the RMS that the noise is sent to each loudspeaker with."""
        return float(state["identification"][LEVEL])

    def learn(
        self,
        state: dict[str, Array],
        references: Array,
        probes: Array,
        auxiliary: Array,
        guard_limits: Array,
        piece: tuple[int, int],
    ) -> None:
        """Learn from samples that the controller has just run over; ``state`` is changed.

        Parameters
        ----------
        state : dict
            The controller's, with :meth:`fresh_state`.
        references, probes, auxiliary, guard_limits
            See :func:`anc_core.dsp.online_identification_kernel.identify_block`.
        piece : (int, int)
            First sample of the chunk and the one after the last, within one block.
        """
        self._kernel(
            references,
            probes,
            auxiliary,
            state["identified"],
            state["estimate"],
            state["predictor"],
            state["identified_mics"],
            state["identification"],
            self._limits,
            state["weights"],
            state["averaged"],
            state["saved"],
            state["updates"],
            state["numbers"],
            state["events"],
            guard_limits,
            self._num_references,
            *piece,
        )

    def note(self, count: int, state: dict[str, Array], secondary: Array) -> None:
        """Keep a point of the trace if sample ``count`` is the end of one of its steps."""
        if count % (BLOCK * self._trace_every):
            return
        numbers = state["identification"]
        sounding = float(np.sum(np.square(secondary, dtype=np.float64))) * numbers[LEVEL] ** 2
        residual = numbers[MEAN_RESIDUAL]
        auxiliary_db = None
        if sounding > 0.0 and residual > 0.0:
            auxiliary_db = 10.0 * math.log10(sounding / residual)
        self._trace.append(
            IdentificationPoint(
                count / self._sample_rate,
                misalignment_db(
                    state["estimate"][np.newaxis, :, ::-1], secondary[np.newaxis, :, ::-1]
                )
                if secondary.any()
                else None,
                auxiliary_db,
            )
        )

    def drain_trace(self) -> tuple[IdentificationPoint, ...]:
        """Return a point for about each 0.1 s since the last call."""
        trace, self._trace = tuple(self._trace), []
        return trace
