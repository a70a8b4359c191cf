"""One vector a window: its formulas, and what it must not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anc_core.audio.synth import noise, voice
from anc_core.errors import InputError
from anc_core.features import (
    FEATURE_NAMES,
    FEATURE_SCHEMA,
    NUM_FEATURES,
    SAMPLE_RATE,
    clip_features,
)
from anc_core.features import vectors as v
from anc_core.features.frame_features import FAST_PER_FRAME, frame_features
from anc_core.features.modulation import FAST_HZ, SLOW_HZ
from anc_core.features.track_statistics import STATISTICS
from tests.oracles import features as oracle


def sound(seconds=2.0, seed=5):
    speech = voice(seconds, SAMPLE_RATE, seed=seed, level_dbfs=-26.0)
    hiss = np.random.default_rng(seed).normal(0, 1e-3, len(speech))
    return (speech + hiss).astype(np.float32)


def named(vector):
    return dict(zip(FEATURE_NAMES, vector, strict=True))


def whole(samples):
    frames = frame_features(samples)
    return frames, named(v.window_vectors(frames, np.zeros(1, np.int64), frames.num_frames)[0])


def test_every_feature_has_a_name_of_its_own():
    assert len(set(FEATURE_NAMES)) == NUM_FEATURES
    assert FEATURE_SCHEMA.startswith(f"rich-{NUM_FEATURES}/1/")


def test_the_schema_is_the_one_that_models_were_made_with():
    """A change here is a change of what models see: raise the revision and train anew."""
    assert FEATURE_SCHEMA == "rich-799/1/96f47f7b355d1404"


def test_tracks_are_described_by_their_formulas():
    samples = sound()
    samples[SAMPLE_RATE // 2 : SAMPLE_RATE] *= np.float32(1e-4)  # takes no part
    frames, found = whole(samples)
    audible = frames.power >= 1e-5 * frames.power.max()
    assert 0.1 < np.mean(audible) < 0.9
    power = frames.mel_power.astype(float)
    log_mel = 10 * np.log10(power / power.mean() + 1e-8)
    level = 10 * np.log10(frames.power / frames.power.mean() + 1e-8)
    flux = np.concatenate([[0.0], np.maximum(np.diff(log_mel, axis=1), 0).mean(axis=0)])
    tracks = {
        "mel_7": log_mel[7],
        "cepstrum_3": v._cosines().astype(float)[3] @ log_mel,
        "contrast_2": frames.contrast[2].astype(float),
        "band_flatness_5": frames.band_flatness[5].astype(float),
        "pitch": frames.scalars[9].astype(float),
        "level": level,
        "flux": flux,
    }
    for name, track in tracks.items():
        expected = oracle.statistics(track, audible)
        values = [found[f"{name}.{statistic}"] for statistic in STATISTICS]
        np.testing.assert_allclose(values, expected, rtol=1e-3, atol=2e-3, err_msg=name)


def test_modulation_is_its_formula():
    frames, found = whole(sound(3.0))
    power = frames.mel_power.astype(float)
    slow = oracle.slow_modulation(10 * np.log10(power / power.mean() + 1e-8))
    for row, (low, high) in enumerate(SLOW_HZ):
        for group in (0, 9, 15):
            value = found[f"modulation_{group}.{low}-{high}_hz"]
            assert value == pytest.approx(slow[row, group], abs=0.02)
    for row, signal in enumerate(("all", "high")):
        modulation, peaks = oracle.fast_modulation(frames.fast_power[row].astype(float))
        for (low, high), strength, peak in zip(FAST_HZ, modulation, peaks, strict=True):
            band = f"{signal}.{low}-{high}_hz"
            assert found[f"fast_modulation_{band}"] == pytest.approx(strength, abs=0.02)
            assert found[f"fast_peak_{band}"] == pytest.approx(peak, abs=0.02)


@pytest.mark.parametrize(("blade_hz", "band"), [(17.0, "12-25"), (80.0, "50-100")])
def test_a_rotor_stands_out_at_the_rate_of_its_blades(blade_hz, band):
    t = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    hiss = np.random.default_rng(2).normal(0, 0.1, len(t))
    _, found = whole((hiss * (1 + 0.8 * np.sin(2 * np.pi * blade_hz * t))).astype(np.float32))
    peaks = {f"{low}-{high}": found[f"fast_peak_all.{low}-{high}_hz"] for low, high in FAST_HZ}
    assert max(peaks, key=peaks.get) == band
    assert found[f"fast_modulation_all.{band}_hz"] > -12.0  # 0.8²/2 of power 1, and its window


def test_a_beat_is_counted_and_timed():
    clicks = np.random.default_rng(3).normal(0, 1e-4, 5 * SAMPLE_RATE)
    clicks[SAMPLE_RATE // 4 :: SAMPLE_RATE // 2] = 1.0
    _, found = whole(clicks.astype(np.float32))
    assert found["onset_rate"] == pytest.approx(2.0, abs=0.3)
    assert found["onset_period"] == pytest.approx(0.5, abs=0.021)
    assert found["onset_periodicity"] > 0.8


@pytest.mark.parametrize("gain_db", [-60.0, -20.0, 20.0, 60.0])
def test_the_level_does_not_matter(gain_db):
    samples = sound()
    louder = samples * np.float32(10 ** (gain_db / 20))
    np.testing.assert_allclose(
        clip_features(louder, SAMPLE_RATE), clip_features(samples, SAMPLE_RATE), atol=0.01
    )


def test_windows_are_what_they_would_be_alone():
    samples = noise("fan", 4.0, SAMPLE_RATE, seed=3)
    frames = frame_features(samples)
    starts = np.array([0, 25, 60])
    together = v.window_vectors(frames, starts, 50)
    for start, vector in zip(starts, together, strict=True):
        end = 320 * (start + 49) + 512
        alone = frame_features(samples[320 * start : end])
        assert alone.fast_power.shape[1] == 50 * FAST_PER_FRAME
        np.testing.assert_allclose(
            vector, v.window_vectors(alone, np.zeros(1, np.int64), 50)[0], rtol=1e-3, atol=1e-3
        )


def test_no_window_is_no_vector_and_a_tiny_one_is_refused():
    frames = frame_features(sound(0.5))
    assert v.window_vectors(frames, np.zeros(0, np.int64), 10).shape == (0, NUM_FEATURES)
    with pytest.raises(InputError, match="at least 3"):
        v.window_vectors(frames, np.zeros(1, np.int64), 2)


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100, 96_000])
def test_any_rate_tells_the_same_of_what_it_can_hold(sample_rate):
    t = np.arange(sample_rate) / sample_rate
    tone = (0.1 * np.sin(2 * np.pi * 1000 * t)).astype(np.float32)
    found = named(clip_features(tone, sample_rate))
    assert 50 * 2 ** found["centroid.q50"] == pytest.approx(1000, rel=0.02)


def test_channels_are_mixed():
    left, right = sound(1.0, 1), sound(1.0, 2)
    both = clip_features(np.stack([left, right], axis=1), SAMPLE_RATE)
    np.testing.assert_array_equal(both, clip_features((left + right) / 2, SAMPLE_RATE))


@pytest.mark.parametrize("num_samples", [1, 100, 1_151, 1_152, 16_000])
@pytest.mark.parametrize("value", [0.0, 1.0, np.nan, 1e30])
def test_any_length_of_nothing_is_finite(num_samples, value):
    vector = clip_features(np.full(num_samples, value, np.float32), 16_000)
    assert vector.shape == (NUM_FEATURES,)
    assert np.isfinite(vector).all()


@given(
    st.lists(st.floats(-1e9, 1e9, width=32) | st.just(float("nan")), min_size=1, max_size=40),
    st.sampled_from([1_000, 16_000, 48_000]),
)
def test_anything_is_finite(values, sample_rate):
    samples = np.tile(np.array(values, np.float32), 100)
    assert np.isfinite(clip_features(samples, sample_rate)).all()


def test_what_is_no_audio_is_refused():
    with pytest.raises(InputError, match="no samples"):
        clip_features(np.zeros(0, np.float32), 16_000)
    with pytest.raises(InputError):
        clip_features(np.zeros(10, np.int16), 16_000)
