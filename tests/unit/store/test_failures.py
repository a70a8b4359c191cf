from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from anc_core.errors import InputError, SchemaError, StoreBusyError, StoreError, TransientError
from anc_core.store.failures import store_errors


class ServerError(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__("told by the server")
        self.sqlstate = sqlstate


def raised_for(error: Exception) -> Exception:
    with pytest.raises(Exception) as caught, store_errors("db"):  # noqa: PT011 - whatever it becomes
        raise error
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("s", {}, sqlite3.OperationalError("database is locked")),
        OperationalError("s", {}, Exception("connection failed: Connection refused")),
        DBAPIError("s", {}, Exception("gone"), connection_invalidated=True),
        PoolTimeoutError("QueuePool limit"),
        *(
            OperationalError("s", {}, ServerError(state))
            for state in ("40001", "40P01", "08006", "53300", "55P03", "57P01")
        ),
    ],
)
def test_what_may_work_in_a_moment_is_transient(error):
    assert isinstance(raised_for(error), StoreBusyError)


@pytest.mark.parametrize(
    "error",
    [
        IntegrityError("s", {}, ServerError("23505")),
        OperationalError("s", {}, ServerError("57014")),  # cancelled by hand
        OperationalError("s", {}, sqlite3.OperationalError("no such table: x")),
        OperationalError("s", {}, sqlite3.OperationalError("attempt to write a readonly database")),
        NoSuchModuleError("no driver"),
    ],
)
def test_what_will_not_is_a_plain_store_error(error):
    found = raised_for(error)
    assert isinstance(found, StoreError)
    assert not isinstance(found, TransientError)
    assert found.__cause__ is error


def test_damage_is_told_in_words():
    error = DBAPIError("s", {}, sqlite3.DatabaseError("database disk image is malformed"))
    assert isinstance(raised_for(error), SchemaError)
    assert "restore a backup" in str(raised_for(error))


def test_a_value_that_a_column_refused_is_the_callers_error():
    refusal = InputError("naive")
    assert raised_for(StatementError("naive", "s", {}, refusal)) is refusal


def test_errors_of_others_pass_unchanged():
    error = KeyError("x")
    assert raised_for(error) is error
