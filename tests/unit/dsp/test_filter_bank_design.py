from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import butter, lfilter, sosfilt

from anc_core import build_filter_bank
from anc_core.dsp.wiener import wiener_bound_db, wiener_filter
from anc_core.errors import InputError

RATE = 8_000
RNG = np.random.default_rng(2)
PRIMARY = np.concatenate([np.zeros(20), RNG.normal(size=100) * np.exp(-np.arange(100) / 25)])
SECONDARY = np.concatenate([np.zeros(5), [1.0, -0.4, 0.2]])


def band(low, high, seconds=4.0, seed=0):
    white = np.random.default_rng(seed).normal(size=round(seconds * RATE))
    return 0.1 * sosfilt(butter(4, [low, high], "band", fs=RATE, output="sos"), white)


LOW, HIGH = band(100, 300), band(1_000, 3_000, seed=1)


def reached_db(noise, taps):
    disturbance = lfilter(PRIMARY, 1, noise)
    error = disturbance + lfilter(SECONDARY, 1, lfilter(taps, 1, noise))
    return 10 * np.log10(np.mean(disturbance**2) / np.mean(error**2))


def bound_db(noise, num_taps):
    return wiener_bound_db(lfilter(SECONDARY, 1, noise), lfilter(PRIMARY, 1, noise), num_taps)


def test_each_class_gets_the_best_causal_filter_of_its_noise():
    bank = build_filter_bank([LOW, HIGH], RATE, PRIMARY, SECONDARY, num_filters=3, num_taps=64)
    assert len(bank) == 3
    own = {}
    for name, noise in (("low", LOW), ("high", HIGH)):
        levels = [reached_db(noise, taps[0, 0]) for taps in bank.filters]
        own[name] = int(np.argmax(levels))
        # White noise 40 dB below is in the solution, which costs what lies that deep.
        assert levels[own[name]] > min(bound_db(noise, 64), 30.0) - 1.0
    assert set(own.values()) == {1, 2}
    # Filter 0 knows both kinds of noise and is ideal for neither.
    assert bank.noise_s.tolist() == [8.0, 4.0, 4.0]


def test_one_filter_for_one_noise_is_the_wiener_solution():
    noise = RNG.normal(size=8 * RATE)
    bank = build_filter_bank([noise], RATE, PRIMARY, SECONDARY, num_filters=1, num_taps=48)
    best = wiener_filter(lfilter(SECONDARY, 1, noise), lfilter(PRIMARY, 1, noise), 48)
    np.testing.assert_allclose(bank.filters[0, 0, 0], best, atol=0.01 * np.abs(best).max())


def test_the_level_of_a_recording_does_not_matter():
    one = build_filter_bank([LOW, HIGH], RATE, PRIMARY, SECONDARY, num_filters=3, num_taps=32)
    other = build_filter_bank(
        [1e-3 * LOW, 50 * HIGH], RATE, PRIMARY, SECONDARY, num_filters=3, num_taps=32
    )
    # Recordings become float32 on the way in.
    np.testing.assert_allclose(one.filters, other.filters, atol=1e-4)
    np.testing.assert_allclose(one.profiles_db, other.profiles_db, atol=1e-3)


def test_the_same_recordings_give_the_same_bank_bit_for_bit():
    noises = [LOW, HIGH, RNG.normal(size=RATE)]
    first, second = (
        build_filter_bank(noises, RATE, PRIMARY, SECONDARY, num_filters=4, num_taps=16)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.filters, second.filters)


def test_without_recordings_there_are_bands_that_halve_in_octaves():
    bank = build_filter_bank(None, RATE, PRIMARY, SECONDARY, num_filters=7, num_taps=64)
    assert len(bank) == 7
    strong = [np.flatnonzero(profile > profile.max() - 20.0) for profile in bank.profiles_db]
    assert len(strong[0]) >= len(bank.band_labels) - 5  # white: low bands are narrow, hence weak
    for number in range(3):  # node i of the tree has the children 2i + 1 and 2i + 2
        left, right = strong[2 * number + 1], strong[2 * number + 2]
        assert left.max() <= right.min() + 1
    assert reached_db(HIGH, bank.filters[2, 0, 0]) > reached_db(HIGH, bank.filters[1, 0, 0]) + 6


def test_silence_and_what_is_too_short_are_left_out():
    gaps = np.concatenate([LOW, np.zeros(2 * RATE), LOW])
    bank = build_filter_bank(
        [gaps, LOW[:100], LOW[:0]], RATE, PRIMARY, SECONDARY, num_filters=1, num_taps=16
    )
    assert bank.noise_s.tolist() == [8.0]


def test_there_are_no_more_classes_than_frames():
    bank = build_filter_bank(
        [LOW[: RATE // 2], HIGH[: RATE // 2]], RATE, PRIMARY, SECONDARY, num_filters=9, num_taps=8
    )
    assert len(bank) == 3


def test_several_channels_have_filters_from_each_reference_to_each_loudspeaker():
    primary = np.stack([[PRIMARY, 0.5 * PRIMARY], [PRIMARY, -PRIMARY]])
    secondary = np.zeros((2, 2, 8))
    secondary[0, 0, 2] = secondary[1, 1, 3] = 1.0
    noise = RNG.normal(size=(2 * RATE, 2))
    bank = build_filter_bank([noise], RATE, primary, secondary, num_filters=1, num_taps=128)
    assert bank.filters.shape == (1, 2, 2, 128)
    # Loudspeaker 0 is 2 samples from microphone 0: its filters are the paths there, negated.
    np.testing.assert_allclose(bank.filters[0, 0, 1, 18:60], -0.5 * PRIMARY[20:62], atol=0.02)


@pytest.mark.parametrize(
    ("noises", "changes", "said"),
    [
        ([], {}, "none of 0 recordings"),
        ([LOW[:100]], {}, "none of 1 recordings holds half a second"),
        ([np.zeros(RATE)], {}, "none of 1 recordings"),
        ([np.stack([LOW, LOW], axis=1)], {}, "2 channels"),
        ([LOW], {"num_filters": 0}, "num_filters is 0"),
        ([LOW], {"num_taps": 40_000}, "num_taps is 40000"),
    ],
)
def test_what_makes_no_bank_is_refused(noises, changes, said):
    with pytest.raises(InputError, match=said):
        build_filter_bank(noises, RATE, PRIMARY, SECONDARY, **changes)


def test_paths_must_end_at_the_same_microphones():
    with pytest.raises(InputError, match="must be the same"):
        build_filter_bank([LOW], RATE, np.ones((2, 1, 8)), SECONDARY)
