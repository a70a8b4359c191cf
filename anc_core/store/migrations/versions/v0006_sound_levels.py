"""Sound levels of sessions, the gain of their recording, and calibrations of devices.

Revision: v0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0006"
down_revision = "v0005"
branch_labels = None
depends_on = None

_LEVELS = ("laeq", "lafmax", "lasmax")


def upgrade() -> None:
    op.add_column("audio_sessions", sa.Column("gain_setting", sa.Text(), nullable=True))
    op.create_table(
        "level_spans",
        sa.Column("session_id", sa.String(length=128), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.BigInteger(), nullable=False),
        sa.Column("start_s", sa.Double(), nullable=False),
        sa.Column("end_s", sa.Double(), nullable=False),
        *(
            sa.Column(f"{side}_{level}_dbfs", sa.Double(), nullable=True)
            for level in _LEVELS
            for side in ("input", "output")
        ),
        sa.Column("input_levels", sa.JSON(), nullable=False),
        sa.Column("output_levels", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["audio_sessions.id"],
            name=op.f("fk_level_spans_session_id_audio_sessions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("session_id", "position", name=op.f("pk_level_spans")),
    )
    op.create_table(
        "calibrations",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.BigInteger(), nullable=False),
        sa.Column("gain_setting", sa.Text(), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reference_db", sa.Double(), nullable=False),
        sa.Column("reference_hz", sa.Double(), nullable=False),
        sa.Column("measured_dbfs", sa.Double(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calibrations")),
    )


def downgrade() -> None:
    op.drop_table("calibrations")
    op.drop_table("level_spans")
    op.drop_column("audio_sessions", "gain_setting")
