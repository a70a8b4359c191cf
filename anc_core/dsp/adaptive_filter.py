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

SHORT_S = 0.064
"""The same for those that work sample by sample: they learn the slower, the longer they are."""

RLS_WEIGHTS = 64
"""Weights of a recursive least-squares filter of which no length is asked, all references
together."""

_MAX_NUM_TAPS = 65_536


def _kalman(sample_rate: float, num_references: int, options: dict[str, Any]) -> AdaptiveFilter:
    from anc_core.dsp.adaptive_kalman import KalmanFilter

    num_taps = _length(options, _samples(DEFAULT_S, sample_rate))
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


def _lms(rule: str) -> Callable[[float, int, dict[str, Any]], AdaptiveFilter]:
    def build(sample_rate: float, num_references: int, options: dict[str, Any]) -> AdaptiveFilter:
        from anc_core.dsp.adaptive_lms import LmsFilter
        from anc_core.dsp.adaptive_lms_kernel import LmsRule

        num_taps = _length(options, _samples(SHORT_S, sample_rate))
        options = options | {"num_taps": num_taps, "rule": LmsRule[rule]}
        return LmsFilter(sample_rate, num_references, **options)

    return build


def _block(sample_rate: float, num_references: int, options: dict[str, Any]) -> AdaptiveFilter:
    from anc_core.dsp.adaptive_block_lms import BlockLmsFilter

    num_taps = _length(options, _samples(SHORT_S, sample_rate))
    return BlockLmsFilter(sample_rate, num_references, **_given(options, num_taps))


def _projection(sample_rate: float, num_references: int, options: dict[str, Any]) -> AdaptiveFilter:
    from anc_core.dsp.adaptive_projection import ProjectionFilter

    num_taps = _length(options, _samples(SHORT_S, sample_rate))
    return ProjectionFilter(sample_rate, num_references, **_given(options, num_taps))


def _rls(sample_rate: float, num_references: int, options: dict[str, Any]) -> AdaptiveFilter:
    from anc_core.dsp.adaptive_rls import RlsFilter

    num_taps = _length(options, max(1, RLS_WEIGHTS // num_references))
    return RlsFilter(sample_rate, num_references, **_given(options, num_taps))


def _length(options: dict[str, Any], default: int) -> int:
    """Return the number of taps; 0 is no default but an error that the filter names."""
    return default if options["num_taps"] is None else options["num_taps"]


def _samples(seconds: float, sample_rate: float) -> int:
    return min(max(1, round(seconds * sample_rate)), _MAX_NUM_TAPS)


def _given(options: dict[str, Any], num_taps: int) -> dict[str, Any]:
    """Return the options with this length, and without a step size where none was chosen."""
    options = options | {"num_taps": num_taps}
    return {name: value for name, value in options.items() if value is not None}


_BUILDERS: dict[str, Callable[[float, int, dict[str, Any]], AdaptiveFilter]] = {
    "kalman": _kalman,
    "nlms": _lms("NORMALISED"),
    "lms": _lms("PLAIN"),
    "selms": _lms("SIGN"),
    "vss": _lms("VARIABLE"),
    "ipnlms": _lms("PROPORTIONATE"),
    "pbnlms": _block,
    "apa": _projection,
    "rls": _rls,
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
