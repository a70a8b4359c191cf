"""Errors of the database, told in the project's own words.

No SQLAlchemy error leaves the store: a caller retries :class:`StoreBusyError`, reports the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from anc_core.errors import AncError, SchemaError, StoreBusyError, StoreError

_BUSY_PHRASES = (
    "database is locked",
    "database table is locked",
    "database schema is locked",
    "connection refused",
    "connection timeout",
    "could not translate host name",
    "failed to resolve host",
    "no such file or directory",  # the server's socket is not there (yet)
    # A server that restarts, or comes back after a crash, lets nobody in for some seconds; refused
    # connections carry no SQLSTATE.
    "the database system is starting up",
    "the database system is shutting down",
    "the database system is in recovery mode",
    "not yet accepting connections",
    "server closed the connection unexpectedly",
    "connection reset by peer",
    "too many clients already",
    "remaining connection slots are reserved",
)
_DAMAGED_PHRASES = ("file is not a database", "malformed", "file is encrypted")
# Classes of SQLSTATE (PostgreSQL, appendix A): lost connection, rollback through deadlock or
# serialisation, out of resources, lock not available, shutdown. 57014 is a cancelled query.
_BUSY_STATES = ("08", "40", "53", "55P03", "57P")


@contextmanager
def store_errors(where: str) -> Iterator[None]:
    """Turn errors of SQLAlchemy and its drivers into ours; all others pass unchanged.

    Parameters
    ----------
    where : str
        The database, without its password, for the message.
    """
    try:
        yield
    except SQLAlchemyError as err:
        raise _translated(err, where) from err


def _translated(err: SQLAlchemyError, where: str) -> AncError:
    if isinstance(err, StatementError) and isinstance(err.orig, AncError):
        return err.orig  # a column type refused the value
    if isinstance(err, NoSuchModuleError):
        return StoreError(f"{where}: no driver for this kind of database: {err}")
    cause = getattr(err, "orig", None) or err
    text = str(cause).strip().lower()
    if _is_busy(err, text):
        return StoreBusyError(f"{where}: busy or away, try again: {cause}")
    if any(phrase in text for phrase in _DAMAGED_PHRASES):
        return SchemaError(
            f"{where}: not a database of this project, or damaged ({cause}); move it away and "
            "restore a backup, or name another database"
        )
    return StoreError(f"{where}: {cause}")


def _is_busy(err: SQLAlchemyError, text: str) -> bool:
    if isinstance(err, PoolTimeoutError):
        return True
    if not isinstance(err, DBAPIError):
        return False
    state = getattr(err.orig, "sqlstate", None)
    return (
        err.connection_invalidated
        or (state is not None and state.startswith(_BUSY_STATES))
        or any(phrase in text for phrase in _BUSY_PHRASES)
    )
