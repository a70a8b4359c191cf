import numpy as np
import pytest

from anc_core.metrics.lag import LagEstimator


def estimate(before, after, rate=16_000):
    estimator = LagEstimator(rate)
    for start in range(0, len(before), rate):
        piece = slice(start, start + rate)
        estimator.offer(float((after[piece] ** 2).sum()), before[piece], after[piece])
    return estimator.compute()


def spectral_gate(signal, gain, seed=0):
    """Return the signal with random zero-phase gains per cell, as a suppressor leaves it."""
    rng = np.random.default_rng(seed)
    window = np.sqrt(np.hanning(513)[:-1])
    out = np.zeros(len(signal) + 512)
    for start in range(0, len(signal) - 512, 256):
        spectrum = np.fft.rfft(signal[start : start + 512] * window)
        gains = np.where(rng.random(len(spectrum)) < 0.7, gain, 1.0)
        out[start : start + 512] += np.fft.irfft(spectrum * gains) * window
    return out[: len(signal)].astype(np.float32)


@pytest.mark.parametrize("gain", [0.5, 0.1, 0.001])
@pytest.mark.parametrize("lag", [0, 1, 3, 500])
def test_gains_do_not_hide_a_lag(gain, lag, talk, hiss):
    voice, _ = talk(5)
    mixture = voice + hiss(len(voice), 0.02)
    assert estimate(mixture, np.roll(spectral_gate(mixture, gain), lag)) == lag


def test_what_an_adaptive_filter_leaves_is_no_lag(talk, hiss):
    voice, _ = talk(5)
    noise = hiss(len(voice), 0.1)
    path = np.random.default_rng(4).normal(size=32) * np.exp(-np.arange(32) / 8)
    heard = np.convolve(noise, path)[: len(voice)]
    error = 0.03 * np.random.default_rng(5).normal(size=32)  # misadjustment is alike in all taps
    left = np.convolve(noise, error)[: len(voice)]
    before, after = (voice + heard).astype(np.float32), (voice + left).astype(np.float32)
    assert estimate(before, after) == 0


def test_dc_hides_nothing(hiss):
    noise = hiss(32_000)
    assert estimate(noise + np.float32(0.5), np.roll(noise, 7)) == 7


def test_only_the_four_loudest_are_kept(hiss):
    estimator = LagEstimator(16_000)
    for power in range(1, 20):
        estimator.offer(float(power), hiss(100), hiss(100))
    assert [kept[0] for kept in estimator._kept] == [19.0, 18.0, 17.0, 16.0]


@pytest.mark.parametrize("length", [1, 2, 3, 40])
def test_a_few_samples_do_not_break_it(length, hiss):
    assert estimate(hiss(length), hiss(length)) in (0, None)
