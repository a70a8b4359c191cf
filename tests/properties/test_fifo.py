"""Law: whatever is put in whatever portions comes out as one stream, in whatever portions."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from anc_core.pipeline.fifo import SampleFifo

STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=60)


@given(STEPS, st.integers(1, 3))
def test_any_puts_and_takes_are_one_stream(
    steps: list[tuple[bool, int]], num_channels: int
) -> None:
    fifo, oracle, num_put = SampleFifo(num_channels), [], 0
    for puts, count in steps:
        if puts:
            rows = np.arange(num_put, num_put + count, dtype=np.float32)
            fifo.put(np.repeat(rows[:, np.newaxis], num_channels, axis=1))
            oracle += rows.tolist()
            num_put += count
        else:
            expected, oracle = oracle[:count], oracle[count:]
            taken = fifo.take(count)
            assert taken.shape == (len(expected), num_channels)
            assert (taken == np.reshape(expected, (-1, 1))).all()
        assert len(fifo) == len(oracle)
