"""One call for one simulated ANC run: signals, figures and the physical limit beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.arrays import as_columns
from anc_core.dsp.finite import tame
from anc_core.errors import InputError
from anc_core.processors.simulate import AcousticSimulator, AncSimulation, SimulatedChunk

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from anc_core.dsp.adaptive_guard import GuardEvent
    from anc_core.dsp.filter_bank import FilterBank
    from anc_core.dsp.fxlms_controller import DeviceModel
    from anc_core.dsp.online_identification import IdentificationPoint, OnlineIdentification

AUTO = "auto"
_TRIAL_S = 5.0
_CANDIDATES: tuple[tuple[str, float | None], ...] = (
    ("fxnlms", 0.4),
    ("fxnlms", 0.1),
    ("pbfxlms", 0.3),
    ("pbfxlms", 0.6),
    ("fxnlms-plain", 0.03),
    ("fxnlms-plain", 0.1),
    ("fxlog", 0.03),
)
"""What ``auto`` tries: the default, one that follows more calmly, those that learn in blocks, those
of the books, and one for noise in impulses."""

_CHUNK_S = 4.0


def simulate_anc(
    noise: NDArray[Any],
    sample_rate: float,
    primary_path: ArrayLike,
    secondary_path: ArrayLike,
    *,
    algorithm: str = "fxnlms",
    num_taps: int | None = None,
    step_size: float | None = None,
    secondary_path_estimate: ArrayLike | None = None,
    structure: str = "feedforward",
    leakage: float = 0.0,
    guard: bool = True,
    device: DeviceModel | None = None,
    dtype: DTypeLike = "float32",
    seed: int = 0,
    filter_bank: FilterBank | None = None,
    online_identification: OnlineIdentification | bool | None = None,
    bound: bool = True,
    wiener_error: NDArray[Any] | None = None,
) -> AncSimulation:
    """Simulate acoustic active noise control of a recorded noise.

    Parameters
    ----------
    noise : floating point, shape (n,) or (n, J)
        What the J reference microphones pick up, full scale +-1. Non-finite samples count as 0.
    sample_rate : float
        Hz, 1 000 to 768 000; of noise and paths.
    primary_path, secondary_path, secondary_path_estimate : array_like
        Impulse responses, see :class:`~anc_core.processors.AcousticSimulator`.
    algorithm : str
        One of :data:`anc_core.processors.simulate.ALGORITHMS`, or ``auto``: tries several on the
        first 5 s and keeps what left the least in the second half of them.
    num_taps, step_size, structure, leakage, guard, device, dtype, seed, filter_bank,
    online_identification
        See :class:`~anc_core.processors.AcousticSimulator`.
    bound : bool, default True
        Compute the limit of every causal filter of this length as well.
    wiener_error : ndarray, optional
        The :attr:`AncSimulation.wiener_error` of an earlier run with the same noise, paths, number
        of taps and delay of the device, so that the limit is not computed again.

    Returns
    -------
    AncSimulation

    Raises
    ------
    InputError
        If a shape, a type or a parameter breaks its rule.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.normal(0, 0.1, 32_000).astype(np.float32)
    >>> result = simulate_anc(noise, 16_000, [0, 0, 0, 0.5], [0, 0.8], num_taps=16)
    >>> result.figures.steady_cancellation_db > 35
    True
    """
    columns = as_columns(noise)
    if not len(columns):
        raise InputError("noise is empty; give at least one sample")
    options: dict[str, Any] = {
        "structure": structure,
        "num_taps": num_taps,
        "secondary_path_estimate": secondary_path_estimate,
        "leakage": leakage,
        "guard": guard,
        "device": device,
        "dtype": dtype,
        "seed": seed,
        "filter_bank": filter_bank,
        "online_identification": online_identification,
    }
    if algorithm == AUTO:
        algorithm, step_size = _best_of(
            columns, sample_rate, primary_path, secondary_path, step_size, options
        )
    simulator = AcousticSimulator(
        sample_rate,
        primary_path,
        secondary_path,
        algorithm=algorithm,
        step_size=step_size,
        **options,
    )
    return run_simulation(
        simulator, columns, bound=bound, flat=np.ndim(noise) == 1, wiener_error=wiener_error
    )


def run_simulation(
    simulator: AcousticSimulator,
    noise: NDArray[Any],
    *,
    bound: bool = True,
    flat: bool = False,
    wiener_error: NDArray[Any] | None = None,
) -> AncSimulation:
    """Send all of ``noise`` (n, J) through a fresh simulator and measure.

    Parameters
    ----------
    simulator : AcousticSimulator
    noise : float32, shape (n, J)
    bound : bool
        Compute the causal Wiener bound; left out for feedback alone, which has none.
    flat : bool
        Return one-dimensional signals and taps where there is one of each.
    wiener_error : ndarray, optional
        See :func:`simulate_anc`.
    """
    from anc_core.metrics.anc_figures import anc_figures
    from anc_core.metrics.identification_figures import identification_figures

    step = max(1, round(_CHUNK_S * simulator.sample_rate))
    parts: list[SimulatedChunk] = []
    events: list[GuardEvent] = []
    trace: list[IdentificationPoint] = []
    for start in range(0, len(noise), step):
        parts.append(simulator.simulate(noise[start : start + step]))
        events.extend(simulator.controller.drain_events())
        trace.extend(simulator.controller.drain_trace())
    signals = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("disturbance", "error_signal", "anti_noise", "drive")
    }
    disturbance = signals["disturbance"]
    if not bound:
        wiener_error = None
    elif wiener_error is None:
        wiener_error = _best_residual(simulator, noise, disturbance)
    else:
        wiener_error = np.reshape(wiener_error, disturbance.shape)
    figures = anc_figures(
        disturbance,
        signals["error_signal"],
        simulator.sample_rate,
        anti_noise=signals["anti_noise"],
        drive=signals["drive"],
        saturation=simulator.device.saturation,
        wiener_error=wiener_error,
    )
    taps = simulator.taps
    is_single = flat and simulator.num_error_mics == 1 and taps.shape[:2] == (1, 1)
    return AncSimulation(
        **{name: one[:, 0] if is_single else one for name, one in signals.items()},
        taps=taps[0, 0] if is_single else taps,
        algorithm=simulator.algorithm,
        num_taps=simulator.parameters.num_taps,
        step_size=simulator.parameters.step,
        figures=figures,
        events=tuple(events),
        wiener_error=None
        if wiener_error is None
        else (wiener_error[:, 0] if is_single else wiener_error),
        identification=identification_figures(trace, events)
        if simulator.controller.is_identifying
        else None,
    )


def _best_residual(
    simulator: AcousticSimulator, noise: NDArray[Any], disturbance: NDArray[Any]
) -> NDArray[Any] | None:
    from anc_core.dsp.wiener import FilteredReference, wiener_filter, wiener_residual

    if simulator.structure == "feedback":
        return None
    source = FilteredReference(tame(noise).T, simulator.secondary_path)
    wanted = np.ascontiguousarray(disturbance.T)
    taps = wiener_filter(source, wanted, simulator.parameters.num_taps)
    return np.asarray(wiener_residual(source, wanted, taps).T)


def _best_of(
    noise: NDArray[Any],
    sample_rate: float,
    primary_path: ArrayLike,
    secondary_path: ArrayLike,
    step_size: float | None,
    options: dict[str, Any],
) -> tuple[str, float | None]:
    """Return the candidate that leaves the least energy in the second half of the trial."""
    trial = noise[: round(_TRIAL_S * sample_rate)]
    left = {}
    for algorithm, step in _CANDIDATES:
        candidate = (algorithm, step_size or step)
        simulator = AcousticSimulator(
            sample_rate,
            primary_path,
            secondary_path,
            algorithm=algorithm,
            step_size=candidate[1],
            **options,
        )
        error = simulator.process(trial)[len(trial) // 2 :]
        left[candidate] = float(np.sum(np.square(error, dtype=np.float64)))
    return min(left, key=left.__getitem__)
