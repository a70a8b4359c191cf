"""Synthetic recordings with a known mask."""

import numpy as np
import pytest

RATE = 16_000


@pytest.fixture
def talk():
    """Return a maker of (voice, is_voiced): harmonic syllables in phrases with pauses of a second.

    The voice has an RMS of 0.1 where it is voiced and is exactly 0 elsewhere.
    """

    def make(seconds=20, rate=RATE, seed=0):
        rng = np.random.default_rng(seed)
        voice = np.zeros(round(seconds * rate))
        start = round(0.8 * rate)
        while start < len(voice) - rate:
            for _ in range(8):  # syllables of 150 ms, 50 ms apart
                length = round(0.15 * rate)
                time = np.arange(length) / rate
                pitch = rng.uniform(110, 180)
                harmonics = np.arange(1, int(min(4_000, 0.45 * rate) / pitch))
                tones = np.sin(2 * np.pi * pitch * np.outer(harmonics, time)) / harmonics[:, None]
                syllable = tones.sum(axis=0)
                piece = voice[start : start + length]
                piece += (0.1 / syllable.std() * syllable)[: len(piece)]
                start += round(0.2 * rate)
            start += round(1.0 * rate)
        return voice.astype(np.float32), voice != 0.0

    return make


@pytest.fixture
def hiss():
    """Return a maker of white noise of a given RMS, float32, shape (num_samples,)."""

    def make(num_samples, rms=0.01, seed=1):
        return np.random.default_rng(seed).normal(0.0, rms, num_samples).astype(np.float32)

    return make
