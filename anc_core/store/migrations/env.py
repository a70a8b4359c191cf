"""What Alembic runs for every command; the connection and its transaction come from the caller."""

from __future__ import annotations

from alembic import context

from anc_core.store.schema import compared_on
from anc_core.store.tables import Base


def run() -> None:
    """Run the migrations inside the caller's transaction, so that they apply wholly or not."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        # SQLite cannot alter most things in place: batch mode copies the table instead.
        render_as_batch=connection.dialect.name == "sqlite",
        include_object=compared_on(connection.dialect.name),
    )
    with context.begin_transaction():
        context.run_migrations()


# Alembic executes this file under this name; an ordinary import (pytest, mypy) must do nothing.
if __name__ == "env_py":
    run()
