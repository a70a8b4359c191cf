"""Vectors by content: measured once, the same wherever and in whatever order."""

from __future__ import annotations

import numpy as np
import soundfile as sf

from anc_core.audio.synth import noise
from anc_core.classifier_training import extraction
from anc_core.classifier_training.extraction import TESTS, extract, feature_cache
from anc_core.classifier_training.recordings import scan
from anc_core.features import NUM_FEATURES, clip_features
from tests.noise_clips import write_clips


def test_vectors_have_their_places(spec):
    data = spec.data
    features = feature_cache(spec.home / "noise-features", 1).load(data.clips)
    num = len(data.clips)
    assert features.tests.shape == (len(TESTS), num, NUM_FEATURES)
    assert features.training.shape == (num, 6, NUM_FEATURES)
    assert np.array_equal(features.tests[0], features.training[:, 0])
    assert set(features.clip_of_window) == set(range(num))
    samples, rate = sf.read(data.root / data.clips[0].path, dtype="float32")
    assert np.array_equal(features.tests[0, 0], clip_features(samples, rate))
    # Levels change no figure but by rounding; noise does.
    clean = features.tests[0]
    softer, louder = (features.tests[TESTS.index(name)] for name in ("softer", "louder"))
    assert np.allclose(softer, clean, rtol=1e-2, atol=1e-2)
    assert np.allclose(louder, clean, rtol=1e-2, atol=1e-2)
    assert not np.allclose(features.tests[2], clean, rtol=1e-2, atol=1e-2)


def test_a_clip_is_measured_once_and_alike_in_any_order(tmp_path, monkeypatch):
    data = scan(write_clips(tmp_path / "clips", kinds=("fan", "rain"), recordings=2))
    first, second = (feature_cache(tmp_path / name, 1) for name in "ab")
    extract(data.root, data.clips, first)
    extract(data.root, data.clips[::-1], second)
    for one, other in zip(
        vars_of(first.load(data.clips)), vars_of(second.load(data.clips)), strict=True
    ):
        assert np.array_equal(one, other)
    monkeypatch.setattr(extraction, "clip_table", None)  # would fail if it were called
    assert extract(data.root, data.clips, first) == []
    assert feature_cache(tmp_path / "a", 2).folder != first.folder


def vars_of(features):
    return (features.tests, features.training, features.windows, features.clip_of_window)


def test_bad_clips_are_reported_and_the_others_measured(tmp_path):
    root = write_clips(tmp_path / "clips", kinds=("fan", "rain"), recordings=2)
    (root / "fan" / "text-a.wav").write_text("no audio at all")
    sf.write(root / "fan" / "short-a.wav", noise("fan", 0.05, 16_000, seed=9), 16_000)
    sf.write(root / "rain" / "silent-a.wav", np.full(16_000, 1e-5), 16_000, subtype="FLOAT")
    data = scan(root)
    cache = feature_cache(tmp_path / "cache", 1)
    reasons = {one.path: one.reason for one in extract(root, data.clips, cache)}
    assert set(reasons) == {"fan/text-a.wav", "fan/short-a.wav", "rain/silent-a.wav"}
    assert "shorter than 0.1 s" in reasons["fan/short-a.wav"]
    assert "silent: below -70 dBFS" in reasons["rain/silent-a.wav"]
    assert sum(clip in cache for clip in data.clips) == 4


def test_of_a_long_recording_the_beginning_is_heard(tmp_path, monkeypatch):
    monkeypatch.setattr(extraction, "_MAX_CLIP_S", 1.0)
    samples = noise("fan", 3.0, 16_000, seed=1)
    sf.write(tmp_path / "long.wav", samples, 16_000, subtype="FLOAT")
    heard = extraction._decode(tmp_path / "long.wav")
    assert len(heard) == extraction.SAMPLE_RATE
    sf.write(tmp_path / "begin.wav", samples[:16_000], 16_000, subtype="FLOAT")
    assert np.array_equal(heard, extraction._decode(tmp_path / "begin.wav"))
