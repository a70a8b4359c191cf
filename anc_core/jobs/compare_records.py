"""What a comparison is asked for and what it found: records, as the flow returns them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import Field

from anc_core.records import METRICS_VERSION, Record, Status
from anc_core.version import __version__

DEFAULT_SYSTEMS = ("preset:default", "preset:gentle", "preset:strong")
MAX_SECONDS = 60.0


class CompareRequest(Record):
    """What is to be compared."""

    folder: Path
    output_dir: Path
    clean: Path | None = None
    """Folder of clean references, by the same relative path or the same stem."""
    systems: tuple[str, ...] = DEFAULT_SYSTEMS
    recursive: bool = True
    max_files: int | None = Field(default=None, ge=1)
    """Only so many recordings, drawn with a fixed seed."""
    max_seconds: float = Field(default=MAX_SECONDS, ge=1.0, le=600.0)
    """Of each recording, from its beginning."""
    protect: bool = False
    """Guard emergency sounds in every system, as ``anc process`` does."""
    examples: int = Field(default=6, ge=0, le=24)
    """Recordings on the audition page."""


class Pair(Record):
    """A recording and its clean reference."""

    source: Path
    name: str
    """Relative to the folder, printable."""
    clean: Path | None = None
    no_clean: str | None = None
    """Why there is no reference."""


class ComparisonPlan(Record):
    """What will be compared, found out before any work."""

    request: CompareRequest
    pairs: tuple[Pair, ...]
    labels: tuple[str, ...]
    unavailable: dict[str, str]
    """Label of a system that cannot be had here -> why."""
    left_out: int = 0
    """Recordings beyond ``max_files``."""


class SystemOnFile(Record):
    """One system on one recording."""

    system: str
    status: Status
    reason: str | None = None
    figures: dict[str, float | None] = Field(default_factory=dict)
    """Quality after, by the names of ``QUALITY_FIGURES``."""
    gains: dict[str, float | None] = Field(default_factory=dict)
    """After minus before."""
    cancellation_db: float | None = None
    snr_improvement_db: float | None = None
    speech_level_change_db: float | None = None
    speech_level_kind: str = "estimated"
    """``measured`` with a clean reference."""
    residual_lag_samples: int | None = None
    """At the recording's rate, output late = positive; taken away before the quality is judged."""
    cpu_s: float | None = None
    null_reasons: dict[str, str] = Field(default_factory=dict)


class FileComparison(Record):
    """All systems on one recording."""

    name: str
    source_path: str
    clean_path: str | None = None
    status: Status
    error_code: str | None = None
    reason: str | None = None
    sample_rate: int | None = None
    num_channels: int | None = None
    measured_s: float | None = None
    is_excerpt: bool = False
    """The recording is longer than what was judged of it."""
    before: dict[str, float | None] = Field(default_factory=dict)
    null_reasons: dict[str, str] = Field(default_factory=dict)
    systems: tuple[SystemOnFile, ...] = ()


class SystemSummary(Record):
    """One system over all recordings."""

    system: str
    status: Status
    """``skipped`` = cannot be had here, ``degraded`` = failed on some recordings."""
    reason: str | None = None
    files: int = 0
    failed: int = 0
    means: dict[str, float | None] = Field(default_factory=dict)
    gains: dict[str, float | None] = Field(default_factory=dict)
    counts: dict[str, int] = Field(default_factory=dict)
    """Recordings behind each mean."""
    pesq_fell_share: float | None = None
    """Share of the recordings whose PESQ fell by more than 0.1."""
    cancellation_db: float | None = None
    snr_improvement_db: float | None = None
    speech_level_change_db: float | None = None
    worst_speech_level_change_db: float | None = None
    """The one farthest from 0."""
    largest_lag_samples: int | None = None
    audio_s: float = 0.0
    cpu_s: float = 0.0
    speed_x: float | None = None
    """Seconds of audio per CPU second."""
    null_reasons: dict[str, str] = Field(default_factory=dict)
    """The first reason, where no recording has the figure."""


class Comparison(Record):
    """What a comparison found; ``anc compare --json`` and the flow return it."""

    folder: str
    clean: str | None
    created_at: datetime
    planned: int
    ok: int
    failed: int
    left_out: int = 0
    with_reference: int = 0
    audio_s: float = 0.0
    wall_s: float = 0.0
    max_seconds: float
    protect: bool = False
    nothing_to_do: bool = False
    before: dict[str, float | None] = Field(default_factory=dict)
    """Means of the unprocessed recordings."""
    null_reasons: dict[str, str] = Field(default_factory=dict)
    systems: tuple[SystemSummary, ...] = ()
    files: tuple[FileComparison, ...] = Field(default=(), repr=False)
    json_path: str | None = None
    csv_path: str | None = None
    page_path: str | None = None
    page_reason: str | None = None
    """Why there is no audition page."""
    metrics_version: str = METRICS_VERSION
    core_version: str = __version__
    metric_packages: dict[str, str] = Field(default_factory=dict)
