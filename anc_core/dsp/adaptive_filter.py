"""What every adaptive canceller can do, and which there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from anc_core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from anc_core.dsp.adaptive_guard import GuardEvent


class AdaptiveFilter(Protocol):
    """Cancels in one primary channel what J references explain: e = d - w*x."""

    num_references: int
    num_taps: int

    @property
    def latency(self) -> int:
        """Delay of the output in samples."""

    @property
    def taps(self) -> NDArray[Any]:
        """The filters, (J, num_taps), first tap first."""

    def process(self, references: NDArray[Any], primary: NDArray[Any]) -> NDArray[Any]:
        """Take n samples of references (J, n) and primary (n,), return n, ``latency`` late."""

    def state(self) -> dict[str, NDArray[Any]]:
        """Return a copy of all that shapes the output from here on."""

    def load(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on from where :meth:`state` was taken; InputError if it is of another filter."""

    def rewind(self) -> None:
        """Forget the signals and keep what was learnt."""

    def reset(self) -> None:
        """Forget everything."""

    def drain_events(self) -> tuple[GuardEvent, ...]:
        """Return what the guards did since the last call."""


DEFAULT_S = 0.5
"""Length of a Kalman filter where none is asked for: what a lively room needs."""

_MAX_NUM_TAPS = 65_536


def _kalman(sample_rate: float, num_references: int, options: dict[str, Any]) -> AdaptiveFilter:
    from anc_core.dsp.adaptive_kalman import KalmanFilter

    num_taps = options["num_taps"]
    if num_taps is None:
        num_taps = min(round(DEFAULT_S * sample_rate), _MAX_NUM_TAPS)
    if options["leakage"]:
        msg = f"leakage is {options['leakage']}; the Kalman filter has none, leave it at 0"
        raise InputError(msg)
    return KalmanFilter(
        sample_rate,
        num_references,
        num_taps=num_taps,
        step_size=1.0 if options["step_size"] is None else options["step_size"],
        guarded=options["guarded"],
        dtype=options["dtype"],
    )


_BUILDERS: dict[str, Callable[[float, int, dict[str, Any]], AdaptiveFilter]] = {
    "kalman": _kalman,
}
ALGORITHMS = tuple(_BUILDERS)


def build_filter(
    algorithm: str,
    *,
    sample_rate: float,
    num_references: int,
    num_taps: int | None = None,
    step_size: float | None = None,
    leakage: float = 0.0,
    guarded: bool = True,
    dtype: DTypeLike = "float32",
) -> AdaptiveFilter:
    """Return a filter that has learnt nothing.

    Parameters
    ----------
    algorithm : str
        One of :data:`ALGORITHMS`.
    sample_rate : float
        Hz.
    num_references : int
        J.
    num_taps, step_size : optional
        By default what suits the algorithm.
    leakage, guarded, dtype
        See :class:`anc_core.processors.ReferenceCanceller`.

    Raises
    ------
    InputError
        If the algorithm is unknown or a number out of its range.
    """
    if algorithm not in _BUILDERS:
        msg = f"algorithm {algorithm!r} is unknown; choose one of {', '.join(ALGORITHMS)}"
        raise InputError(msg)
    options = {
        "num_taps": num_taps,
        "step_size": step_size,
        "leakage": leakage,
        "guarded": guarded,
        "dtype": dtype,
    }
    return _BUILDERS[algorithm](sample_rate, num_references, options)
