import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anc_core.metrics.clipping import ClipCounter


def count(*chunks):
    counter = ClipCounter(1)
    for chunk in chunks:
        counter.update(np.asarray(chunk, dtype=np.float32)[np.newaxis])
    counter.flush()
    return int(counter.counts[0])


def slow_count(samples):
    """Count samples in runs of at least three at full scale, one run at a time."""
    runs = (
        (flag, len(list(run))) for flag, run in itertools.groupby(samples, lambda x: abs(x) == 1)
    )
    return sum(length for flag, length in runs if flag and length >= 3)


@given(st.lists(st.lists(st.sampled_from([0.0, 1.0, -1.0]), max_size=9), max_size=9))
def test_counts_runs_of_three_across_any_borders(chunks):
    assert count(*chunks) == slow_count(list(itertools.chain(*chunks)))


@pytest.mark.parametrize("top", [1.0, -1.0, 32767 / 32768, 8388607 / 8388608])
def test_full_scale_of_16_and_24_bits_counts(top):
    assert count([0, top, top, top, 0]) == 3


@pytest.mark.parametrize("top", [0.99, 1.01, 1.5, np.nan])
def test_loud_and_over_range_is_not_clipped(top):
    assert count([top] * 10) == 0


def test_channels_are_counted_apart():
    counter = ClipCounter(2)
    counter.update(np.array([[1, 1, 1, 1], [1, 0, 1, 0]], dtype=np.float32))
    counter.flush()
    assert counter.counts.tolist() == [4, 0]
