"""One cell of a sweep: one setting on one recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anc_core.dsp.paths import with_mismatch
from anc_core.jobs.simulate_inputs import Acoustics, Noise
from anc_core.jobs.sweep_grid import SweepCell
from anc_core.jobs.sweep_records import Outcome, SweepRow, SweepSetup
from anc_core.processors.simulate import SELECTIVE
from anc_core.records import Status
from anc_core.simulation import simulate_anc

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from anc_core.metrics.anc_figures import AncFigures
    from anc_core.processors.simulate import AncSimulation

LOUDER_DB, DIVERGED_DB = -1.0, -20.0
"""Attenuation below which a cell counts as louder, or as diverged."""

_TRIPS = frozenset({"tripped", "cleared", "latched"})

_FIGURES = (
    *("disturbance_rms_dbfs", "steady_cancellation_db", "steady_a_weighted_db"),
    *("cancellation_db", "wiener_db", "wiener_gap_db", "worst_band_hz"),
    *("worst_band_amplification_db", "peak_amplification_db", "convergence_s"),
    *("time_to_10_db_s", "drive_rms_dbfs", "drive_peak_dbfs", "drive_saturated_share"),
    *("steady_third_octave_db", "null_reasons", "duration_s", "sample_rate"),
)


def simulate_cell(
    setup: SweepSetup, noise: Noise, cell: SweepCell, wiener_error: NDArray[np.float32] | None
) -> tuple[SweepRow, NDArray[np.float32] | None]:
    """Simulate one cell.

    Parameters
    ----------
    setup : SweepSetup
    noise : Noise
    cell : SweepCell
    wiener_error : ndarray, optional
        Of another cell with the same number of taps and delay.

    Returns
    -------
    row : SweepRow
        Without key and name.
    wiener_error : ndarray or None
        For the next cell.

    Raises
    ------
    InputError
        If these paths do not allow the setting.
    """
    acoustics, run = setup.acoustics, setup.grid.run
    result = simulate_anc(
        noise.samples,
        acoustics.sample_rate,
        acoustics.primary,
        acoustics.secondary,
        algorithm=cell.algorithm,
        num_taps=cell.num_taps,
        step_size=cell.step_size,
        secondary_path_estimate=believed_path(acoustics, cell),
        structure=run.structure,
        leakage=run.leakage,
        guard=run.guard,
        device=run.device(cell.io_delay),
        dtype=run.dtype,
        seed=run.seed,
        filter_bank=acoustics.filter_bank if cell.algorithm == SELECTIVE else None,
        online_identification=run.online_identification,
        wiener_error=wiener_error,
    )
    return _row(result, noise, cell), result.wiener_error


def believed_path(acoustics: Acoustics, cell: SweepCell) -> NDArray[np.float64] | None:
    """Return what the controller believes: the estimate of the files, made wrong by the cell."""
    if not any(cell.mismatch):
        return acoustics.estimate
    believed = acoustics.secondary if acoustics.estimate is None else acoustics.estimate
    return with_mismatch(
        believed,
        gain_db=cell.gain_db,
        delay_samples=cell.delay_samples,
        phase_deg=cell.phase_deg,
    )


def _row(result: AncSimulation, noise: Noise, cell: SweepCell) -> SweepRow:
    identified = result.identification
    trips = [event.time_s for event in result.events if event.kind.value in _TRIPS]
    return SweepRow(
        key="",
        recording="",
        status=Status.OK,
        cell=cell,
        outcome=outcome_of(result.figures, len(trips)),
        num_taps=result.num_taps,
        step_size=result.step_size,
        trips=len(trips),
        first_trip_s=trips[0] if trips else None,
        remarks=noise.remarks,
        misalignment_db=None if identified is None else identified.misalignment_db,
        auxiliary_db=None if identified is None else identified.auxiliary_db,
        **{name: getattr(result.figures, name) for name in _FIGURES},
    )


def outcome_of(figures: AncFigures, trips: int) -> Outcome:
    """Return in one word what became of a run.

    Parameters
    ----------
    figures : AncFigures
    trips : int
        How often the guards muted the output.
    """
    reached = figures.steady_cancellation_db
    if figures.non_finite_samples or (reached is not None and reached < DIVERGED_DB):
        return Outcome.DIVERGED
    if trips:
        return Outcome.TRIPPED
    if reached is None:
        return Outcome.UNMEASURED
    return Outcome.LOUDER if reached < LOUDER_DB else Outcome.OK
