"""The learned engine: its place in the stream at every rate, and what it must not do."""

from __future__ import annotations

import numpy as np
import pytest

from anc_core.audio.synth import active_level_dbfs, mix, noise, voice
from anc_core.denoiser.inference import load_gain_model
from anc_core.denoiser.models import find_bundle
from anc_core.errors import InputError
from anc_core.presets import SuppressionParameters
from anc_core.processors import NeuralSuppressor, aligned


@pytest.fixture(scope="module")
def model():
    return load_gain_model(find_bundle())


def run(engine, chunks):
    empty = np.zeros((0, engine.num_channels), np.float32)
    return np.concatenate([empty, *aligned(chunks, engine)])


def white(num_samples, num_channels=1, *, seed=1, level=0.05):
    rng = np.random.default_rng(seed)
    return rng.normal(0.0, level, (num_samples, num_channels)).astype(np.float32)


class HalfGain:
    """A network that asks for half the magnitude everywhere."""

    model_id = "half"

    def gains(self, features):
        return np.full(features.shape[1:], 0.5, np.float32)


class ByTime:
    """A network whose gain tells which frame of its own run it was."""

    model_id = "time"

    def gains(self, features):
        frames = np.linspace(0.1, 1.0, features.shape[1], dtype=np.float32)
        return np.tile(frames[:, np.newaxis], (1, 256))


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_any_rate_keeps_length_and_place(sample_rate):
    spectrum = np.fft.rfft(white(int(1.3 * sample_rate), 2), axis=0)
    spectrum[int(1.3 * 7_500) :] = 0.0  # what lies above is not the network's alone
    signal = np.fft.irfft(spectrum, int(1.3 * sample_rate), axis=0).astype(np.float32)
    output = run(NeuralSuppressor(sample_rate, 2, model=HalfGain()), [signal])
    assert output.shape == signal.shape
    np.testing.assert_allclose(output, 0.5 * signal, atol=1e-5)


@pytest.mark.parametrize("num_samples", [0, 1, 2, 255, 256, 257, 513, 8_000])
def test_any_length_comes_back(model, num_samples):
    output = run(NeuralSuppressor(16_000, model=model), [white(num_samples)])
    assert output.shape == (num_samples, 1)
    assert np.isfinite(output).all()


@pytest.mark.parametrize("sizes", [(1_000,), (77, 16_000, 3), (160_001,)])
def test_any_split_gives_the_same_bits_over_several_blocks(model, sizes):
    signal = white(47 * 16_000, seed=4)  # five blocks and a rest
    whole = run(NeuralSuppressor(16_000, model=model), [signal])
    chunks, start, turn = [], 0, 0
    while start < len(signal):
        chunks.append(signal[start : start + sizes[turn % len(sizes)]])
        start, turn = start + sizes[turn % len(sizes)], turn + 1
    parts = run(NeuralSuppressor(16_000, model=model), chunks)
    np.testing.assert_array_equal(parts.view(np.int32), whole.view(np.int32))


def test_every_frame_is_used_once_whatever_lies_around_a_block():
    signal = np.ones((30 * 16_000, 1), np.float32)
    output = run(NeuralSuppressor(16_000, model=ByTime()), [signal])
    assert output.min() >= 0.1 - 1e-6
    assert output.max() <= 1.0 + 1e-6


@pytest.mark.parametrize("num_channels", [2, 3, 5])
def test_channels_are_what_they_would_be_alone(model, num_channels):
    signal = white(21 * 16_000, num_channels, seed=8)
    signal[:, 1] = 0.0  # a silent one takes no part
    together = run(NeuralSuppressor(16_000, num_channels, model=model), [signal])
    alone = [
        run(NeuralSuppressor(16_000, model=model), [signal[:, [i]]]) for i in range(num_channels)
    ]
    np.testing.assert_array_equal(together, np.concatenate(alone, axis=1))


def test_voice_in_noise_comes_out_cleaner_and_as_loud(model):
    clean = voice(6.0, 16_000, seed=5, level_dbfs=-26.0)
    hiss = noise("fan", 6.0, 16_000, seed=6)
    noisy, hiss = mix(clean, hiss, snr_db=5.0)
    clean = noisy - hiss
    output = run(NeuralSuppressor(16_000, model=model), [noisy[:, np.newaxis]])[:, 0]
    error = np.sum((output - clean) ** 2) / np.sum((noisy - clean) ** 2)
    assert 10 * np.log10(error) < -4.0
    change_db = active_level_dbfs(output, 16_000) - active_level_dbfs(clean, 16_000)
    assert abs(change_db) < 1.5


def test_noise_alone_disappears(model):
    hiss = noise("fan", 6.0, 16_000, seed=7)[:, np.newaxis]
    output = run(NeuralSuppressor(16_000, model=model), [hiss])
    assert 20 * np.log10(np.std(output) / np.std(hiss)) < -20.0


def test_silence_stays_silence(model):
    signal = np.zeros((40_000, 1), np.float32)
    np.testing.assert_array_equal(run(NeuralSuppressor(16_000, model=model), [signal]), signal)


def test_what_lies_above_the_band_is_lowered_as_the_band_below(model):
    hiss = white(4 * 48_000, seed=9)
    output = run(NeuralSuppressor(48_000, model=model), [hiss])
    before, after = (np.abs(np.fft.rfft(x[48_000:-48_000, 0])) ** 2 for x in (hiss, output))
    edges = [int(hz / 24_000 * len(before)) for hz in (5_000, 8_000, 12_000, 20_000)]
    below, above = (
        10 * np.log10(after[a:b].sum() / before[a:b].sum()) for a, b in (edges[:2], edges[2:])
    )
    assert below < -15.0
    assert above == pytest.approx(below, abs=6.0)


@pytest.mark.parametrize("max_attenuation_db", [6.0, 20.0])
def test_no_cell_is_lowered_by_more_than_the_limit(model, max_attenuation_db):
    hiss = white(3 * 16_000, seed=10)
    parameters = SuppressionParameters(max_attenuation_db=max_attenuation_db)
    output = run(NeuralSuppressor(16_000, model=model, parameters=parameters), [hiss])
    loss_db = 20 * np.log10(np.std(hiss[8_000:40_000]) / np.std(output[8_000:40_000]))
    assert 0.7 * max_attenuation_db < loss_db <= max_attenuation_db + 0.1


def test_strength_scales_the_gain_in_db():
    signal = white(16_000)
    parameters = SuppressionParameters(strength=0.5)
    output = run(NeuralSuppressor(16_000, model=HalfGain(), parameters=parameters), [signal])
    np.testing.assert_allclose(output, signal * np.sqrt(0.5), atol=1e-6)


def test_channels_do_not_hear_each_other(model):
    left, right = white(16_000, seed=11), white(16_000, seed=12, level=0.001)
    both = run(NeuralSuppressor(16_000, 2, model=model), [np.hstack([left, right])])
    alone = run(NeuralSuppressor(16_000, model=model), [right])
    np.testing.assert_array_equal(both[:, 1:], alone)


def test_memory_does_not_grow_with_the_stream():
    engine = NeuralSuppressor(16_000, model=HalfGain())
    waiting = []
    for second in range(160):
        engine.process(white(16_000, seed=second))
        waiting.append(len(engine._buffer))
    assert max(waiting) < 14 * 16_000
    # Seconds and blocks do not fall on the same samples.
    assert max(waiting[80:]) <= max(waiting[:80]) + 16_000


def test_a_rate_below_speech_is_refused(model):
    with pytest.raises(InputError, match="8000 Hz or more, not 4000"):
        NeuralSuppressor(4_000, model=model)
