"""The one model, for SQLite and PostgreSQL.

Columns bear the names of the record fields that they hold (``anc_core.records``). Figures that
reports aggregate are columns of their own; all figures together are in ``metrics``. Child rows are
keyed by (session_id, position), so reading a session needs no second index, and the database itself
deletes them with their session.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from anc_core.store.column_types import AnyText, UtcDateTime
from anc_core.store.identifiers import MAX_ID_LENGTH

RUNNING = "running"
DELETING = "deleting"
FAILED = "failed"
PROCESSED = ("ok", "degraded")
"""Statuses of a session that has figures, and delivered its output if one was asked for."""
DONE = (*PROCESSED, "skipped")
"""Statuses of a session that needs no more work."""

_ID = String(MAX_ID_LENGTH)
_STATUSES = ", ".join(f"'{status}'" for status in (RUNNING, *DONE, FAILED, DELETING))
# SQLite numbers rows by itself only where the key is declared exactly INTEGER.
_ROW_NUMBER = BigInteger().with_variant(Integer(), "sqlite")


_DIMENSIONS = ("status", "device_id", "user_id", "site", "preset", "model_id", "batch_id")
_FINISHED_VIEW = (
    *_DIMENSIONS,
    "error_code",
    "duration_s",
    "wall_s",
    "cancellation_db",
    "snr_improvement_db",
    "real_time_factor",
    "id",
)
_FINISHED_INDEX, _RECORDED_INDEX = (
    "ix_audio_sessions_finished_view",
    "ix_audio_sessions_recorded_view",
)
SQLITE_INDEXES = frozenset({_FINISHED_INDEX, _RECORDED_INDEX})
"""Indexes that PostgreSQL does not have."""
_RECORDED_VIEW = (*_DIMENSIONS, "duration_s", "input_rms_dbfs", "id")


class Base(DeclarativeBase):
    """Base of all tables: named constraints, so that migrations can name them on both dialects."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    # BigInteger throughout: a damaged header may claim any number, and it must still be recorded.
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: AnyText,
        int: BigInteger,
        float: Double,
        datetime: UtcDateTime,
        dict[str, Any]: JSON(none_as_null=True),
        list[Any]: JSON(none_as_null=True),
    }


class Batch(Base):
    """One call of ``anc batch``."""

    __tablename__ = "batches"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    status: Mapped[str]
    planned: Mapped[int]
    parameters: Mapped[dict[str, Any]]
    counts: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(index=True)
    finished_at: Mapped[datetime | None]


class AudioSession(Base):
    """One processed recording: who works on it, what went in, what came out.

    ``fingerprint`` is never null: a row comes into being by a claim, and a claim is made for a
    fingerprint. It stays while the row is ``deleting``, so that nobody writes the output anew while
    it is being removed.
    """

    __tablename__ = "audio_sessions"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(_ID, unique=True)
    status: Mapped[str] = mapped_column(String(16))
    # input
    source_path: Mapped[str]
    source_bytes: Mapped[int | None]
    source_mtime_ns: Mapped[int | None]
    source_digest: Mapped[str | None]
    reference_path: Mapped[str | None]
    duration_s: Mapped[float | None]
    declared_duration_s: Mapped[float | None]
    sample_rate: Mapped[int | None]
    num_channels: Mapped[int | None]
    num_samples: Mapped[int | None]
    container: Mapped[str | None]
    subtype: Mapped[str | None]
    recorded_at: Mapped[datetime | None] = mapped_column(index=True)
    device_id: Mapped[str | None]
    gain_setting: Mapped[str | None]
    user_id: Mapped[str | None]
    site: Mapped[str | None]
    # request
    mode: Mapped[str]
    preset: Mapped[str]
    apply_anc: Mapped[bool]
    chunk_size: Mapped[int | None]
    parameters: Mapped[dict[str, Any]]
    batch_id: Mapped[str | None] = mapped_column(
        _ID, ForeignKey("batches.id", ondelete="SET NULL"), index=True
    )
    # output
    output_path: Mapped[str | None]
    output_digest: Mapped[str | None]
    output_bytes: Mapped[int | None]
    sidecar_path: Mapped[str | None]
    temp_path: Mapped[str | None]
    preset_used: Mapped[str | None]
    num_chunks: Mapped[int]
    protected: Mapped[list[Any]]
    warnings: Mapped[list[Any]]
    error_code: Mapped[str | None] = mapped_column(String(64), index=True)
    error_message: Mapped[str | None]
    reason: Mapped[str | None]
    model_id: Mapped[str | None]
    core_version: Mapped[str | None]
    # figures
    metrics_version: Mapped[str | None]
    metrics: Mapped[dict[str, Any]]
    cancellation_db: Mapped[float | None]
    snr_improvement_db: Mapped[float | None]
    speech_level_change_db: Mapped[float | None]
    input_rms_dbfs: Mapped[float | None]
    output_rms_dbfs: Mapped[float | None]
    real_time_factor: Mapped[float | None]
    wall_s: Mapped[float | None]
    # life
    attempt: Mapped[int]
    owner_host: Mapped[str | None]
    owner_pid: Mapped[int | None]
    owner_started_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None] = mapped_column(index=True)
    on_hold: Mapped[bool]
    imported_at: Mapped[datetime | None]
    """Set where the row came with an import: its paths are text, no file is this store's."""

    __table_args__ = (
        CheckConstraint(f"status IN ({_STATUSES})", name="status"),
        Index(None, "status", "heartbeat_at"),
        # PostgreSQL limits a b-tree entry to 2.7 kB, a path may have 4 kB; a hash has no limit.
        Index(None, "source_path", postgresql_using="hash"),
        Index(None, "output_path", postgresql_using="hash"),
        # All that an analysis asks of a session, so that it need not read the session's JSON. On
        # SQLite only: a b-tree entry of PostgreSQL may not be as long as names may be.
        Index(_FINISHED_INDEX, "finished_at", *_FINISHED_VIEW).ddl_if("sqlite"),
        Index(_RECORDED_INDEX, "recorded_at", *_RECORDED_VIEW).ddl_if("sqlite"),
    )


class NoiseDetection(Base):
    """One window: one decision of a classifier or detector."""

    __tablename__ = "noise_detections"

    session_id: Mapped[str] = mapped_column(
        _ID, ForeignKey("audio_sessions.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    start_s: Mapped[float]
    end_s: Mapped[float]
    channel: Mapped[int]
    noise_type: Mapped[str]
    confidence: Mapped[float]
    level_dbfs: Mapped[float | None]


class NoiseTotal(Base):
    """Sums over the windows of one session; see ``anc_core.store.noise_totals``."""

    __tablename__ = "noise_totals"
    # Clustered by its key on SQLite: a period reads it session by session.
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - SQLAlchemy's own name

    session_id: Mapped[str] = mapped_column(
        _ID, ForeignKey("audio_sessions.id", ondelete="CASCADE"), primary_key=True
    )
    noise_type: Mapped[str] = mapped_column(primary_key=True)
    quarter: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Quarters of an hour since 1970 (UTC); -1 = the time of recording is not known."""
    windows: Mapped[int]
    seconds: Mapped[float]
    energy_s: Mapped[float]
    level_s: Mapped[float]
    confidence_0: Mapped[int]
    confidence_1: Mapped[int]
    confidence_2: Mapped[int]
    confidence_3: Mapped[int]
    confidence_4: Mapped[int]
    confidence_5: Mapped[int]
    confidence_6: Mapped[int]
    confidence_7: Mapped[int]
    confidence_8: Mapped[int]
    confidence_9: Mapped[int]


class NoiseEvent(Base):
    """Windows of one sound merged into one event."""

    __tablename__ = "noise_events"

    session_id: Mapped[str] = mapped_column(
        _ID, ForeignKey("audio_sessions.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    noise_type: Mapped[str]
    start_s: Mapped[float]
    end_s: Mapped[float]
    is_emergency: Mapped[bool]
    channels: Mapped[list[Any]]
    peak_confidence: Mapped[float]
    mean_confidence: Mapped[float]
    window_count: Mapped[int]
    evidence: Mapped[str]
    max_attenuation_db: Mapped[float | None]

    # Alarms are rare: a period's are found among all alarms, not among all events.
    __table_args__ = (Index(None, "is_emergency"),)


class ProcessingMetric(Base):
    """Levels of one stretch of a session; ``index`` is the record's own numbering."""

    __tablename__ = "processing_metrics"

    session_id: Mapped[str] = mapped_column(
        _ID, ForeignKey("audio_sessions.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    index: Mapped[int]
    start_s: Mapped[float]
    end_s: Mapped[float]
    input_rms_dbfs: Mapped[float | None]
    output_rms_dbfs: Mapped[float | None]
    noise_floor_dbfs: Mapped[float | None]
    attenuation_db: Mapped[float | None]
    protected_share: Mapped[float]


class LevelSpan(Base):
    """A-weighted levels of one channel in a stretch of a session."""

    __tablename__ = "level_spans"

    session_id: Mapped[str] = mapped_column(
        _ID, ForeignKey("audio_sessions.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    channel: Mapped[int]
    start_s: Mapped[float]
    end_s: Mapped[float]
    input_laeq_dbfs: Mapped[float | None]
    output_laeq_dbfs: Mapped[float | None]
    input_lafmax_dbfs: Mapped[float | None]
    output_lafmax_dbfs: Mapped[float | None]
    input_lasmax_dbfs: Mapped[float | None]
    output_lasmax_dbfs: Mapped[float | None]
    input_levels: Mapped[list[Any]]
    output_levels: Mapped[list[Any]]


class Calibration(Base):
    """What a calibrator of known level read on one channel of a device; never changed but ended."""

    __tablename__ = "calibrations"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    device_id: Mapped[str]
    channel: Mapped[int]
    gain_setting: Mapped[str | None]
    valid_from: Mapped[datetime]
    valid_until: Mapped[datetime | None]
    reference_db: Mapped[float]
    reference_hz: Mapped[float]
    measured_dbfs: Mapped[float]
    note: Mapped[str | None]
    created_at: Mapped[datetime]


class ApiRequest(Base):
    """One request to the service; its latency is never mixed with processing time.

    ``path`` is the endpoint: ids in it are collapsed. ``duration_ms`` is null where a log that the
    request was read from does not tell.
    """

    __tablename__ = "api_requests"

    id: Mapped[int] = mapped_column(_ROW_NUMBER, primary_key=True)
    requested_at: Mapped[datetime] = mapped_column(index=True)
    method: Mapped[str]
    path: Mapped[str]
    status_code: Mapped[int]
    duration_ms: Mapped[float | None]
    client: Mapped[str | None]
    session_id: Mapped[str | None]
    error_code: Mapped[str | None]


class ApiLogPosition(Base):
    """How far an access log was read.

    A log is known by its first line and by what stands before the position, not by its name or
    inode: rotation renames, copies and compresses it.
    """

    __tablename__ = "api_log_positions"

    id: Mapped[int] = mapped_column(_ROW_NUMBER, primary_key=True)
    path: Mapped[str]
    """Where it was read last."""
    head_digest: Mapped[str] = mapped_column(String(64), index=True)
    """SHA-256 of the first line."""
    tail_digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the ``tail_bytes`` before ``position``."""
    tail_bytes: Mapped[int]
    position: Mapped[int]
    """Bytes of (decompressed) text that are done with."""
    lines: Mapped[int]
    bad_lines: Mapped[int]
    updated_at: Mapped[datetime]


class Model(Base):
    """A trained model bundle."""

    __tablename__ = "models"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    kind: Mapped[str]
    path: Mapped[str]
    digest: Mapped[str]
    card: Mapped[dict[str, Any]]
    test_accuracy: Mapped[float | None]
    macro_f1: Mapped[float | None]
    num_samples: Mapped[int | None]
    created_at: Mapped[datetime]
    promoted_at: Mapped[datetime | None]


class Report(Base):
    """A daily report; the same day again replaces the files and counts the revision up."""

    __tablename__ = "reports"
    __table_args__ = (UniqueConstraint("kind", "report_date", "timezone"),)

    id: Mapped[int] = mapped_column(_ROW_NUMBER, primary_key=True)
    kind: Mapped[str]
    report_date: Mapped[date]
    timezone: Mapped[str]
    revision: Mapped[int]
    verdict: Mapped[str]
    figures: Mapped[dict[str, Any]]
    paths: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class DailyAggregate(Base):
    """A day in figures; it stays when the sessions of that day are deleted."""

    __tablename__ = "daily_aggregates"

    timezone: Mapped[str] = mapped_column(String(64), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    sessions: Mapped[int]
    """Sessions that finished that day, which ``processing`` tells of."""
    recorded: Mapped[int]
    """Sessions recorded that day, which ``noise`` tells of."""
    processing: Mapped[dict[str, Any]]
    noise: Mapped[dict[str, Any]]
    database_bytes: Mapped[int | None]
    metrics_version: Mapped[str]
    rolled_up_at: Mapped[datetime]


class AlertDelivery(Base):
    """What became of the alert for one emergency event; outlives its session.

    ``idempotency_key`` is unique, so an alert has one row and at most one sender at a time: the one
    that holds the lease.
    """

    __tablename__ = "alert_deliveries"

    id: Mapped[int] = mapped_column(_ROW_NUMBER, primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(_ID, unique=True)
    session_id: Mapped[str]
    event_type: Mapped[str]
    place: Mapped[str]
    start_s: Mapped[float]
    flow_run_id: Mapped[str | None]
    is_test: Mapped[bool]
    status: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int]
    last_error: Mapped[str | None]
    response_code: Mapped[int | None]
    created_at: Mapped[datetime]
    announced_at: Mapped[datetime | None]
    attempted_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None] = mapped_column(index=True)
    leased_until: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(
            "status IN ('pending', 'delivered', 'suppressed', 'failed')", name="status"
        ),
        Index(None, "status", "created_at"),
    )


class AuditEntry(Base):
    """Who did what to which subject; never updated, never deleted with a session."""

    __tablename__ = "audit_log"

    id: Mapped[int] = mapped_column(_ROW_NUMBER, primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    detail: Mapped[dict[str, Any]]


class EraseEntry(Base):
    """A person whose data was erased; ``subject`` is a keyed hash, the key is not in here."""

    __tablename__ = "erase_ledger"
    __table_args__ = (UniqueConstraint("subject", "erased_at"),)

    id: Mapped[int] = mapped_column(_ROW_NUMBER, primary_key=True)
    subject: Mapped[str] = mapped_column(String(64))
    key_id: Mapped[str] = mapped_column(String(16))
    erased_at: Mapped[datetime]
    actor: Mapped[str]


CHILDREN = (NoiseDetection, NoiseTotal, NoiseEvent, ProcessingMetric, LevelSpan)
"""Tables whose rows belong to one session."""
