from __future__ import annotations

import numpy as np
import pytest

from anc_core.dsp.jit import jit_by_dtype
from anc_core.dsp.real_fft import SIGNATURE, Plan, backward, fast_length, forward

# Compiled for these tests alone: by one runner, not by each.
pytestmark = pytest.mark.xdist_group("real_fft")


@jit_by_dtype(f"void(real[:, ::1], real[:, ::1], {SIGNATURE})")
def run_forward(signal, spectrum, sides, places, turns, twist, work):
    forward(signal, spectrum, sides, places, turns, twist, work)


@jit_by_dtype(f"void(real[:, ::1], real[:, ::1], {SIGNATURE})")
def run_backward(spectrum, signal, sides, places, turns, twist, work):
    backward(spectrum, signal, sides, places, turns, twist, work)


# Radices 2, 3, 4, 5, a large prime, and one side of a single pass.
LENGTHS = [32, 64, 96, 160, 1_440, 2_048, 2_816, 4_096, 32 * 43, 12_288]


def noise(length, dtype):
    return np.random.default_rng(length).normal(size=length).astype(dtype)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(("dtype", "rounding"), [("float32", 2e-7), ("float64", 4e-16)])
def test_forward_is_the_transform(length, dtype, rounding):
    plan, signal = Plan.of(length, np.dtype(dtype)), noise(length, dtype)
    spectrum = np.empty((2, length // 2 + 1), dtype)
    by_parity = np.ascontiguousarray(signal.reshape(-1, 2).T)
    run_forward(dtype)(by_parity, spectrum, *plan.arrays)
    expected = np.fft.rfft(signal.astype(np.float64))
    # Bins have a standard deviation of sqrt(length); a pass a rounding, a large radix a few.
    tolerance = 30 * rounding * np.sqrt(length)
    np.testing.assert_allclose(spectrum[0] + 1j * spectrum[1], expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(("dtype", "rounding"), [("float32", 2e-7), ("float64", 4e-16)])
def test_backward_returns_the_signal_and_keeps_the_spectrum(length, dtype, rounding):
    plan, signal = Plan.of(length, np.dtype(dtype)), noise(length, dtype)
    exact = np.fft.rfft(signal.astype(np.float64))
    spectrum = np.stack([exact.real, exact.imag]).astype(dtype)
    spectrum[1, [0, -1]] = 7.0  # of which a real signal knows nothing
    before, found = spectrum.copy(), np.empty((2, length // 2), dtype)
    run_backward(dtype)(spectrum, found, *plan.arrays)
    np.testing.assert_allclose(found.T.ravel(), signal, rtol=0, atol=30 * rounding)
    np.testing.assert_array_equal(spectrum, before)


@pytest.mark.parametrize("least", [1, 32, 33, 32 * 11, 32 * 13, 4_096, 100_000])
def test_a_fast_length_is_the_next_multiple_of_32_of_small_factors(least):
    found = fast_length(least)
    assert found >= least
    assert found % 32 == 0

    def is_fast(length):
        for factor in (2, 3, 5, 7, 11):
            while length % factor == 0:
                length //= factor
        return length == 1

    assert is_fast(found)
    assert not any(is_fast(length) for length in range(-(-least // 32) * 32, found, 32))
