from __future__ import annotations

import numpy as np
import pytest

from anc_core.dsp.frames import analyse, fast_frame_length, sqrt_hann, synthesise


@pytest.mark.parametrize(
    ("duration_s", "sample_rate", "length"),
    [
        (0.032, 16_000, 512),
        (0.032, 8_000, 256),
        (0.032, 48_000, 1536),
        (0.032, 44_100, 1440),
        (0.032, 7_999, 256),
        (0.008, 1_000, 8),
        (0.128, 768_000, 98_304),
    ],
)
def test_frame_is_the_next_even_length_without_large_primes(duration_s, sample_rate, length):
    assert fast_frame_length(duration_s, sample_rate) == length


def test_frame_is_never_shorter_than_asked_for():
    for sample_rate in range(1_000, 60_000, 613):
        length = fast_frame_length(0.032, sample_rate)
        assert 0.032 * sample_rate - 1e-6 <= length <= 1.2 * 0.032 * sample_rate
        assert length % 2 == 0


def test_windows_of_neighbours_add_up_to_one():
    power = sqrt_hann(480).astype(np.float64) ** 2
    np.testing.assert_allclose(power[:240] + power[240:], 1.0, atol=1e-6)


def test_synthesis_undoes_analysis():
    window = sqrt_hann(64)
    signal = np.random.default_rng(1).normal(size=32 * 21).astype(np.float32)
    samples, tail = synthesise(analyse(signal, window), window, np.zeros(32, np.float32))
    # The first half frame lacks its predecessor. float32 FFT and back: some 1e-7 relative.
    np.testing.assert_allclose(samples[32:], signal[32:-32], atol=2e-6)
    assert len(samples) + len(tail) == len(signal)


def test_blocks_joined_by_the_tail_equal_one_block():
    window = sqrt_hann(64)
    spectra = analyse(np.random.default_rng(2).normal(size=32 * 9).astype(np.float32), window)
    zeros = np.zeros(32, np.float32)
    whole, last = synthesise(spectra, window, zeros)
    first, tail = synthesise(spectra[:3], window, zeros)
    second, end = synthesise(spectra[3:], window, tail)
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)
    np.testing.assert_array_equal(end, last)


def test_spectra_are_single_precision_and_contiguous():
    spectra = analyse(np.zeros(640, np.float32), sqrt_hann(64))
    assert spectra.shape == (19, 33)
    assert spectra.dtype == np.complex64
    assert spectra.flags.c_contiguous
