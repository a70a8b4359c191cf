"""The first schema: sessions with their children, batches, requests, models, reports, audit log.

Revision: v0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0001"
down_revision = None
branch_labels = None
depends_on = None

_STATUSES = ("running", "ok", "degraded", "skipped", "failed", "deleting")


def upgrade() -> None:
    _create_batches()
    _create_audio_sessions()
    _create_noise_detections()
    _create_noise_events()
    _create_processing_metrics()
    _create_api_requests()
    _create_models()
    _create_reports()
    _create_audit_log()


def downgrade() -> None:
    for table in (
        "audit_log",
        "reports",
        "models",
        "api_requests",
        "processing_metrics",
        "noise_events",
        "noise_detections",
        "audio_sessions",
        "batches",
    ):
        op.drop_table(table)


def _row_number() -> sa.Column[int]:
    # SQLite numbers rows by itself only where the key is declared exactly INTEGER.
    return sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False)


def _create_batches() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("planned", sa.BigInteger(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
    )
    op.create_index(op.f("ix_batches_created_at"), "batches", ["created_at"])


def _create_audio_sessions() -> None:
    op.create_table(
        "audio_sessions",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("fingerprint", sa.String(length=128), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("source_path", sa.Text(), nullable=False),
        sa.Column("source_bytes", sa.BigInteger(), nullable=True),
        sa.Column("source_mtime_ns", sa.BigInteger(), nullable=True),
        sa.Column("source_digest", sa.Text(), nullable=True),
        sa.Column("reference_path", sa.Text(), nullable=True),
        sa.Column("duration_s", sa.Double(), nullable=True),
        sa.Column("declared_duration_s", sa.Double(), nullable=True),
        sa.Column("sample_rate", sa.BigInteger(), nullable=True),
        sa.Column("num_channels", sa.BigInteger(), nullable=True),
        sa.Column("num_samples", sa.BigInteger(), nullable=True),
        sa.Column("container", sa.Text(), nullable=True),
        sa.Column("subtype", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("device_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("site", sa.Text(), nullable=True),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("preset", sa.Text(), nullable=False),
        sa.Column("apply_anc", sa.Boolean(), nullable=False),
        sa.Column("chunk_size", sa.BigInteger(), nullable=True),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("batch_id", sa.String(length=128), nullable=True),
        sa.Column("output_path", sa.Text(), nullable=True),
        sa.Column("output_digest", sa.Text(), nullable=True),
        sa.Column("output_bytes", sa.BigInteger(), nullable=True),
        sa.Column("sidecar_path", sa.Text(), nullable=True),
        sa.Column("temp_path", sa.Text(), nullable=True),
        sa.Column("preset_used", sa.Text(), nullable=True),
        sa.Column("num_chunks", sa.BigInteger(), nullable=False),
        sa.Column("protected", sa.JSON(), nullable=False),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("model_id", sa.Text(), nullable=True),
        sa.Column("core_version", sa.Text(), nullable=True),
        sa.Column("metrics_version", sa.Text(), nullable=True),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("cancellation_db", sa.Double(), nullable=True),
        sa.Column("snr_improvement_db", sa.Double(), nullable=True),
        sa.Column("speech_level_change_db", sa.Double(), nullable=True),
        sa.Column("input_rms_dbfs", sa.Double(), nullable=True),
        sa.Column("output_rms_dbfs", sa.Double(), nullable=True),
        sa.Column("real_time_factor", sa.Double(), nullable=True),
        sa.Column("wall_s", sa.Double(), nullable=True),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("owner_host", sa.Text(), nullable=True),
        sa.Column("owner_pid", sa.BigInteger(), nullable=True),
        sa.Column("owner_started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("on_hold", sa.Boolean(), nullable=False),
        sa.CheckConstraint(f"status IN {_STATUSES}", name=op.f("ck_audio_sessions_status")),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["batches.id"],
            name=op.f("fk_audio_sessions_batch_id_batches"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audio_sessions")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_audio_sessions_fingerprint")),
    )
    op.create_index(op.f("ix_audio_sessions_batch_id"), "audio_sessions", ["batch_id"])
    op.create_index(op.f("ix_audio_sessions_error_code"), "audio_sessions", ["error_code"])
    op.create_index(op.f("ix_audio_sessions_finished_at"), "audio_sessions", ["finished_at"])
    op.create_index(op.f("ix_audio_sessions_recorded_at"), "audio_sessions", ["recorded_at"])
    op.create_index(
        op.f("ix_audio_sessions_output_path"),
        "audio_sessions",
        ["output_path"],
        postgresql_using="hash",
    )
    op.create_index(
        op.f("ix_audio_sessions_source_path"),
        "audio_sessions",
        ["source_path"],
        postgresql_using="hash",
    )
    op.create_index(
        op.f("ix_audio_sessions_status_heartbeat_at"), "audio_sessions", ["status", "heartbeat_at"]
    )


def _create_noise_detections() -> None:
    op.create_table(
        "noise_detections",
        sa.Column("session_id", sa.String(length=128), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("start_s", sa.Double(), nullable=False),
        sa.Column("end_s", sa.Double(), nullable=False),
        sa.Column("channel", sa.BigInteger(), nullable=False),
        sa.Column("noise_type", sa.Text(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("level_dbfs", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["audio_sessions.id"],
            name=op.f("fk_noise_detections_session_id_audio_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("session_id", "position", name=op.f("pk_noise_detections")),
    )


def _create_noise_events() -> None:
    op.create_table(
        "noise_events",
        sa.Column("session_id", sa.String(length=128), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("noise_type", sa.Text(), nullable=False),
        sa.Column("start_s", sa.Double(), nullable=False),
        sa.Column("end_s", sa.Double(), nullable=False),
        sa.Column("is_emergency", sa.Boolean(), nullable=False),
        sa.Column("channels", sa.JSON(), nullable=False),
        sa.Column("peak_confidence", sa.Double(), nullable=False),
        sa.Column("mean_confidence", sa.Double(), nullable=False),
        sa.Column("window_count", sa.BigInteger(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("max_attenuation_db", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["audio_sessions.id"],
            name=op.f("fk_noise_events_session_id_audio_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("session_id", "position", name=op.f("pk_noise_events")),
    )


def _create_processing_metrics() -> None:
    op.create_table(
        "processing_metrics",
        sa.Column("session_id", sa.String(length=128), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("index", sa.BigInteger(), nullable=False),
        sa.Column("start_s", sa.Double(), nullable=False),
        sa.Column("end_s", sa.Double(), nullable=False),
        sa.Column("input_rms_dbfs", sa.Double(), nullable=True),
        sa.Column("output_rms_dbfs", sa.Double(), nullable=True),
        sa.Column("noise_floor_dbfs", sa.Double(), nullable=True),
        sa.Column("attenuation_db", sa.Double(), nullable=True),
        sa.Column("protected_share", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["audio_sessions.id"],
            name=op.f("fk_processing_metrics_session_id_audio_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("session_id", "position", name=op.f("pk_processing_metrics")),
    )


def _create_api_requests() -> None:
    op.create_table(
        "api_requests",
        _row_number(),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("status_code", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.Double(), nullable=False),
        sa.Column("client", sa.Text(), nullable=True),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_requests")),
    )
    op.create_index(op.f("ix_api_requests_requested_at"), "api_requests", ["requested_at"])


def _create_models() -> None:
    op.create_table(
        "models",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("card", sa.JSON(), nullable=False),
        sa.Column("test_accuracy", sa.Double(), nullable=True),
        sa.Column("macro_f1", sa.Double(), nullable=True),
        sa.Column("num_samples", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("promoted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
    )


def _create_reports() -> None:
    op.create_table(
        "reports",
        _row_number(),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("report_date", sa.Date(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("paths", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reports")),
        sa.UniqueConstraint(
            "kind", "report_date", "timezone", name=op.f("uq_reports_kind_report_date_timezone")
        ),
    )


def _create_audit_log() -> None:
    op.create_table(
        "audit_log",
        _row_number(),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_at"), "audit_log", ["at"])
