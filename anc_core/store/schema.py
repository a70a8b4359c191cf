"""Which schema a database has, and bringing it to this code's.

The common case, a database at head, costs one SELECT and does not import Alembic.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from anc_core.errors import SchemaError
from anc_core.store.tables import SQLITE_INDEXES, Base

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "v0006"
"""Newest revision in ``migrations/versions``; a test keeps it true."""

_VERSION_TABLE = "alembic_version"
# Any fixed number; serialises migrations of one PostgreSQL database ("ANC" in ASCII).
_ADVISORY_LOCK = 0x414E43


class SchemaState(Enum):
    """How a database stands to this code."""

    NEW = "new"
    HEAD = "head"
    OTHER = "other"
    """Older or newer: only the migrations can tell."""


def schema_state(connection: Connection) -> SchemaState:
    """Read the state of a database; writes nothing.

    Raises
    ------
    SchemaError
        If tables of ours are there without a record of their version.
    """
    names = set(inspect(connection).get_table_names())
    if _VERSION_TABLE not in names:
        ours = sorted(names & set(Base.metadata.tables))
        if ours:
            msg = (
                f"{_where(connection)}: tables {', '.join(ours)} exist, but no {_VERSION_TABLE}; "
                "this database was not made by this project"
            )
            raise SchemaError(msg)
        return SchemaState.NEW
    revisions = _revisions(connection)
    return SchemaState.HEAD if revisions == [HEAD] else SchemaState.OTHER


def upgrade(connection: Connection) -> None:
    """Bring the schema to head inside the transaction of ``connection``.

    Two processes may come at once: on SQLite the transaction itself (BEGIN IMMEDIATE) lets one in
    at a time, on PostgreSQL an advisory lock does; the second then finds nothing left to do.

    Raises
    ------
    SchemaError
        If the database is of a revision that this code does not know; nothing is changed.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    state = schema_state(connection)
    if state is SchemaState.HEAD:
        return
    if state is SchemaState.OTHER:
        _refuse_unknown(connection)
    from alembic import command

    command.upgrade(alembic_config(connection), "head")


def refuse_other(connection: Connection) -> None:
    """Raise :class:`SchemaError` unless the schema is this code's."""
    if schema_state(connection) is not SchemaState.HEAD:
        msg = f"{_where(connection)}: the schema is not {HEAD}; upgrade it with: anc db upgrade"
        raise SchemaError(msg)


def known_revisions() -> frozenset[str]:
    """Return the revisions that this program can bring to head."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", _script_location())
    scripts = ScriptDirectory.from_config(config)
    return frozenset(script.revision for script in scripts.walk_revisions())


def alembic_config(connection: Connection) -> Config:
    """Return Alembic's configuration for ``connection``; no file is read."""
    from alembic.config import Config

    # Alembic's own default is what stdout was when it was imported, which may be closed by now.
    config = Config(stdout=sys.stdout)
    config.set_main_option("script_location", _script_location())
    config.attributes["connection"] = connection
    return config


def _script_location() -> str:
    return str(Path(__file__).with_name("migrations")).replace("%", "%%")


def compared_on(dialect: str) -> Callable[..., bool]:
    """Return Alembic's ``include_object``: it knows nothing of indexes of one dialect."""
    foreign = frozenset() if dialect == "sqlite" else SQLITE_INDEXES

    def include(_thing: object, name: str | None, kind: str, *_: object) -> bool:
        return kind != "index" or name not in foreign

    return include


def _refuse_unknown(connection: Connection) -> None:
    known = known_revisions()
    unknown = [revision for revision in _revisions(connection) if revision not in known]
    if unknown:
        msg = (
            f"{_where(connection)}: schema {', '.join(unknown)} is newer than this program's "
            f"({HEAD}), or of another program; update anc-platform or name another database"
        )
        raise SchemaError(msg)


def _revisions(connection: Connection) -> list[str]:
    rows = connection.execute(text(f"SELECT version_num FROM {_VERSION_TABLE}"))  # noqa: S608 - a constant
    return [row[0] for row in rows]


def _where(connection: Connection) -> str:
    return connection.engine.url.render_as_string()
