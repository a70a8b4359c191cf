"""What is read off a frame: beside librosa, and beside the formulas."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from anc_core.audio.synth import voice
from anc_core.features import frame_features as f
from anc_core.features.filterbanks import cosine_transform, mel_filters
from tests.oracles import features as oracle

# Numba compiles librosa's functions on their first call, into files that all runners share; two
# that add to them at once may load each other's code, so only one does.
pytestmark = pytest.mark.xdist_group("librosa")

PARAMETERS = {"sr": f.SAMPLE_RATE, "n_fft": f.FRAME_LENGTH, "hop_length": f.HOP_LENGTH}


@pytest.fixture(scope="module")
def sound():
    rng = np.random.default_rng(3)
    speech = voice(1.5, f.SAMPLE_RATE, seed=4, level_dbfs=-26.0)
    return (speech + rng.normal(0, 1e-3, len(speech))).astype(np.float32)


@pytest.fixture(scope="module")
def frames(sound):
    return f.frame_features(sound)


def scalar(frames, name):
    return frames.scalars[f.SCALARS.index(name)]


def magnitudes(sound):
    return np.abs(librosa.stft(sound, n_fft=f.FRAME_LENGTH, hop_length=f.HOP_LENGTH, center=False))


def octaves(hz):
    return np.log2(np.maximum(hz, 25.0) / 50.0)


def test_mel_bands_are_those_of_librosa(sound, frames):
    expected = librosa.feature.melspectrogram(
        y=sound, **PARAMETERS, center=False, n_mels=f.NUM_MELS, fmin=30.0, fmax=7_900.0
    )
    assert frames.num_frames == expected.shape[1] == f.num_whole_frames(len(sound))
    np.testing.assert_allclose(frames.mel_power, expected, rtol=2e-4, atol=1e-9)


def test_mel_filters_and_cosines_are_those_of_librosa_and_scipy():
    from scipy.fft import dct

    ours = mel_filters(16_000, 512, 40, 20.0, 8_000.0)
    theirs = librosa.filters.mel(sr=16_000, n_fft=512, n_mels=40, fmin=20.0, fmax=8_000.0)
    np.testing.assert_allclose(ours, theirs, atol=1e-7)
    np.testing.assert_allclose(
        cosine_transform(20, 64), dct(np.eye(64), axis=0, norm="ortho")[:20], atol=1e-6
    )


def test_centroid_bandwidth_and_rolloff_are_those_of_librosa_for_power(sound, frames):
    power = magnitudes(sound) ** 2
    centroid = librosa.feature.spectral_centroid(S=power, sr=f.SAMPLE_RATE, n_fft=f.FRAME_LENGTH)[0]
    np.testing.assert_allclose(scalar(frames, "centroid"), octaves(centroid), atol=1e-3)
    bandwidth = librosa.feature.spectral_bandwidth(S=power, sr=f.SAMPLE_RATE, n_fft=f.FRAME_LENGTH)[
        0
    ]
    np.testing.assert_allclose(scalar(frames, "bandwidth"), bandwidth / 8_000, atol=1e-3)
    for share in (50, 85, 95):
        rolloff = librosa.feature.spectral_rolloff(
            S=power, sr=f.SAMPLE_RATE, n_fft=f.FRAME_LENGTH, roll_percent=share / 100
        )[0]
        # Where the sum meets the share to the last digit the neighbouring bin is as right.
        off = np.abs(scalar(frames, f"rolloff_{share}") - octaves(rolloff)) > 1e-4
        assert off.mean() < 0.02


def test_flatness_and_crossings_are_those_of_librosa(sound, frames):
    flatness = librosa.feature.spectral_flatness(S=magnitudes(sound))[0]
    # Ours has a floor 70 dB below the frame: a gap in the spectrum is not bottomless.
    np.testing.assert_allclose(scalar(frames, "flatness"), 10 * np.log10(flatness), atol=0.3)
    crossings = librosa.feature.zero_crossing_rate(
        sound, frame_length=f.FRAME_LENGTH, hop_length=f.HOP_LENGTH, center=False
    )[0]
    np.testing.assert_allclose(scalar(frames, "zero_crossings"), crossings, atol=2 / f.FRAME_LENGTH)


def test_contrast_flatness_pitch_and_crest_are_their_formulas(sound, frames):
    for number in range(0, frames.num_frames, 7):
        start = f.HOP_LENGTH * number
        power = oracle.spectrum(sound[start : start + f.FRAME_LENGTH].astype(float))
        floored = power + 1e-7 * power.mean()
        contrast, flatness = oracle.contrast_and_flatness(floored)
        np.testing.assert_allclose(frames.contrast[:, number], contrast, atol=0.02)
        np.testing.assert_allclose(frames.band_flatness[:, number], flatness, atol=0.02)
        harmonicity, hz = oracle.pitch(floored)
        assert scalar(frames, "harmonicity")[number] == pytest.approx(harmonicity, abs=1e-3)
        assert scalar(frames, "pitch")[number] == pytest.approx(octaves(hz), abs=1e-3)
        crest = 10 * np.log10(floored.max() / floored.mean())
        assert scalar(frames, "crest")[number] == pytest.approx(crest, abs=0.01)
        assert frames.power[number] == pytest.approx(power.mean(), rel=1e-4)


def test_pitch_of_a_tone_with_harmonics():
    t = np.arange(f.SAMPLE_RATE) / f.SAMPLE_RATE
    tone = sum(np.sin(2 * np.pi * 220 * k * t) / k for k in range(1, 8)).astype(np.float32)
    frames = f.frame_features(tone)
    np.testing.assert_allclose(50 * 2 ** scalar(frames, "pitch"), 220.5, rtol=0.01)
    assert scalar(frames, "harmonicity").min() > 0.95


def test_fast_power_is_that_of_32_samples_and_of_their_differences(sound, frames):
    assert frames.fast_power.shape == (2, 10 * frames.num_frames)
    for k in (0, 5, 10 * frames.num_frames - 1):
        piece = sound[32 * k : 32 * k + 33].astype(float)
        expected = np.mean(piece[:-1] ** 2), np.mean(np.diff(piece) ** 2)
        np.testing.assert_allclose(frames.fast_power[:, k], expected, rtol=1e-4)


def test_a_frame_is_what_it_is_wherever_it_lies(sound):
    """Bit for bit, across the blocks in which frames are worked on."""
    noise = np.random.default_rng(1).normal(0, 0.1, 3 * f.SAMPLE_RATE).astype(np.float32)
    whole, later = f.frame_features(noise), f.frame_features(noise[f.HOP_LENGTH * 37 :])
    for name in ("mel_power", "contrast", "band_flatness", "scalars"):
        found, expected = getattr(later, name), getattr(whole, name)[:, 37:]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("num_samples", [0, 1, 511])
def test_less_than_a_frame_is_none(num_samples):
    frames = f.frame_features(np.ones(num_samples, np.float32))
    assert frames.num_frames == 0
    assert frames.fast_power.shape == (2, 0)
