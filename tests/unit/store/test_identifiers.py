from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from anc_core.errors import InputError
from anc_core.store import new_session_id, validate_session_id


@pytest.mark.parametrize(
    "good", ["a", "A-1_b.c", "x" * 128, ".hidden", "-x", "console", "com", "nul_1"]
)
def test_ordinary_ids_pass_unchanged(good):
    assert validate_session_id(good) == good


@pytest.mark.parametrize(
    "bad",
    [
        "",
        ".",
        "..",
        "a.",
        "../../etc/x",
        "/etc/passwd",
        "a\\b",
        "a\x00",
        "a\n",
        "a b",
        "ü",
        "١",  # a digit, but not of ours
        "CON",
        "nul",
        "NUL.txt",
        "Com1",
        "lpt9.wav",
        "x" * 129,
        "x" * 10_000,
    ],
)
def test_dangerous_ids_are_refused(bad):
    with pytest.raises(InputError) as caught:
        validate_session_id(bad)
    assert len(str(caught.value)) < 300  # a 10 kB id does not flood the log


def test_the_message_calls_it_what_it_is():
    with pytest.raises(InputError, match="batch_id"):
        validate_session_id("a b", what="batch_id")


def test_new_ids_tell_the_time_in_utc_and_differ():
    now = datetime(2024, 5, 1, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))
    ids = {new_session_id(now) for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"20240430-230203-[0-9a-f]{8}", validate_session_id(i)) for i in ids)
    assert new_session_id(datetime(2024, 5, 1, tzinfo=UTC)) < new_session_id(
        datetime(2024, 5, 2, tzinfo=UTC)
    )
