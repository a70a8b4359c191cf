"""What the network sees does not depend on how loud a recording is."""

from __future__ import annotations

import numpy as np
import pytest

from anc_core.denoiser.features import NUM_BINS, features, mean_power, noise_floor


@pytest.fixture
def power():
    rng = np.random.default_rng(3)
    return (rng.exponential(1.0, (300, NUM_BINS)) * np.geomspace(1, 1e-4, NUM_BINS)).astype(
        np.float32
    )


def test_shape_and_type(power):
    seen = features(power, mean_power(power))
    assert seen.shape == (2, 300, NUM_BINS)
    assert seen.dtype == np.float32


@pytest.mark.parametrize("gain_db", [-60.0, 40.0])
def test_level_does_not_matter(power, gain_db):
    gain = np.float32(10 ** (gain_db / 10))
    np.testing.assert_allclose(
        features(power * gain, mean_power(power * gain)),
        features(power, mean_power(power)),
        rtol=1e-4,
        atol=1e-5,
    )


def test_magnitudes_are_compressed_by_the_power_of_0_3(power):
    level = mean_power(power)
    expected = (power / level + 1e-7) ** 0.15  # 1e-7: 70 dB below the level nothing is told apart
    np.testing.assert_allclose(features(power, level)[0], expected, rtol=1e-4)


def test_second_feature_is_the_ratio_to_the_floor_of_the_bin(power):
    power[:] = 1.0
    power[100] = 10.0**4  # 40 dB above what its bins are at most times
    seen = features(power, mean_power(power))
    np.testing.assert_allclose(seen[1, 99], 0.0, atol=1e-6)
    np.testing.assert_allclose(seen[1, 100], 0.11 * np.log(1e4), rtol=1e-3)


def test_floor_is_what_a_bin_falls_below_for_15_percent_of_the_time():
    power = np.tile(np.arange(100, dtype=np.float32)[:, np.newaxis], (1, NUM_BINS))
    np.testing.assert_array_equal(noise_floor(power), np.full(NUM_BINS, 15.0))


def test_digital_silence_does_not_make_the_rest_louder(power):
    silent = np.concatenate([power, np.zeros_like(power)])
    assert mean_power(silent) == pytest.approx(mean_power(power))


def test_mean_power_of_nothing_is_0():
    assert mean_power(np.zeros((5, NUM_BINS), np.float32)) == 0.0


def test_a_single_frame_and_silent_bins_are_finite():
    power = np.zeros((1, NUM_BINS), np.float32)
    power[0, 3] = 1e-12
    assert np.isfinite(features(power, mean_power(power))).all()
