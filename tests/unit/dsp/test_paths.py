from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anc_core.dsp.paths import (
    MAX_NUM_TAPS,
    bulk_delay,
    check_path,
    delayed,
    resampled_path,
    truncated,
    with_mismatch,
)
from anc_core.errors import InputError


def decaying(num_taps=200, *, start=40, seed=1, shape=()):
    """A path whose direct sound is at ``start``, like a duct's."""
    rng = np.random.default_rng(seed)
    path = rng.standard_normal((*shape, num_taps)) * np.exp(-np.arange(num_taps) / 25)
    return np.concatenate([np.zeros((*shape, start)), path], axis=-1)


def response(path, frequency):
    """Frequency response by the definition; ``frequency`` in cycles per sample."""
    return path @ np.exp(-2j * np.pi * np.outer(np.arange(path.shape[-1]), frequency))


# ----------------------------------------------------------------------------- rules


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (np.zeros(0), "0 taps"),
        (np.zeros(MAX_NUM_TAPS + 1), "65537 taps.*cut its end off"),
        (np.zeros((2, 5)), r"shape \(2, 5\).*np.newaxis"),
        (np.zeros((1, 1, 1, 4)), r"shape \(1, 1, 1, 4\)"),
        (np.float64(1.0), r"shape \(\)"),
        (np.zeros((0, 1, 4)), "1 to 64 microphones"),
        (np.zeros((65, 1, 4)), "1 to 64 microphones"),
        (np.broadcast_to(0.0, (64, 64, 4_096)), "together"),
        (np.ones(3, complex), "dtype complex128"),
        (np.array(["1"]), "dtype <U1"),
        (np.array([True]), "dtype bool"),
        ([[1.0], [1.0, 2.0]], "no array of numbers"),
        ([0.0, np.nan], "nan at tap 1;"),
        (np.full((1, 2, 3), np.inf), r"inf at tap 0 of pair \(0, 0\)"),
        ([2e9], "at most 1e"),
    ],
)
def test_what_is_no_path_is_refused_in_words(path, message):
    with pytest.raises(InputError, match=message):
        check_path(path)


def test_messages_call_the_path_by_its_name():
    with pytest.raises(InputError, match=r"^secondary_path has"):
        check_path([[1.0]], "secondary_path")


def test_checked_path_is_a_copy_in_float64():
    given_path = np.array([1, 2, 3], np.int16)
    path = check_path(given_path)
    path[0] = 9.0
    assert path.dtype == np.float64
    assert given_path[0] == 1


# ----------------------------------------------------------------------------- length and delay


def test_what_is_cut_off_is_told():
    path = np.array([1.0, 0.5, 0.25])
    assert truncated(path, 3).lost_db is None
    cut = truncated(path, 1)
    assert cut.taps.tolist() == [1.0]
    assert cut.lost_db == pytest.approx(10 * np.log10(0.3125 / 1.3125))
    assert truncated(path, 5).taps.tolist() == [1.0, 0.5, 0.25, 0.0, 0.0]
    assert truncated(np.zeros(3), 1).lost_db is None


@pytest.mark.parametrize("bad", [0, -1, 1.5, MAX_NUM_TAPS + 1])
def test_number_of_taps_is_checked(bad):
    with pytest.raises(InputError, match="num_taps is"):
        truncated([1.0], bad)


def test_bulk_delay_of_every_pair():
    path = np.zeros((2, 1, 50))
    path[0, 0, 10:13] = [0.2, -1.0, 0.5]
    path[1, 0, 30] = 1e-6
    delay = bulk_delay(path)
    assert delay.first_arrival.tolist() == [[10], [30]]
    assert delay.peak.tolist() == [[11], [30]]
    assert bulk_delay(path, threshold_db=-6).first_arrival.tolist() == [[11], [30]]
    assert int(bulk_delay(np.zeros(4)).peak) == 0
    with pytest.raises(InputError, match="threshold_db"):
        bulk_delay([1.0], threshold_db=3.0)


@given(st.integers(-40, 300))
def test_whole_delays_move_the_taps_untouched(samples):
    path = decaying()
    moved = delayed(path, samples)
    before = np.concatenate([np.zeros(max(samples, 0)), path[max(-samples, 0) :]])
    np.testing.assert_array_equal(moved, before)


@pytest.mark.parametrize("samples", [0.5, 3.25, -0.1, -2.75])
def test_fractional_delay_turns_each_frequency_by_its_share(samples):
    path = decaying(shape=(2, 1))
    # Up to 0.45 cycles per sample = 0.9 Nyquist, where the design promises 0.01 dB = 1.2e-3.
    frequency = np.linspace(0, 0.45, 100)
    expected = response(path, frequency) * np.exp(-2j * np.pi * frequency * samples)
    error = np.abs(response(delayed(path, samples), frequency) - expected)
    assert error.max() < 1.2e-3 * np.abs(expected).max()


def test_paths_are_not_moved_out_of_sight():
    path = decaying(start=40)
    with pytest.raises(InputError, match=r"before time 0.*at tap 40"):
        delayed(path, -60)
    for bad in (np.nan, np.inf, 70_000):
        with pytest.raises(InputError):
            delayed(path, bad)


# ----------------------------------------------------------------------------- mismatch


def test_no_mismatch_changes_nothing():
    path = decaying(shape=(2, 3))
    np.testing.assert_array_equal(with_mismatch(path), path)


@pytest.mark.parametrize("phase_deg", [30.0, 60.0, -90.0, 120.0])
def test_phase_is_turned_by_the_same_angle_at_all_frequencies(phase_deg):
    # From 0.02 cycles per sample on: the direct sound is 40 samples late, and of the Hilbert
    # kernel's slow half-wave at lower frequencies less than that fits before it.
    path = decaying(400)
    frequency = np.linspace(0.02, 0.48, 200)
    true = response(path, frequency)
    ratio = response(with_mismatch(path, phase_deg=phase_deg), frequency) / true
    weight = np.abs(true) ** 2
    angle = np.degrees(np.angle(np.sum(weight * ratio)))
    assert angle == pytest.approx(phase_deg, abs=1.0)
    # The tails that are cut off hold about 2/(π²·40) = 0.5 % of the energy: 0.07 rad rms = 4°.
    spread = np.degrees(
        np.sqrt(
            np.average(np.angle(ratio / np.exp(1j * np.radians(phase_deg))) ** 2, weights=weight)
        )
    )
    assert spread < 4.0


def test_half_a_turn_is_a_change_of_sign():
    path = decaying()
    np.testing.assert_allclose(with_mismatch(path, phase_deg=180), -path, atol=1e-12)


def test_path_that_answers_at_once_cannot_be_turned():
    with pytest.raises(InputError, match=r"46\.9 %.*delay it first"):
        with_mismatch([1.0, 0.0, 0.0], phase_deg=90)


def test_noise_has_the_level_that_was_asked_for_in_every_pair():
    path = decaying(shape=(2, 2)) * np.array([[[1.0], [1e-3]], [[5.0], [1.0]]])
    wrong = with_mismatch(path, noise_db=-13.0, rng=np.random.default_rng(3))
    level = np.sum((wrong - path) ** 2, axis=-1) / np.sum(path**2, axis=-1)
    np.testing.assert_allclose(10 * np.log10(level), -13.0)
    again = with_mismatch(path, noise_db=-13.0, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(again, wrong)


def test_mismatches_add_up():
    path = decaying()
    wrong = with_mismatch(path, gain_db=6.0, delay_samples=3)
    np.testing.assert_allclose(wrong, delayed(path, 3) * 10 ** (6 / 20))


@pytest.mark.parametrize(
    "parameters",
    [
        {"gain_db": 121.0},
        {"gain_db": np.nan},
        {"phase_deg": 361.0},
        {"noise_db": -10.0},
        {"noise_db": 90.0, "rng": np.random.default_rng(1)},
        {"delay_samples": -100},
    ],
)
def test_mismatches_are_checked(parameters):
    with pytest.raises(InputError):
        with_mismatch(decaying(), **parameters)


# ----------------------------------------------------------------------------- sample rate


@pytest.mark.parametrize(
    ("source", "target"), [(48_000, 16_000), (16_000, 48_000), (44_100, 48_000)]
)
def test_resampled_path_has_the_same_gain_at_the_same_frequency(source, target):
    # A band-limited path, so that nothing it does is above the lower Nyquist frequency.
    smooth = np.hanning(41)
    path = np.convolve(decaying(300, start=60), smooth / smooth.sum())
    hertz = np.linspace(0, 4_000, 50)
    before = response(path, hertz / source)
    after = response(resampled_path(path, source, target), hertz / target)
    # Kaiser 8: pass band ripple and images below -80 dB of the strongest frequency.
    assert np.abs(after - before).max() < 2e-4 * np.abs(before).max()


def test_resampling_keeps_each_pair_and_the_length_in_time():
    path = decaying(200, shape=(2, 3))
    low = resampled_path(path, 48_000, 16_000)
    assert low.shape == (2, 3, 80)
    np.testing.assert_allclose(low[1, 2], resampled_path(path[1, 2], 48_000, 16_000))
    np.testing.assert_array_equal(resampled_path(path, 8_000, 8_000), path)


def test_resampling_is_refused_before_it_becomes_too_long():
    with pytest.raises(InputError, match="resampled to 768000 Hz has 768000 taps"):
        resampled_path(np.ones(1_000), 1_000, 768_000)
    with pytest.raises(InputError, match="sample_rate is 0"):
        resampled_path([1.0], 0, 8_000)
