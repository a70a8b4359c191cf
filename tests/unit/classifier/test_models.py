"""Which classifier is in use: named, promoted, shipped; what is not to be trusted is refused."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

import anc_core
from anc_core import detect, load_classifier
from anc_core.audio.synth import alarm, noise, voice
from anc_core.bundles.bundle import Bundle
from anc_core.bundles.registry import Registry
from anc_core.classifier.imports import digest_of, record_import
from anc_core.classifier.model import KIND, MODEL_FILE, SCALER_FILE
from anc_core.classifier.models import choose_classifier, find_classifier
from anc_core.errors import ErrorCode, ModelBundleError
from tests.noise_bundles import CLASSES, RATE, make_bundle

KNOWN = {"hum": "hum", "white": "hiss", "fan": "machine", "engine": "machine", "babble": "babble"}
"""Computed sounds -> what the classifier that ships calls them."""


@pytest.fixture
def registry() -> Registry:
    return Registry(anc_core.Settings().models_dir)


def refusal(path: Path | None = None) -> ModelBundleError:
    with pytest.raises(ModelBundleError) as caught:
        load_classifier(path)
    return caught.value


def test_none_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anc_core.classifier.models.shipped_models", lambda: tmp_path)
    assert find_classifier(tmp_path) is None
    error = refusal()
    assert error.code is ErrorCode.MODEL_MISSING
    assert "anc train" in str(error)


def test_the_promoted_one_is_loaded(registry: Registry, bundle: Bundle) -> None:
    registry.add(bundle)
    registry.promote(KIND, bundle.version, reason="test")
    found = load_classifier()
    assert (found.classes, found.model_id) == (CLASSES, bundle.model_id)


@pytest.mark.parametrize("file", ["", MODEL_FILE])
def test_a_path_names_a_bundle_or_its_graph(bundle: Bundle, file: str) -> None:
    assert load_classifier(bundle.path / file).model_id == bundle.model_id
    assert load_classifier(str(bundle.path / file)).classes == CLASSES


def test_the_predecessors_variables_name_one(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ML_MODEL_PATH", str(bundle.path / MODEL_FILE))
    assert load_classifier().model_id == bundle.model_id
    monkeypatch.setenv("ML_SCALER_PATH", str(bundle.path / SCALER_FILE))
    assert load_classifier().model_id == bundle.model_id


def test_a_bundle_has_its_own_scaler(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ML_MODEL_PATH", str(bundle.path))
    for scaler in (tmp_path / "missing.npz", bundle.path / MODEL_FILE):
        monkeypatch.setenv("ML_SCALER_PATH", str(scaler))
        error = refusal()
        assert error.code is ErrorCode.MODEL_HASH
        assert str(scaler) in str(error)


def test_a_promoted_one_that_is_gone_is_not_replaced_by_another(
    registry: Registry, bundle: Bundle
) -> None:
    path = registry.add(bundle).path
    registry.promote(KIND, bundle.version, reason="test")
    shutil.rmtree(path)
    assert refusal().code is ErrorCode.MODEL_MISSING
    choice = choose_classifier(registry.folder)
    assert choice.model_id is None
    assert (choice.fault or "").startswith("MODEL_MISSING: ")


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch " + str(Evil.mark),)

    mark: Path


@pytest.mark.parametrize("name", ["model.joblib", "model.pkl", "model.bin"])
def test_a_foreign_pickle_is_refused_with_the_cure_and_never_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    Evil.mark = tmp_path / "executed"
    (tmp_path / name).write_bytes(pickle.dumps(Evil()))
    monkeypatch.setenv("ML_MODEL_PATH", str(tmp_path / name))
    error = refusal()
    assert error.code is ErrorCode.MODEL_UNTRUSTED
    assert "anc model import --trust-pickle" in str(error)
    assert refusal(tmp_path / name).code is ErrorCode.MODEL_UNTRUSTED
    assert not Evil.mark.exists()


def test_an_imported_pickle_stands_for_its_bundle_and_is_still_not_loaded(
    registry: Registry, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Evil.mark = tmp_path / "executed"
    model, scaler = tmp_path / "model.joblib", tmp_path / "scaler.joblib"
    model.write_bytes(pickle.dumps(Evil()))
    scaler.write_bytes(b"scaler")
    registry.add(bundle)
    record_import(registry.folder, bundle.version, digest_of(model), digest_of(scaler))
    monkeypatch.setenv("ML_MODEL_PATH", str(model))
    assert refusal().code is ErrorCode.MODEL_UNTRUSTED, "without its scaler"
    monkeypatch.setenv("ML_SCALER_PATH", str(scaler))
    assert load_classifier().model_id == bundle.model_id
    assert not Evil.mark.exists()
    scaler.write_bytes(b"another")
    assert refusal().code is ErrorCode.MODEL_UNTRUSTED
    scaler.write_bytes(b"scaler")
    model.write_bytes(model.read_bytes() + b" ")
    assert refusal().code is ErrorCode.MODEL_UNTRUSTED


def test_a_choice_is_whole_and_of_these_features(tmp_path: Path) -> None:
    other = make_bundle(tmp_path / "other", feature_schema="rich-822/0/0123")
    choice = choose_classifier(tmp_path, model=other.path)
    assert (choice.fault or "").startswith("FEATURE_SCHEMA: ")
    broken = make_bundle(tmp_path / "broken")
    (broken.path / SCALER_FILE).unlink()
    choice = choose_classifier(tmp_path, model=broken.path)
    assert (choice.fault or "").startswith("MODEL_MISSING: ")
    whole = make_bundle(tmp_path / "whole")
    assert choose_classifier(tmp_path, model=whole.path).model_id == whole.model_id


def test_detect_names_noises_beside_alarms(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    audio = noise("rain", 10.0, RATE, seed=60, level_dbfs=-30.0)
    audio = audio + alarm("t3_3100", 10.0, RATE)[: len(audio)]
    monkeypatch.setenv("ANC_NAME_NOISES", "0")
    before = detect(audio, RATE)
    assert all(event.is_emergency for event in before.events)
    monkeypatch.delenv("ANC_NAME_NOISES")
    monkeypatch.setenv("ML_MODEL_PATH", str(bundle.path))
    both = detect(audio, RATE)
    assert both.protected == before.protected != ()
    assert [e for e in both.events if e.is_emergency] == list(before.events)
    assert {e.noise_type for e in both.events if not e.is_emergency} <= set(CLASSES)
    named = load_classifier().predict(audio, RATE)
    assert set(both.windows) == {*before.windows, *named}
    assert [w.start_s for w in both.windows] == sorted(w.start_s for w in both.windows)


def test_detect_hears_alarms_where_the_classifier_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ML_MODEL_PATH", str(tmp_path / "nothing"))
    found = detect(alarm("t3_3100", 10.0, RATE), RATE)
    assert any(event.is_emergency for event in found.events)
    assert "classifier is not available" in caplog.text
    assert detect(np.zeros(0, np.float32), RATE).windows == ()


def test_the_classifier_that_ships_names_noises_without_a_training() -> None:
    classifier = load_classifier()
    assert "speech" in classifier.classes
    heard = {kind: classifier.predict(noise(kind, 4.0, RATE, seed=61), RATE) for kind in KNOWN}
    names = {kind: {window.noise_type for window in heard[kind]} for kind in KNOWN}
    assert names == {kind: {name} for kind, name in KNOWN.items()}
    spoken = classifier.predict(voice(6.0, RATE, seed=61), RATE)
    assert np.mean([window.noise_type == "speech" for window in spoken]) > 0.6
