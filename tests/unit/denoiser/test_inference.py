"""The network that ships, and files that must not be taken for one."""

from __future__ import annotations

import numpy as np
import pytest

from anc_core.bundles.bundle import seal
from anc_core.denoiser.inference import GainModel, load_gain_model
from anc_core.denoiser.models import find_bundle, find_model, usable_model_id
from anc_core.errors import ErrorCode, ModelBundleError


def test_the_shipped_model_loads_and_gives_gains():
    model = load_gain_model(find_bundle())
    seen = np.random.default_rng(1).normal(0.5, 0.3, (2, 40, 256)).astype(np.float32)
    gains = model.gains(seen)
    assert gains.shape == (40, 256)
    assert gains.dtype == np.float32
    assert gains.min() >= 1e-6
    assert gains.max() <= 1.0


def test_a_model_is_loaded_once_a_process():
    assert load_gain_model(find_bundle()) is load_gain_model(find_bundle())


def test_what_is_not_finite_passes_untouched():
    model = load_gain_model(find_bundle())
    gains = model.gains(np.full((2, 3, 256), np.nan, np.float32))
    np.testing.assert_array_equal(gains, np.ones((3, 256), np.float32))


def test_the_card_says_what_it_was_trained_on():
    card = find_bundle().card
    assert card["data"]["restricted_licences"] == []
    assert "command" in card
    rows = find_bundle().read("recordings.csv").decode().splitlines()
    assert len(rows) == card["data"]["num_recordings"] + 1


@pytest.mark.parametrize("content", [b"", b"no onnx", b"\x80\x04K\x01."])
def test_what_is_no_graph_is_refused(content):
    with pytest.raises(ModelBundleError, match="no graph") as caught:
        GainModel(content, model_id="x")
    assert caught.value.code is ErrorCode.MODEL_HASH


def test_a_graph_for_other_features_is_refused(tmp_path):
    content = find_bundle().read("model.onnx")
    other = content.replace(
        b"compressed-magnitude+floor-ratio/1", b"compressed-magnitude+floor-ratio/0"
    )
    assert other != content
    with pytest.raises(ModelBundleError, match="was trained on features"):
        GainModel(other, model_id="x")


def test_without_weights_there_is_no_model_and_the_log_says_why(tmp_path, caplog):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"weights")
    seal(folder, {"kind": "suppressor", "version": "broken"})
    (folder / "model.onnx").write_bytes(b"changed")
    assert find_model(folder) is None
    assert usable_model_id(folder) is None
    assert "was changed or damaged" in caplog.text


def test_the_id_is_that_of_the_bundle():
    assert usable_model_id() == find_bundle().model_id
