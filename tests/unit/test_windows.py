"""Windows by the hundred thousand: what a tuple of records holds, in a thirtieth of its memory."""

from __future__ import annotations

import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anc_core.records import SessionSummary, Status, Window, WindowTable

WINDOWS = st.builds(
    Window,
    start_s=st.floats(0, 1e5),
    end_s=st.floats(0, 1e5),
    channel=st.integers(0, 7),
    noise_type=st.sampled_from(["fan", "rain", "unknown", "silence"]),
    confidence=st.floats(0, 1),
    level_dbfs=st.none() | st.floats(-200, 20),
)


def summary(windows: object) -> SessionSummary:
    return SessionSummary(status=Status.OK, session_id="s", source_path="a.wav", windows=windows)


@given(windows=st.lists(WINDOWS, max_size=12), cut=st.integers(-3, 15))
def test_a_table_is_the_tuple_it_was_made_of(windows: list[Window], cut: int) -> None:
    table = WindowTable(windows)
    assert table == windows
    assert list(table) == windows
    assert [table[i] for i in range(-len(windows), len(windows))] == [*windows, *windows]
    assert table[:cut] == windows[:cut]
    assert table.noise_types == tuple(sorted({w.noise_type for w in windows}))
    assert pickle.loads(pickle.dumps(table)) == table
    assert hash(WindowTable(windows)) == hash(table)


@given(parts=st.lists(st.lists(WINDOWS, max_size=4), max_size=4))
def test_tables_are_joined_and_ordered_as_tuples_are(parts: list[list[Window]]) -> None:
    joined = WindowTable.joined([WindowTable(part) for part in parts])
    every = [window for part in parts for window in part]
    assert joined == every
    assert joined.in_order() == sorted(every, key=lambda w: (w.start_s, w.channel, w.end_s))


@given(windows=st.lists(WINDOWS, max_size=4))
def test_a_record_with_a_table_is_the_same_json_as_with_a_tuple(windows: list[Window]) -> None:
    record = summary(windows)
    assert record.model_dump()["windows"] == [w.model_dump() for w in windows]
    assert record.model_dump(mode="json")["windows"] == [w.model_dump() for w in windows]
    again = SessionSummary.from_json(record.to_json())
    assert again == record
    assert again.windows == windows


def test_what_is_no_window_is_refused() -> None:
    with pytest.raises(ValueError, match="confidence"):
        summary([{"start_s": 0, "end_s": 1, "channel": 0, "noise_type": "x", "confidence": 2}])
    with pytest.raises(ValueError, match="list"):
        summary("windows")
    assert WindowTable() != [1]
    assert WindowTable() != 0


def test_a_day_takes_a_few_megabytes() -> None:
    """172 800 windows a channel; a record of its own takes 1 200 bytes each."""
    num = 172_800
    start_s = 0.5 * np.arange(num)
    tracemalloc.start()
    table = WindowTable.of_columns(
        start_s=start_s,
        end_s=start_s + 1.0,
        channel=np.zeros(num),
        name=np.arange(num) % 2,
        names=("fan", "rain"),
        confidence=np.full(num, 0.5),
        level_dbfs=np.full(num, np.nan),
    )
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert size < 12e6
    assert table[-1] == Window(
        start_s=86_399.5, end_s=86_400.5, channel=0, noise_type="rain", confidence=0.5
    )
