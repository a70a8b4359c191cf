"""Floats to integers: exact, half to even, clamped and counted, never wrapped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anc_core.audio.quantize import quantize


@pytest.mark.parametrize("num_bits", [8, 16, 24])
def test_every_integer_comes_back_as_itself(num_bits):
    low, high = -(2 ** (num_bits - 1)), 2 ** (num_bits - 1)
    step = max((high - low) // 60_000, 1)
    integers = np.append(np.arange(low, high, step), high - 1)[:, np.newaxis]
    values, num_clamped = quantize((integers / high).astype(np.float32), num_bits)
    shift = 0 if num_bits == 16 else 32 - num_bits
    assert np.array_equal(values.astype(np.int64) >> shift, integers)
    assert num_clamped == 0


@pytest.mark.parametrize("num_bits", [8, 16, 24, 32])
def test_beyond_full_scale_is_clamped_and_counted(num_bits):
    chunk = np.array([[1.5], [-1.5], [1e30], [-1e30], [0.25], [-1.0]], np.float32)
    values, num_clamped = quantize(chunk, num_bits)
    shift = 0 if num_bits == 16 else 32 - num_bits
    top, bottom = 2 ** (num_bits - 1) - 1, -(2 ** (num_bits - 1))
    expected = [top, bottom, top, bottom, 2 ** (num_bits - 3), bottom]
    assert (values[:, 0].astype(np.int64) >> shift).tolist() == expected
    assert num_clamped == 4


def test_plus_one_is_one_step_too_much_for_integers():
    values, num_clamped = quantize(np.ones((1, 1), np.float32), 16)
    assert (values[0, 0], num_clamped) == (32_767, 1)


def test_halves_go_to_even():
    halves = np.array([[0.5], [1.5], [2.5], [-0.5], [-1.5]], np.float32) / 32_768
    assert quantize(halves, 16)[0][:, 0].tolist() == [0, 2, 2, 0, -2]


@given(st.lists(st.floats(-1, 0.875, width=32), min_size=1, max_size=50))
def test_error_is_at_most_half_a_step(samples):
    chunk = np.array(samples, np.float32)[:, np.newaxis]
    values, _ = quantize(chunk, 16)
    error = np.abs(values.astype(np.float64) - chunk.astype(np.float64) * 32_768)
    assert error.max() <= 0.5
