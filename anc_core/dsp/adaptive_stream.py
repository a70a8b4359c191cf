"""What the sample-by-sample filters share: a stream of samples around a kernel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from anc_core.arrays import check_sample_rate
from anc_core.dsp.adaptive_guard import (
    HAS_SAVED,
    NUM_TRIPS,
    USUAL_POWER,
    GuardEvent,
    GuardMemory,
)
from anc_core.dsp.adaptive_watch import repair, watch_limits, watch_numbers
from anc_core.dsp.jit import check_dtype
from anc_core.dsp.paths import check_num_taps
from anc_core.errors import InputError

Array = NDArray[Any]

_KEPT_BY_REWIND = (HAS_SAVED, USUAL_POWER)


class WatchedStream:
    """What is remembered between two chunks: arrays by name, some of them the guards'."""

    sample_rate: float
    _state: dict[str, Array]

    @property
    def num_trips(self) -> int:
        """How often the divergence detector put the weights back."""
        return int(self._state["numbers"][NUM_TRIPS])

    def drain_events(self) -> tuple[GuardEvent, ...]:
        """Return what the guards did since the last call."""
        memory = GuardMemory(self._state["numbers"], self._state["events"])
        return memory.drain(self.sample_rate)

    def state(self) -> dict[str, Array]:
        """Return a copy of all that shapes the output from here on."""
        return {name: array.copy() for name, array in self._state.items()}

    def load(self, state: Mapping[str, Array]) -> None:
        """Go on from where :meth:`state` was taken, in a filter of the same parameters.

        Raises
        ------
        InputError
            If an array is missing, or its shape or type is another.
        """
        for name, own in self._state.items():
            given = state.get(name)
            if given is None or given.dtype != own.dtype or given.shape != own.shape:
                found = "missing" if given is None else f"{given.dtype} {given.shape}"
                msg = f"state {name!r} is {found}; it must be {own.dtype} {own.shape}"
                raise InputError(msg)
        self._state = {name: state[name].copy() for name in self._state}

    def _no_events(self) -> Array:
        return np.zeros_like(GuardMemory.start(self.sample_rate).events)


class SampleFilter(WatchedStream):
    """Cancel in one primary channel what J references explain, without delay.

    Parameters
    ----------
    sample_rate : float
        Hz, 1 000 to 768 000.
    num_references : int
        J.
    num_taps : int
        Of each of the J filters, 1 to 65 536.
    step_size : float
        Above 0 and below 2.
    leakage : float, default 0.0
        0 to below 1: share of the weights that is forgotten with every sample learnt from.
    regularization : float
        0 to 10: share of the usual power of the references that is added to the present one.
    guarded : bool, default True
        The guards of :mod:`anc_core.dsp.adaptive_watch`; without them the bare formula.
    dtype : {"float32", "float64"}

    Raises
    ------
    InputError
        If a parameter is out of its range.
    """

    latency = 0
    """Delay of the output in samples."""

    _history = 0
    """Samples of the references that are kept beside the ``num_taps`` before a chunk."""

    def __init__(
        self,
        sample_rate: float,
        num_references: int = 1,
        *,
        num_taps: int,
        step_size: float,
        leakage: float = 0.0,
        regularization: float = 1e-3,
        guarded: bool = True,
        dtype: DTypeLike = "float32",
    ) -> None:
        if num_references < 1:
            raise InputError(f"num_references is {num_references}; it must be at least 1")
        if not 0 < step_size < 2:
            raise InputError(f"step_size is {step_size}; it must be above 0 and below 2")
        if not 0 <= leakage < 1:
            raise InputError(f"leakage is {leakage}; it must be at least 0 and below 1")
        if not 0 <= regularization <= 10:
            raise InputError(f"regularization is {regularization}; it must be from 0 to 10")
        self.sample_rate = check_sample_rate(sample_rate)
        self.num_references = int(num_references)
        self.num_taps = check_num_taps(num_taps)
        self.guarded = guarded
        self.dtype = check_dtype(dtype)
        self._parameters = np.array([step_size, regularization, leakage, *self._more_parameters()])
        self._limits = watch_limits(self.sample_rate, self.num_taps + self._history)
        self._repair = repair(self.dtype)
        self._state = {}
        self.reset()

    @property
    def taps(self) -> Array:
        """Impulse responses from the references to the primary, (J, num_taps), first tap first."""
        return self._state["weights"][:, ::-1].copy()

    def process(self, references: Array, primary: Array) -> Array:
        """Return the primary without what the references explain.

        Parameters
        ----------
        references : floating point, shape (J, n)
        primary : floating point, shape (n,)
            A filter with guards takes whatever comes; one without needs finite samples.

        Returns
        -------
        ndarray, shape (n,)
        """
        with np.errstate(over="ignore"):
            fresh = np.asarray(references, self.dtype)
            wanted = np.array(primary, self.dtype)
        if fresh.shape != (self.num_references, len(wanted)):
            msg = (
                f"references have shape {fresh.shape}; it must be"
                f" ({self.num_references}, {len(wanted)})"
            )
            raise InputError(msg)
        heard = np.concatenate([self._state["heard"], fresh], axis=1)
        broken = np.zeros(len(wanted), np.uint8)
        if self.guarded:
            self._repair(heard, self._state["heard"].shape[1], wanted, broken)
        output = np.empty_like(wanted)
        self._run(heard, wanted, broken, output)
        self._state["heard"] = heard[:, len(wanted) :].copy()
        return output

    def reset(self) -> None:
        """Forget everything heard and learnt so far."""
        self._state = {
            **self._signals(),
            "weights": self._zeros(self.num_references, self.num_taps),
            "saved": self._zeros(self.num_references, self.num_taps),
            "numbers": watch_numbers(),
            "events": self._no_events(),
            **self._learnt(),
        }

    def rewind(self) -> None:
        """Forget the signals and keep what was learnt: for another pass over the same sound."""
        numbers = watch_numbers()
        kept = list(_KEPT_BY_REWIND)
        numbers[kept] = self._state["numbers"][kept]
        self._state |= {**self._signals(), "numbers": numbers}

    # ------------------------------------------------------------------------ for the subclasses

    def _run(self, heard: Array, primary: Array, broken: Array, output: Array) -> None:
        """Run the kernel: ``heard`` holds the history before the chunk, then the chunk."""
        raise NotImplementedError

    def _more_parameters(self) -> tuple[float, ...]:
        """Return what the kernel needs beside step size, regularization and leakage."""
        return ()

    def _learnt(self) -> dict[str, Array]:
        """Return the arrays that outlive a rewind, beside the weights, as they begin."""
        return {}

    def _signals(self) -> dict[str, Array]:
        """Return the arrays that do not, as they begin."""
        return {"heard": self._zeros(self.num_references, self.num_taps + self._history)}

    def _zeros(self, *shape: int) -> Array:
        return np.zeros(shape, self.dtype)
