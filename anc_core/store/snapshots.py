"""Copies of the whole database: made while others write, put back whole or not at all.

SQLite: the backup API reads one moment and holds up nobody; put back it is one transaction, so
other processes see the old database or the new one. PostgreSQL: ``pg_dump`` and ``pg_restore`` in
one transaction.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from anc_core.errors import InputError, SchemaError, StoreBusyError, StoreError
from anc_core.files import atomic_path
from anc_core.store.database import Database, open_database
from anc_core.store.engine import BUSY_TIMEOUT_S, make_parent, parse_url, sqlite_file
from anc_core.store.schema import known_revisions

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

SQLITE_SUFFIX, POSTGRESQL_SUFFIX = ".db", ".dump"

_SQLITE_MAGIC, _POSTGRESQL_MAGIC = b"SQLite format 3\0", b"PGDMP"


def save_snapshot(database: Database, target: Path) -> None:
    """Copy the database to ``target``, which is complete or does not exist.

    Raises
    ------
    StoreError
        If the copy cannot be made, or is not sound.
    SinkError
        If ``target`` cannot be written.
    """
    file = sqlite_file(database.engine.url)
    with atomic_path(target) as temp:
        temp.touch(0o600)  # it holds what the database holds
        if file is None:
            _dump(database.engine.url, temp)
        else:
            _copy_sqlite(file, temp)


def is_snapshot_of(file: Path, url: str) -> bool:
    """Return whether ``file`` is a backup for the kind of database that ``url`` names.

    Raises
    ------
    StoreError
        If it cannot be read or is no backup at all.
    """
    try:
        with file.open("rb") as raw:
            start = raw.read(len(_SQLITE_MAGIC))
    except OSError as err:
        msg = f"{file}: cannot be read: {err.strerror}"
        raise StoreError(msg) from err
    if not start.startswith((_SQLITE_MAGIC, _POSTGRESQL_MAGIC)):
        msg = f"{file}: no backup of SQLite and none of PostgreSQL (pg_dump -Fc)"
        raise StoreError(msg)
    is_sqlite = parse_url(url).get_backend_name() == "sqlite"
    return is_sqlite == start.startswith(_SQLITE_MAGIC)


def open_snapshot(file: Path) -> Database:
    """Open a copy of a SQLite backup, upgraded to this version's schema.

    Raises
    ------
    SchemaError
        If its schema is newer than this program's, or it is damaged.
    """
    return open_database(f"sqlite:///{file}")


def replace_sqlite(copy: Path, url: str) -> None:
    """Put a sound SQLite file in the place of the database ``url``, in one transaction.

    Raises
    ------
    StoreBusyError
        If another transaction does not end.
    SchemaError
        If the present file is damaged: move it away first.
    """
    target = sqlite_file(parse_url(url))
    if target is None:
        msg = f"{url}: no SQLite database"
        raise InputError(msg)
    make_parent(target)
    try:
        with (
            closing(sqlite3.connect(copy)) as source,
            closing(sqlite3.connect(target, timeout=BUSY_TIMEOUT_S)) as sink,
        ):
            source.backup(sink, progress=_patience(target))
            sink.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()  # waits for no reader
    except sqlite3.DatabaseError as err:
        if "locked" in str(err) or "busy" in str(err):
            msg = f"{target}: another transaction did not end; stop the workers, then try again"
            raise StoreBusyError(msg) from err
        msg = f"{target}: the present database is damaged ({err}); move it away, then restore"
        raise SchemaError(msg) from err


def load_dump(file: Path, url: str) -> None:
    """Put a PostgreSQL dump in the place of the database, in one transaction.

    Raises
    ------
    SchemaError
        If its schema is newer than this program's; nothing is changed.
    StoreError
        If ``pg_restore`` is missing or fails; nothing is changed.
    """
    _refuse_newer_dump(file)
    parsed = parse_url(url)
    options = ["--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction"]
    _run_tool("pg_restore", parsed, [*options, "--dbname", _name(parsed), str(file)])


def _patience(target: Path) -> Callable[[int, int, int], None]:
    """Return what ends a copy that waits for another transaction: Python itself never would."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S

    def check(_status: int, remaining: int, _total: int) -> None:
        if remaining and time.monotonic() > deadline:
            msg = f"{target}: another transaction did not end; stop the workers, then try again"
            raise StoreBusyError(msg)

    return check


def _copy_sqlite(file: Path, temp: Path) -> None:
    try:
        with (
            closing(sqlite3.connect(file, timeout=BUSY_TIMEOUT_S)) as source,
            closing(sqlite3.connect(temp)) as sink,
        ):
            source.backup(sink)
            # One file, not three: a copy that is carried elsewhere must not need its log.
            sink.execute("PRAGMA journal_mode=DELETE").fetchone()
            findings = [row[0] for row in sink.execute("PRAGMA quick_check")]
    except sqlite3.DatabaseError as err:
        msg = f"{file}: no backup could be made: {err}"
        raise StoreError(msg) from err
    if findings != ["ok"]:
        msg = f"{file}: damaged ({findings[0]}); the earlier backups are left as they are"
        raise SchemaError(msg)


def _dump(url: URL, temp: Path) -> None:
    options = ["--format=custom", "--no-owner", "--no-privileges", f"--file={temp}"]
    _run_tool("pg_dump", url, [*options, _name(url)])


def _refuse_newer_dump(file: Path) -> None:
    text = _run_tool(
        "pg_restore", None, ["--data-only", "--table=alembic_version", "--file=-", str(file)]
    )
    lines = text.splitlines()
    starts = [n for n, line in enumerate(lines) if line.startswith("COPY ")]
    found = lines[starts[0] + 1].strip() if starts and starts[0] + 1 < len(lines) else ""
    if found not in known_revisions():
        msg = (
            f"{file}: its schema {found!r} is newer than this program's, or of another program; "
            "update anc-platform"
        )
        raise SchemaError(msg)


def _name(url: URL) -> str:
    """Return the URL for the tools, without its password: that is no argument to be seen by all."""
    plain = url.set(drivername="postgresql", password=None)
    return plain.render_as_string(hide_password=False)


def _run_tool(tool: str, url: URL | None, arguments: list[str]) -> str:
    path = shutil.which(tool)
    if path is None:
        msg = f"{tool} is not on the PATH; install PostgreSQL's client, as new as the server"
        raise StoreError(msg)
    environment = dict(os.environ)
    if url is not None and url.password is not None:
        environment["PGPASSWORD"] = str(url.password)
    done = subprocess.run(  # noqa: S603 - found on the PATH, no shell
        [path, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        why = " ".join(done.stderr.split())[-500:]
        msg = f"{tool} failed: {why}"
        raise StoreError(msg)
    return done.stdout
