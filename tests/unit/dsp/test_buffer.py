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
