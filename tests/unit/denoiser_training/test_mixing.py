"""Mixtures are what they say: SNR, share of clean ones, the same again for the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from anc_core.denoiser_training.mixing import Mixer
from anc_core.denoiser_training.parameters import MixingParameters
from anc_core.denoiser_training.pools import (
    active_rms,
    build_pool,
    build_synthetic_pool,
    open_pool,
)
from anc_core.denoiser_training.synthetic import _GENERATORS, synthetic_noise
from anc_core.training_recordings import TrainingRecording

PLAIN = MixingParameters(
    clip_s=2.0,
    clean_share=0.0,
    noise_only_share=0.0,
    band_limit_share=0.0,
    clipping_share=0.0,
    companding_share=0.0,
    silence_share=0.0,
)


@pytest.fixture(scope="module")
def pools(rows, recordings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pools")
    for kind in ("speech", "noise"):
        chosen = [row for row in rows if row.kind == kind]
        build_pool(chosen, recordings, folder, kind, pytest.fail)
    build_synthetic_pool(12, 3.0, 5, folder, "synthetic")
    return [open_pool(folder, name) for name in ("speech", "noise", "synthetic")]


def mixer(pools, parameters=PLAIN, seed=1):
    return Mixer(*pools, parameters, seed=seed)


@pytest.mark.parametrize("snr_db", [-5.0, 10.0])
def test_snr_is_that_of_active_speech_over_noise(pools, snr_db, rng):
    engine = mixer(pools, replace(PLAIN, min_snr_db=snr_db, max_snr_db=snr_db))
    for _ in range(10):
        noisy, clean = engine.mixture(rng)
        noise_rms = np.sqrt(np.mean((noisy - clean) ** 2))
        # Speech at another speed is resampled after its level was set, hence not exact.
        assert 20 * np.log10(active_rms(clean) / noise_rms) == pytest.approx(snr_db, abs=1.0)


def test_a_batch_depends_on_seed_step_and_process_alone(pools):
    first = mixer(pools).batch(7, 1, 3)
    engine = mixer(pools)
    engine.batch(3, 0, 3)
    for one, other in zip(first, engine.batch(7, 1, 3), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first[0], engine.batch(7, 0, 3)[0])
    assert not np.array_equal(first[0], engine.batch(8, 1, 3)[0])
    assert not np.array_equal(first[0], mixer(pools, seed=2).batch(7, 1, 3)[0])


def test_clean_share_leaves_speech_alone(pools, rng):
    noisy, clean = mixer(pools, replace(PLAIN, clean_share=1.0)).mixture(rng)
    np.testing.assert_array_equal(noisy, clean)


def test_noise_only_share_has_nothing_to_keep(pools, rng):
    noisy, clean = mixer(pools, replace(PLAIN, noise_only_share=1.0)).mixture(rng)
    assert not clean.any()
    assert noisy.any()


def test_everything_at_once_is_finite_and_within_range(pools, rng):
    everything = {name: 1.0 for name in MixingParameters().__slots__ if name.endswith("_share")}
    busy = replace(MixingParameters(), **everything | {"noise_only_share": 0.2, "clean_share": 0.2})
    engine = mixer(pools, replace(busy, clip_s=1.0, babble_share=0.4, recorded_noise_share=0.3))
    for _ in range(20):
        for samples in engine.mixture(rng):
            assert samples.dtype == np.float32
            assert samples.shape == (16_000,)
            assert np.isfinite(samples).all()
            assert np.abs(samples).max() < 30.0


def test_a_telephone_line_has_nothing_above_4_khz(pools):
    engine = mixer(pools, replace(PLAIN, band_limit_share=1.0))
    shares = []
    for number in range(20):
        noisy, _ = engine.mixture(np.random.default_rng(number))
        power = np.abs(np.fft.rfft(noisy * np.hanning(len(noisy)))) ** 2
        shares.append(power[len(power) * 4200 // 8000 :].sum() / power.sum())
    assert sum(share < 1e-6 for share in shares) >= 5  # 60 % of them are telephones


@pytest.mark.parametrize("kind", sorted(_GENERATORS))
def test_synthetic_noises_are_sound(kind, rng):
    for _ in range(5):
        samples = _GENERATORS[kind](16_000, 16_000, rng)
        assert samples.shape == (16_000,)
        assert np.isfinite(samples).all()
        assert samples.any()


def test_synthetic_noise_has_unit_rms_and_comes_again(rng):
    kind, samples = synthetic_noise(1.0, 16_000, np.random.default_rng(4))
    again = synthetic_noise(1.0, 16_000, np.random.default_rng(4))
    assert kind == again[0]
    np.testing.assert_array_equal(samples, again[1])
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(1.0, rel=1e-4)


def test_one_bad_file_is_reported_and_left_out(rows, recordings, tmp_path):
    bad = TrainingRecording(path="bad.wav", kind="speech", group="bad", split="train")
    (recordings / "bad.wav").write_bytes(b"no audio")
    lines = []
    speech = [row for row in rows if row.kind == "speech"]
    count = build_pool([bad, *speech], recordings, tmp_path, "speech", lines.append)
    assert count == len(speech)
    assert len(lines) == 1
    assert "bad.wav" in lines[0]


def test_a_pool_is_built_once(rows, recordings, tmp_path):
    speech = [row for row in rows if row.kind == "speech"]
    build_pool(speech, recordings, tmp_path, "speech", pytest.fail)
    before = (tmp_path / "speech.i16").stat().st_mtime_ns
    assert build_pool(speech, recordings, tmp_path, "speech", pytest.fail) == len(speech)
    assert (tmp_path / "speech.i16").stat().st_mtime_ns == before
