"""Noises: exact levels, the slopes of the colours, and what makes each of the others itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import welch

from anc_core.audio.synth import NOISE_KINDS, clicks, noise
from anc_core.errors import InputError

RATE = 16_000


def rms_dbfs(audio):
    return 10 * math.log10(np.mean(np.square(audio, dtype=np.float64)))


def spectrum(audio, rate=RATE, length=8192):
    frequency, density = welch(audio.astype(float), rate, nperseg=length)
    return frequency, 10 * np.log10(density + 1e-30)


def slope_db_per_octave(audio, low_hz, high_hz):
    frequency, level_db = spectrum(audio)
    band = (frequency >= low_hz) & (frequency <= high_hz)
    # Weights 1/f give every octave the same say.
    return np.polyfit(np.log2(frequency[band]), level_db[band], 1, w=frequency[band] ** -0.5)[0]


def prominence_db(audio, frequency_hz, length=32_768):
    """Level of a line above the median of its surroundings."""
    frequency, level_db = spectrum(audio, length=length)
    around = np.abs(frequency / frequency_hz - 1) < 0.2
    return level_db[np.abs(frequency - frequency_hz) < 2.0].max() - np.median(level_db[around])


def envelope(audio, rate=RATE, hop_s=0.01):
    hop = round(hop_s * rate)
    return np.sqrt(np.mean(audio[: len(audio) // hop * hop].reshape(-1, hop).astype(float) ** 2, 1))


def kurtosis(audio):
    audio = audio.astype(float) - audio.mean(dtype=np.float64)
    return np.mean(audio**4) / np.mean(audio**2) ** 2


@pytest.mark.parametrize("kind", NOISE_KINDS)
@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_level_is_exact_and_nothing_clips(kind, rate):
    audio = noise(kind, 3.0, rate, seed=1, level_dbfs=-33.0)
    assert audio.dtype == np.float32
    assert audio.shape == (3 * rate,)
    assert np.isfinite(audio).all()
    assert np.abs(audio).max() < 1.0
    assert rms_dbfs(audio) == pytest.approx(-33.0, abs=1e-3)


@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_seed_decides(kind):
    first, again, other = (noise(kind, 0.6, RATE, seed=seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("kind", "slope"), [("white", 0.0), ("pink", -3.01), ("brown", -6.02)])
def test_colour_has_its_slope(kind, slope):
    audio = noise(kind, 20.0, RATE, seed=2)
    # 78 averaged spectra scatter by 0.5 dB a bin; over six octaves of bins well under 0.1 dB/oct.
    assert slope_db_per_octave(audio, 60.0, 7_000.0) == pytest.approx(slope, abs=0.15)


@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
def test_hum_stands_on_multiples_of_the_mains(mains_hz):
    audio = noise("hum", 8.0, RATE, seed=1, mains_hz=mains_hz)
    for order in range(1, 9):
        assert prominence_db(audio, order * mains_hz) > 20.0
    assert prominence_db(audio, 2.5 * mains_hz) < 15.0


def test_fan_has_a_blade_tone_over_broadband_rush():
    audio = noise("fan", 10.0, RATE, seed=5)
    frequency, level_db = spectrum(audio, length=16_384)
    # 7 blades at 20 to 28 turns a second, 0.4 % to spare.
    band = (frequency > 139.0) & (frequency < 198.0)
    blade_hz = frequency[band][np.argmax(level_db[band])]
    assert prominence_db(audio, blade_hz) > 8.0
    assert kurtosis(audio) == pytest.approx(3.0, abs=0.4)
    assert slope_db_per_octave(audio, 500.0, 7_000.0) == pytest.approx(-5.5, abs=1.0)


def test_engine_speed_wanders_and_firing_is_its_strongest_order():
    audio = noise("engine", 10.0, RATE, seed=5).astype(float)
    length = 4096
    window = np.hanning(length)
    starts = np.arange(0, len(audio) - length, length // 2)
    spectra = np.abs(np.fft.rfft([audio[s : s + length] * window for s in starts], axis=1))
    frequency = np.fft.rfftfreq(length, 1 / RATE)
    strongest = frequency[np.argmax(spectra * (frequency > 20.0), axis=1)]
    # Firing is twice the turns: 34 to 52 Hz at rest, times 2^(+-0.66) with the wander; the body
    # may lift one of its next multiples above it.
    assert np.all((strongest > 20.0) & (strongest < 250.0))
    assert strongest.max() / strongest.min() > 1.1


def test_cars_pass_in_traffic():
    level = envelope(noise("traffic", 30.0, RATE, seed=3), hop_s=0.5)
    assert 20 * np.log10(level.max() / np.median(level)) > 4.0
    frequency, level_db = spectrum(noise("traffic", 30.0, RATE, seed=3))
    power = 10 ** (level_db / 10)
    assert power[frequency < 500.0].sum() > 0.6 * power.sum()


def test_rain_is_dense_drops_over_hiss():
    audio = noise("rain", 10.0, RATE, seed=3)
    # Gaussian noise has kurtosis 3; separate drops make peaks.
    assert kurtosis(audio) > 4.0
    frequency, level_db = spectrum(audio)
    power = 10 ** (level_db / 10)
    assert power[frequency > 1_000.0].sum() > 0.7 * power.sum()
    # Yet no gaps: the quietest 10 ms lie within 12 dB of the median.
    level = envelope(audio)
    assert 20 * np.log10(np.median(level) / level.min()) < 12.0


def test_babble_has_no_pauses_but_the_colour_of_speech():
    audio = noise("babble", 10.0, RATE, seed=3)
    level = envelope(audio, hop_s=0.1)
    assert 20 * np.log10(np.median(level) / level.min()) < 15.0
    assert -11.0 < slope_db_per_octave(audio, 500.0, 4_000.0) < -3.0


def test_typing_is_separate_strokes():
    audio = noise("typing", 20.0, RATE, seed=3)
    level = envelope(audio)
    assert 20 * np.log10(level.max() / np.median(level)) > 15.0
    assert kurtosis(audio) > 20.0
    loud = level > 0.25 * level.max()
    onsets = np.count_nonzero(loud[1:] & ~loud[:-1])
    # Five to eight keys a second in a word, fewer with the pauses, down and up of each at most.
    assert 2.0 < onsets / 20.0 < 16.0


def test_clicks_are_short_rare_and_at_the_asked_peak():
    audio = clicks(10.0, RATE, seed=2, clicks_per_s=2.0, level_dbfs=-12.0)
    assert np.abs(audio).max() == pytest.approx(10 ** (-12 / 20), rel=1e-6)
    loud = envelope(audio) > 1e-3
    assert 0.005 < loud.mean() < 0.25
    onsets = np.count_nonzero(loud[1:] & ~loud[:-1])
    # Poisson with mean 20: outside 6 to 36 with probability below 1e-3.
    assert 6 <= onsets <= 36


def test_clicks_come_even_in_a_short_recording():
    np.testing.assert_array_equal(clicks(0.1, RATE, seed=0), clicks(0.1, RATE, seed=0))
    assert clicks(0.1, RATE, seed=0).any()


@pytest.mark.parametrize("kind", NOISE_KINDS)
@pytest.mark.parametrize("rate", [1_000, 96_000])
def test_odd_rates_and_lengths_work(kind, rate):
    audio = noise(kind, 0.0333, rate, seed=0)
    assert audio.shape == (round(0.0333 * rate),)
    assert np.isfinite(audio).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: noise("whistle", 1.0, RATE, seed=0), "choose one of white"),
        (lambda: noise("pink", -1.0, RATE, seed=0), "duration_s is -1"),
        (lambda: noise("pink", 1.0, RATE, seed=0, level_dbfs=1.0), "level_dbfs is 1"),
        (lambda: noise("pink", 1.0, RATE, seed=0, mains_hz=50.0), "only 'hum'"),
        (lambda: noise("hum", 1.0, RATE, seed=0, mains_hz=400.0), "mains_hz is 400"),
        (lambda: clicks(1.0, RATE, seed=0, clicks_per_s=0.0), "clicks_per_s is 0"),
    ],
)
def test_impossible_requests_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
