from __future__ import annotations

import numpy as np
import pytest

from anc_core.emergency.ridges import (
    _TINY_POWER,
    ANALYSIS_RATE_HZ,
    FAST_FRAME_LENGTH,
    FRAME_LENGTH,
    HOP_LENGTH,
    MIN_PROMINENCE_DB,
    NUM_PEAKS,
    _analysis,
    find_ridges,
    ridges_and_power,
)


def tone(hertz: float, amplitude: float = 0.1, num: int = 8000) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(num) / ANALYSIS_RATE_HZ)).astype(
        np.float32
    )


@pytest.mark.parametrize("frame_length", [FRAME_LENGTH, FAST_FRAME_LENGTH])
@pytest.mark.parametrize("hertz", [520.0, 970.0, 3105.0])
def test_tone_is_found_within_a_tenth_of_a_bin(hertz, frame_length):
    ridges = find_ridges(tone(hertz), frame_length)
    # A parabola through a Hann peak in dB is off by at most 0.06 bins.
    error_hz = np.abs(np.exp2(ridges.pitch[:, 0]) - hertz)
    assert np.all(error_hz < 0.1 * ANALYSIS_RATE_HZ / frame_length)


def test_level_of_a_full_scale_sine_is_minus_3_dbfs():
    # 1000 Hz is bin 32 exactly: no loss between bins.
    ridges = find_ridges(tone(1000.0, 1.0))
    np.testing.assert_allclose(ridges.level_db[:, 0], -3.01, atol=0.01)


@pytest.mark.parametrize("num", [FRAME_LENGTH, FRAME_LENGTH + HOP_LENGTH - 1, 16_262])
def test_every_complete_frame_is_analysed(num):
    ridges = find_ridges(tone(970.0, num=num))
    assert ridges.pitch.shape == ((num - FRAME_LENGTH) // HOP_LENGTH + 1, NUM_PEAKS)


def test_prominence_does_not_depend_on_the_level():
    rng = np.random.default_rng(1)
    noisy = tone(970.0) + rng.normal(0, 0.01, 8000).astype(np.float32)
    loud, soft = find_ridges(noisy), find_ridges(noisy / 64)
    np.testing.assert_allclose(loud.prominence_db[:, 0], soft.prominence_db[:, 0], atol=0.01)


def test_white_noise_has_few_peaks():
    noise = np.random.default_rng(2).normal(0, 0.1, 160_000).astype(np.float32)
    # exp(-ln 2 * 10**0.9 / q), q = the 40 % quantile: about 1.5 % of 120 bins, 1.8 a frame.
    assert np.mean(np.isfinite(find_ridges(noise).pitch)) * NUM_PEAKS < 2.5


@pytest.mark.parametrize("samples", [np.zeros(2000), np.full(2000, 0.5), np.full(2000, 1e-30)])
def test_what_has_no_tone_has_no_peak(samples):
    assert not np.any(np.isfinite(find_ridges(samples.astype(np.float32)).pitch))


def test_peaks_come_most_prominent_first():
    noise = np.random.default_rng(3).normal(0, 0.01, 8000).astype(np.float32)
    ridges = find_ridges(tone(2500.0, 0.02) + tone(970.0, 0.1) + noise)
    assert np.all(ridges.prominence_db[:, 0] > ridges.prominence_db[:, 1])
    # Noise 14 dB below the weaker tone within a bin moves a peak by about a tenth of a bin.
    np.testing.assert_allclose(np.exp2(ridges.pitch[:, :2]), [[970.0, 2500.0]] * 30, atol=6.0)


def plain_peaks(level):
    """Return (bin, prominence in dB) of the peaks of one frame: the rule in plain words."""
    padded = np.pad(level.astype(np.float64), (11, 15), mode="reflect")
    every_fourth = np.arange(0, len(level) + 4, 4)
    quantiles = [np.sort(padded[k : k + 23])[9] for k in every_fourth]
    prominence = level - np.interp(np.arange(len(level)), every_fourth, quantiles)
    floor = max(level[1:-1].max() - 45.0, -95.0)
    peaks = [
        (k, prominence[k])
        for k in range(1, len(level) - 1)
        if level[k - 1] < level[k] >= level[k + 1]
        and prominence[k] >= MIN_PROMINENCE_DB
        and level[k] > floor
    ]
    return sorted(peaks, key=lambda peak: -peak[1])[:NUM_PEAKS]


@pytest.mark.parametrize("frame_length", [FRAME_LENGTH, FAST_FRAME_LENGTH])
def test_peaks_are_those_of_the_rule(frame_length):
    rng = np.random.default_rng(4)
    chord = sum(tone(hertz, 0.05) for hertz in rng.uniform(400, 4_400, 9))
    samples = (chord + rng.normal(0, 0.003, len(chord))).astype(np.float32)
    ridges = find_ridges(samples, frame_length)
    analysis = _analysis(frame_length)
    _, power = ridges_and_power(samples, frame_length)
    levels = np.float32(10.0) * np.log10(power + _TINY_POWER)
    assert np.isfinite(ridges.pitch).sum() > 3 * len(levels)
    for i, level in enumerate(levels):
        peaks = plain_peaks(level)
        found = np.isfinite(ridges.pitch[i])
        assert np.count_nonzero(found) == len(peaks)
        # float32 resolves levels of up to 100 dB to 1e-5 dB.
        np.testing.assert_allclose(ridges.prominence_db[i][found], [p for _, p in peaks], atol=1e-4)
        bins = np.exp2(ridges.pitch[i][found]) / analysis.bin_hz - analysis.first_bin
        np.testing.assert_allclose(bins, [k for k, _ in peaks], atol=0.5 + 1e-4)
