from __future__ import annotations

import numpy as np
import pytest

from anc_core.dsp.noise_start import first_noise_psd, is_silent


def noise(num_frames, num_bins, power, seed=1):
    rng = np.random.default_rng(seed)
    parts = rng.normal(size=(2, num_frames, num_bins)) * np.sqrt(power / 2)
    return (parts[0] + 1j * parts[1]).astype(np.complex64)


def test_estimate_of_noise_alone_is_unbiased():
    psd = first_noise_psd(noise(64, 257, 0.01))
    # A 30 % quantile of 64 exponential values scatters by sqrt(0.3·0.7/64)/0.7/0.357 = 23 %; the
    # mean of 257 of them by 1.4 %.
    assert psd.mean() == pytest.approx(0.01, rel=0.05)
    assert psd.dtype == np.float32


def test_loud_half_of_the_look_ahead_is_not_noise():
    spectra = noise(64, 257, 0.01)
    spectra[:32] *= 100  # a voice begins at once
    # The quiet 32 frames alone hold the quantile at 60 % of theirs: -ln(0.4)/-ln(0.7) = 2.6.
    assert first_noise_psd(spectra).mean() == pytest.approx(0.01 * 2.6, rel=0.2)


def test_digital_silence_before_the_recording_does_not_count():
    spectra = noise(64, 257, 0.01)
    padded = np.concatenate([np.zeros((64, 257), np.complex64), spectra])
    np.testing.assert_array_equal(first_noise_psd(padded), first_noise_psd(spectra))


def test_nothing_but_silence_gives_no_estimate():
    assert first_noise_psd(np.zeros((10, 5), np.complex64)) is None
    assert first_noise_psd(np.zeros((0, 5), np.complex64)) is None


def test_silence_is_told_frame_by_frame():
    spectra = np.zeros((3, 5), np.complex64)
    spectra[1, 2] = 1e-6
    assert is_silent(spectra).tolist() == [True, False, True]
