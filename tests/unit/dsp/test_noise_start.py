from __future__ import annotations

import numpy as np
import pytest

from anc_core.dsp.noise_start import first_loud_psd, first_noise_psd, is_silent


def noise(num_frames, num_bins, power, seed=1):
    rng = np.random.default_rng(seed)
    return rng.exponential(power, (num_frames, num_bins)).astype(np.float32)


def test_estimate_of_noise_alone_is_unbiased():
    psd = first_noise_psd(noise(64, 257, 0.01))
    # A 30 % quantile of 64 exponential values scatters by sqrt(0.3·0.7/64)/0.7/0.357 = 23 %; the
    # mean of 257 of them by 1.4 %.
    assert psd.mean() == pytest.approx(0.01, rel=0.05)
    assert psd.dtype == np.float32


def test_loud_half_of_the_look_ahead_is_not_noise():
    psd = noise(64, 257, 0.01)
    psd[:32] *= 10_000  # a voice begins at once
    # The quiet 32 frames alone hold the quantile at 60 % of theirs: -ln(0.4)/-ln(0.7) = 2.6.
    assert first_noise_psd(psd).mean() == pytest.approx(0.01 * 2.6, rel=0.2)


def test_digital_silence_before_the_recording_does_not_count():
    psd = noise(64, 257, 0.01)
    padded = np.concatenate([np.zeros((64, 257), np.float32), psd])
    np.testing.assert_array_equal(first_noise_psd(padded), first_noise_psd(psd))


def test_nothing_but_silence_gives_no_estimate():
    assert first_noise_psd(np.zeros((10, 5), np.float32)) is None
    assert first_noise_psd(np.zeros((0, 5), np.float32)) is None
    assert first_loud_psd(np.zeros((10, 5), np.float32)) is None


def test_silence_is_told_frame_by_frame():
    psd = np.zeros((3, 5), np.float32)
    psd[1, 2] = 1e-12
    assert is_silent(psd).tolist() == [True, False, True]


def test_loudness_is_what_five_percent_exceed():
    psd = noise(2000, 33, 0.01)
    assert np.mean(psd > first_loud_psd(psd)) == pytest.approx(0.05, abs=1e-3)
    padded = np.concatenate([np.zeros((500, 33), np.float32), psd])
    np.testing.assert_array_equal(first_loud_psd(padded), first_loud_psd(psd))
