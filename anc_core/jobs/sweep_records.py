"""What a sweep is asked for, how it is cut, and what it found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import Field

from anc_core.errors import ErrorCode
from anc_core.files import SourceIdentity
from anc_core.jobs.simulate_inputs import Acoustics
from anc_core.jobs.simulate_records import PathFiles
from anc_core.jobs.sweep_grid import SweepCell, SweepGrid
from anc_core.records import METRICS_VERSION, Record, Status
from anc_core.version import __version__


class Outcome(StrEnum):
    """What became of a simulated cell."""

    OK = "ok"
    TRIPPED = "tripped"
    """The guards had to step in."""
    LOUDER = "louder"
    """At the end more than 1 dB louder than without control."""
    DIVERGED = "diverged"
    """Not finite, or at the end more than 20 dB louder."""
    UNMEASURED = "unmeasured"
    """Nothing to cancel at the end of the recording: silence."""


class SweepRequest(Record):
    """What is to be swept."""

    folder: Path
    output_dir: Path
    grid: SweepGrid
    paths: PathFiles
    recursive: bool = True
    max_files: int | None = Field(default=None, ge=1)
    """Only so many recordings, drawn with a fixed seed."""


class SweepRecording(Record):
    """A recording of the folder."""

    path: Path
    name: str
    """Relative to the folder, printable."""
    digest: str
    identity: SourceIdentity
    duration_s: float
    """Of what will be simulated, by the header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSetup:
    """What every cell of a sweep needs; goes to the worker processes.

    Attributes
    ----------
    acoustics : Acoustics
    grid : SweepGrid
    rows_dir : Path
        Where finished rows are kept.
    base : str
        Digest of all that shapes a result, recording and cell apart.
    """

    acoustics: Acoustics
    grid: SweepGrid
    rows_dir: Path
    base: str


class SweepUnit(Record):
    """Cells that share a recording, a filter length and a delay, and so the limit."""

    recording: SweepRecording
    cells: tuple[SweepCell, ...]
    estimate_s: float
    """CPU seconds."""


class SweepRow(Record):
    """One cell on one recording, or why a recording could not be simulated at all."""

    key: str
    """Digest of recording, paths, settings and version; empty where that is not known."""
    recording: str
    status: Status
    error_code: ErrorCode | None = None
    reason: str | None = None
    cell: SweepCell | None = None
    """``None`` = the recording itself is at fault."""
    outcome: Outcome | None = None
    num_taps: int | None = None
    step_size: float | None = None
    """As used."""
    sample_rate: int | None = None
    duration_s: float | None = None
    disturbance_rms_dbfs: float | None = None
    steady_cancellation_db: float | None = None
    steady_a_weighted_db: float | None = None
    cancellation_db: float | None = None
    wiener_db: float | None = None
    wiener_gap_db: float | None = None
    worst_band_hz: float | None = None
    worst_band_amplification_db: float | None = None
    peak_amplification_db: float | None = None
    convergence_s: float | None = None
    time_to_10_db_s: float | None = None
    drive_rms_dbfs: float | None = None
    drive_peak_dbfs: float | None = None
    drive_saturated_share: float | None = None
    misalignment_db: float | None = None
    auxiliary_db: float | None = None
    """Of the online identification, see
    :class:`~anc_core.metrics.identification_figures.IdentificationFigures`."""
    trips: int = 0
    """How often the guards muted the output."""
    first_trip_s: float | None = None
    steady_third_octave_db: dict[str, float | None] = Field(default_factory=dict)
    null_reasons: dict[str, str] = Field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    cpu_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """What will be done, found out before any work.

    Attributes
    ----------
    request : SweepRequest
    setup : SweepSetup
    recordings : tuple of SweepRecording
    broken : tuple of SweepRow
        Recordings that cannot even be opened.
    cells : tuple of SweepCell
    units : tuple of SweepUnit
        What is not done yet.
    done : tuple of SweepRow
        What an earlier run finished.
    left_out : int
        Recordings beyond ``max_files``.
    """

    request: SweepRequest
    setup: SweepSetup
    recordings: tuple[SweepRecording, ...]
    broken: tuple[SweepRow, ...]
    cells: tuple[SweepCell, ...]
    units: tuple[SweepUnit, ...]
    done: tuple[SweepRow, ...]
    left_out: int = 0

    @property
    def planned(self) -> int:
        """Cells over all recordings that can be opened."""
        return len(self.recordings) * len(self.cells)

    @property
    def estimated_s(self) -> float:
        """CPU seconds of what is not done yet."""
        return sum(unit.estimate_s for unit in self.units)


class Score(Record):
    """One setting over all recordings it could be measured on."""

    cell: SweepCell
    num_taps: int | None = None
    step_size: float | None = None
    recordings: int = 0
    median_db: float | None = None
    """Of the attenuation at the end; what diverged counts as the least."""
    worst_db: float | None = None
    a_weighted_db: float | None = None
    bound_db: float | None = None
    gap_db: float | None = None
    worst_band_db: float | None = None
    """Largest amplification of a band on any recording."""
    convergence_s: float | None = None
    tripped: int = 0
    louder: int = 0
    diverged: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong on any recording."""
        return not (self.tripped or self.louder or self.diverged)


class AlgorithmSummary(Record):
    """One algorithm over the whole grid."""

    algorithm: str
    best: Score | None
    """Its best setting without mismatch and with the least delay."""
    cells: int
    tripped: int
    louder: int
    diverged: int
    failed: int
    cpu_s: float = 0.0


class RecordingBest(Record):
    """The best setting for one recording, without mismatch and with the least delay."""

    recording: str
    duration_s: float | None
    row: SweepRow | None
    reason: str | None = None
    """Why there is none."""


class SweepResult(Record):
    """What a sweep found; ``anc simulate --sweep --json`` and the flow return it."""

    folder: str
    created_at: datetime
    paths: PathFiles
    sample_rate: int
    grid: dict[str, Any]
    recordings: int
    failed_recordings: int
    left_out: int = 0
    planned: int
    """Cells over all recordings."""
    ok: int = 0
    failed: int = 0
    resumed: int = 0
    """Cells that an earlier run had finished."""
    outcomes: dict[str, int] = Field(default_factory=dict)
    best: Score | None = None
    """Without mismatch and with the least delay."""
    robust: Score | None = None
    """The setting that holds up best, under the mismatch and delay that cost it the most."""
    algorithms: tuple[AlgorithmSummary, ...] = ()
    best_by_recording: tuple[RecordingBest, ...] = Field(default=(), repr=False)
    failures: tuple[SweepRow, ...] = Field(default=(), repr=False)
    """The first 200 rows that failed."""
    remarks: tuple[str, ...] = ()
    estimated_s: float = 0.0
    """CPU seconds, of a dry run."""
    workers: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    nothing_to_do: bool = False
    dry_run: bool = False
    csv_path: str | None = None
    parquet_path: str | None = None
    parquet_reason: str | None = None
    json_path: str | None = None
    page_path: str | None = None
    metrics_version: str = METRICS_VERSION
    core_version: str = __version__
