"""A pickled model becomes a bundle if somebody vouches for it, and is then never read again."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from anc_core import load_classifier
from anc_core.bundles.registry import Registry
from anc_core.classifier.model import KIND, load_noise_model
from anc_core.errors import ErrorCode, InputError, ModelBundleError
from anc_core.features import NUM_FEATURES
from anc_core.jobs.model_import import import_model
from anc_core.settings import Settings

LABELS = np.array(["fan", "rain", "wind"])


@pytest.fixture(scope="module")
def clips() -> tuple[np.ndarray, np.ndarray]:
    """Figures of very different size, as the features have them."""
    draw = np.random.default_rng(1)
    labels = np.arange(90) % 3
    vectors = draw.normal(labels[:, np.newaxis], 1.0, (90, NUM_FEATURES))
    return vectors * np.logspace(-2, 3, NUM_FEATURES), LABELS[labels]


def saved(folder: Path, name: str, thing: object) -> Path:
    joblib.dump(thing, folder / name)
    return folder / name


def refusal(*words: object, **more: object) -> ModelBundleError:
    with pytest.raises(ModelBundleError) as caught:
        import_model(Settings.load(), *words, actor="tests", **({"trust_pickle": True} | more))
    assert Registry(Settings.load().models_dir).versions(KIND) == []
    return caught.value


def in_use(monkeypatch: pytest.MonkeyPatch, model: Path, scaler: Path | None = None) -> str:
    monkeypatch.setenv("ML_MODEL_PATH", str(model))
    if scaler is not None:
        monkeypatch.setenv("ML_SCALER_PATH", str(scaler))
    return load_classifier().model_id


@pytest.mark.parametrize("scaled", [False, True])
def test_it_answers_as_scikit_learn_does(
    tmp_path: Path, clips: tuple[np.ndarray, np.ndarray], scaled: bool
) -> None:
    """Beyond ten standard deviations too, where our own scaler would end."""
    vectors, labels = clips
    scaler = StandardScaler().fit(vectors) if scaled else None
    inside = vectors if scaler is None else scaler.transform(vectors)
    fitted = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(inside, labels)
    paths = saved(tmp_path, "m.joblib", fitted), None
    if scaler is not None:
        paths = paths[0], saved(tmp_path, "s.joblib", scaler)
    imported = import_model(Settings.load(), *paths, trust_pickle=True, actor="tests")
    model = load_noise_model(Registry(Settings.load().models_dir).get(KIND, imported.version))
    assert model.classes == tuple(LABELS)
    seen = vectors.astype(np.float32)
    seen[::7, ::50] *= 40.0
    inside = seen if scaler is None else scaler.transform(seen)
    assert np.abs(inside).max() > 20.0
    expected = fitted.predict_proba(inside)
    np.testing.assert_allclose(model.probabilities(seen), expected, atol=5e-3)
    names = [model.names[k] for k in model.label(seen)[0]]
    assert names == list(LABELS[expected.argmax(axis=1)]), "none is unknown: it cannot tell"


def test_a_forest_of_numbers_gets_names(
    tmp_path: Path, clips: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, labels = clips
    forest = RandomForestClassifier(20, random_state=1).fit(
        vectors, np.searchsorted(LABELS, labels)
    )
    path = saved(tmp_path, "m.pkl", forest)
    with pytest.raises(InputError, match="2 names are given for the 3 classes"):
        import_model(Settings.load(), path, trust_pickle=True, classes=["a", "b"], actor="tests")
    words = {"trust_pickle": True, "classes": ["a", "b", "c"], "version": "forest"}
    imported = import_model(Settings.load(), path, **words, actor="tests")
    assert (imported.version, imported.in_use) == ("forest", False)
    again = import_model(Settings.load(), path, **words, actor="tests")
    assert again.model_id == imported.model_id, "the same again is the same"
    assert in_use(monkeypatch, path) == imported.model_id
    assert load_classifier().classes == ("a", "b", "c")


class Evil(BaseEstimator):
    """Leaves a mark where it is unpickled."""

    mark: Path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch " + str(Evil.mark),)


def test_nothing_is_read_before_somebody_vouches_for_it(tmp_path: Path) -> None:
    Evil.mark = tmp_path / "executed"
    (tmp_path / "m.joblib").write_bytes(pickle.dumps(Evil()))
    error = refusal(tmp_path / "m.joblib", trust_pickle=False)
    assert error.code is ErrorCode.MODEL_UNTRUSTED
    assert not Evil.mark.exists()
    # Who vouches for it has it executed, and what is no model is refused all the same.
    assert refusal(tmp_path / "m.joblib").code is ErrorCode.MODEL_HASH
    assert Evil.mark.exists()


def test_other_features_are_refused(tmp_path: Path) -> None:
    old = RandomForestClassifier(2).fit(np.eye(6, 168), np.arange(6) % 2)
    error = refusal(saved(tmp_path, "m.joblib", old))
    assert error.code is ErrorCode.FEATURE_SCHEMA
    assert "168 features" in str(error)


def test_what_cannot_be_taken_over_is_refused(
    tmp_path: Path, clips: tuple[np.ndarray, np.ndarray]
) -> None:
    vectors, labels = clips
    forest = saved(tmp_path, "m.joblib", RandomForestClassifier(2).fit(vectors, labels))
    scaler = saved(tmp_path, "s.joblib", MinMaxScaler().fit(vectors))
    assert "StandardScaler" in str(refusal(forest, scaler))
    assert "predict_proba" in str(refusal(scaler))
    (tmp_path / "x.joblib").write_bytes(b"no pickle at all")
    assert refusal(tmp_path / "x.joblib").code is ErrorCode.MODEL_HASH
    assert refusal(tmp_path / "none.joblib").code is ErrorCode.MODEL_MISSING


def test_another_scikit_learn_is_refused(
    tmp_path: Path, clips: tuple[np.ndarray, np.ndarray]
) -> None:
    forest = RandomForestClassifier(2).fit(*clips)
    state = forest.__getstate__() | {"_sklearn_version": "1.0.2"}
    forest.__class__.__getstate__ = lambda _: state
    try:
        path = saved(tmp_path, "m.joblib", forest)
    finally:
        del forest.__class__.__getstate__
    error = refusal(path)
    assert "1.0.2" in str(error)
    assert "Save it again" in str(error)
