"""The erase ledger: whose data was erased, and when, so that no backup brings it back.

Revision: v0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0004"
down_revision = "v0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "erase_ledger",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erase_ledger")),
        sa.UniqueConstraint("subject", "erased_at", name=op.f("uq_erase_ledger_subject_erased_at")),
    )


def downgrade() -> None:
    op.drop_table("erase_ledger")
