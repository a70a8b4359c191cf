from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import lfilter

from anc_core.dsp.filter_bank import BandMeter, FilterBank, band_effects, path_digest
from anc_core.errors import InputError

RATE = 8_000
RNG = np.random.default_rng(2)
PRIMARY = np.concatenate([np.zeros(20), RNG.normal(size=60) * np.exp(-np.arange(60) / 15)])
SECONDARY = np.concatenate([np.zeros(5), [1.0, -0.4, 0.2]])


def bank(**changes):
    bands = BandMeter(RATE).num_bands
    parts = {
        "sample_rate": RATE,
        "filters": np.ones((2, 1, 1, 16)),
        "profiles_db": np.zeros((2, bands)),
        "noise_s": np.ones(2),
        "primary_digest": path_digest(PRIMARY),
        "secondary_digest": path_digest(SECONDARY),
    }
    return FilterBank(**(parts | changes))


def as_matrices(*paths):
    return [path.reshape(1, 1, -1) for path in paths]


def test_bands_keep_the_whole_power_and_a_tone_is_in_its_own():
    meter = BandMeter(RATE)
    noise = RNG.normal(size=40 * meter.segment)
    # Hann frames overlap to a constant, so the mean of the segments is that of the samples.
    assert meter.of_signal(noise).sum(axis=1).mean() == pytest.approx(np.mean(noise**2), rel=0.02)
    tone = np.sin(2 * np.pi * 1_000 * np.arange(meter.segment) / RATE)
    strongest = int(meter.of_signal(tone)[0].argmax())
    assert bank().band_labels[strongest] == "1000"
    assert len(bank().band_labels) == meter.num_bands


def test_a_signal_shorter_than_a_segment_has_no_powers():
    meter = BandMeter(RATE)
    assert meter.of_signal(np.ones(meter.segment - 1)).shape == (0, meter.num_bands)


def test_effects_are_what_filtering_does_to_a_band():
    meter = BandMeter(RATE)
    taps = np.zeros(32)
    taps[15] = -0.6
    (primary, secondary, one) = as_matrices(PRIMARY, SECONDARY, taps)
    effects = band_effects(one[np.newaxis], primary, secondary, meter)
    assert effects.shape == (1, 1, meter.num_bands)
    noise = RNG.normal(size=200 * meter.segment)
    error = lfilter(PRIMARY, 1, noise) + lfilter(SECONDARY, 1, lfilter(taps, 1, noise))
    measured = meter.of_signal(error).mean(axis=0) / meter.of_signal(noise).mean(axis=0)
    # 400 segments, few bins in the lowest bands: about 10 %, and leakage from steep neighbours.
    np.testing.assert_allclose(effects[0, 0], measured, rtol=0.2)


def test_effects_of_several_channels_add_up_over_microphones():
    meter = BandMeter(RATE)
    primary = np.stack([PRIMARY, 2 * PRIMARY])[:, np.newaxis]
    secondary = np.zeros((2, 1, 8))
    one = band_effects(np.zeros((1, 1, 1, 4)), *as_matrices(PRIMARY), secondary[:1], meter)
    both = band_effects(np.zeros((1, 1, 1, 4)), primary, secondary, meter)
    np.testing.assert_allclose(both, 5 * one)


def test_a_bank_knows_its_paths_and_says_which_one_is_another():
    own = as_matrices(PRIMARY, SECONDARY)
    bank().check_fits(RATE, *own)
    with pytest.raises(InputError, match="8000 Hz, the paths are at 16000 Hz"):
        bank().check_fits(16_000, *own)
    with pytest.raises(InputError, match="another primary path"):
        bank().check_fits(RATE, 1.001 * own[0], own[1])
    later = np.pad(own[1], ((0, 0), (0, 0), (1, 0)))
    with pytest.raises(InputError, match=r"another secondary path.*delay of the device"):
        bank().check_fits(RATE, own[0], later)


def test_digests_differ_with_shape_and_value():
    taps = np.arange(1.0, 9.0)
    digests = {
        path_digest(taps),
        path_digest(taps.reshape(1, 2, 4)),
        path_digest(taps.reshape(2, 1, 4)),
        path_digest(np.nextafter(taps, 10.0)),
    }
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"filters": np.ones((2, 1, 16))}, "num_filters, num_sources"),
        ({"filters": np.ones((3, 1, 1, 16))}, "profiles_db"),
        ({"filters": np.full((2, 1, 1, 16), np.nan)}, "filters holds NaN"),
        ({"filters": np.ones((2, 1, 1, 0))}, "num_filters, num_sources"),
        ({"noise_s": np.ones(3)}, "noise_s"),
        ({"sample_rate": 10}, "sample_rate"),
    ],
)
def test_a_bank_of_other_shapes_is_none(changes, said):
    with pytest.raises(InputError, match=said):
        replace(bank(), **changes)
