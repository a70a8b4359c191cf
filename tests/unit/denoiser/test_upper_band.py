"""What lies above the network's band follows it, but only where there is more than steady hiss."""

from __future__ import annotations

import numpy as np
import pytest

from anc_core.denoiser.upper_band import gains_above

NUM_FRAMES = 300
POWER = np.ones((NUM_FRAMES, 256), np.float32)


def hiss(num_bins: int, *, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    parts = rng.normal(0.0, 1.0, (2, NUM_FRAMES, num_bins))
    return (parts[0] + 1j * parts[1]).astype(np.complex64)


def learned(gain: float) -> np.ndarray:
    return np.full((NUM_FRAMES, 256), gain, np.float32)


@pytest.mark.parametrize("num_bins", [1, 7, 16, 23, 24, 512])
def test_steady_hiss_over_a_voice_is_lowered(num_bins):
    gains = gains_above(learned(1.0), POWER, hiss(num_bins))
    assert gains.shape == (NUM_FRAMES, num_bins)
    assert gains.dtype == np.float32
    if num_bins >= 16:
        assert np.mean(np.square(gains)) < 0.01


def test_a_fricative_passes_and_the_hiss_around_it_does_not():
    spectra = hiss(512)
    spectra[100:120, :200] *= 10.0
    gains = gains_above(learned(1.0), POWER, spectra)
    assert gains[102:118, 16:176].min() > 0.9
    assert np.mean(np.square(gains[102:118, 224:])) < 0.01


def test_without_a_voice_all_goes_however_loud():
    spectra = hiss(512)
    spectra[100:120] *= 10.0
    assert gains_above(learned(0.01), POWER, spectra).max() <= 0.0101


def test_silence_is_no_trouble():
    gains = gains_above(learned(1.0), POWER, np.zeros((NUM_FRAMES, 64), np.complex64))
    assert np.isfinite(gains).all()
