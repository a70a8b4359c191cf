from __future__ import annotations

import numpy as np
import pytest

from anc_core.dsp.frames import analyse, sqrt_hann
from anc_core.dsp.hum import (
    HumState,
    bins_below_limit,
    limit_attenuation,
    subtract_hum,
)
from tests.oracles import hum as oracle

RATE, FRAME, HOP_S = 16_000, 640, 0.02
NUM_BINS = bins_below_limit(RATE, FRAME)


def spectra_of(samples):
    return analyse(samples.astype(np.float32), sqrt_hann(FRAME))


def tone(hz, seconds=4.0, level=0.1):
    return level * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE + 1.0)


def noise(seconds=4.0, level=0.01, seed=1):
    return np.random.default_rng(seed).normal(0, level, int(seconds * RATE))


def subtracted(spectra, block=48, depth=0.9, state=None):
    output = spectra.copy()
    state = state or HumState.start(NUM_BINS)
    for start in range(0, len(output), block):
        subtract_hum(output[start : start + block], state, hop_s=HOP_S, depth=depth)
    return output


def loss_db(before, after, hz):
    k = round(hz * FRAME / RATE)
    ratio = np.mean(np.abs(before[:, k]) ** 2) / np.mean(np.abs(after[:, k]) ** 2)
    return 10 * np.log10(ratio)


def test_only_bins_below_the_limit_are_searched():
    assert bins_below_limit(16_000, 640) == 51
    assert bins_below_limit(1_000, 40) == 21


def test_kernel_computes_its_formula():
    spectra = spectra_of(tone(50) + tone(437.3, level=0.02) + noise())[:120]
    expected = oracle.subtract_hum(spectra[:, :NUM_BINS], hop_s=HOP_S, depth=0.9)
    output = subtracted(spectra, block=120)
    # float32 (6e-8) of the largest cell through 360 steps, a rotation each.
    atol = 3e-5 * np.abs(spectra).max()
    np.testing.assert_allclose(output[:, :NUM_BINS], expected, rtol=0, atol=atol)
    np.testing.assert_array_equal(output[:, NUM_BINS:], spectra[:, NUM_BINS:])


@pytest.mark.parametrize("hz", [50.0, 60.0, 149.8, 412.0, 1000.0])
def test_steady_tone_is_subtracted_from_its_first_block_on(hz):
    spectra = spectra_of(tone(hz) + noise(level=1e-4))
    output = subtracted(spectra, depth=0.9)
    # 0.1 of the amplitude stays: 20 dB, less what the noise and the recursion's lag leave.
    assert loss_db(spectra, output, hz) > 17.0


def test_noise_is_left_alone():
    spectra = spectra_of(noise(20.0, 0.1))
    np.testing.assert_array_equal(subtracted(spectra)[200:], spectra[200:])


def test_gliding_tone_is_left_alone():
    seconds = np.arange(8 * RATE) / RATE
    spectra = spectra_of(0.1 * np.sin(2 * np.pi * (200 * seconds + 15 * seconds**2)))
    output = subtracted(spectra)
    energy = np.sum(np.abs(output) ** 2) / np.sum(np.abs(spectra) ** 2)
    assert 10 * np.log10(energy) > -0.5


def test_tone_that_stops_leaves_no_echo():
    samples = tone(50, 6.0) + noise(6.0, 1e-3)
    samples[3 * RATE :] = noise(3.0, 1e-3, seed=2)
    output, spectra = subtracted(spectra_of(samples)), spectra_of(samples)
    late = slice(3 * 50 + 2, None)
    # No more is taken than the frame holds, so no cell can gain more than 6 dB.
    assert (np.abs(output[late]) <= 2 * np.abs(spectra[late]) + 1e-6).all()


def test_silence_before_and_within_is_no_news():
    spectra = spectra_of(tone(50) + noise(level=1e-4))
    silence = np.zeros_like(spectra[:96])
    state = HumState.start(NUM_BINS)
    subtracted(silence, state=state)
    assert not state.typical.any()
    np.testing.assert_array_equal(subtracted(spectra, state=state), subtracted(spectra))
    typical = state.typical.copy()
    assert not subtracted(silence, state=state).any()
    np.testing.assert_array_equal(state.typical, typical)


def test_no_cell_sinks_below_the_limit():
    spectra = spectra_of(tone(50) + noise())
    output = subtracted(spectra, depth=0.9) * np.float32(0.1)
    limit_attenuation(output, spectra[:, :NUM_BINS].copy(), np.float32(0.1))
    gain = np.abs(output) / np.abs(spectra)
    assert gain.min() >= 0.1 * (1 - 1e-5)


def test_extremes_stay_finite():
    spectra = np.ones((60, NUM_BINS), np.complex64)
    spectra *= np.resize([0, 1e-30, 1e-12, 1e13, 1], 60).astype(np.float32)[:, None]
    assert np.isfinite(subtracted(spectra)).all()
