"""Engines: one URL in, connections with the right habits out.

SQLite: WAL, foreign keys on, 60 s of patience, and every writing transaction opens with BEGIN
IMMEDIATE. A deferred transaction that reads and then writes would have to upgrade its lock, and
where another process wrote in between that fails at once, whatever the timeout.
"""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError

from anc_core.errors import InputError, StoreBusyError, StoreError
from anc_core.store.column_types import to_json

if TYPE_CHECKING:
    from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

BUSY_TIMEOUT_S = 60.0
READ_ONLY = {"anc_read_only": True, "postgresql_readonly": True}
"""Execution options of transactions that only read."""

_DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


def parse_url(url: str) -> URL:
    """Return ``url`` with the driver that this project uses.

    Parameters
    ----------
    url : str
        ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``postgresql://user@host/name`` or
        ``postgresql+psycopg://...``.

    Raises
    ------
    InputError
        If it is malformed, of another kind of database, or SQLite without a file.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        msg = "database URL cannot be read; write sqlite:///PATH or postgresql://USER@HOST/NAME"
        raise InputError(msg) from None
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        msg = f"database {parsed.drivername!r} is not supported; choose sqlite or postgresql"
        raise InputError(msg)
    if driver == "sqlite" and parsed.database in {None, "", ":memory:"}:
        msg = "SQLite in memory is not supported, workers could not share it; name a file"
        raise InputError(msg)
    if driver != "sqlite" and importlib.util.find_spec("psycopg") is None:
        msg = "PostgreSQL needs psycopg; install the extra: pip install 'anc-platform[postgres]'"
        raise InputError(msg)
    return parsed.set(drivername=driver)


def make_engine(url: URL) -> Engine:
    """Return an engine for ``url`` (from :func:`parse_url`); nothing is opened yet."""
    if url.get_backend_name() == "sqlite":
        engine = create_engine(
            url, json_serializer=to_json, connect_args={"timeout": BUSY_TIMEOUT_S}
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        engine = create_engine(
            url,
            json_serializer=to_json,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10},
        )
        event.listen(engine, "connect", _prepare_postgresql)
    event.listen(engine, "checkout", _refuse_inherited)
    return engine


def sqlite_file(url: URL) -> Path | None:
    """Return the database file, or ``None`` where ``url`` is not SQLite."""
    if url.get_backend_name() != "sqlite" or url.database is None:
        return None
    return Path(url.database)


def make_parent(file: Path) -> None:
    """Create the folder of a SQLite file.

    Raises
    ------
    StoreError
        If it cannot be created or ``file`` is a folder itself.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        msg = f"{file.parent}: the folder of the database cannot be created: {err}"
        raise StoreError(msg) from err
    if file.is_dir():
        msg = f"{file}: the database is a folder; name a file"
        raise StoreError(msg)


def ensure_wal(file: Path) -> None:
    """Switch ``file`` to write-ahead logging; it remembers, so this costs one read after that.

    The switch needs the file alone, and SQLite does not wait for that by its busy timeout: two
    processes that create one database at once need this loop.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        connection = sqlite3.connect(file, timeout=BUSY_TIMEOUT_S)
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as err:
            if "locked" not in str(err):
                msg = f"{file}: the database cannot be written: {err}"
                raise StoreError(msg) from err
            if time.monotonic() > deadline:
                msg = f"{file}: locked by another process for {BUSY_TIMEOUT_S:.0f} s"
                raise StoreBusyError(msg) from err
        else:
            return
        finally:
            connection.close()
        time.sleep(0.02)


def _prepare_sqlite(connection: Any, record: ConnectionPoolEntry) -> None:  # noqa: ANN401 - DBAPI
    record.info["pid"] = os.getpid()
    # From here on SQLAlchemy says when a transaction begins, not the driver; see _begin_sqlite.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA synchronous=NORMAL")  # WAL: no corruption, at most the last commits lost
    try:
        cursor.execute("SELECT power(2.0, 0.5)")
    except sqlite3.OperationalError:  # a SQLite built without its mathematics
        connection.create_function("power", 2, pow, deterministic=True)
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get("anc_read_only", False)
    connection.exec_driver_sql(f"PRAGMA query_only={'ON' if reading else 'OFF'}")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _prepare_postgresql(connection: Any, record: ConnectionPoolEntry) -> None:  # noqa: ANN401 - DBAPI
    record.info["pid"] = os.getpid()
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{BUSY_TIMEOUT_S:.0f}s'")
    connection.commit()


def _refuse_inherited(
    _connection: Any,  # noqa: ANN401 - DBAPI
    record: ConnectionPoolEntry,
    proxy: PoolProxiedConnection,
) -> None:
    """Open a new connection in a forked child: one shared by two processes damages the database."""
    if record.info["pid"] != os.getpid():
        record.dbapi_connection = proxy.dbapi_connection = None  # type: ignore[misc]
        msg = f"connection belongs to process {record.info['pid']}"
        raise DisconnectionError(msg)
