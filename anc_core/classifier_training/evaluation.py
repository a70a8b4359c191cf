"""What is known of a model before it is used: all of it from recordings that it never met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from anc_core.classifier_training.calibration import calibration_error, fit_temperature, tempered
from anc_core.classifier_training.estimators import ModelName
from anc_core.classifier_training.extraction import NOISE_LEVELS_DB, TESTS, ClipFeatures
from anc_core.classifier_training.held_out import HeldOut, HeldOutNovelty
from anc_core.classifier_training.intervals import design_effect, wilson
from anc_core.classifier_training.records import (
    ClassScores,
    Clip,
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
    features: ClipFeatures,
    labels: IntArray,
    folds: IntArray,
    answers: HeldOut,
    novelty: HeldOutNovelty,
    *,
    train_accuracy: float,
    candidates: Mapping[str, float],
) -> NoiseEvaluation:
    """Return all figures of a model.

    Parameters
    ----------
    model : str
        Its name.
    clips, features, labels, folds
        What it was trained on, clip by clip.
    answers, novelty
        For clips whose recordings were held out.
    train_accuracy : float
        Of the final model on its own clips.
    candidates : mapping of str to float
        Held-out accuracy of every model that was tried.
    """
    clean, taken = answers.tests[0], answers.tests.argmax(axis=2)
    is_right = taken[0] == labels
    # Each clip weighs as much by its windows as by itself: the model serves both.
    both = np.concatenate([clean, answers.windows])
    both_labels = np.concatenate([labels, labels[features.clip_of_window]])
    both_folds = np.concatenate([folds, folds[features.clip_of_window]])
    weights = np.concatenate([np.ones(len(labels)), _window_weights(features.clip_of_window)])
    calibrated = _calibrated_by_other_folds(both, both_labels, both_folds, weights)
    has_windows = len(features.windows) > 0
    windows_right = answers.windows.argmax(axis=1) == labels[features.clip_of_window]
    effect = design_effect(is_right, _clusters(clips, labels))
    threshold = _quantile(
        np.concatenate([novelty.clips, novelty.windows]), weights, _KEPT_SHARE
    )
    confusion = np.zeros((len(clean[0]), len(clean[0])), np.int64)
    np.add.at(confusion, (labels, taken[0]), 1)
    classes = _class_scores(clips, confusion, effect)
    return NoiseEvaluation(
        model=model,
        accuracy=float(is_right.mean()),
        accuracy_interval=wilson(float(is_right.mean()), len(labels) / effect),
        macro_f1=macro_f1(confusion),
        train_accuracy=train_accuracy,
        window_accuracy=float(windows_right.mean()) if has_windows else None,
        calibration_error=calibration_error(calibrated[: len(labels)], labels),
        window_calibration_error=calibration_error(
            calibrated[len(labels) :], both_labels[len(labels) :]
        )
        if has_windows
        else None,
        temperature=fit_temperature(both, both_labels, weights),
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
        novelty_threshold=threshold,
        unknown=_unknown_scores(novelty, threshold),
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


def _unknown_scores(novelty: HeldOutNovelty, threshold: float) -> UnknownScores:
    kept = float((novelty.clips <= threshold).mean())
    if not len(novelty.unknown):
        return UnknownScores(known_kept=kept, rejected=None, auroc=None)
    limit = np.quantile(novelty.known, _KEPT_SHARE)
    order = np.sort(novelty.known)
    below = np.searchsorted(order, novelty.unknown, "left")
    ties = np.searchsorted(order, novelty.unknown, "right") - below
    return UnknownScores(
        known_kept=kept,
        rejected=float((novelty.unknown > limit).mean()),
        auroc=float((below + 0.5 * ties).mean() / len(order)),
    )


def _clusters(clips: Sequence[Clip], labels: IntArray) -> IntArray:
    _, recording = np.unique([clip.recording for clip in clips], return_inverse=True)
    return np.asarray(recording * (int(labels.max()) + 1) + labels)


def _window_weights(clip_of_window: IntArray) -> FloatArray:
    """Return a weight for each window such that those of a clip weigh 1 together."""
    return np.asarray(1.0 / np.bincount(clip_of_window)[clip_of_window], np.float64)


def _quantile(values: FloatArray, weights: FloatArray, share: float) -> float:
    order = np.argsort(values)
    reached = np.searchsorted(np.cumsum(weights[order]), share * weights.sum())
    return round(float(values[order[min(int(reached), len(order) - 1)]]), 6)
