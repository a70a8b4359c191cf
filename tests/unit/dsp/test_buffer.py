from __future__ import annotations

import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anc_core.dsp.buffer import SampleBuffer


def ramp(start, stop):
    return np.arange(start, stop, dtype=np.float32)[:, np.newaxis]


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["put", "peek", "take", "drop"]), st.integers(0, 30)), max_size=40
    )
)
def test_samples_leave_in_the_order_in_which_they_came(steps):
    buffer = SampleBuffer(1)
    put = left = 0
    for action, count in steps:
        if action == "put":
            buffer.put(ramp(put, put + count))
            put += count
        else:
            expected = ramp(left, min(left + count, put))
            if action == "peek":
                np.testing.assert_array_equal(buffer.peek(count), expected)
            elif action == "take":
                np.testing.assert_array_equal(buffer.take(count), expected)
            else:
                buffer.drop(count)
            left += len(expected) if action != "peek" else 0
        assert len(buffer) == put - left


@pytest.mark.parametrize("method", ["peek", "take"])
def test_empty_buffer_returns_no_samples_of_the_right_width(method):
    assert getattr(SampleBuffer(3), method)(5).shape == (0, 3)


def test_clear_forgets_everything():
    buffer = SampleBuffer(1)
    buffer.put(ramp(0, 5))
    buffer.drop(2)
    buffer.clear()
    buffer.put(ramp(7, 9))
    np.testing.assert_array_equal(buffer.take(9), ramp(7, 9))


def test_zeros_are_samples_too():
    buffer = SampleBuffer(2)
    buffer.put_zeros(3)
    np.testing.assert_array_equal(buffer.take(9), np.zeros((3, 2), np.float32))


def test_a_whole_chunk_comes_out_without_a_copy():
    chunk = ramp(0, 4)
    buffer = SampleBuffer(1)
    buffer.put(chunk)
    assert np.shares_memory(buffer.take(4), chunk)


def test_memory_of_taken_chunks_is_given_back():
    chunk = ramp(0, 4)
    owner = weakref.ref(chunk)
    buffer = SampleBuffer(1)
    buffer.put(chunk)
    del chunk
    buffer.take(4)
    assert owner() is None


def test_what_was_dropped_of_a_joined_chunk_is_not_kept():
    """A queue that is as long as a look-ahead would otherwise hold it several times."""
    buffer = SampleBuffer(1)
    for start in range(0, 1_000, 100):
        buffer.put(ramp(start, start + 100))
    buffer.take(950)
    kept = buffer.peek(50)
    np.testing.assert_array_equal(kept, ramp(950, 1_000))
    held = kept if kept.base is None else kept.base
    assert held.nbytes <= 2 * kept.nbytes


def test_queues_share_the_samples_that_wait_in_all_of_them():
    chunks = [ramp(start, start + 100) for start in range(0, 1_000, 100)]
    buffer = SampleBuffer(1)
    for chunk in chunks:
        buffer.put(chunk)
    buffer.take(250)  # of three chunks, joined
    buffer.drop(50)
    np.testing.assert_array_equal(buffer.peek(100), chunks[3])
    assert np.shares_memory(buffer.peek(100), chunks[3])
