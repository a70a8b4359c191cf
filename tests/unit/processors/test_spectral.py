"""The classical engine: how much it takes, what it keeps, and its place in the stream."""

from __future__ import annotations

import numpy as np
import pytest

from anc_core.presets import SuppressionParameters
from anc_core.processors import SpectralSuppressor
from tests.strategies import run, run_aligned


def Suppressor(sample_rate, num_channels=1, **numbers):  # noqa: N802 - stands for the class
    """The engine with some numbers changed."""
    parameters = SuppressionParameters(**numbers)
    return SpectralSuppressor(sample_rate, num_channels, parameters=parameters)


def noise(num_samples, num_channels=1, level=0.05, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(0, level, (num_samples, num_channels)).astype(np.float32)


def voice(num_samples, sample_rate=16_000):
    """A pulse train of moving pitch through three resonances, in syllables with pauses."""
    t = np.arange(num_samples) / sample_rate
    phase = 2 * np.pi * np.cumsum(120 + 20 * np.sin(2 * np.pi * 0.7 * t)) / sample_rate
    tone = sum(
        np.cos(k * phase)
        / (
            1 + ((k * 120 - 500) / 300) ** 2
            if k * 120 < 1100
            else 6 + ((k * 120 - 1500) / 500) ** 2
        )
        for k in range(1, 30)
    )
    syllables = np.clip(3 * np.sin(2 * np.pi * 2.3 * t), 0, 1) * (
        np.sin(2 * np.pi * 0.4 * t) > -0.5
    )
    signal = tone * syllables
    return (0.1 * signal / np.std(signal)).astype(np.float32)[:, np.newaxis]


def db(numerator, denominator):
    return 10 * np.log10(
        np.mean(np.square(numerator, dtype=float)) / np.mean(np.square(denominator, dtype=float))
    )


def si_sdr_db(target, estimate):
    target, estimate = target[:, 0].astype(float), estimate[:, 0].astype(float)
    part = (estimate @ target) / (target @ target) * target
    return 10 * np.log10(part @ part / np.sum((estimate - part) ** 2))


def test_white_noise_sinks_by_nearly_the_maximum():
    signal = noise(10 * 16_000)
    output = run_aligned(Suppressor(16_000), [signal])
    # Nothing may sink by more than 18 dB; a few cells of noise pass for sound.
    assert 17.0 < db(signal[16_000:], output[16_000:]) <= 18.0


@pytest.mark.parametrize("max_attenuation_db", [3.0, 12.0])
def test_maximum_attenuation_is_kept(max_attenuation_db):
    signal = noise(4 * 16_000)
    output = run_aligned(Suppressor(16_000, max_attenuation_db=max_attenuation_db), [signal])
    assert db(signal, output) == pytest.approx(max_attenuation_db, abs=0.3)


def test_first_second_is_as_quiet_as_the_rest():
    signal = noise(4 * 16_000)
    output = run_aligned(Suppressor(16_000), [signal])
    # The estimate starts from the look-ahead: 64 frames scatter it by some 20 % a bin.
    assert db(signal[:8_000], output[:8_000]) > 15.0


def test_voice_in_noise_comes_out_cleaner_and_as_loud():
    clean = voice(8 * 16_000)
    noisy = clean + noise(len(clean), level=0.05)
    output = run_aligned(Suppressor(16_000), [noisy])
    gained_db = si_sdr_db(clean, output) - si_sdr_db(clean, noisy)
    speech_gain_db = 20 * np.log10(np.sum(output * clean) / np.sum(clean * clean))
    assert gained_db > 6.0
    assert abs(speech_gain_db) < 1.0


def test_clean_voice_is_hardly_touched():
    clean = voice(8 * 16_000) + noise(8 * 16_000, level=1e-5)
    output = run_aligned(Suppressor(16_000), [clean])
    assert abs(db(output, clean)) < 0.3


def test_residual_noise_holds_no_more_lone_peaks_than_the_input():
    signal = noise(20 * 16_000)
    output = run_aligned(Suppressor(16_000), [signal])

    def share_of_peaks(x):
        frames = np.lib.stride_tricks.sliding_window_view(x[16_000:, 0], 512)[::128]
        psd = np.abs(np.fft.rfft(frames * np.hanning(512)))[:, 8:250] ** 2
        return np.mean(psd > 16 * psd.mean(axis=0))

    # Exponential distribution: exp(-16) = 1e-7 in the input. Plain log-MMSE has 3e-4 here.
    assert share_of_peaks(signal) < 1e-6
    assert share_of_peaks(output) < 2e-4


def test_noise_that_rises_by_10_db_is_quiet_again_after_three_seconds():
    signal = noise(14 * 16_000)
    signal[5 * 16_000 :] *= np.float32(10**0.5)
    output = run_aligned(Suppressor(16_000), [signal])
    assert db(signal[8 * 16_000 :], output[8 * 16_000 :]) > 16.0


def test_sudden_rise_of_noise_is_followed_within_a_second():
    signal = noise(10 * 16_000)
    signal[5 * 16_000 :] *= 10
    output = run_aligned(Suppressor(16_000), [signal])
    assert db(signal[6 * 16_000 : 7 * 16_000], output[6 * 16_000 : 7 * 16_000]) > 15.0


def hum(num_samples, sample_rate=16_000):
    """Mains hum of 50 Hz with its harmonics."""
    t = np.arange(num_samples) / sample_rate
    tones = [np.cos(2 * np.pi * 50 * k * t + k) / k for k in (1, 2, 3, 4, 5, 7)]
    return (0.05 * np.sum(tones, axis=0)).astype(np.float32)[:, np.newaxis]


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 96_000])
def test_hum_under_a_voice_goes_and_the_voice_stays(sample_rate):
    clean = voice(10 * sample_rate, sample_rate) + noise(10 * sample_rate, level=1e-3)
    mains = hum(len(clean), sample_rate)
    output = run_aligned(Suppressor(sample_rate), [clean + mains])
    late = slice(2 * sample_rate, None)
    seconds = np.arange(len(clean))[late] / sample_rate
    turns = np.exp(-2j * np.pi * np.outer([50, 100, 150, 200, 250, 350], seconds))
    left, all_hum = turns @ (output - clean)[late], turns @ mains[late]
    assert db(np.abs(all_hum), np.abs(left)) > 15.0
    level_db = 20 * np.log10(np.sum(output[late] * clean[late]) / np.sum(clean[late] ** 2))
    assert abs(level_db) < 1.0


def test_no_more_than_the_maximum_is_taken_from_hum():
    mains = hum(6 * 16_000) + noise(6 * 16_000, level=1e-3)
    output = run_aligned(Suppressor(16_000, max_attenuation_db=12.0), [mains])
    assert 10.5 < db(mains[16_000:], output[16_000:]) < 12.1


def clicks(num_samples, at):
    """Bursts of 4 ms, as of a key."""
    signal = np.zeros((num_samples, 1), np.float32)
    decay = np.exp(-np.arange(64) / 12)[:, np.newaxis]
    for start in at:
        signal[start : start + 64] = noise(64, level=0.3, seed=start) * decay
    return signal


def test_lone_clicks_sink_into_the_noise():
    at = range(16_000, 9 * 16_000, 11_111)
    signal = noise(10 * 16_000, level=1e-3) + clicks(10 * 16_000, at)
    output = run_aligned(Suppressor(16_000), [signal])
    heard = np.concatenate([np.arange(start, start + 64) for start in at])
    assert db(signal[heard], output[heard]) > 15.0


def test_plosive_within_a_word_is_kept():
    clean = voice(6 * 16_000) + noise(6 * 16_000, level=1e-4)
    energy = np.convolve(clean[:, 0] ** 2, np.ones(800) / 800, "same")
    loud = np.flatnonzero(energy > 0.3 * energy.max())
    at = [int(loud[len(loud) * share // 4]) for share in (1, 2, 3)]
    signal = clean + clicks(len(clean), at)
    output = run_aligned(Suppressor(16_000), [signal])
    heard = np.concatenate([np.arange(start, start + 64) for start in at])
    assert abs(db(signal[heard], output[heard])) < 0.5


def test_silence_stays_silence():
    assert not run_aligned(Suppressor(16_000, 2), [np.zeros((50_000, 2), np.float32)]).any()


def test_noise_after_a_silent_start_is_known_at_once():
    signal = noise(5 * 16_000)
    signal[: 3 * 16_000] = 0.0
    output = run_aligned(Suppressor(16_000), [signal])
    later = slice(3 * 16_000 + 640, 3 * 16_000 + 8_000)
    assert db(signal[later], output[later]) > 12.0


def test_channels_are_independent():
    left, right = noise(30_000), voice(30_000)
    both = run(Suppressor(16_000, 2), [np.hstack([left, right])])
    np.testing.assert_array_equal(both[:, :1], run(Suppressor(16_000), [left]))
    np.testing.assert_array_equal(both[:, 1:], run(Suppressor(16_000), [right]))


def test_dead_channel_beside_a_live_one_stays_dead():
    output = run(
        Suppressor(16_000, 2), [np.hstack([noise(30_000), np.zeros((30_000, 1), np.float32)])]
    )
    assert not output[:, 1].any()
    assert output[:, 0].any()


@pytest.mark.parametrize("sample_rate", [1_000, 7_999, 11_025, 48_000, 192_000, 768_000])
def test_any_rate_works_and_nothing_is_shifted(sample_rate):
    rng = np.random.default_rng(1)
    signal = rng.normal(0, 0.1, (sample_rate // 2, 1)).astype(np.float32)
    output = run_aligned(Suppressor(sample_rate, max_attenuation_db=6.0), [signal])
    assert output.shape == signal.shape
    # With a floor of half the amplitude the output still looks like the input, sample by sample.
    lags = np.arange(-3, 4)
    match = [np.sum(signal[5:-5, 0] * output[5 + lag : len(output) - 5 + lag, 0]) for lag in lags]
    assert lags[np.argmax(match)] == 0


def test_many_channels_work():
    assert run(Suppressor(8_000, 64), [noise(500, 64)]).shape == (500 + 320, 64)


def test_stream_of_single_samples_equals_the_whole():
    signal = noise(3_000)
    single = [signal[n : n + 1] for n in range(len(signal))]
    np.testing.assert_array_equal(run(Suppressor(1_000), single), run(Suppressor(1_000), [signal]))


def test_long_stream_in_seconds_equals_the_whole():
    signal = noise(6 * 16_000, 2)
    chunks = np.split(signal, 6)
    np.testing.assert_array_equal(
        run(Suppressor(16_000, 2), chunks), run(Suppressor(16_000, 2), [signal])
    )


def test_memory_does_not_grow_with_the_stream():
    engine = SpectralSuppressor(16_000)
    waiting = []
    for second in range(20):
        engine.process(noise(16_000, seed=second))
        waiting.append(len(engine._buffer))
    assert max(waiting) < 3 * 16_000


def test_output_appears_as_the_stream_goes_on():
    engine = SpectralSuppressor(16_000)
    lengths = [len(engine.process(noise(16_000))) for _ in range(10)]
    # At most 2.5 s wait inside.
    assert sum(lengths) >= 10 * 16_000 - 2.6 * 16_000


def test_non_finite_samples_count_as_zero():
    signal = noise(20_000)
    broken = signal.copy()
    broken[[100, 5_000, 9_000]] = np.array([[np.nan], [np.inf], [-np.inf]])
    signal[[100, 5_000, 9_000]] = 0.0
    np.testing.assert_array_equal(
        run(Suppressor(16_000), [broken]), run(Suppressor(16_000), [signal])
    )


@pytest.mark.parametrize("off", [{"strength": 0.0}, {"max_attenuation_db": 0.0}])
def test_bypass_has_the_latency_of_the_engine(off):
    assert Suppressor(16_000, **off).latency == Suppressor(16_000).latency
