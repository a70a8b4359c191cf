"""The database as the rest of the project sees it: open, begin, read, dispose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session, sessionmaker

from anc_core.errors import SchemaError
from anc_core.store.engine import (
    READ_ONLY,
    ensure_wal,
    make_engine,
    make_parent,
    parse_url,
    sqlite_file,
)
from anc_core.store.failures import store_errors
from anc_core.store.schema import SchemaState, refuse_other, schema_state, upgrade

if TYPE_CHECKING:
    from sqlalchemy import Engine


class Database:
    """A factory of database sessions. Safe to share between threads; open one per process.

    Parameters
    ----------
    engine : Engine
        From :func:`open_database`, which also brings the schema up to date.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._where = engine.url.render_as_string()
        self._writing = sessionmaker(engine, expire_on_commit=False)
        self._reading = sessionmaker(engine.execution_options(**READ_ONLY), expire_on_commit=False)

    def __repr__(self) -> str:
        return f"Database({self._where!r})"

    @classmethod
    def from_url(cls, url: str, *, migrate: bool = True) -> Database:
        """Do what :func:`open_database` does."""
        return open_database(url, migrate=migrate)

    @property
    def url(self) -> str:
        """Complete URL, password included: hand it to workers, do not print it."""
        return self._engine.url.render_as_string(hide_password=False)

    @property
    def display_url(self) -> str:
        """URL without its password, for messages."""
        return self._where

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._engine.dialect.name

    @property
    def engine(self) -> Engine:
        """For maintenance that runs outside a transaction, such as VACUUM."""
        return self._engine

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """Open a transaction that may write: commit on success, roll back on error.

        Keep it short; SQLite lets one writer in at a time.

        Raises
        ------
        StoreBusyError
            If the database stayed locked for 60 s or the connection was lost; try again later.
        StoreError
            On any other failure of the database.
        """
        with store_errors(self._where), self._writing.begin() as db:
            yield db

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a transaction that only reads: it sees one moment and holds up no writer.

        Raises
        ------
        StoreBusyError
            As for :meth:`begin`.
        StoreError
            As for :meth:`begin`, and on an attempt to write.
        """
        with store_errors(self._where), self._reading.begin() as db:
            yield db

    def dispose(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def open_existing(url: str) -> Database | None:
    """Return the database if there is one, as :func:`open_database`; nothing is created.

    ``None`` stands for a SQLite file that does not exist.
    """
    file = sqlite_file(parse_url(url))
    return None if file is not None and not file.exists() else open_database(url)


def open_database(url: str, *, migrate: bool = True) -> Database:
    """Open a database, creating or upgrading its schema where needed.

    Parameters
    ----------
    url : str
        ``sqlite:///PATH`` (folder and file are created) or ``postgresql://USER@HOST/NAME``.
    migrate : bool
        If false, a database whose schema is not this code's is refused instead.

    Raises
    ------
    InputError
        If the URL is malformed or of an unsupported kind.
    SchemaError
        If the schema is newer than this code or the file is damaged; nothing is changed.
    StoreBusyError
        If the server is away.
    StoreError
        If the file or its folder cannot be written.
    """
    parsed = parse_url(url)
    file = sqlite_file(parsed)
    if file is not None:
        _prepare_place(file, may_create=migrate)
    engine = make_engine(parsed)
    try:
        with store_errors(parsed.render_as_string()):
            _bring_to_head(engine, may_migrate=migrate)
    except BaseException:
        engine.dispose()
        raise
    return Database(engine)


def _prepare_place(file: Path, *, may_create: bool) -> None:
    if not may_create and not file.exists():
        msg = f"{file}: there is no database; create it with: anc db upgrade"
        raise SchemaError(msg)
    make_parent(file)


def _bring_to_head(engine: Engine, *, may_migrate: bool) -> None:
    with engine.execution_options(**READ_ONLY).begin() as connection:
        if not may_migrate:
            refuse_other(connection)
        at_head = schema_state(connection) is SchemaState.HEAD
    if not at_head:
        with engine.begin() as connection:
            upgrade(connection)
    # Only now: a database that is refused above must not be touched, not even its journal mode.
    file = sqlite_file(engine.url)
    if file is not None:
        ensure_wal(file)
