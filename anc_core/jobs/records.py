"""Records of the jobs: what is planned for a recording, and what became of a batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydantic import Field

from anc_core.errors import ErrorCode
from anc_core.files import SourceIdentity
from anc_core.jobs.naming import Where
from anc_core.pipeline.request import RecordingRequest
from anc_core.presets import CancellationParameters, SuppressionOverrides
from anc_core.records import Mode, Overwrite, Record, SessionSummary, Status
from anc_core.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingJob:
    """All that a worker must know to process one recording; plain data, so it travels."""

    source: Where
    sink: Where | None = None
    mode: Mode = Mode.AUTO
    preset: str = "default"
    apply_anc: bool = True
    reference: Where | None = None
    suppression: SuppressionOverrides | None = None
    cancellation: CancellationParameters | None = None
    chunk_size: int | None = None
    overwrite: Overwrite = Overwrite.SKIP
    session_id: str | None = None
    batch_id: str | None = None
    device_id: str | None = None
    gain_setting: str | None = None
    user_id: str | None = None
    site: str | None = None
    recorded_at: datetime | None = None
    identity: SourceIdentity | None = None
    """The file as the planner saw it; with ``digest`` it saves a second reading."""
    digest: str | None = None
    estimate_s: float = 0.0
    """Expected CPU seconds."""
    duration_s: float | None = None
    """Audio seconds by the header, where one could be read."""

    def __str__(self) -> str:
        """Return what a log line needs."""
        return f"{self.source} -> {self.sink} ({self.mode}, preset {self.preset})"

    def request(self, settings: Settings) -> RecordingRequest:
        """Return what the pipeline is asked for.

        What a URL names has a local name in it that only its suffix is true of: whoever fetches it
        says where it is.

        Raises
        ------
        InputError
            If preset, mode and reference do not fit together.
        """
        return RecordingRequest.resolve(
            _stand_in(self.source),
            None if self.sink is None else _stand_in(self.sink),
            mode=self.mode,
            preset=self.preset,
            apply_anc=self.apply_anc,
            reference=None if self.reference is None else _stand_in(self.reference),
            suppression=self.suppression,
            cancellation=self.cancellation,
            chunk_size=self.chunk_size,
            settings=settings,
        )


def _stand_in(where: Where) -> Path:
    return where if isinstance(where, Path) else Path(f"remote{where.suffix}")


class RecordingResult(Record):
    """One line of a batch's outcome."""

    source_path: str
    output_path: str | None = None
    status: Status
    session_id: str | None = None
    duration_s: float | None = None
    sample_rate: int | None = None
    num_channels: int | None = None
    input_rms_dbfs: float | None = None
    output_rms_dbfs: float | None = None
    cancellation_db: float | None = None
    snr_improvement_db: float | None = None
    speed_x: float | None = None
    emergency_events: int = 0
    protected_s: float = 0.0
    noises: dict[str, float] = Field(default_factory=dict)
    """Name -> seconds, the longest first."""
    warnings: tuple[str, ...] = ()
    error_code: ErrorCode | None = None
    error_message: str | None = None
    reason: str | None = None
    duplicate_of: str | None = None

    @property
    def what_happened(self) -> str:
        """Code and reason in words, without the name of the recording, which stands beside it."""
        words = self.error_message or self.reason or ", ".join(self.warnings)
        words = words.removeprefix(f"{self.source_path}: ")
        return f"{self.error_code}: {words}" if self.error_code else words

    @classmethod
    def of(cls, summary: SessionSummary) -> RecordingResult:
        """Return the line that stands for ``summary``."""
        metrics = summary.metrics
        return cls(
            source_path=summary.source_path,
            output_path=summary.output_path,
            status=summary.status,
            session_id=summary.session_id or None,
            duration_s=summary.duration_s,
            sample_rate=summary.sample_rate,
            num_channels=summary.num_channels,
            input_rms_dbfs=metrics.input_rms_dbfs,
            output_rms_dbfs=metrics.output_rms_dbfs,
            cancellation_db=metrics.cancellation_db,
            snr_improvement_db=metrics.snr_improvement_db,
            speed_x=metrics.speed_x,
            emergency_events=sum(event.is_emergency for event in summary.events),
            protected_s=metrics.protected_s,
            noises={name: round(s, 3) for name, s in summary.noise_seconds.items()},
            warnings=tuple(remark.code for remark in summary.warnings),
            error_code=summary.error_code,
            error_message=summary.error_message,
            reason=summary.reason,
        )


class BatchSummary(Record):
    """What became of a batch; ``planned`` is always the sum of the five counts."""

    batch_id: str
    planned: int = 0
    ok: int = 0
    degraded: int = 0
    skipped: int = 0
    failed: int = 0
    duplicates: int = 0
    ignored: int = 0
    """Files of a folder that are not recordings by their name (``.DS_Store``, ``notes.txt``)."""
    shards: int = 0
    audio_s: float = 0.0
    """Seconds of audio processed in this run."""
    wall_s: float = 0.0
    speed_x: float | None = None
    """audio_s / wall_s over the whole batch, all cores together."""
    events: int = 0
    """Emergency events heard in this run."""
    dry_run: bool = False
    nothing_to_do: bool = False
    estimated_s: float = 0.0
    """Expected CPU seconds of the work that was planned."""
    estimated_bytes: int = 0
    """Expected size of the outputs."""
    output_dir: str | None = None
    results: tuple[RecordingResult, ...] = Field(default=(), repr=False)
    failures: tuple[RecordingResult, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """A source that needs no work of its own: the same file, or the same bytes, as another."""

    source: Where
    original: Where
    sink: Where | None = None
    """Where its own output is linked; ``None`` for the same path named twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """What a batch will do; made without writing anything."""

    batch_id: str
    jobs: tuple[RecordingJob, ...]
    settled: tuple[RecordingResult, ...] = ()
    """Known already: finished before (``skipped``) or impossible (``failed``)."""
    duplicates: tuple[Duplicate, ...] = ()
    ignored: int = 0
    output_dir: Where | None = None
    estimated_bytes: int = 0
    parameters: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return what a log line needs."""
        return f"{self.batch_id}: {len(self.jobs)} of {self.planned} to process"

    @property
    def planned(self) -> int:
        """Every recording that was named, found or listed."""
        return len(self.jobs) + len(self.settled) + len(self.duplicates)

    @property
    def estimated_s(self) -> float:
        """Expected CPU seconds."""
        return sum(job.estimate_s for job in self.jobs)
