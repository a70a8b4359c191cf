"""Chunk sizes within their limits; streams cut anew without losing a sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anc_core.audio import chunk_size_for, rechunk
from anc_core.errors import InputError


@pytest.mark.parametrize(
    ("rate", "smallest", "largest"),
    [(16_000, 8_000, 80_000), (48_000, 24_000, 240_000), (7_999, 4_000, 39_995)],
)
def test_limits_are_half_a_second_to_five_scaled_with_the_rate(rate, smallest, largest):
    for good in (smallest, largest):
        assert chunk_size_for(rate, None, requested=good) == good
    for bad in (smallest - 1, largest + 1, 0, -1):
        with pytest.raises(InputError, match=rf"{bad}.*{smallest} to {largest}"):
            chunk_size_for(rate, None, requested=bad)


def test_a_chunk_is_never_longer_than_the_recording():
    assert chunk_size_for(16_000, 12_345) == 12_345
    assert chunk_size_for(16_000, 12_345, requested=12_345) == 12_345
    with pytest.raises(InputError, match="8000 to 12345"):
        chunk_size_for(16_000, 12_345, requested=12_346)


def test_a_recording_below_half_a_second_is_one_chunk():
    assert chunk_size_for(16_000, 3) == 3
    assert chunk_size_for(16_000, 3, requested=3) == 3
    with pytest.raises(InputError, match="3 to 3"):
        chunk_size_for(16_000, 3, requested=2)


def test_the_default_is_brought_within_the_limits():
    assert chunk_size_for(16_000, None) == 16_000
    assert chunk_size_for(16_000, None, default_s=0.1) == 8_000
    assert chunk_size_for(16_000, None, default_s=60.0) == 80_000
    assert chunk_size_for(16_000, 0) == 1


@given(
    lengths=st.lists(st.integers(0, 40), max_size=12),
    size=st.integers(1, 50),
    num_channels=st.integers(1, 3),
)
def test_rechunk_keeps_every_sample_in_place(lengths, size, num_channels):
    whole = np.arange(sum(lengths) * num_channels, dtype=np.float32).reshape(-1, num_channels)
    parts = np.split(whole, np.cumsum(lengths)[:-1]) if lengths else []
    cut = list(rechunk(parts, size))
    assert all(len(chunk) == size for chunk in cut[:-1])
    assert all(0 < len(chunk) <= size for chunk in cut)
    assert all(chunk.flags.c_contiguous and chunk.dtype == np.float32 for chunk in cut)
    joined = np.concatenate(cut) if cut else whole[:0]
    assert np.array_equal(joined, whole)


def test_rechunk_refuses_a_size_below_one_at_once():
    with pytest.raises(InputError, match="size is 0"):
        rechunk([], 0)
