from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql, sqlite

from anc_core.errors import InputError
from anc_core.store.column_types import AnyText, UtcDateTime, to_json

SQLITE, POSTGRESQL = sqlite.dialect(), postgresql.dialect()


@pytest.mark.parametrize("dialect", [SQLITE, POSTGRESQL], ids=["sqlite", "postgresql"])
def test_naive_datetimes_are_refused(dialect):
    with pytest.raises(InputError, match="no time zone"):
        UtcDateTime().process_bind_param(datetime(2024, 5, 1), dialect)  # noqa: DTZ001 - the point


@pytest.mark.parametrize("dialect", [SQLITE, POSTGRESQL], ids=["sqlite", "postgresql"])
def test_any_zone_comes_back_as_the_same_moment_in_utc(dialect):
    moment = datetime(2024, 5, 1, 1, tzinfo=timezone(timedelta(hours=-7)))
    column = UtcDateTime()
    back = column.process_result_value(column.process_bind_param(moment, dialect), dialect)
    assert back == moment
    assert back.tzinfo is UTC


def test_sqlite_stores_the_wall_clock_of_utc():
    moment = datetime(2024, 5, 1, 23, tzinfo=timezone(timedelta(hours=-2)))
    stored = UtcDateTime().process_bind_param(moment, SQLITE)
    assert stored == datetime(2024, 5, 2, 1)  # noqa: DTZ001 - SQLite keeps no zone


@given(st.text(st.one_of(st.characters(), st.sampled_from("\x00\x1a\udcff0f"))))
def test_any_text_survives_and_what_is_stored_is_valid(value):
    column = AnyText()
    stored = column.process_bind_param(value, SQLITE)
    assert column.process_result_value(stored, SQLITE) == value
    assert "\x00" not in stored
    stored.encode("utf-8")  # raises on a lone surrogate


def test_ordinary_text_is_stored_as_it_is():
    assert AnyText().process_bind_param("/a/Gerät 'x'.wav", SQLITE) == "/a/Gerät 'x'.wav"


def test_null_stays_null():
    for column in (AnyText(), UtcDateTime()):
        assert column.process_bind_param(None, SQLITE) is None
        assert column.process_result_value(None, SQLITE) is None


@pytest.mark.parametrize(
    "bad", [float("nan"), [float("inf")], {"x": -float("inf")}, object(), {1, 2}]
)
def test_what_is_not_json_is_refused(bad):
    with pytest.raises(InputError, match="JSON"):
        to_json(bad)


def test_json_is_ascii_and_survives():
    value = {"ü\udcff\x00": [1, 2.5, None, True, "€"]}
    stored = to_json(value)
    assert stored.isascii()
    assert json.loads(stored) == value
