"""Sums of windows: unions in time, cut at the quarters of the clock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anc_core.records import Window
from anc_core.store import totals_of

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def window(start_s: float, end_s: float, **fields: object) -> Window:
    words = {"channel": 0, "noise_type": "fan", "confidence": 0.5, "level_dbfs": -20.0} | fields
    return Window(start_s=start_s, end_s=end_s, **words)


def test_overlapping_windows_and_channels_are_one_stretch_of_time():
    windows = [window(n / 2, n / 2 + 1, channel=c) for n in range(10) for c in range(2)]
    (row,) = totals_of(windows, None)
    assert (row["windows"], row["seconds"], row["quarter"]) == (20, 5.5, -1)


def test_a_stretch_is_cut_where_the_quarter_ends():
    rows = totals_of([window(899.0, 1000.0), window(950.0, 1801.0)], NOON)
    quarter = int(NOON.timestamp()) // 900
    assert [(r["quarter"] - quarter, r["seconds"], r["windows"]) for r in rows] == [
        (0, 1.0, 1),
        (1, 900.0, 1),
        (2, 1.0, 0),
    ]


def test_confidences_are_counted_by_tenths_and_the_last_includes_one():
    sure = [0.0, 0.0999, 0.1, 0.95, 1.0]
    (row,) = totals_of([window(n, n + 1, confidence=c) for n, c in enumerate(sure)], None)
    assert [row[f"confidence_{n}"] for n in range(10)] == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]


def test_energy_is_that_of_windows_with_a_level():
    windows = [window(0, 1, level_dbfs=-10.0), window(1, 3, level_dbfs=None), window(3, 5)]
    (row,) = totals_of(windows, None)
    assert row["energy_s"] == pytest.approx(0.1 + 2 * 0.01)
    assert row["level_s"] == 3.0


def test_damaged_windows_add_to_no_sum():
    damaged = [window(-1, 1), window(5, 4), window(0, 1e300), window(1e300, 1e300)]
    assert totals_of(damaged, NOON) == []
    (row,) = totals_of([window(0, 1, level_dbfs=1e9)], NOON)
    assert (row["seconds"], row["level_s"]) == (1.0, 0.0)


@given(
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 40)), max_size=30),
    st.sampled_from([None, NOON, datetime(2026, 5, 1, 12, 14, 59, 500_000, tzinfo=UTC)]),
)
def test_seconds_are_those_that_a_list_of_ticks_counts(spans, recorded_at):
    # Ticks of an eighth of a second: what any window covers, counted one by one.
    windows = [window(start / 8, (start + length) / 8) for start, length in spans]
    ticks = {tick for start, length in spans for tick in range(start, start + length)}
    rows = totals_of(windows, recorded_at)
    assert sum(row["seconds"] for row in rows) == pytest.approx(len(ticks) / 8, abs=1e-6)
    assert sum(row["windows"] for row in rows) == len(windows)
