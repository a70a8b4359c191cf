from __future__ import annotations

import numpy as np
import pytest

from anc_core.audio.synth import noise, voice
from anc_core.errors import InputError
from anc_core.processors import ContentSummary, HarmlessMix, Processor, SpectralSuppressor
from tests.strategies import run, run_aligned
from tests.unit.dsp.test_content import RATE, bird, melody


class Halver:
    """An engine whose work is seen at once: half the amplitude, late and in odd portions."""

    latency = 37

    def __init__(self, num_channels=1):
        self.num_channels = num_channels
        self.reset()

    def reset(self):
        self.held = np.zeros((self.latency, self.num_channels), np.float32)

    def process(self, chunk):
        assert np.isfinite(chunk).all()
        joined = np.concatenate([self.held, np.float32(0.5) * chunk])
        ready = len(joined) // 1_000 * 1_000
        self.held = joined[ready:]
        return joined[:ready]

    def flush(self):
        rest = self.held
        self.reset()
        return rest


def column(samples):
    return samples.astype(np.float32)[:, np.newaxis]


def db(numerator, denominator):
    return 10 * np.log10(
        np.mean(np.square(numerator, dtype=float)) / np.mean(np.square(denominator, dtype=float))
    )


def test_it_is_a_processor():
    assert isinstance(HarmlessMix(Halver(), RATE), Processor)


def test_noise_comes_out_as_the_engine_made_it_bit_for_bit():
    signal = column(noise("pink", 12.0, RATE, seed=1))
    mix = HarmlessMix(SpectralSuppressor(RATE), RATE)
    np.testing.assert_array_equal(
        run_aligned(mix, [signal]), run_aligned(SpectralSuppressor(RATE), [signal])
    )
    assert mix.content.mean_strength == 1.0


@pytest.mark.parametrize("make", [melody, bird])
def test_music_and_bird_song_pass_bit_for_bit(make):
    signal = column(make())
    mix = HarmlessMix(Halver(), RATE)
    np.testing.assert_array_equal(run_aligned(mix, [signal]), signal)
    seconds = (mix.content.music_s, mix.content.bird_song_s)
    assert seconds[make is bird] == mix.content.duration_s > 11.0


def test_clean_voice_is_hardly_touched_by_any_engine():
    signal = column(voice(12.0, RATE, seed=5))
    mix = HarmlessMix(Halver(), RATE)
    # Halved at a strength of 0.4: 0.4 * 0.5 + 0.6 = 0.8, -1.9 dB.
    assert db(run_aligned(mix, [signal]), signal) > -2.5
    assert mix.content.clean_speech_s > 10.0


def test_music_after_noise_is_spared_and_the_noise_is_not():
    hiss = noise("white", 12.0, RATE, seed=1, level_dbfs=-30.0)
    signal = column(np.concatenate([hiss, melody()]))
    output = run_aligned(HarmlessMix(Halver(), RATE), [signal])
    before, after = slice(0, 6 * RATE), slice(18 * RATE, 24 * RATE)
    np.testing.assert_array_equal(output[before], np.float32(0.5) * signal[before])
    np.testing.assert_array_equal(output[after], signal[after])
    gain = output[:, 0] / np.where(signal[:, 0] == 0, np.nan, signal[:, 0])
    # At most the whole way within 4 segments of half a second.
    steps = np.abs(np.diff(gain))
    assert np.nanmax(steps) < 0.5 / (0.5 * RATE)


def test_all_channels_share_one_strength():
    hiss = noise("white", 12.0, RATE, seed=1, level_dbfs=-60.0)
    signal = np.column_stack([melody(), hiss]).astype(np.float32)
    output = run_aligned(HarmlessMix(Halver(2), RATE), [signal])
    np.testing.assert_array_equal(output, signal)


def test_silence_stays_silence():
    signal = np.zeros((100_000, 2), np.float32)
    mix = HarmlessMix(SpectralSuppressor(RATE, 2), RATE)
    assert not run_aligned(mix, [signal]).any()
    assert mix.content.mean_strength == 1.0


def test_latency_covers_what_the_verdict_looks_at():
    signal = column(np.concatenate([melody(12.0), noise("pink", 12.0, RATE, seed=2)]))
    mix = HarmlessMix(Halver(), RATE)
    mix.process(signal[: mix.latency + 10_000])
    at_once = mix.process(signal[:0])
    assert len(at_once) == 0
    mix.reset()
    # Of n samples at least n - latency are decided, give or take what the engine holds back.
    decided = len(mix.process(signal)) - mix.latency
    assert decided >= len(signal) - mix.latency - 1_000


def test_telephone_band_is_recognised():
    speech = voice(12.0, RATE, seed=5)
    spectrum = np.fft.rfft(speech)
    frequency_hz = np.fft.rfftfreq(len(speech), 1 / RATE)
    spectrum[(frequency_hz < 300) | (frequency_hz > 3_400)] = 0.0
    mix = HarmlessMix(Halver(), RATE)
    run(mix, [column(np.fft.irfft(spectrum, len(speech)))])
    assert mix.content.is_narrowband
    assert mix.content.bandwidth_hz == pytest.approx(3_400, abs=100)
    run(mix, [column(speech)])
    assert not mix.content.is_narrowband


def test_recording_at_telephone_rate_is_not_narrower_than_its_rate():
    mix = HarmlessMix(Halver(), 8_000)
    run(mix, [column(voice(12.0, 8_000, seed=5))])
    assert not mix.content.is_narrowband


def test_summary_of_nothing():
    mix = HarmlessMix(Halver(), RATE)
    run(mix, [])
    assert mix.content == ContentSummary(
        duration_s=0.0,
        music_s=0.0,
        bird_song_s=0.0,
        clean_speech_s=0.0,
        mean_strength=1.0,
        bandwidth_hz=None,
        is_narrowband=False,
    )


def test_summary_outlives_the_flush_until_the_next_stream():
    mix = HarmlessMix(Halver(), RATE)
    run(mix, [column(melody())])
    assert mix.content.music_s > 10.0
    mix.process(column(np.zeros(10)))
    assert mix.content.music_s == 0.0


def test_wrong_shape_is_an_error():
    with pytest.raises(InputError, match=r"must be \(num_samples, 1\)"):
        HarmlessMix(Halver(), RATE).process(np.zeros((5, 2), np.float32))


class Eraser(Halver):
    """An engine that finds no voice anywhere."""

    def process(self, chunk):
        return super().process(0.0 * chunk)


def test_clean_speech_keeps_an_engine_that_knows_speech():
    clean = voice(12.0, 16_000, seed=3, level_dbfs=-26.0)[:, np.newaxis]
    strengths = []
    for knows in (False, True):
        mix = HarmlessMix(SpectralSuppressor(16_000), 16_000, engine_knows_speech=knows)
        run_aligned(mix, [clean])
        strengths.append(mix.content.mean_strength)
    assert strengths[0] < 0.9
    assert strengths[1] == 1.0


def test_what_leaves_an_engine_nothing_that_knows_speech_is_music_sooner(monkeypatch):
    from anc_core.processors import harmless

    seen = []
    judge = harmless.strength_of
    monkeypatch.setattr(harmless, "strength_of", lambda row: seen.append(row) or judge(row))
    signal = column(melody())
    scores = {}
    for name, engine, knows in (
        ("keeps", Halver(), True),
        ("erases", Eraser(), True),
        ("erases, but knows nothing", Eraser(), False),
    ):
        seen.clear()
        run_aligned(HarmlessMix(engine, RATE, engine_knows_speech=knows), [signal])
        scores[name] = np.array(seen)
    assert len(scores["keeps"]) > 20
    np.testing.assert_allclose(scores["erases"], scores["keeps"] + 0.8)
    np.testing.assert_array_equal(scores["erases, but knows nothing"], scores["keeps"])
