"""Variations of a clip: what changes and what does not."""

from __future__ import annotations

import numpy as np
import pytest

from anc_core.audio.synth import noise
from anc_core.classifier_training.augment import active_rms, crop, varied, with_pink_noise
from anc_core.features import SAMPLE_RATE


def _clip(duration_s=4.0):
    return noise("fan", duration_s, SAMPLE_RATE, seed=1)


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 30.0])
def test_pink_noise_lies_so_far_below_the_active_level(snr_db):
    clip = np.concatenate([_clip(), np.zeros(8 * SAMPLE_RATE, np.float32)])
    added = with_pink_noise(clip, snr_db, np.random.default_rng(1)) - clip
    level_db = 20 * np.log10(active_rms(clip) / np.sqrt(np.mean(added**2)))
    assert level_db == pytest.approx(snr_db, abs=0.01)


def test_pink_noise_falls_by_three_decibels_an_octave():
    added = with_pink_noise(np.ones(1 << 18, np.float32), 0.0, np.random.default_rng(1)) - 1.0
    power = np.abs(np.fft.rfft(added)) ** 2
    octaves_db = [10 * np.log10(power[2**k : 2 ** (k + 1)].mean()) for k in range(8, 16)]
    # The mean of 256 or more exponential variates: 0.3 dB is more than four standard errors.
    assert np.diff(octaves_db) == pytest.approx(-3.01, abs=0.8)
    assert np.mean(np.diff(octaves_db)) == pytest.approx(-3.01, abs=0.1)


def test_pauses_do_not_count_for_the_level():
    clip = _clip()
    with_pause = np.concatenate([clip[: 441 * 200], np.zeros(441 * 600, np.float32)])
    assert active_rms(with_pause) == pytest.approx(active_rms(clip[: 441 * 200]), rel=1e-6)
    assert active_rms(np.zeros(10, np.float32)) == 0.0


def test_a_variation_is_another_length_and_the_seed_s_alone():
    clip = _clip()
    made = [varied(clip, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0][:1000], made[2][:1000])
    shortest, longest = 0.7 / 2 ** (2 / 12), 2 ** (2 / 12)
    assert all(shortest * 0.99 <= len(m) / len(clip) <= longest * 1.01 for m in made)
    assert all(m.dtype == np.float32 for m in made)


def test_a_crop_is_short_and_sounds():
    clip = np.concatenate([_clip(2.0), np.zeros(20 * SAMPLE_RATE, np.float32)])
    for seed in range(20):
        part = crop(clip, np.random.default_rng(seed))
        assert 0.9 <= len(part) / SAMPLE_RATE <= 2.0
    heard = [np.square(crop(clip, np.random.default_rng(s))).mean() > 0 for s in range(20)]
    # By chance alone about one in six would meet the sound; 20 tries miss it with 2 %.
    assert sum(heard) >= 17


def test_what_is_shorter_than_a_crop_stays_whole():
    clip = _clip(0.5)
    assert np.array_equal(crop(clip, np.random.default_rng(0)), clip)
