"""What is known of a model before it is used: all of it from recordings that it never met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from anc_core.classifier.novelty import NoveltyScale
from anc_core.classifier_training.calibration import calibration_error, fit_temperature, tempered
from anc_core.classifier_training.extraction import NOISE_LEVELS_DB, TESTS
from anc_core.classifier_training.held_out import HeldOutTerms, Trials
from anc_core.classifier_training.intervals import design_effect, wilson
from anc_core.classifier_training.novelty import fit_scale
from anc_core.classifier_training.records import (
    ClassScores,
    Clip,
    ModelName,
    NoiseEvaluation,
    UnknownScores,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

_KEPT_SHARE = 0.9
"""Of known sounds, by the novelty threshold."""


def evaluate(
    model: ModelName,
    clips: Sequence[Clip],
    trials: Trials,
    *,
    train_accuracy: float,
    candidates: Mapping[str, float],
) -> NoiseEvaluation:
    """Return all figures of a model.

    Parameters
    ----------
    model : str
        Its name.
    clips, trials
        What it was trained on, and what was fitted to judge it.
    train_accuracy : float
        Of the final model on its own clips.
    candidates : mapping of str to float
        Held-out accuracy of every model that was tried.
    """
    answers, terms = trials.answers(model), trials.terms(model)
    labels, folds = trials.labels, trials.folds
    clean, taken = answers.tests[0], answers.tests.argmax(axis=2)
    is_right = taken[0] == labels
    clip_of_window = trials.features.clip_of_window
    both = np.concatenate([clean, answers.windows])
    of_clip = np.concatenate([np.arange(len(labels)), clip_of_window])
    weights = trials.weights
    calibrated = _calibrated_by_other_folds(both, labels[of_clip], folds[of_clip], weights)
    windows_right = answers.windows.argmax(axis=1) == labels[clip_of_window]
    effect = design_effect(is_right, _clusters(clips, labels))
    confusion = np.zeros((len(clean[0]), len(clean[0])), np.int64)
    np.add.at(confusion, (labels, taken[0]), 1)
    classes = _class_scores(clips, confusion, effect)
    return NoiseEvaluation(
        model=model,
        accuracy=float(is_right.mean()),
        accuracy_interval=wilson(float(is_right.mean()), len(labels) / effect),
        macro_f1=macro_f1(confusion),
        train_accuracy=train_accuracy,
        window_accuracy=float(windows_right.mean()),
        calibration_error=calibration_error(calibrated[: len(labels)], labels),
        window_calibration_error=calibration_error(
            calibrated[len(labels) :], labels[clip_of_window]
        ),
        temperature=fit_temperature(both, labels[of_clip], weights),
        noise_accuracy={
            str(db): float((taken[TESTS.index(f"pink_{db}_db")] == labels).mean())
            for db in NOISE_LEVELS_DB
        },
        gain_agreement=float(
            (
                (taken[TESTS.index("softer")] == taken[0])
                & (taken[TESTS.index("louder")] == taken[0])
            ).mean()
        ),
        novelty_threshold=novelty_threshold(terms, weights),
        unknown=_unknown_scores(terms),
        classes=tuple(classes),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        num_folds=int(folds.max()) + 1,
        candidates=dict(candidates),
    )


def macro_f1(confusion: IntArray) -> float:
    """Return the mean over the categories of 2 TP / (2 TP + FP + FN).

    Examples
    --------
    >>> macro_f1(np.array([[8, 2], [0, 10]]))
    0.898989898989899
    """
    right = np.diag(confusion)
    sizes = confusion.sum(axis=0) + confusion.sum(axis=1)
    return float(np.mean(2 * right / np.maximum(sizes, 1)))


def _class_scores(clips: Sequence[Clip], confusion: IntArray, effect: float) -> list[ClassScores]:
    scores = []
    for index, category in enumerate(sorted({clip.category for clip in clips})):
        own = [clip for clip in clips if clip.category == category]
        right, taken = int(confusion[index, index]), int(confusion[:, index].sum())
        recall = right / len(own)
        scores.append(
            ClassScores(
                category=category,
                num_clips=len(own),
                num_recordings=len({clip.recording for clip in own}),
                precision=right / taken if taken else None,
                precision_interval=wilson(right / taken, taken / effect) if taken else None,
                recall=recall,
                recall_interval=wilson(recall, len(own) / effect),
            )
        )
    return scores


def _calibrated_by_other_folds(
    probabilities: FloatArray, labels: IntArray, folds: IntArray, weights: FloatArray
) -> FloatArray:
    """Return the probabilities, the temperature of each fold being that of all others."""
    calibrated = np.zeros_like(probabilities)
    for fold in range(int(folds.max()) + 1):
        here = folds == fold
        temperature = fit_temperature(probabilities[~here], labels[~here], weights[~here])
        calibrated[here] = tempered(probabilities[here], temperature)
    return calibrated


def novelty_scale(terms: HeldOutTerms, weights: FloatArray) -> NoveltyScale:
    """Return the scale of the terms of held-out clips and windows, known categories."""
    return fit_scale(np.concatenate([terms.clips, terms.windows]), weights)


def novelty_threshold(terms: HeldOutTerms, weights: FloatArray) -> float:
    """Return the novelty that 90 % of held-out clips and windows of known categories are below."""
    both = np.concatenate([terms.clips, terms.windows])
    novelty = fit_scale(both, weights).score(both)
    order = np.argsort(novelty)
    reached = int(np.searchsorted(np.cumsum(weights[order]), _KEPT_SHARE * weights.sum()))
    # Above the last one kept, so that rounding loses nobody.
    return round(float(novelty[order[min(reached, len(order) - 1)]]) + 5e-7, 6)


def _unknown_scores(terms: HeldOutTerms) -> UnknownScores:
    if not len(terms.unknown):
        return UnknownScores(rejected=None, auroc=None)
    scale = fit_scale(terms.known, np.ones(len(terms.known)))
    known, unknown = np.sort(scale.score(terms.known)), scale.score(terms.unknown)
    below = np.searchsorted(known, unknown, "left")
    ties = np.searchsorted(known, unknown, "right") - below
    return UnknownScores(
        rejected=float((unknown > np.quantile(known, _KEPT_SHARE)).mean()),
        auroc=float((below + 0.5 * ties).mean() / len(known)),
    )


def _clusters(clips: Sequence[Clip], labels: IntArray) -> IntArray:
    _, recording = np.unique([clip.recording for clip in clips], return_inverse=True)
    return np.asarray(recording * (int(labels.max()) + 1) + labels)
