"""The voice: pitch, rhythm, pauses and spectrum of speech."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from scipy.signal import resample_poly, welch

from anc_core.audio.synth import active_level_dbfs, voice
from anc_core.audio.synth.voices import LTASS_DB, LTASS_HZ
from anc_core.errors import InputError

RATE = 16_000
PITCHES_HZ = (100.0, 120.0, 210.0, 300.0)


def frames_of(audio, length, hop):
    return np.lib.stride_tricks.sliding_window_view(audio, length)[::hop]


def voiced_pitches_hz(audio, rate):
    """Pitch of clearly voiced frames: the highest peak of the normalised autocorrelation."""
    length, pitches = round(0.04 * rate), []
    smooth = resample_poly(audio.astype(float), 1, 2)
    rate //= 2
    length //= 2
    for raw in frames_of(smooth, length, length // 2):
        frame = (raw - raw.mean()) * np.hanning(length)
        correlation = np.fft.irfft(np.abs(np.fft.rfft(frame, 4 * length)) ** 2)[:length]
        window = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(length), 4 * length)) ** 2)[:length]
        if correlation[0] < 1e-4 * length:
            continue
        normal = correlation / correlation[0] / np.maximum(window / window[0], 0.2)
        low, high = round(rate / 450), round(rate / 70)
        # The first peak almost as high as the best one: multiples of the period score alike.
        candidates = normal[low:high]
        peaks = 1 + np.flatnonzero(
            (candidates[1:-1] >= candidates[:-2])
            & (candidates[1:-1] >= candidates[2:])
            & (candidates[1:-1] > 0.93 * candidates.max())
        )
        if candidates.max() > 0.7 and len(peaks):
            pitches.append(rate / (low + peaks[0]))
    return np.array(pitches)


def octave_levels_db(audio, rate, centres):
    frequency, density = welch(audio, rate, nperseg=4096)
    bands = [(frequency >= c / math.sqrt(2)) & (frequency < c * math.sqrt(2)) for c in centres]
    levels = 10 * np.log10([density[band].sum() for band in bands])
    return levels - 10 * np.log10(np.sum(10 ** (levels / 10)))


@pytest.mark.parametrize("pitch_hz", PITCHES_HZ)
def test_median_voiced_pitch_is_near_the_asked_one(pitch_hz):
    pitches = voiced_pitches_hz(voice(8.0, RATE, seed=3, pitch_hz=pitch_hz), RATE)
    assert len(pitches) > 60
    # Declination and accents shift the median by up to 2 semitones = 12 %.
    assert np.median(pitches) == pytest.approx(pitch_hz, rel=0.12)


def test_pitch_moves_as_in_a_sentence():
    pitches = voiced_pitches_hz(voice(10.0, RATE, seed=5, pitch_hz=120.0), RATE)
    low, high = np.percentile(pitches, [10, 90])
    # Read speech covers 4 to 12 semitones between these percentiles; a monotone robot under 1.
    assert 3.0 < 12 * np.log2(high / low) < 14.0


def modulation_spectrum(audio, centres_hz):
    """Share of each third octave in the modulation of the envelope (Houtgast & Steeneken 1985)."""
    frame = RATE // 100
    power = np.mean(audio[: len(audio) // frame * frame].reshape(-1, frame) ** 2, axis=1)
    envelope = np.sqrt(power)
    frequency, density = welch(envelope - envelope.mean(), 100.0, nperseg=512)
    bands = [np.linspace(c / 1.122, c * 1.122, 20) for c in centres_hz]
    energy = centres_hz * [np.interp(band, frequency, density).mean() for band in bands]
    return energy / energy.sum()


def test_syllables_dominate_the_envelope():
    centres = 2.0 ** np.arange(-1, 5, 1 / 3)
    talkers = [voice(12.0, RATE, seed=seed).astype(float) for seed in range(4)]
    spectrum = np.mean([modulation_spectrum(audio, centres) for audio in talkers], axis=0)
    # 201 LibriSpeech utterances, measured the same way: peak at 4 Hz, 52 % between 2 and 7 Hz.
    assert 2.5 <= centres[np.argmax(spectrum)] <= 6.5
    assert spectrum[(centres > 1.9) & (centres < 7.0)].sum() > 0.4


def test_pauses_of_the_stated_length_lie_between_phrases():
    audio = voice(20.0, RATE, seed=2)
    # Anything 40 dB below the speech counts as pause: breaths do, voiced closures do not.
    frame = RATE // 100
    quiet = np.sqrt(np.mean(audio.reshape(-1, frame).astype(float) ** 2, axis=1)) < 10 ** (-66 / 20)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], quiet.astype(int), [0]])))
    pauses_s = (edges[1::2] - edges[::2])[1:-1] / 100.0
    long = pauses_s[pauses_s > 0.2]
    assert len(long) >= 4
    # A stop's closure before or after a pause may lengthen it by 0.07 s.
    assert np.all(long < 0.9)


def test_long_term_spectrum_is_that_of_speech():
    centres = np.array([250.0, 500.0, 1_000.0, 2_000.0, 4_000.0, 8_000.0])
    voices = [
        voice(10.0, 24_000, seed=10 + i, pitch_hz=pitch)
        for i, pitch in enumerate((115.0, 205.0, 125.0, 190.0, 110.0, 215.0))
    ]
    ours = octave_levels_db(np.concatenate(voices), 24_000, centres)
    thirds = np.array(LTASS_HZ)
    inside = [np.abs(np.log2(thirds / c)) < 0.4 for c in centres]
    theirs = 10 * np.log10([np.sum(10 ** (np.array(LTASS_DB)[band] / 10)) for band in inside])
    theirs -= 10 * np.log10(np.sum(10 ** (theirs / 10)))
    # Talkers differ from the average by about 3 dB (Byrne et al. 1994, Fig. 4).
    np.testing.assert_allclose(ours, theirs, atol=4.0)


@pytest.mark.realdata
def test_long_term_spectrum_is_that_of_real_readers():
    repository = Path(__file__).parents[3]
    data = Path(os.environ.get("ANC_TEST_DATA", repository.parent / "shared" / "data"))
    paths = sorted((data / "clean_speech" / "librispeech_train-clean-100").glob("*.flac"))[:12]
    if not paths:
        pytest.skip(f"no LibriSpeech recordings under {data}")
    centres = np.array([250.0, 500.0, 1_000.0, 2_000.0, 4_000.0])
    real = np.mean([octave_levels_db(sf.read(path)[0], RATE, centres) for path in paths], axis=0)
    ours = np.mean(
        [
            octave_levels_db(
                voice(8.0, RATE, seed=i, pitch_hz=(115.0, 205.0)[i % 2]), RATE, centres
            )
            for i in range(6)
        ],
        axis=0,
    )
    np.testing.assert_allclose(ours, real, atol=5.0)


@pytest.mark.parametrize("level_dbfs", [-40.0, -26.0])
@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
def test_active_level_is_exact(rate, level_dbfs):
    audio = voice(4.0, rate, seed=1, level_dbfs=level_dbfs)
    # float32 rounds each sample by 6e-8 of itself: far below 0.001 dB.
    assert active_level_dbfs(audio, rate) == pytest.approx(level_dbfs, abs=1e-3)


@pytest.mark.parametrize("pitch_hz", PITCHES_HZ)
def test_voice_neither_clips_nor_holds_nan(pitch_hz):
    audio = voice(6.0, 44_100, seed=8, pitch_hz=pitch_hz)
    assert audio.dtype == np.float32
    assert np.isfinite(audio).all()
    assert np.abs(audio).max() < 1.0


def test_same_seed_says_the_same():
    np.testing.assert_array_equal(voice(2.0, RATE, seed=4), voice(2.0, RATE, seed=4))


def test_another_seed_says_something_else():
    assert not np.array_equal(voice(2.0, RATE, seed=4), voice(2.0, RATE, seed=5))


def test_same_seed_says_the_same_at_another_rate():
    low, high = voice(3.0, 8_000, seed=4), voice(3.0, 16_000, seed=4)
    decimated = resample_poly(high.astype(float), 1, 2)
    # What differs is the octave above 4 kHz: some per cent of the energy and resampling edges.
    assert np.corrcoef(low, decimated)[0, 1] > 0.99


@pytest.mark.parametrize("rate", [1_000, 7_999, 192_000])
def test_odd_rates_give_the_asked_length(rate):
    assert voice(0.5, rate, seed=0).shape == (round(0.5 * rate),)


@pytest.mark.parametrize("duration_s", [1e-5, 0.01, 0.1])
def test_very_short_voices_are_finite(duration_s):
    audio = voice(duration_s, RATE, seed=0)
    assert audio.shape == (max(1, round(duration_s * RATE)),)
    assert np.isfinite(audio).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pitch_hz": 20.0}, "pitch_hz is 20"),
        ({"tract_scale": 3.0}, "tract_scale is 3"),
        ({"level_dbfs": 6.0}, "level_dbfs is 6"),
        ({"duration_s": 0.0}, "duration_s is 0"),
        ({"duration_s": math.nan}, "duration_s is nan"),
        ({"sample_rate": 10}, "sample_rate is 10"),
    ],
)
def test_impossible_requests_are_refused(changes, message):
    arguments = {"duration_s": 0.1, "sample_rate": RATE, "seed": 0} | changes
    with pytest.raises(InputError, match=message):
        voice(arguments.pop("duration_s"), arguments.pop("sample_rate"), **arguments)
