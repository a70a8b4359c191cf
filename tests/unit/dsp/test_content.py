from __future__ import annotations

import numpy as np
import pytest

from anc_core.audio.synth import noise, voice
from anc_core.dsp.content import HALF_WINDOW, MIN_AUDIBLE_FRAMES, ContentMeter
from anc_core.dsp.content_kernels import NUM_FEATURES
from anc_core.dsp.content_model import FEATURES, SCORES, scores_of, strength_of
from anc_core.errors import InputError

RATE = 16_000
MUSIC, BIRD, CLEAN = range(3)


def scores(samples, sample_rate=RATE, *, cuts=()):
    """Scores of all segments of one channel or more."""
    columns = (samples if samples.ndim == 2 else samples[:, np.newaxis]).astype(np.float32)
    meter = ContentMeter(sample_rate, columns.shape[1])
    parts = [meter.push(part) for part in np.split(columns, cuts)]
    return np.concatenate([*parts, meter.flush()])


def tone(frequency_hz, duration_s, sample_rate=RATE, *, num_harmonics=8):
    t = np.arange(round(duration_s * sample_rate)) / sample_rate
    orders = [k for k in range(1, num_harmonics + 1) if k * frequency_hz < 0.45 * sample_rate]
    edges = np.clip(np.minimum(t, duration_s - t) / 0.02, 0.0, 1.0)
    return edges * sum(np.sin(2 * np.pi * k * frequency_hz * t) / k for k in orders)


def melody(duration_s=12.0, sample_rate=RATE, seed=1):
    """An organ that plays two voices in C major, and a little hiss."""
    rng = np.random.default_rng(seed)
    total = np.zeros(round(duration_s * sample_rate))
    for octave in (1, 2):
        start = 0.0
        while start < duration_s - 1.0:
            length = rng.choice([0.25, 0.5, 0.5, 1.0])
            semitone = rng.choice([0, 2, 4, 5, 7, 9, 11])
            note = tone(130.8 * 2 ** (octave + semitone / 12), length, sample_rate)
            first = round(start * sample_rate)
            total[first : first + len(note)] += note
            start += length
    return 0.05 * total + rng.normal(0, 2e-4, len(total))


def bird(duration_s=12.0, sample_rate=RATE, seed=1):
    """Whistles that slide between 3 and 5 kHz, over faint wind."""
    rng = np.random.default_rng(seed)
    total = np.zeros(round(duration_s * sample_rate))
    start = 0.2
    while start < duration_s - 0.5:
        t = np.arange(round(0.25 * sample_rate)) / sample_rate
        pitch_hz = rng.uniform(3_000, 5_000) * 2 ** (rng.uniform(-0.8, 0.8) * t)
        call = np.sin(2 * np.pi * np.cumsum(pitch_hz) / sample_rate) * np.sin(np.pi * t / 0.25)
        first = round(start * sample_rate)
        total[first : first + len(t)] += call
        start += 0.25 + rng.uniform(0.1, 0.6)
    return 0.05 * total + rng.normal(0, 3e-4, len(total))


def test_every_feature_has_its_weights():
    assert len(FEATURES) == NUM_FEATURES
    assert all(len(weights) == len(SCORES) for weights in FEATURES.values())


def test_melody_is_music():
    found = scores(melody())
    assert (found[:, MUSIC] > 2.0).all()
    assert strength_of(found[10]).min() == 0.0


def test_bird_song_is_bird_song():
    assert (scores(bird())[:, BIRD] > 1.0).all()


def test_clean_voice_is_clean_speech_and_nothing_else():
    found = scores(voice(12.0, RATE, seed=5))
    assert np.median(found[:, CLEAN]) > 1.5
    assert (found[:, [MUSIC, BIRD]] < -1.0).all()


@pytest.mark.parametrize(
    "kind", ["white", "pink", "brown", "hum", "fan", "engine", "traffic", "rain", "babble"]
)
def test_noise_is_none_of_them(kind):
    found = scores(noise(kind, 12.0, RATE, seed=7, level_dbfs=-25.0))
    assert (np.array([strength_of(row) for row in found]) == 1.0).all()


@pytest.mark.parametrize("snr_db", [0, 5, 10, 15])
def test_voice_in_noise_keeps_the_full_strength(snr_db):
    speech = voice(12.0, RATE, seed=5, level_dbfs=-26.0)
    hiss = noise("pink", 12.0, RATE, seed=6, level_dbfs=-26.0 - snr_db)
    found = scores(speech + hiss)
    assert np.mean([strength_of(row).min() for row in found]) > 0.98


@pytest.mark.parametrize("snr_db", [5, 10, 15])
def test_voice_over_music_keeps_the_full_strength(snr_db):
    speech = voice(12.0, RATE, seed=5, level_dbfs=-26.0)
    music = melody()
    music *= 10 ** ((-26.0 - snr_db) / 20) / np.std(music)
    assert np.mean([strength_of(row).min() for row in scores(speech + music)]) > 0.9


def test_steady_chord_is_hum_and_no_music():
    t = np.arange(12 * RATE) / RATE
    chord = sum(np.sin(2 * np.pi * f * t) for f in (220.0, 277.2, 329.6))
    samples = 0.05 * chord + np.random.default_rng(1).normal(0, 1e-3, len(t))
    assert (scores(samples)[:, MUSIC] < -0.75).all()


@pytest.mark.parametrize("sample_rate", [7_999, 8_000, 44_100, 48_000, 96_000])
def test_melody_is_music_at_any_rate(sample_rate):
    found = scores(melody(sample_rate=sample_rate), sample_rate)
    assert np.median(found[:, MUSIC]) > 1.0


@pytest.mark.parametrize("sample_rate", [1_000, 768_000])
def test_extreme_rates_are_judged_without_error(sample_rate):
    samples = np.random.default_rng(1).normal(0, 0.1, 6 * sample_rate)
    assert (scores(samples, sample_rate) < 0.0).all()


def test_phases_of_channels_cannot_cancel():
    music = melody()
    one = scores(np.column_stack([music, music]))
    np.testing.assert_array_equal(scores(np.column_stack([music, -music])), one)


def test_level_hardly_matters():
    music = melody()
    quiet, loud = scores(0.05 * music), scores(5.0 * music)
    # Only the constants that stand for 16-bit dither make a difference.
    np.testing.assert_allclose(quiet, loud, atol=1.0)


def test_silence_and_less_than_a_second_and_a_half_of_sound_are_unknown():
    assert np.isinf(scores(np.zeros(8 * RATE))).all()
    short = melody(2.0)[: (MIN_AUDIBLE_FRAMES - 1) * 512]
    assert np.isinf(scores(short)).all()


def test_digital_silence_around_a_noise_makes_no_content_of_it():
    samples = np.zeros(12 * RATE)
    samples[5 * RATE : 9 * RATE] = np.random.default_rng(1).normal(0, 0.05, 4 * RATE)
    found = scores(samples)
    assert (np.array([strength_of(row) for row in found]) == 1.0).all()


@pytest.mark.parametrize("num_samples", [0, 1, 1_023])
def test_less_than_a_frame_has_no_segment(num_samples):
    assert scores(np.ones(num_samples)).shape == (0, 3)


def test_hostile_samples_give_no_nan():
    samples = melody(6.0)
    samples[1_000:1_010] = [np.nan, np.inf, -np.inf, 1e38, -1e38, 1e-40, 1e20, 0, 3e9, -3e9]
    samples[30_000:40_000] = 1e9
    assert not np.isnan(scores(samples)).any()


def test_scores_do_not_depend_on_the_split():
    samples = np.concatenate([melody(5.0), voice(5.0, RATE, seed=1)])
    whole = scores(samples)
    np.testing.assert_array_equal(scores(samples, cuts=[0, 1, 8_191, 8_192, 70_001]), whole)


def test_scores_look_no_farther_than_said():
    meter = ContentMeter(RATE, 1)
    samples = melody(10.0)
    end_of_third = 3 * meter.segment_length
    known = samples[: end_of_third + meter.look_ahead]
    changed = np.concatenate([known, np.zeros(5 * RATE)])
    np.testing.assert_array_equal(scores(changed)[:3], scores(samples)[:3])
    assert meter.look_ahead > 2 * HALF_WINDOW * 8_000


def test_mean_spectrum_outlives_the_flush_and_not_the_next_stream():
    meter = ContentMeter(RATE, 1)
    meter.push(np.full((40_000, 1), 0.1, np.float32) * np.sin(np.arange(40_000) * 0.5)[:, None])
    meter.flush()
    peak = int(np.argmax(meter.mean_spectrum))
    assert abs(peak * RATE / 1024 - 0.5 * RATE / (2 * np.pi)) < RATE / 1024
    meter.push(np.zeros((20_000, 1), np.float32))
    assert not meter.mean_spectrum.any()


def test_wrong_shape_is_an_error():
    with pytest.raises(InputError, match=r"must be \(num_samples, 2\)"):
        ContentMeter(RATE, 2).push(np.zeros((5, 1), np.float32))


def test_scores_are_finite_for_whatever_features_of_a_frame():
    assert np.isfinite(scores_of(np.zeros(NUM_FEATURES))).all()
