from __future__ import annotations

import numpy as np
import pytest
from scipy.special import exp1

from anc_core.dsp.suppression import (
    SuppressionState,
    exp_negative,
    log_amplitude_boost,
    suppress_block,
)
from tests.oracles import suppression as oracle

NUMBERS = {
    "noise_smoothing": 0.93,
    "snr_smoothing": 0.98,
    "min_a_priori_snr": 10**-2.5,
    "min_gain": 10 ** (-18 / 20),
    "strength": 1.0,
}


def run_kernel(spectra, noise_psd, **changes):
    spectra = spectra.copy()
    state = SuppressionState.start(noise_psd)
    numbers = {**NUMBERS, **changes}
    suppress_block(
        spectra,
        state.noise_psd,
        state.presence,
        state.clean_psd,
        *(np.float32(value) for value in numbers.values()),
    )
    return spectra, state


def run_oracle(spectra, noise_psd, **changes):
    half = np.full(len(noise_psd), 0.5)
    return oracle.suppress_block(
        spectra, noise_psd.astype(float), half, np.zeros(len(noise_psd)), **{**NUMBERS, **changes}
    )


def noise_with_a_tone(num_frames=120, num_bins=33, seed=1):
    rng = np.random.default_rng(seed)
    spectra = rng.normal(size=(num_frames, num_bins)) + 1j * rng.normal(size=(num_frames, num_bins))
    # Long enough for the presence to pass 0.99: 1 - 0.5·0.9⁷⁰.
    spectra[20:90, 10:13] *= 20
    return spectra.astype(np.complex64)


@pytest.mark.parametrize("changes", [{}, {"strength": 0.4}, {"min_gain": 0.5}])
def test_kernel_computes_the_published_formulas(changes):
    spectra = noise_with_a_tone()
    noise_psd = np.full(33, 2.0, np.float32)
    output, state = run_kernel(spectra, noise_psd, **changes)
    expected, expected_noise, expected_presence, expected_clean = run_oracle(
        spectra, noise_psd, **changes
    )
    # float32 (6e-8) through a recursion of 120 frames whose worst gain, d ln G / d ln SNR, is ~2.
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(state.noise_psd, expected_noise, rtol=1e-4)
    np.testing.assert_allclose(state.presence, expected_presence, rtol=1e-4)
    np.testing.assert_allclose(state.clean_psd, expected_clean, rtol=1e-3, atol=1e-4)


def test_boost_is_the_exponential_integral_to_six_digits():
    v = np.concatenate([np.logspace(-9, 1.5, 500), [50.0, 1e3, 1e9]])
    boost = np.array([log_amplitude_boost(np.float32(x)) for x in v])
    # Six roundings of float32, 6e-8 each, and that of v itself.
    np.testing.assert_allclose(boost, np.exp(exp1(np.float32(v).astype(float)) / 2), rtol=1e-6)


def test_exponential_is_right_where_it_counts_and_ends_at_zero():
    x = np.linspace(-10, 0, 1000, dtype=np.float32)
    found = np.array([exp_negative(value) for value in x])
    # Next power of the polynomial at r = -1/2, 1.54e-4·2⁻⁶ / 2⁻⁰·⁵ = 3.4e-6; x·log2(e), up to 14.4,
    # is rounded before its whole part is taken off, 14.4·6e-8 = 0.9e-6.
    np.testing.assert_allclose(found, np.exp(x.astype(float)), rtol=4.3e-6)
    assert exp_negative(np.float32(0.0)) == 1.0
    assert 0.0 <= exp_negative(np.float32(-1e30)) < 1e-37


def test_gain_never_falls_below_the_floor_nor_rises_above_one():
    spectra = noise_with_a_tone()
    output, _ = run_kernel(spectra, np.full(33, 50.0, np.float32))
    gain = np.abs(output) / np.abs(spectra)
    assert gain.min() >= NUMBERS["min_gain"] * (1 - 1e-6)
    assert gain.max() <= 1 + 1e-6


def test_strength_scales_the_gain_in_db():
    spectra = noise_with_a_tone()
    noise_psd = np.full(33, 2.0, np.float32)
    full, _ = run_kernel(spectra, noise_psd)
    half, _ = run_kernel(spectra, noise_psd, strength=0.5)
    full_db = 20 * np.log10(np.abs(full) / np.abs(spectra))
    half_db = 20 * np.log10(np.abs(half) / np.abs(spectra))
    np.testing.assert_allclose(half_db, full_db / 2, atol=1e-4)


# Where N = E[p·N + (1 - p)·|Y|²] for exponentially distributed |Y|² of mean 1: the tracker takes
# the loudest moments of noise for speech, so it settles 0.9 dB low.
FIXED_POINT = 0.81


@pytest.mark.parametrize("start", [1.0, 4.0, 0.02], ids=["right", "6 dB high", "20 dB low"])
def test_noise_estimate_settles_wherever_it_starts(start):
    rng = np.random.default_rng(2)
    spectra = rng.normal(size=(1200, 65)) + 1j * rng.normal(size=(1200, 65))
    first = np.full(65, 2.0 * start, np.float32)
    _, state = run_kernel(spectra.astype(np.complex64), first)
    # A bin scatters by sqrt(0.07 / 1.93) = 19 %, the mean of 65 by 2.4 %: three of those.
    assert state.noise_psd.mean() / 2.0 == pytest.approx(FIXED_POINT, rel=0.075)


def test_digital_silence_leaves_the_noise_estimate_alone():
    noise_psd = np.full(9, 3.0, np.float32)
    output, state = run_kernel(np.zeros((500, 9), np.complex64), noise_psd)
    assert not output.any()
    np.testing.assert_array_equal(state.noise_psd, noise_psd)


def test_frames_after_a_jump_of_all_magnitudes_stay_finite():
    spectra = np.ones((6, 9), np.complex64)
    spectra *= np.array([0, 1e-11, 1e16, 1e-11, 1, 1e16])[:, None].astype(np.float32)
    output, state = run_kernel(spectra, np.zeros(9, np.float32))
    assert np.isfinite(output).all()
    assert all(np.isfinite(a).all() for a in (state.noise_psd, state.presence, state.clean_psd))
