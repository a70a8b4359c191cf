"""Identification of the secondary path while the controller works, with auxiliary noise.

White noise v that nobody else knows is added to what the loudspeakers are sent, and the estimate
ŝ adapts on it (Eriksson & Allie 1989). Three filters learn at the same time (Zhang, Lan & Ser
2001): the control filter w from the error *without* the noise's part, e - ŝ*v; the estimate and a
predictor h of the disturbance, both from one remainder,

    g(n) = e(n) - ŝ*y(n) - ŝ*v(n) - h*x(n).

What h foresees does not disturb ŝ, and since y through the estimate is taken away too, h does not
have to follow the control filter. v is independent of x, so whatever h still gets wrong makes ŝ
slower, never wrong.

The step of ŝ is that of a Kalman filter with one variance for all taps (Paleologu, Ciochină &
Benesty's jointly optimised NLMS): P, how far a tap is believed to be off, and r = E[g²] give

    ŝ += P·g·v / (P·|v|² + r),    P *= 1 - P·|v|² / (L·(P·|v|² + r)).

It begins at one half, falls as 1/n and is never a matter of taste; and P says how good the estimate
is, which steers everything else: the level of the noise, and whether the controller may work (see
:mod:`anc_core.dsp.identification_phases`). Chosen over the step of Akhtar, Abe & Kawamata (2006),
which takes a ratio of powers for the misalignment, and thus needs a controller that already
cancels: with a wrong estimate it is mute. Chosen over the delay coefficients of Carini & Malatini
(2008), whose schedule of the noise this is, because those go blind when the path changes.

References
----------
L. J. Eriksson & M. C. Allie, Use of random noise for on-line transducer modeling in an adaptive
active attenuation system, J. Acoust. Soc. Am. 85 (1989) 797.
M. Zhang, H. Lan & W. Ser, Cross-updated active noise control system with online secondary path
modeling, IEEE Trans. Speech Audio Process. 9 (2001) 598; A robust online secondary path modeling
method with auxiliary noise power scheduling strategy, ibid. 11 (2003) 45.
M. T. Akhtar, M. Abe & M. Kawamata, A new variable step size LMS algorithm-based method for improved
online secondary path modeling, IEEE Trans. Audio Speech Lang. Process. 14 (2006) 720.
A. Carini & S. Malatini, Optimal variable step-size NLMS algorithms with auxiliary noise power
scheduling for feedforward active noise control, ibid. 16 (2008) 1383.
S. Ciochină, C. Paleologu & J. Benesty, An optimized NLMS algorithm for system identification,
Signal Process. 118 (2016) 115.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
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
from anc_core.dsp.identify import misalignment_db
from anc_core.dsp.online_identification_kernel import identify_block
from anc_core.dsp.paths import check_num_taps
from anc_core.errors import InputError

Array = NDArray[Any]

LEAST_LEAKAGE = 1e-6
"""Of the control filter. In the notches of the path the phase of an estimate is anything, and what
is learnt there in the wrong direction has to be forgotten; costs 0.1 dB."""

_LEVEL_TIME_S = 0.05
_RECENT_TIME_S = 0.01
_REMAINDER_TIME_S = 0.02
_PATIENCE_S = 4.0
_USUAL_RISE_S, _USUAL_FALL_S = 0.4, 4.0
"""In which the usual residual may grow or fall e-fold."""
_TRACE_EVERY_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineIdentification:
    """How the secondary path is identified while the controller works.

    Attributes
    ----------
    loud_db : float, default -3
        Auxiliary noise at the error microphones over the residual there while the path is not
        known, dB, -40 to 10. More is found sooner.
    floor_db : float, default -25
        The same once it is known, -80 dB to ``loud_db``: it costs 10·log10(1 + 10^(floor/10)) dB of
        attenuation, 0.014 dB at -25. With less, a change of the path is noticed later.
    num_taps : int, optional
        Of the estimate, 1 to 65 536; by default as many as the estimate given at the start has, or
        the path.
    """

    loud_db: float = -3.0
    floor_db: float = -25.0
    num_taps: int | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not -40.0 <= self.loud_db <= 10.0:
            raise InputError(f"loud_db is {self.loud_db}; it must be from -40 to 10 dB")
        if not -80.0 <= self.floor_db <= self.loud_db:
            msg = f"floor_db is {self.floor_db}; it must be from -80 dB to loud_db, {self.loud_db}"
            raise InputError(msg)
        if self.num_taps is not None:
            check_num_taps(self.num_taps)


def chosen_identification(
    choice: OnlineIdentification | bool | None,
) -> OnlineIdentification | None:
    """Return the settings that ``choice`` stands for: True for the defaults, False for none."""
    if isinstance(choice, bool):
        return OnlineIdentification() if choice else None
    return choice


@dataclass(frozen=True, slots=True)
class IdentificationPoint:
    """Where the identification stood at one moment.

    Attributes
    ----------
    time_s : float
    misalignment_db : float or None
        Energy of the estimate's error over that of the true path; None = no error at all.
    auxiliary_db : float or None
        Power of the auxiliary noise at the error microphones, through the true path, over the
        residual's; None while there is none.
    """

    time_s: float
    misalignment_db: float | None
    auxiliary_db: float | None


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
