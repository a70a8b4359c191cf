"""Whether a new model may take the place of the one in use."""

from __future__ import annotations

import numpy as np

from anc_core.bundles.bundle import Bundle
from anc_core.classifier.model import load_noise_model
from anc_core.classifier_training.records import Comparison, NoiseEvaluation, TrainingSpec
from anc_core.classifier_training.steps import open_trials, split_digest


def compare(active: Bundle, spec: TrainingSpec, evaluation: NoiseEvaluation) -> Comparison:
    """Return how the new model and the one in use do on the same clips.

    Parameters
    ----------
    active : Bundle
        In use.
    spec, evaluation
        Of the new model.

    Raises
    ------
    ModelBundleError
        If the model in use can't be loaded or was trained on other features.

    Notes
    -----
    The same clips in the same folds: both held-out accuracies are compared. Other clips: the one in
    use answers for them, whether it was trained on some of them or not, which favours it; what it
    has no category for it gets wrong.
    """
    if active.card.get("data", {}).get("split_digest") == split_digest(spec):
        accuracy = float(active.card["scores"]["accuracy"])
        basis = "both on the same clips, in the same folds, held out"
    else:
        model = load_noise_model(active)
        vectors = open_trials(spec).features.tests[0]
        taken = np.array(model.classes, object)[model.probabilities(vectors).argmax(axis=1)]
        accuracy = float(np.mean(taken == [clip.category for clip in spec.data.clips]))
        basis = (
            "the new model held out; the one in use, trained on other clips, on all of these, "
            "some of which it may know"
        )
    return Comparison(
        active_model_id=active.model_id,
        active_accuracy=accuracy,
        candidate_accuracy=evaluation.accuracy,
        basis=basis,
    )
