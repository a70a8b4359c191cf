"""Requests from access logs, which may not tell a duration; how far each log was read; imports.

Revision: v0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0003"
down_revision = "v0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("api_requests") as table:
        table.alter_column("duration_ms", existing_type=sa.Double(), nullable=True)
    op.add_column("audio_sessions", sa.Column("imported_at", sa.DateTime(timezone=True)))
    op.create_table(
        "api_log_positions",
        # SQLite numbers rows by itself only where the key is declared exactly INTEGER.
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("head_digest", sa.String(length=64), nullable=False),
        sa.Column("tail_digest", sa.String(length=64), nullable=False),
        sa.Column("tail_bytes", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.Column("bad_lines", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_log_positions")),
    )
    op.create_index(op.f("ix_api_log_positions_head_digest"), "api_log_positions", ["head_digest"])


def downgrade() -> None:
    op.drop_table("api_log_positions")
    op.drop_column("audio_sessions", "imported_at")
    # Before this revision no request was without a duration.
    op.execute("DELETE FROM api_requests WHERE duration_ms IS NULL")
    with op.batch_alter_table("api_requests") as table:
        table.alter_column("duration_ms", existing_type=sa.Double(), nullable=False)
