"""Frozen records that pass between layers, to disk (sidecars) and to callers of flows.

Definitions of every figure: ``docs/metrics.md``; :data:`METRICS_VERSION` changes with them.
A figure that cannot be had is ``None`` and its reason stands in ``Metrics.null_reasons``;
no record ever carries NaN or an infinity.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from anc_core.errors import ErrorCode, WarningCode
from anc_core.record import Record
from anc_core.windows import UNKNOWN, Window, WindowTable

__all__ = [
    "METRICS_VERSION",
    "Detection",
    "Event",
    "Interval",
    "IntervalMetrics",
    "LevelSpan",
    "Metrics",
    "Mode",
    "Overwrite",
    "Record",
    "Remark",
    "SessionSummary",
    "Status",
    "Window",
    "WindowTable",
]

METRICS_VERSION = "1"

LEVEL_STEP_DB = 0.5
"""Resolution of the levels that are counted in a :class:`LevelSpan`."""

Interval = tuple[float, float]
"""(start_s, end_s) from the beginning of the recording, half open."""


class Status(StrEnum):
    """What became of a recording."""

    RUNNING = "running"
    OK = "ok"
    DEGRADED = "degraded"
    SKIPPED = "skipped"
    FAILED = "failed"


ENDED = tuple(status for status in Status if status is not Status.RUNNING)
"""What a recording may come to."""


class Mode(StrEnum):
    """How noise is cancelled; ``auto`` = ``cancel`` with a reference, else ``suppress``."""

    AUTO = "auto"
    SUPPRESS = "suppress"
    CANCEL = "cancel"


class Overwrite(StrEnum):
    """What to do where the output already exists or the session was done before."""

    SKIP = "skip"
    FAIL = "fail"
    REPLACE = "replace"


class Remark(Record):
    """A remark on a session that was processed all the same."""

    code: WarningCode
    message: str


class Event(Record):
    """Windows of one sound merged into one event."""

    noise_type: str
    start_s: float
    end_s: float
    is_emergency: bool
    channels: tuple[int, ...]
    peak_confidence: float = Field(ge=0, le=1)
    mean_confidence: float = Field(ge=0, le=1)
    window_count: int = Field(ge=0)
    evidence: str = ""
    """In words: the rhythm, sweep or carrier that was recognised."""
    max_attenuation_db: float | None = None
    """Largest loss in any 100 ms of the event; above 1 dB is a safety violation."""


class Detection(Record):
    """What :func:`anc_core.detect` heard in a recording."""

    windows: tuple[Window, ...] = ()
    events: tuple[Event, ...] = ()
    protected: tuple[Interval, ...] = ()


class Metrics(Record):
    """The figures of one session. ``None`` = not to be had, see ``null_reasons``."""

    metrics_version: str = METRICS_VERSION
    input_rms_dbfs: float | None = None
    output_rms_dbfs: float | None = None
    input_peak_dbfs: float | None = None
    output_peak_dbfs: float | None = None
    input_l10_dbfs: float | None = None
    input_l50_dbfs: float | None = None
    input_l90_dbfs: float | None = None
    input_laeq_dbfs: float | None = None
    """A-weighted energy mean, over all channels; no sound pressure level (docs/levels.md)."""
    output_laeq_dbfs: float | None = None
    input_loudness_lufs: float | None = None
    """Integrated loudness, ITU-R BS.1770-4 with both gates; measured, never normalised."""
    output_loudness_lufs: float | None = None
    input_max_momentary_lufs: float | None = None
    output_max_momentary_lufs: float | None = None
    input_max_short_term_lufs: float | None = None
    output_max_short_term_lufs: float | None = None
    cancellation_db: float | None = None
    cancellation_a_weighted_db: float | None = None
    cancellation_third_octave_db: dict[str, float] = Field(default_factory=dict)
    """Band centre in Hz -> cancellation in dB over noise-only, unprotected frames."""
    snr_in_db: float | None = None
    snr_out_db: float | None = None
    snr_improvement_db: float | None = None
    snr_kind: str = "estimated"
    speech_level_change_db: float | None = None
    """Output over input level of speech frames; negative = the voice became quieter."""
    noise_only_s: float = 0.0
    speech_s: float = 0.0
    protected_s: float = 0.0
    ridges_restored_s: float = 0.0
    """Time in which tones and sweeps that last were given back (see docs/emergency.md)."""
    ridges_restored_share: float = 0.0
    """Share of all time-frequency cells in which they were, 0 to 1."""
    floor_limited: bool = False
    clipped_samples_in: int = 0
    clipped_samples_out: int = 0
    non_finite_samples: int = 0
    dc_offset: tuple[float, ...] = ()
    residual_lag_samples: int | None = None
    algorithmic_latency_ms: float = 0.0
    null_reasons: dict[str, str] = Field(default_factory=dict)
    # timing
    wall_s: float | None = None
    cpu_s: float | None = None
    queue_s: float | None = None
    decode_s: float | None = None
    classify_s: float | None = None
    """Naming of the noises; ``None`` without a classifier."""
    suppress_s: float | None = None
    measure_s: float | None = None
    encode_s: float | None = None
    warmup_s: float | None = None
    """Loading of compiled kernels and models before the first sample; not part of wall_s."""
    real_time_factor: float | None = None
    """wall_s / audio seconds: lower is better."""
    speed_x: float | None = None
    """1 / real_time_factor."""


class IntervalMetrics(Record):
    """Levels of one stretch of a session: a row of ``processing_metrics``."""

    index: int
    start_s: float
    end_s: float
    input_rms_dbfs: float | None
    output_rms_dbfs: float | None
    noise_floor_dbfs: float | None = None
    attenuation_db: float | None = None
    protected_share: float = 0.0


class LevelSpan(Record):
    """A-weighted levels of one channel in a stretch of a session: a row of ``level_spans``.

    A minute, longer in recordings of more than 96 minutes. dBFS; ``None`` = digital silence.
    """

    channel: int
    start_s: float
    end_s: float
    input_laeq_dbfs: float | None = None
    output_laeq_dbfs: float | None = None
    input_lafmax_dbfs: float | None = None
    """Largest level with time weighting F (125 ms)."""
    output_lafmax_dbfs: float | None = None
    input_lasmax_dbfs: float | None = None
    """Largest level with time weighting S (1 s)."""
    output_lasmax_dbfs: float | None = None
    input_levels: tuple[int, ...] = ()
    """How often each level of 125 ms occurred: the lowest in steps of 0.5 dB from 0 dBFS, then
    the count of it and of each higher one. What is missing in the counts is silence."""
    output_levels: tuple[int, ...] = ()


class SessionSummary(Record):
    """All that is known of one processed recording; a flow returns it, the sidecar repeats it."""

    status: Status
    session_id: str
    fingerprint: str | None = None
    """Digest of content, parameters, model and core version: the identity of the session."""
    source_path: str
    source_digest: str | None = None
    source_bytes: int | None = None
    reference_path: str | None = None
    output_path: str | None = None
    output_digest: str | None = None
    sidecar_path: str | None = None
    duration_s: float | None = None
    declared_duration_s: float | None = None
    """What the header claimed, where that differs from what was decoded."""
    sample_rate: int | None = None
    num_channels: int | None = None
    num_samples: int | None = None
    container: str | None = None
    subtype: str | None = None
    chunk_size: int | None = None
    num_chunks: int = 0
    mode: Mode = Mode.AUTO
    preset: str = "default"
    preset_used: str | None = None
    """The preset that was delivered: a gentler one or ``original`` where the gate said no."""
    apply_anc: bool = True
    parameters: dict[str, Any] = Field(default_factory=dict)
    metrics: Metrics = Field(default_factory=Metrics)
    intervals: tuple[IntervalMetrics, ...] = Field(default=(), repr=False)
    level_spans: tuple[LevelSpan, ...] = Field(default=(), repr=False)
    windows: WindowTable = Field(default_factory=WindowTable, repr=False)
    events: tuple[Event, ...] = ()
    protected: tuple[Interval, ...] = ()
    warnings: tuple[Remark, ...] = ()
    error_code: ErrorCode | None = None
    error_message: str | None = None
    reason: str | None = None
    """Why it was skipped or degraded, in words."""
    model_id: str | None = None
    core_version: str | None = None
    device_id: str | None = None
    gain_setting: str | None = None
    """Of the device while it recorded, in the words of its calibration."""
    user_id: str | None = None
    site: str | None = None
    batch_id: str | None = None
    recorded_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def noise_seconds(self) -> dict[str, float]:
        """Noises that the classifier heard -> seconds of their events, the longest first.

        ``unknown`` comes last.
        """
        seconds: dict[str, float] = {}
        for event in self.events:
            if not event.evidence:  # alarms are recognised by rules, which say why
                duration_s = event.end_s - event.start_s
                seconds[event.noise_type] = seconds.get(event.noise_type, 0.0) + duration_s
        return dict(
            sorted(seconds.items(), key=lambda item: (item[0] == UNKNOWN, -item[1], item[0]))
        )
