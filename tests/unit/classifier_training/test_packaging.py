"""From a fitted model to a bundle that the classifier loads, and to what it is compared with."""

from __future__ import annotations

import numpy as np
import pytest

from anc_core.classifier.model import GOLDEN_FILE, NoiseModel, read_arrays
from anc_core.classifier_training import final
from anc_core.classifier_training.comparison import compare
from anc_core.classifier_training.packaging import build_bundle
from anc_core.classifier_training.steps import evaluate_model, fit_model
from anc_core.errors import InputError


def _bundle(spec, folder, model="random_forest", comparison=None):
    evaluation = evaluate_model(spec, fit_model(spec, model))
    bundle = build_bundle(
        folder, spec, evaluation, comparison, version_name="v1", command="anc train clips"
    )
    return bundle, evaluation


@pytest.mark.parametrize("model", ["random_forest", "vote"])
def test_the_classifier_gives_the_golden_answers(spec, tmp_path, model):
    bundle, evaluation = _bundle(spec, tmp_path / "made", model)
    loaded = NoiseModel(bundle)
    assert loaded.classes == ("fan", "rain", "typing")
    golden = read_arrays(bundle, GOLDEN_FILE)
    assert np.array_equal(np.bincount(golden["labels"]), [3, 3, 3])
    given = loaded.probabilities(golden["features"])
    assert np.abs(given - golden["probabilities"]).max() < 1e-6
    assert np.array_equal(given.argmax(axis=1), golden["labels"])
    # Calibrated, not those of the graph.
    assert evaluation.temperature != pytest.approx(1.0, abs=0.05)
    assert (loaded.novelty(golden["features"]) <= evaluation.novelty_threshold).mean() > 0.8
    assert bundle.card["model"] == model
    assert bundle.card["data"]["num_recordings"] == {"fan": 4, "rain": 4, "typing": 4}
    assert bundle.card["data"]["licences"] == {"unknown": 12}
    assert bundle.card["split_rule"].startswith("4 folds by recording: what precedes")


def test_the_same_data_and_seed_give_the_same_model(spec, fresh, tmp_path):
    first, _ = _bundle(spec, tmp_path / "a")
    again, _ = _bundle(fresh, tmp_path / "b")
    assert first.digest == again.digest
    other, _ = _bundle(fresh.model_copy(update={"num_trees": 9}), tmp_path / "c")
    assert other.files["model.onnx"] != first.files["model.onnx"]


def test_auto_takes_the_best(fresh, monkeypatch):
    fitted = fit_model(fresh, "auto")
    assert set(fitted.candidates) == {"random_forest", "lda", "extra_trees", "vote"}
    assert fitted.candidates[fitted.model] == max(fitted.candidates.values())


def test_a_graph_that_says_something_else_is_not_sealed(fresh, monkeypatch):
    monkeypatch.setattr(final, "answers_of", lambda content, scaled: np.zeros((len(scaled), 3)))
    with pytest.raises(InputError, match="differs from its members"):
        fit_model(fresh, "lda")


def test_same_folds_compare_scores_and_other_clips_compare_answers(spec, fresh, tmp_path):
    active, evaluation = _bundle(spec, tmp_path / "active")
    same = compare(active, fresh, evaluation)
    assert (same.active_accuracy, same.is_not_worse) == (1.0, True)
    assert same.basis.startswith("both on the same clips")
    fewer = fresh.data.model_copy(update={"clips": fresh.data.clips[1:]})
    other = fresh.model_copy(update={"data": fewer})
    poor = evaluation.model_copy(update={"accuracy": 0.9})
    found = compare(active, other, poor)
    assert (found.active_accuracy, found.is_not_worse) == (1.0, False)
    assert "trained on other clips" in found.basis
    # A category that the model in use does not know is wrong.
    renamed = [
        clip.model_copy(update={"category": "unheard"}) if clip.category == "rain" else clip
        for clip in fewer.clips
    ]
    strange = other.model_copy(update={"data": fewer.model_copy(update={"clips": tuple(renamed)})})
    assert compare(active, strange, evaluation).active_accuracy == pytest.approx(7 / 11)
