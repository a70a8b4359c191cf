"""What a controller with guards is to the outside, whatever it does inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anc_core.dsp.adaptive_guard import NUM_TRIPS, GuardEvent, GuardMemory
from anc_core.dsp.online_identification import IdentificationPoint
from anc_core.dsp.paths import as_matrix
from anc_core.errors import InputError

Array = NDArray[Any]

_HISTORIES = frozenset({"references", "driven", "commands", "auxiliary"})
"""Parts of the state that reach back as far as the longest path."""


class GuardedController:
    """Guards, state and secondary path of a controller.

    Attributes
    ----------
    sample_rate : float
        Hz.
    num_mics, num_sources : int
        M and K.

    Notes
    -----
    ``_state`` holds all that is remembered, among it the guards' ``numbers`` and ``events``.
    """

    sample_rate: float
    num_mics: int
    num_sources: int
    _dtype: np.dtype[Any]
    _secondary: Array
    _state: dict[str, Array]

    def set_secondary_path(self, secondary_path: ArrayLike) -> None:
        """Change what the loudspeakers' sound passes, in mid-stream; what is believed stays.

        Notes
        -----
        What left the loudspeakers longer ago than the longest path so far counts as silence.
        """
        path = as_matrix(secondary_path, "secondary_path")
        if path.shape[:2] != (self.num_mics, self.num_sources):
            msg = f"secondary_path has shape {path.shape}; microphones and loudspeakers must stay"
            raise InputError(msg)
        self._secondary = self._rows(path)
        missing = self._secondary.shape[1] - self._state["driven"].shape[1]
        if missing > 0:
            for name in _HISTORIES & set(self._state):
                self._state[name] = np.pad(self._state[name], ((0, 0), (missing, 0)))

    @property
    def is_identifying(self) -> bool:
        """Whether the estimate of the path is improved while the controller works."""
        return False

    def drain_trace(self) -> tuple[IdentificationPoint, ...]:
        """Return how the online identification went since the last call; empty without it."""
        return ()

    @property
    def num_trips(self) -> int:
        """How often the divergence detector stepped in."""
        return int(self._state["numbers"][NUM_TRIPS])

    def drain_events(self) -> tuple[GuardEvent, ...]:
        """Return what the guards did since the last call."""
        memory = GuardMemory(self._state["numbers"], self._state["events"])
        return memory.drain(self.sample_rate)

    def rearm(self) -> None:
        """Let a latched controller try again at once."""
        GuardMemory(self._state["numbers"], self._state["events"]).rearm()

    def state(self) -> dict[str, Array]:
        """Return copies of all that is remembered, and the present secondary path."""
        copies = {name: array.copy() for name, array in self._state.items()}
        return copies | {"secondary": self._secondary.copy()}

    def load(self, state: Mapping[str, Array]) -> None:
        """Go on from what :meth:`state` returned.

        Raises
        ------
        InputError
            If it belongs to a controller of other dimensions.
        """
        wanted = self.state()
        grows = _HISTORIES | {"secondary"}
        for name, array in wanted.items():
            given = state.get(name)
            fits = given is not None and (
                given.dtype == array.dtype
                and given.ndim == array.ndim
                and (given.shape == array.shape or name in grows)
            )
            if not fits:
                msg = f"state {name!r} does not fit a controller of these dimensions"
                raise InputError(msg)
        self._state = {name: np.array(state[name]) for name in self._state}
        self._secondary = np.array(state["secondary"])

    def _rows(self, path: Array) -> Array:
        return np.ascontiguousarray(path[..., ::-1].reshape(-1, path.shape[-1]), self._dtype)

    def _zeros(self, *shape: int) -> Array:
        return np.zeros(shape, self._dtype)

    def _channels(self, samples: Array, num_columns: int, num_samples: int) -> Array:
        """Return ``samples`` (num_samples, num_columns), a row for each channel."""
        columns = np.asarray(samples)
        if columns.shape != (num_samples, num_columns):
            msg = f"shape is {columns.shape}; it must be ({num_samples}, {num_columns})"
            raise InputError(msg)
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(columns.T, self._dtype)
