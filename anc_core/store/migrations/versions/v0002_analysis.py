"""What analyses read: sums of a session's windows, and one row a day that outlives its sessions.

Revision: v0002
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

import sqlalchemy as sa
from alembic import op

from anc_core.store.noise_totals import totals_of

revision = "v0002"
down_revision = "v0001"
branch_labels = None
depends_on = None

_SESSIONS_AT_ONCE = 500
# As they are in this revision, with the plain types: names stay escaped as they are stored.
_SESSIONS = sa.table(
    "audio_sessions",
    sa.column("id", sa.String()),
    sa.column("recorded_at", sa.DateTime(timezone=True)),
)
_WINDOWS = sa.table(
    "noise_detections",
    sa.column("session_id", sa.String()),
    sa.column("start_s", sa.Double()),
    sa.column("end_s", sa.Double()),
    sa.column("noise_type", sa.Text()),
    sa.column("confidence", sa.Double()),
    sa.column("level_dbfs", sa.Double()),
)
_DIMENSIONS = ("status", "device_id", "user_id", "site", "preset", "model_id", "batch_id")
_VIEWS = {
    "ix_audio_sessions_finished_view": (
        "finished_at",
        *_DIMENSIONS,
        "error_code",
        "duration_s",
        "wall_s",
        "cancellation_db",
        "snr_improvement_db",
        "real_time_factor",
        "id",
    ),
    "ix_audio_sessions_recorded_view": (
        "recorded_at",
        *_DIMENSIONS,
        "duration_s",
        "input_rms_dbfs",
        "id",
    ),
}


def upgrade() -> None:
    totals = _create_noise_totals()
    _create_daily_aggregates()
    _create_indexes()
    _add_up_old_sessions(op.get_bind(), totals)


def downgrade() -> None:
    op.drop_index(op.f("ix_noise_events_is_emergency"), "noise_events")
    if op.get_bind().dialect.name == "sqlite":
        for name in _VIEWS:
            op.drop_index(name, "audio_sessions")
    op.drop_table("daily_aggregates")
    op.drop_table("noise_totals")


def _create_noise_totals() -> sa.Table:
    return op.create_table(
        "noise_totals",
        sa.Column("session_id", sa.String(length=128), nullable=False),
        sa.Column("noise_type", sa.Text(), nullable=False),
        sa.Column("quarter", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("windows", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("energy_s", sa.Double(), nullable=False),
        sa.Column("level_s", sa.Double(), nullable=False),
        *(sa.Column(f"confidence_{tenth}", sa.BigInteger(), nullable=False) for tenth in range(10)),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["audio_sessions.id"],
            name=op.f("fk_noise_totals_session_id_audio_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "session_id", "noise_type", "quarter", name=op.f("pk_noise_totals")
        ),
        sqlite_with_rowid=False,
    )


def _create_daily_aggregates() -> None:
    op.create_table(
        "daily_aggregates",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("sessions", sa.BigInteger(), nullable=False),
        sa.Column("recorded", sa.BigInteger(), nullable=False),
        sa.Column("processing", sa.JSON(), nullable=False),
        sa.Column("noise", sa.JSON(), nullable=False),
        sa.Column("database_bytes", sa.BigInteger(), nullable=True),
        sa.Column("metrics_version", sa.Text(), nullable=False),
        sa.Column("rolled_up_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("timezone", "day", name=op.f("pk_daily_aggregates")),
    )


def _create_indexes() -> None:
    op.create_index(op.f("ix_noise_events_is_emergency"), "noise_events", ["is_emergency"])
    # A b-tree entry of PostgreSQL may not be as long as names may be.
    if op.get_bind().dialect.name == "sqlite":
        for name, columns in _VIEWS.items():
            op.create_index(name, "audio_sessions", columns)


def _add_up_old_sessions(connection: sa.Connection, totals: sa.Table) -> None:
    """Write the sums of the sessions that are there, a few hundred at a time."""
    last = ""
    while True:
        dated = connection.execute(
            sa.select(_SESSIONS.c.id, _SESSIONS.c.recorded_at)
            .where(_SESSIONS.c.id > last)
            .order_by(_SESSIONS.c.id)
            .limit(_SESSIONS_AT_ONCE)
        ).all()
        if not dated:
            return
        recorded_at = {row.id: _in_utc(row.recorded_at) for row in dated}
        last = dated[-1].id
        windows = connection.execute(
            sa.select(_WINDOWS)
            .where(_WINDOWS.c.session_id.in_(recorded_at))
            .order_by(_WINDOWS.c.session_id)
        )
        rows: list[dict[str, Any]] = []
        for session_id, own in groupby(windows, key=attrgetter("session_id")):
            rows += (
                {"session_id": session_id, **total}
                for total in totals_of(own, recorded_at[session_id])
            )
        if rows:
            connection.execute(sa.insert(totals), rows)


def _in_utc(moment: datetime | None) -> datetime | None:
    # SQLite keeps the wall clock of UTC.
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment
