from __future__ import annotations

import numpy as np
import pytest
from scipy.special import exp1

from anc_core.dsp.suppression import (
    MIN_PSD,
    SuppressionState,
    a_priori_snr,
    apply_gain,
    exp_negative,
    log_amplitude_boost,
    power,
    suppression_gain,
    track_loudness,
    track_noise,
)
from tests.oracles import suppression as oracle

GAIN_NUMBERS = {
    "min_a_priori_snr": 10**-2.5,
    "min_gain": 10 ** (-18 / 20),
    "residual": 10**-3.5,
    "strength": 1.0,
}
# float32 (6e-8) through a recursion of 120 frames whose worst gain, d ln G / d ln SNR, is ~2.
RTOL = 1e-4


def noise_with_a_tone(num_frames=120, num_bins=33, seed=1):
    rng = np.random.default_rng(seed)
    spectra = rng.normal(size=(num_frames, num_bins)) + 1j * rng.normal(size=(num_frames, num_bins))
    # Long enough for the presence to pass 0.99: 1 - 0.5·0.9⁷⁰.
    spectra[20:90, 10:13] *= 20
    return spectra.astype(np.complex64)


def psd_of(spectra):
    psd = np.empty(spectra.shape, np.float32)
    power(spectra, psd)
    return psd


def run_tracker(psd, noise_psd, least=None, smoothing=0.93):
    state = SuppressionState.start(noise_psd, noise_psd)
    least = np.zeros_like(psd) if least is None else least
    noise = np.empty_like(psd)
    track_noise(psd, least, *state.noise_state, np.float32(smoothing), noise)
    return noise, state


def run_snr(psd, noise, direction=1):
    clean_psd, snr = np.zeros(psd.shape[1], np.float32), np.empty_like(psd)
    smoothing, floor = np.float32(0.97), np.float32(10**-2.5)
    a_priori_snr(psd, noise, clean_psd, smoothing, floor, direction, snr)
    return snr, clean_psd


def run_gain(spectra, noise, snr, loud, is_click=None, **changes):
    output, gain = spectra.copy(), np.empty(spectra.shape, np.float32)
    is_click = np.zeros(len(spectra), bool) if is_click is None else is_click
    numbers = {**GAIN_NUMBERS, **changes}
    suppression_gain(
        psd_of(spectra),
        noise,
        snr,
        snr,
        loud,
        is_click,
        *(np.float32(value) for value in numbers.values()),
        gain,
    )
    apply_gain(output, gain)
    return output


def test_power_is_the_squared_magnitude():
    spectra = noise_with_a_tone()
    np.testing.assert_allclose(psd_of(spectra), np.abs(spectra) ** 2, rtol=1e-6)


@pytest.mark.parametrize("rise", [0.0, 6.0])
def test_noise_tracker_computes_the_published_formulas(rise):
    psd = psd_of(noise_with_a_tone())
    psd[50] = 0.0
    least = np.zeros_like(psd)
    least[60:, :25] = rise
    noise, state = run_tracker(psd, np.full(33, 2.0, np.float32), least)
    expected, presence = oracle.track_noise(
        psd.astype(float), least, np.full(33, 2.0), np.full(33, 0.5), 0.93
    )
    np.testing.assert_allclose(noise, expected, rtol=RTOL)
    np.testing.assert_allclose(state.presence, presence, rtol=RTOL)
    np.testing.assert_array_equal(state.noise_psd, noise[-1])


def test_bound_on_few_bins_does_not_raise_the_noise():
    psd = psd_of(noise_with_a_tone())
    least = np.zeros_like(psd)
    least[:, :20] = 50.0  # of 33 bins: a voice that holds
    plain, _ = run_tracker(psd, np.full(33, 2.0, np.float32))
    bounded, _ = run_tracker(psd, np.full(33, 2.0, np.float32), least)
    np.testing.assert_array_equal(bounded, plain)


def test_copied_state_can_run_ahead_without_harm():
    state = SuppressionState.start(np.ones(5, np.float32), np.ones(5, np.float32))
    for array in state.copied_noise_state():
        array[:] = 7.0
    assert (state.noise_psd == 1.0).all()
    assert (state.presence == 0.5).all()


@pytest.mark.parametrize("direction", [1, -1])
def test_a_priori_snr_is_decision_directed_either_way(direction):
    psd = psd_of(noise_with_a_tone())
    noise = np.full_like(psd, 2.0)
    snr, clean_psd = run_snr(psd, noise, direction)
    expected, expected_clean = oracle.a_priori_snr(
        psd[::direction].astype(float), noise[::direction].astype(float), 0.0, 0.97, 10**-2.5
    )
    np.testing.assert_allclose(snr, expected[::direction], rtol=1e-3)
    np.testing.assert_allclose(clean_psd, expected_clean, rtol=1e-3, atol=1e-4)


def test_both_directions_together_are_late_nowhere():
    psd = np.full((60, 9), 1.0, np.float32)
    psd[20:40] = 11.0
    noise = np.ones_like(psd)
    forwards, _ = run_snr(psd, noise)
    backwards, _ = run_snr(psd, noise, -1)
    both = np.maximum(forwards, backwards)
    # The true SNR is 10. One pass alone needs frames to rise; from its other side it is there.
    assert forwards[20, 4] < 0.1 * forwards[39, 4]
    assert both[20, 4] > 4.0
    assert both[39, 4] > 4.0
    np.testing.assert_allclose(both[20:40], both[20:40][::-1], rtol=1e-4)


def test_loudness_computes_its_formula():
    psd = psd_of(noise_with_a_tone())
    psd[50] = 0.0
    loud_psd, loud = np.full(33, 2.0, np.float32), np.empty_like(psd)
    track_loudness(psd, loud_psd, np.float32(1.1), np.float32(0.995), loud)
    expected = oracle.track_loudness(
        psd.astype(float), np.full(33, 2.0), float(np.float32(1.1)), float(np.float32(0.995))
    )
    # A cell within a rounding of the threshold might step the other way; here none is.
    np.testing.assert_allclose(loud, expected, rtol=RTOL)


def test_loudness_settles_at_its_quantile_and_a_click_hardly_moves_it():
    rng = np.random.default_rng(3)
    psd = np.repeat(rng.exponential(size=(6000, 1)), 9, axis=1).astype(np.float32)
    loud_psd, loud = np.full(9, 1.0, np.float32), np.empty_like(psd)
    rise, fall = np.float32(10 ** (0.95 * 0.05)), np.float32(10 ** (-0.05 * 0.05))
    track_loudness(psd, loud_psd, rise, fall, loud)
    # Where steps up and down cancel; 5000 draws scatter by 0.003.
    assert np.mean(psd[1000:] > loud[999:-1]) == pytest.approx(0.05, abs=0.01)
    before = loud_psd.copy()
    click = np.full((1, 9), 1e9, np.float32)
    track_loudness(click, loud_psd, rise, fall, np.empty_like(click))
    np.testing.assert_allclose(loud_psd / before, rise, rtol=1e-6)


@pytest.mark.parametrize("changes", [{}, {"strength": 0.4}, {"min_gain": 0.5}, {"residual": 0.01}])
def test_gain_computes_the_published_formulas(changes):
    spectra = noise_with_a_tone()
    psd = psd_of(spectra)
    noise, loud = np.full_like(psd, 2.0), np.full_like(psd, 30.0)
    snr, _ = run_snr(psd, noise)
    is_click = np.arange(len(psd)) % 7 == 0
    expected = spectra * oracle.gain(
        psd.astype(float), 2.0, snr, loud, is_click, **{**GAIN_NUMBERS, **changes}
    )
    output = run_gain(spectra, noise, snr, loud, is_click, **changes)
    np.testing.assert_allclose(output, expected, rtol=RTOL, atol=1e-4)


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


def gain_db(spectra, output):
    return 20 * np.log10(np.abs(output) / np.abs(spectra))


def test_gain_never_falls_below_the_floor_nor_rises_above_one():
    spectra = noise_with_a_tone()
    psd = psd_of(spectra)
    noise = np.full_like(psd, 50.0)
    is_click = np.arange(len(psd)) == 30
    output = run_gain(spectra, noise, run_snr(psd, noise)[0], np.full_like(psd, 1.0), is_click)
    gain = np.abs(output) / np.abs(spectra)
    assert gain.min() >= GAIN_NUMBERS["min_gain"] * (1 - 1e-6)
    assert gain.max() <= 1 + 1e-6


def test_the_side_that_has_seen_the_sound_decides():
    spectra = noise_with_a_tone()
    psd = psd_of(spectra)
    noise, loud = np.full_like(psd, 2.0), np.full_like(psd, 1.0)
    snr, _ = run_snr(psd, noise)
    gains = [np.empty(psd.shape, np.float32) for _ in range(3)]
    low = np.full_like(psd, 10**-2.5)
    numbers = [np.float32(value) for value in GAIN_NUMBERS.values()]
    is_click = np.zeros(len(psd), bool)
    for gain, sides in zip(gains, [(snr, snr), (snr, low), (low, snr)], strict=True):
        suppression_gain(psd, noise, *sides, loud, is_click, *numbers, gain)
    assert gains[0].max() > 3 * gains[0].min()
    np.testing.assert_array_equal(gains[1], gains[0])
    np.testing.assert_array_equal(gains[2], gains[0])


def test_noise_far_below_the_loud_moments_is_left_alone():
    spectra = noise_with_a_tone()
    psd = psd_of(spectra)
    noise = np.full_like(psd, 2.0)
    snr = np.full_like(psd, 10**-2.5)
    output = run_gain(spectra, noise, snr, np.full_like(psd, 2.0 * 10**3.5))
    np.testing.assert_allclose(output, spectra, rtol=1e-4)
    lowered = run_gain(spectra, noise, snr, np.full_like(psd, 2.0 * 10**2.5))
    # 25 dB below: its floor lies at 35 dB, so 10 dB are taken from the quiet cells.
    assert gain_db(spectra, lowered).min() == pytest.approx(-10.0, abs=0.01)


def test_strength_scales_the_gain_in_db():
    spectra = noise_with_a_tone()
    psd = psd_of(spectra)
    noise, loud = np.full_like(psd, 2.0), np.full_like(psd, 3.0)
    snr, _ = run_snr(psd, noise)
    full = run_gain(spectra, noise, snr, loud)
    half = run_gain(spectra, noise, snr, loud, strength=0.5)
    np.testing.assert_allclose(gain_db(spectra, half), gain_db(spectra, full) / 2, atol=1e-4)


# Where N = E[p·N + (1 - p)·|Y|²] for exponentially distributed |Y|² of mean 1: the tracker takes
# the loudest moments of noise for speech, so it settles 0.9 dB low.
FIXED_POINT = 0.81


@pytest.mark.parametrize("start", [1.0, 4.0, 0.02], ids=["right", "6 dB high", "20 dB low"])
def test_noise_estimate_settles_wherever_it_starts(start):
    rng = np.random.default_rng(2)
    psd = (2 * rng.exponential(size=(1200, 65))).astype(np.float32)
    _, state = run_tracker(psd, np.full(65, 2.0 * start, np.float32))
    # A bin scatters by sqrt(0.07 / 1.93) = 19 %, the mean of 65 by 2.4 %: three of those.
    assert state.noise_psd.mean() / 2.0 == pytest.approx(FIXED_POINT, rel=0.075)


def test_digital_silence_leaves_the_estimates_alone():
    silence = np.zeros((500, 9), np.float32)
    noise, state = run_tracker(silence, np.full(9, 3.0, np.float32))
    assert (state.noise_psd == 3.0).all()
    assert (noise == 3.0).all()
    track_loudness(silence, state.loud_psd, np.float32(1.1), np.float32(0.9), noise)
    assert (state.loud_psd == 3.0).all()


def test_frames_after_a_jump_of_all_magnitudes_stay_finite():
    spectra = np.ones((6, 9), np.complex64)
    spectra *= np.array([0, 1e-11, 1e16, 1e-11, 1, 1e16])[:, None].astype(np.float32)
    psd = psd_of(spectra)
    noise, _ = run_tracker(psd, np.zeros(9, np.float32))
    assert noise.min() >= MIN_PSD
    snr, clean_psd = run_snr(psd, noise)
    output = run_gain(spectra, noise, snr, np.full_like(psd, 1e32))
    assert all(np.isfinite(a).all() for a in (noise, snr, clean_psd, output))
