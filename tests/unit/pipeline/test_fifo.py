from __future__ import annotations

import numpy as np
import pytest

from anc_core.pipeline.fifo import SampleFifo


def ramp(start: int, stop: int) -> np.ndarray:
    return np.arange(2 * start, 2 * stop, dtype=np.float32).reshape(-1, 2)


def test_new_fifo_is_empty_and_keeps_its_shape() -> None:
    fifo = SampleFifo(3)
    assert len(fifo) == 0
    assert fifo.take(5).shape == (0, 3)
    assert fifo.take(5).dtype == np.float32


def test_samples_come_out_in_the_order_they_went_in() -> None:
    fifo = SampleFifo(2)
    fifo.put(ramp(0, 3))
    fifo.put(ramp(3, 4))
    fifo.put(ramp(4, 9))
    np.testing.assert_array_equal(fifo.take(2), ramp(0, 2))
    np.testing.assert_array_equal(fifo.take(3), ramp(2, 5))
    assert len(fifo) == 4
    np.testing.assert_array_equal(fifo.take(4), ramp(5, 9))


def test_no_more_comes_out_than_waits() -> None:
    fifo = SampleFifo(2)
    fifo.put(ramp(0, 3))
    assert len(fifo.take(100)) == 3
    assert len(fifo.take(100)) == 0


def test_nothing_asked_for_takes_nothing() -> None:
    fifo = SampleFifo(2)
    fifo.put(ramp(0, 3))
    assert fifo.take(0).shape == (0, 2)
    assert len(fifo) == 3


def test_empty_chunks_leave_no_trace() -> None:
    fifo = SampleFifo(2)
    for _ in range(3):
        fifo.put(ramp(0, 0))
    fifo.put(ramp(0, 1))
    np.testing.assert_array_equal(fifo.take(1), ramp(0, 1))


def test_whole_chunk_comes_out_without_a_copy() -> None:
    chunk = ramp(0, 4)
    fifo = SampleFifo(2)
    fifo.put(chunk)
    assert fifo.take(4) is chunk


def test_memory_of_taken_chunks_is_given_back() -> None:
    fifo = SampleFifo(1)
    chunk = np.zeros((4, 1), np.float32)
    import weakref

    owner = weakref.ref(chunk)
    fifo.put(chunk)
    del chunk
    fifo.take(4)
    assert owner() is None


@pytest.mark.parametrize("size", [1, 7, 100])
def test_many_small_takes_cost_no_more_than_the_samples(size: int) -> None:
    fifo = SampleFifo(2)
    fifo.put(ramp(0, 1_000))
    parts = []
    while len(fifo):
        parts.append(fifo.take(size))
    np.testing.assert_array_equal(np.concatenate(parts), ramp(0, 1_000))
