"""The face of the engines: which one works, and that the do-no-harm detector stands around it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from anc_core.audio.synth import voice
from anc_core.denoiser.models import find_bundle
from anc_core.errors import ErrorCode, InputError, ModelBundleError
from anc_core.presets import PRESETS, SuppressionParameters
from anc_core.processors import NeuralSuppressor, SpectralSuppressor, Suppressor
from tests.strategies import run_aligned

PLAIN = SuppressionParameters(do_no_harm=False)


def noise(num_samples, num_channels=1, level=0.05, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(0, level, (num_samples, num_channels)).astype(np.float32)


def test_auto_is_the_neural_engine_with_the_weights_that_ship():
    engine = Suppressor(16_000)
    assert engine.engine == "neural"
    assert engine.model_id == find_bundle().model_id


@pytest.mark.parametrize(
    ("sample_rate", "method"), [(16_000, "spectral"), (4_000, "auto"), (7_999, "auto")]
)
def test_spectral_where_it_is_asked_for_or_the_rate_is_too_low(sample_rate, method):
    engine = Suppressor(sample_rate, method=method)
    assert engine.engine == "spectral"
    assert engine.model_id is None


def test_without_weights_auto_is_spectral_and_neural_an_error(tmp_path):
    damaged = tmp_path / "models" / "suppressor"
    damaged.mkdir(parents=True)
    entry = {"version": "gone", "digest": "0" * 64, "at": "2026-01-01T00:00:00+00:00", "reason": ""}
    (damaged / "active.json").write_text(json.dumps({"history": [entry]}))
    assert Suppressor(16_000, model=tmp_path / "models").engine == "spectral"
    with pytest.raises(ModelBundleError) as caught:
        Suppressor(16_000, method="neural", model=tmp_path / "models")
    assert caught.value.code is ErrorCode.MODEL_MISSING


@pytest.mark.parametrize("method", ["neural", "spectral"])
def test_without_the_detector_the_output_is_that_of_the_engine(method):
    signal = noise(20_000)
    engine = Suppressor(16_000, parameters=PLAIN, method=method)
    expected = {"neural": NeuralSuppressor, "spectral": SpectralSuppressor}[method]
    assert type(engine._engine) is expected
    assert engine.content is None
    assert np.std(run_aligned(engine, [signal])) < 0.2 * np.std(signal)


@pytest.mark.parametrize("method", ["neural", "spectral"])
def test_clean_speech_is_hardly_touched(method):
    clean = voice(12.0, 16_000, seed=3, level_dbfs=-26.0)[:, np.newaxis]
    engine = Suppressor(16_000, method=method)
    output = run_aligned(engine, [clean])
    assert 10 * np.log10(np.mean(clean**2) / np.mean(output**2)) == pytest.approx(0.0, abs=0.5)
    # The spectral engine needs the detector's help; the network was trained to need none.
    assert (engine.content.clean_speech_s > 0.0) is (method == "spectral")


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_every_preset_builds_an_engine(preset):
    assert Suppressor(16_000, parameters=preset.suppression).parameters == preset.suppression


def test_keywords_override_the_parameters():
    engine = Suppressor(
        16_000, parameters=SuppressionParameters(frame_s=0.064), strength=0.5, max_attenuation_db=3
    )
    assert engine.parameters == SuppressionParameters(
        frame_s=0.064, strength=0.5, max_attenuation_db=3
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strength": 1.5}, "strength is 1.5"),
        ({"strength": float("nan")}, "strength is nan"),
        ({"max_attenuation_db": -1.0}, "max_attenuation_db is -1.0"),
        ({"method": "magic"}, "method is 'magic'"),
        ({"num_channels": 0}, "num_channels is 0"),
        ({"sample_rate": 0}, "sample_rate is 0"),
        ({"sample_rate": 16_000.5}, r"sample_rate is 16000\.5"),
    ],
)
def test_bad_parameter_is_named_with_its_value(arguments, message):
    with pytest.raises(InputError, match=message):
        Suppressor(**{"sample_rate": 16_000, **arguments})


@pytest.mark.parametrize(
    "chunk", [np.zeros(10, np.float32), np.zeros((10, 2), np.float32), np.zeros((10, 1), np.int16)]
)
def test_chunk_of_another_shape_or_type_is_refused(chunk):
    with pytest.raises(InputError):
        Suppressor(16_000).process(chunk)
