"""Peers keep the laws of every processor, and what breaks their contract is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc_core.audio.synth import voice
from anc_core.errors import InputError
from anc_core.metrics.quality import lag_samples
from anc_core.processors import Processor, peers
from anc_core.processors.peers import PeerError, PeerProcessor, onnx_model, rnnoise
from tests import onnx_models
from tests.strategies import run, run_aligned, signals, splits

needs_rnnoise = pytest.mark.skipif(find_spec("pyrnnoise") is None, reason="needs pyrnnoise")


class Shift:
    """An engine that delays by ``delay`` samples in blocks of ``block_length``."""

    sample_rate = 16_000

    def __init__(self, block_length: int | None = 160, delay: int = 96) -> None:
        self.block_length, self.delay = block_length, delay
        self.reset()

    def process(self, block: np.ndarray) -> np.ndarray:
        whole = np.concatenate([self.past, block])
        self.past = whole[len(block) :]
        return whole[: len(block)]

    def reset(self) -> None:
        self.past = np.zeros(self.delay, np.float32)


ENGINES: dict[str, Callable[[], Shift]] = {
    "blocks with delay": Shift,
    "one sample a block": lambda: Shift(1, 0),
    "delay longer than a block": lambda: Shift(50, 333),
    "whole recording": lambda: Shift(None, 7),
}


@st.composite
def cases(draw: st.DrawFn):
    kind = draw(st.sampled_from(sorted(ENGINES)))
    rate = draw(st.sampled_from([8_000, 16_000, 44_100]))
    return kind, rate, draw(signals(draw(st.integers(1, 2)), max_samples=3_000))


def build(kind: str, rate: int, width: int) -> PeerProcessor:
    return PeerProcessor(rate, [ENGINES[kind]() for _ in range(width)])


@settings(deadline=None, max_examples=40)
@given(case=cases(), data=st.data())
def test_laws_hold_at_any_rate_and_split(case, data) -> None:
    kind, rate, signal = case
    processor = build(kind, rate, signal.shape[1])
    assert isinstance(processor, Processor)
    whole = run(processor, [signal])
    assert whole.shape == signal.shape
    assert whole.dtype == np.float32
    assert np.isfinite(whole).all()
    parts = run(processor, data.draw(splits(signal)))
    np.testing.assert_array_equal(parts, whole)
    processor.process(signal[: len(signal) // 2])
    processor.reset()
    np.testing.assert_array_equal(run(processor, [signal]), whole)


@pytest.mark.parametrize("kind", sorted(ENGINES))
def test_at_the_models_own_rate_the_delay_is_gone_bit_for_bit(kind: str) -> None:
    signal = np.random.default_rng(1).normal(0, 0.1, (4_321, 2)).astype(np.float32)
    np.testing.assert_array_equal(run_aligned(build(kind, 16_000, 2), [signal]), signal)


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
def test_at_other_rates_a_signal_within_the_band_comes_back_in_its_place(rate: int) -> None:
    time = np.arange(rate)[:, np.newaxis] / rate
    tone = (0.5 * np.sin(2 * np.pi * 440.0 * time)).astype(np.float32)
    output = run_aligned(build("blocks with delay", rate, 1), [tone])
    inner = slice(rate // 10, -rate // 10)
    # Two HQ resamplers: images below -100 dB, passband ripple below 0.01 dB.
    assert np.abs(output - tone)[inner].max() < 2e-3


def test_magnitudes_beyond_the_limit_are_limited() -> None:
    loud = np.array([[1e30], [-1e30], [0.5], [np.nan]], np.float32)
    output = run_aligned(build("one sample a block", 16_000, 1), [loud])
    assert output[:, 0].tolist() == [8.0, -8.0, 0.5, 0.0]


def test_a_long_recording_is_refused_by_a_model_that_needs_it_whole(monkeypatch) -> None:
    monkeypatch.setattr(peers, "MAX_WHOLE_S", 1.0)
    processor = build("whole recording", 16_000, 1)
    processor.process(np.zeros((16_000, 1), np.float32))
    with pytest.raises(InputError, match="block_length"):
        processor.process(np.zeros((1, 1), np.float32))


# ------------------------------------------------------------------ ONNX


def noise(length: int, width: int = 1) -> np.ndarray:
    return np.random.default_rng(2).normal(0, 0.1, (length, width)).astype(np.float32)


def test_a_model_without_block_length_gets_the_recording_whole(tmp_path: Path) -> None:
    model = onnx_models.gain(tmp_path / "m.onnx", 0.25, sample_rate=16_000)
    signal = noise(5_000, 2)
    output = run_aligned(onnx_model(model, 16_000, 2), [signal[:77], signal[77:]])
    np.testing.assert_allclose(output, signal * 0.25, rtol=1e-6)


@pytest.mark.parametrize("shape", [["n"], [1, "n"], [1, 1, "n"], ["batch", "n"]])
def test_leading_axes_of_one_are_understood(tmp_path: Path, shape: list) -> None:
    model = onnx_models.gain(
        tmp_path / "m.onnx", 0.5, shape=shape, sample_rate=16_000, block_length=128
    )
    signal = noise(1_000)
    output = run_aligned(onnx_model(model, 16_000), [signal])
    np.testing.assert_allclose(output, signal * 0.5, rtol=1e-6)


def test_states_go_from_block_to_block_and_the_delay_is_taken_away(tmp_path: Path) -> None:
    model = onnx_models.delay(tmp_path / "m.onnx", 64, 100, sample_rate=16_000, delay=100)
    signal = noise(1_001, 2)
    processor = onnx_model(model, 16_000, 2)
    for _ in range(2):  # flush has reset the states
        np.testing.assert_array_equal(run_aligned(processor, [signal]), signal)


def test_a_file_beside_the_model_speaks_where_metadata_cannot(tmp_path: Path) -> None:
    model = onnx_models.delay(tmp_path / "m.onnx", 64, 10)
    with pytest.raises(InputError, match=r"m\.onnx: sample_rate is not given"):
        onnx_model(model, 16_000)
    beside = tmp_path / "m.onnx.json"
    beside.write_text(json.dumps({"sample_rate": 16_000, "delay": 10}))
    signal = noise(500)
    np.testing.assert_array_equal(run_aligned(onnx_model(model, 16_000), [signal]), signal)
    beside.write_text("[1]")
    with pytest.raises(InputError, match="object"):
        onnx_model(model, 16_000)


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        ({"sample_rate": 10}, "1000 to"),
        ({"sample_rate": "fast"}, "whole number"),
        ({"sample_rate": 16_000.5}, "whole number"),
        ({"sample_rate": 16_000, "block_length": 0}, "block_length is 0"),
        ({"sample_rate": 16_000, "delay": -1}, "delay is -1"),
        ({"sample_rate": 16_000, "hop": 3}, "'hop' is unknown"),
    ],
)
def test_numbers_outside_the_contract_are_refused(tmp_path: Path, meta: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        onnx_model(onnx_models.gain(tmp_path / "m.onnx", **meta), 16_000)


def test_shapes_outside_the_contract_are_refused_by_name(tmp_path: Path) -> None:
    def refused(path: Path, said: str) -> None:
        with pytest.raises(InputError, match=said):
            onnx_model(path, 16_000)

    rate = {"sample_rate": 16_000}
    refused(onnx_models.gain(tmp_path / "a.onnx", shape=[2, "n"], **rate), "one channel")
    refused(onnx_models.gain(tmp_path / "b.onnx", shape=[1, 1, 1, "n"], **rate), "one channel")
    refused(
        onnx_models.gain(tmp_path / "c.onnx", shape=[1, 64], block_length=65, **rate), "holds 64"
    )
    refused(onnx_models.delay(tmp_path / "d.onnx", 8, 4, state_in="?", **rate), "state 's'")
    (tmp_path / "e.onnx").write_bytes(b"not a model")
    refused(tmp_path / "e.onnx", "no model that onnxruntime can load")
    refused(tmp_path / "gone.onnx", "no such model file")


def test_a_model_that_returns_another_length_is_an_error_and_not_a_shift(tmp_path: Path) -> None:
    model = onnx_models.twice_as_long(tmp_path / "m.onnx", sample_rate=16_000, block_length=10)
    with pytest.raises(PeerError, match="20 samples for 10"):
        onnx_model(model, 16_000).process(noise(10))


def test_a_state_that_ran_away_is_begun_anew(tmp_path: Path) -> None:
    model = onnx_models.running_sum(tmp_path / "m.onnx", 4, sample_rate=16_000)
    output = run_aligned(onnx_model(model, 16_000), [np.ones((16, 1), np.float32)])
    assert np.isfinite(output).all()
    assert (output == 0.0).any()  # the block that was not finite
    assert output[:4, 0].tolist() == [1.0] * 4
    assert output[12:, 0].tolist() == output[:4, 0].tolist()  # 1, 1e30, inf -> 0, 1


# ------------------------------------------------------------------ RNNoise


def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda _: None)
    with pytest.raises(peers.PeerMissingError, match="pip install pyrnnoise"):
        rnnoise(48_000)


@needs_rnnoise
@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_rnnoise_lowers_noise_and_leaves_the_voice_in_its_place(rate: int) -> None:
    speech = voice(3.0, rate, seed=3).astype(np.float32)
    hiss = np.random.default_rng(4).normal(0, 0.02, len(speech)).astype(np.float32)
    noisy = np.concatenate([hiss, speech + hiss])[:, np.newaxis]
    output = run_aligned(rnnoise(rate), [noisy])
    assert output.shape == noisy.shape
    # Its gains differ from band to band, which may move the peak by a sample, 21 us at 48 kHz.
    assert abs(lag_samples(output[len(hiss) :, 0], speech, rate)) <= 1
    before, after = (np.mean(np.square(x[rate : len(hiss)])) for x in (noisy, output))
    assert after < 0.1 * before


@needs_rnnoise
@settings(deadline=None, max_examples=15)
@given(signal=signals(2), data=st.data())
def test_rnnoise_keeps_the_laws(signal, data) -> None:
    processor = rnnoise(16_000, 2)
    whole = run(processor, [signal])
    assert whole.shape == signal.shape
    assert np.isfinite(whole).all()
    np.testing.assert_array_equal(run(processor, data.draw(splits(signal))), whole)
