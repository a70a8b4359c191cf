"""The training of the classifier as a flow: from folders of clips to a model in use."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from anc_core.bundles.bundle import open_bundle
from anc_core.bundles.registry import Registry, shipped_models
from anc_core.classifier.model import KIND, NoiseModel
from anc_core.errors import InputError
from anc_core.jobs import model_rows
from anc_core.store import open_database
from anc_core.store.tables import AuditEntry, Model
from flows import model_training, train_noise_classifier
from tests.flows.prefect_records import artifacts_of, task_names_of
from tests.noise_clips import write_clips

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("prefect_server")]


@pytest.fixture
def bench(tmp_path, monkeypatch, store_url):
    """Return the arguments of a small training."""
    monkeypatch.setenv("ANC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ANC_WORKERS", "1")
    monkeypatch.setenv("ANC_RETRIES", "0")
    monkeypatch.setattr("anc_core.classifier_training.estimators.NUM_SUBSPACES", 2)
    return {"training_data_dir": write_clips(tmp_path / "clips"), "trees": 8}


def _rows(url, table):
    database = open_database(url)
    try:
        with database.read() as db:
            return list(db.scalars(select(table)))
    finally:
        database.dispose()


def test_a_model_is_trained_judged_registered_and_put_into_use(bench, tmp_path, store_url):
    (bench["training_data_dir"] / "fan" / "text-a.wav").write_text("no audio at all")
    state = train_noise_classifier(**bench, version="first", return_state=True)
    result = state.result()
    assert (result.version, result.model, result.promoted) == ("first", "random_forest", True)
    assert result.categories == ["fan", "rain", "typing"]
    assert (result.num_samples, result.num_features) == (12, 799)
    assert result.test_accuracy == result.macro_f1 == result.train_accuracy == 1.0
    assert result.confusion_matrix == [[4, 0, 0], [0, 4, 0], [0, 0, 4]]
    assert [one.path for one in result.skipped] == ["fan/text-a.wav"]
    assert result.comparison.active_model_id == Registry(shipped_models()).active(KIND).model_id
    assert result.comparison.active_accuracy < 1.0, "it knows no typing"
    assert result.confusion_picture.is_file()
    registry = Registry(tmp_path / "home" / "models")
    bundle = registry.active(KIND)
    assert bundle.model_id == result.model_id
    assert result.model_path == bundle.path / "model.onnx"
    assert result.scaler_path == bundle.path / "scaler.npz"
    assert NoiseModel(bundle).classes == ("fan", "rain", "typing")
    assert [(row.id, row.kind) for row in _rows(store_url, Model)] == [(bundle.model_id, KIND)]
    assert [row.action for row in _rows(store_url, AuditEntry)] == ["promote-model"]
    names = task_names_of(state, "register")
    assert {"scan the clips", "fit", "evaluate", "save", "register"} <= set(names)
    assert any(name.startswith("features 1 of ") for name in names)
    assert {
        "noise-features",
        "noise-classifier-scores",
        "noise-classifier-confusion",
        "noise-classifier-left-out",
        "noise-classifier",
    } <= set(artifacts_of(state))

    # The same clips again: nothing is measured or fitted, and the same model comes out.
    (bench["training_data_dir"] / "fan" / "text-a.wav").unlink()
    state = train_noise_classifier(**bench, version="second", return_state=True)
    again = state.result()
    assert not any(name.startswith("features") for name in task_names_of(state, "register"))
    assert again.promoted
    assert again.comparison.basis.startswith("both on the same clips")
    second = open_bundle(again.model_path.parent, kind=KIND)
    assert second.files["model.onnx"] == bundle.files["model.onnx"]
    assert [entry["version"] for entry in registry.history(KIND)] == ["first", "second"]


def test_a_worse_model_is_registered_but_not_used(bench, tmp_path, monkeypatch):
    train_noise_classifier(**bench, version="good")

    original = model_training.evaluate_model
    monkeypatch.setattr(
        model_training,
        "evaluate_model",
        lambda *a: original(*a).model_copy(update={"accuracy": 0.5}),
    )
    result = train_noise_classifier(**bench, version="bad", model="lda")
    assert not result.promoted
    assert (result.comparison.active_accuracy, result.comparison.candidate_accuracy) == (1.0, 0.5)
    registry = Registry(tmp_path / "home" / "models")
    assert registry.versions(KIND) == ["bad", "good"]
    assert registry.active(KIND).version == "good"


def test_if_the_store_fails_nothing_stays_registered(bench, tmp_path, monkeypatch, store_url):
    def fails(*_, **__):
        raise RuntimeError("the store is gone")

    monkeypatch.setattr(model_rows, "record_audit", fails)
    with pytest.raises(RuntimeError, match="the store is gone"):
        train_noise_classifier(**bench, version="lost", promote="always")
    registry = Registry(tmp_path / "home" / "models")
    assert registry.versions(KIND) == []
    assert registry.active(KIND) is None
    assert _rows(store_url, Model) == []


def test_a_single_recording_is_refused_before_anything_is_measured(bench, tmp_path):
    for path in (bench["training_data_dir"] / "rain").glob("*"):
        path.rename(path.with_name(f"storm-{path.name}"))
    with pytest.raises(InputError, match="'rain' has a single recording, 'storm'"):
        train_noise_classifier(**bench)
    assert not (tmp_path / "home" / "training").exists()
    with pytest.raises(InputError, match="folds is 9; it must be 2 to 4"):
        train_noise_classifier(**bench, folds=9, groups=r"(\w+)-a")
