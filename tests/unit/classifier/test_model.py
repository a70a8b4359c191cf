"""A model from a bundle, and bundles that must be refused with nothing of them executed."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from anc_core.bundles.bundle import MANIFEST, Bundle, open_bundle, seal
from anc_core.classifier.model import (
    KIND,
    MODEL_FILE,
    NOVELTY_FILE,
    SCALER_FILE,
    NoiseModel,
    load_noise_model,
)
from anc_core.errors import ErrorCode, ModelBundleError
from anc_core.features import NUM_FEATURES
from anc_core.windows import UNKNOWN
from tests.noise_bundles import CLASSES, heard, make_bundle
from tests.onnx_models import linear_softmax


def refusal(bundle: Bundle) -> ModelBundleError:
    with pytest.raises(ModelBundleError) as caught:
        NoiseModel(bundle)
    return caught.value


def unseen() -> np.ndarray:
    return np.stack([heard(kind, 50 + seed) for kind in CLASSES for seed in range(3)])


def labelled(model: NoiseModel, vectors: np.ndarray) -> list[tuple[str, float]]:
    names, confidence = model.label(vectors)
    return [(model.names[k], c) for k, c in zip(names, confidence.tolist(), strict=True)]


def test_noises_get_their_names(bundle: Bundle) -> None:
    found = labelled(load_noise_model(bundle), unseen())
    assert [name for name, _ in found] == [CLASSES[0]] * 3 + [CLASSES[1]] * 3
    assert all(0.5 < confidence <= 1.0 for _, confidence in found)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_probabilities_are_those_of_the_formula(tmp_path: Path, temperature: float) -> None:
    bundle = make_bundle(tmp_path / "b", temperature=temperature)
    vectors = unseen()
    weights = np.load(bundle.path / SCALER_FILE)
    model = load_noise_model(bundle)
    raw = model._raw(np.clip((vectors - weights["mean"]) / weights["scale"], -10, 10))
    for row, given in zip(raw.tolist(), model.probabilities(vectors), strict=True):
        powers = [(p + 1e-6) ** (1 / temperature) for p in row]
        expected = [p / sum(powers) for p in powers]
        assert given.tolist() == pytest.approx(expected, rel=1e-6)
        assert given.sum() == pytest.approx(1.0, abs=1e-12)


def test_novelty_is_what_its_formula_says(bundle: Bundle) -> None:
    vectors, model = unseen(), load_noise_model(bundle)
    scaler, space = np.load(bundle.path / SCALER_FILE), np.load(bundle.path / NOVELTY_FILE)
    for vector, novelty in zip(vectors, model.novelty(vectors), strict=True):
        scaled = np.clip((vector - scaler["mean"]) / scaler["scale"], -10, 10)
        place = scaled @ space["projection"]
        nearest = min(sum((place - mean) ** 2) for mean in space["means"])
        undecided = -sum(p * np.log(p + 1e-6) for p in model._raw(scaled[np.newaxis])[0].tolist())
        terms = [nearest, nearest - sum((place - space["centre"]) ** 2), undecided]
        deviation = [(t - space["location"][i]) / space["spread"][i] for i, t in enumerate(terms)]
        assert novelty == pytest.approx(np.exp(sum(deviation) / 3), rel=1e-3)


def test_what_is_far_from_all_classes_is_unknown(tmp_path: Path) -> None:
    vectors = unseen()
    far = vectors[:1] + 1e4
    plain = load_noise_model(make_bundle(tmp_path / "plain"))
    threshold = float(plain.novelty(vectors).max()) * 1.01
    distance = float(plain.novelty(far)[0])
    assert distance > threshold
    model = load_noise_model(make_bundle(tmp_path / "strict", novelty_threshold=threshold))
    assert {name for name, _ in labelled(model, vectors)} == set(CLASSES)
    assert labelled(plain, far)[0][1] > 0.9, "a softmax is sure of what it never saw"
    assert labelled(model, far) == [(UNKNOWN, pytest.approx(distance / (distance + threshold)))]


def test_a_model_that_answers_nan_knows_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    bundle = make_bundle(folder)
    linear_softmax(
        folder / MODEL_FILE,
        np.full((NUM_FEATURES, len(CLASSES)), np.nan, np.float32),
        np.zeros(len(CLASSES), np.float32),
    )
    model = NoiseModel(seal(folder, bundle.card))
    assert labelled(model, unseen()) == [(UNKNOWN, 0.0)] * 6


def test_no_vectors_have_no_labels(bundle: Bundle) -> None:
    nothing = np.empty((0, NUM_FEATURES), np.float32)
    assert labelled(load_noise_model(bundle), nothing) == []


@pytest.mark.parametrize("name", [MODEL_FILE, SCALER_FILE, NOVELTY_FILE])
def test_a_changed_byte_is_refused(tmp_path: Path, name: str) -> None:
    bundle = make_bundle(tmp_path / "b")
    content = bytearray((bundle.path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle.path / name).write_bytes(content)
    assert refusal(bundle).code is ErrorCode.MODEL_HASH


@pytest.mark.parametrize("name", [MODEL_FILE, SCALER_FILE, NOVELTY_FILE])
def test_a_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    bundle = make_bundle(tmp_path / "b")
    (bundle.path / name).unlink()
    error = refusal(bundle)
    assert error.code is ErrorCode.MODEL_MISSING
    assert name in str(error)


def test_other_features_are_refused_with_a_code_of_their_own(tmp_path: Path) -> None:
    error = refusal(make_bundle(tmp_path / "b", feature_schema="rich-822/0/0123"))
    assert error.code is ErrorCode.FEATURE_SCHEMA
    assert "train it again" in str(error)


def test_another_kind_is_refused(tmp_path: Path) -> None:
    make_bundle(tmp_path / "b", kind="suppressor")
    with pytest.raises(ModelBundleError, match="not 'noise-classifier'") as caught:
        open_bundle(tmp_path / "b", kind=KIND)
    assert caught.value.code is ErrorCode.MODEL_HASH


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch " + str(Evil.mark),)

    mark: Path


@pytest.mark.parametrize("as_array", [False, True])
def test_a_pickle_in_a_sealed_bundle_is_never_executed(tmp_path: Path, as_array: bool) -> None:
    """Its digest is right: somebody made the bundle so."""
    folder = tmp_path / "b"
    bundle = make_bundle(folder)
    Evil.mark = tmp_path / "executed"
    if as_array:
        scale = np.ones(NUM_FEATURES, np.float32)
        np.savez(folder / SCALER_FILE, mean=np.array([Evil()], object), scale=scale)
    else:
        (folder / SCALER_FILE).write_bytes(pickle.dumps(Evil()))
    assert refusal(seal(folder, bundle.card)).code is ErrorCode.MODEL_HASH
    assert not Evil.mark.exists()
    if as_array:
        with np.load(folder / SCALER_FILE, allow_pickle=True) as careless:
            careless["mean"]
    else:
        pickle.loads((folder / SCALER_FILE).read_bytes())
    assert Evil.mark.exists(), "the bait would have been executed by a careless reader"


@pytest.mark.parametrize(
    ("name", "arrays"),
    [
        (SCALER_FILE, {"scale": np.zeros(NUM_FEATURES, np.float32)}),
        (SCALER_FILE, {"mean": np.full(NUM_FEATURES, np.nan, np.float32)}),
        (SCALER_FILE, {"mean": np.zeros(NUM_FEATURES, np.int64)}),
        (SCALER_FILE, {"mean": np.zeros(5, np.float32)}),
        (NOVELTY_FILE, {"means": np.zeros((3, 40), np.float32)}),
        (NOVELTY_FILE, {"projection": np.zeros(40, np.float32)}),
        (NOVELTY_FILE, {"spread": np.zeros(3, np.float32)}),
    ],
)
def test_arrays_of_another_shape_or_kind_are_refused(
    tmp_path: Path, name: str, arrays: dict[str, np.ndarray]
) -> None:
    error = refusal(make_bundle(tmp_path / "b", arrays={name: arrays}))
    assert error.code is ErrorCode.MODEL_HASH


@pytest.mark.parametrize(
    "card",
    [
        {"classes": []},
        {"classes": ["fan", "fan"]},
        {"classes": "fan"},
        {"classes": ["fan", "rain", "wind"]},
        {"temperature": 0.0},
        {"temperature": None},
        {"novelty_threshold": "high"},
    ],
)
def test_cards_that_cannot_be_true_are_refused(tmp_path: Path, card: dict[str, object]) -> None:
    assert refusal(make_bundle(tmp_path / "b", **card)).code is ErrorCode.MODEL_HASH


def test_no_graph_or_another_one_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    bundle = make_bundle(folder)
    (folder / MODEL_FILE).write_bytes(b"this is no graph")
    assert refusal(seal(folder, bundle.card)).code is ErrorCode.MODEL_HASH
    linear_softmax(folder / MODEL_FILE, np.zeros((7, 2), np.float32), np.zeros(2, np.float32))
    assert refusal(seal(folder, bundle.card)).code is ErrorCode.MODEL_HASH


def test_a_bundle_that_is_replaced_meanwhile_is_refused(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "b")
    seal(bundle.path, bundle.card | {"temperature": 2.0})
    with pytest.raises(ModelBundleError, match="replaced"):
        load_noise_model(bundle)
    manifest = json.loads((bundle.path / MANIFEST).read_text())
    assert MODEL_FILE in manifest["files"]


def test_scikit_learn_is_not_needed_at_work(bundle: Bundle) -> None:
    code = f"""
import sys
sys.modules.update(dict.fromkeys(["sklearn", "skl2onnx", "onnx", "joblib"]))
import numpy as np
from anc_core import load_classifier
found = load_classifier({str(bundle.path)!r})
assert found.classes == {CLASSES!r}
assert len(found.predict(np.random.default_rng(1).normal(0, 0.1, 16_000), 16_000)) == 1
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
