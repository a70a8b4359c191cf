"""The steps of a training; each finds what it did before, so a killed run goes on where it was."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from anc_core.classifier_training.estimators import MEMBERS
from anc_core.classifier_training.evaluation import evaluate
from anc_core.classifier_training.extraction import FeatureCache, feature_cache
from anc_core.classifier_training.final import fit_final
from anc_core.classifier_training.folds import assign_folds
from anc_core.classifier_training.held_out import Trials
from anc_core.classifier_training.recordings import data_digest
from anc_core.classifier_training.records import Clip, ModelName, NoiseEvaluation, TrainingSpec
from anc_core.records import Record

if TYPE_CHECKING:
    from numpy.typing import NDArray

ModelChoice: TypeAlias = Literal["random_forest", "lda", "extra_trees", "vote", "auto"]

_REVISION = 3
"""To be raised with any change of what is fitted, so that nothing older is taken for it."""
LIBRARIES = ("numpy", "scipy", "scikit-learn", "skl2onnx", "onnx")


class Fitted(Record):
    """A model of all clips, whose files lie in the folder of the training."""

    model: ModelName
    train_accuracy: float
    candidates: dict[str, float]
    """Held-out accuracy of every model that was tried."""


def cache_of(spec: TrainingSpec) -> FeatureCache:
    """Return where the vectors of the training's clips are kept."""
    return feature_cache(spec.home / "noise-features", spec.seed)


def missing_clips(spec: TrainingSpec) -> list[Clip]:
    """Return the clips that have still to be measured."""
    cache = cache_of(spec)
    return [clip for clip in spec.data.clips if clip not in cache]


def fold_of_clips(spec: TrainingSpec) -> NDArray[np.int64]:
    """Return the fold of every clip, shape (num_clips,).

    Raises
    ------
    InputError
        As :func:`anc_core.classifier_training.folds.assign_folds`.
    """
    clips = spec.data.clips
    return assign_folds(
        [clip.category for clip in clips],
        [clip.recording for clip in clips],
        num_folds=spec.num_folds,
        seed=spec.seed,
    )


def open_trials(spec: TrainingSpec) -> Trials:
    """Return what judges and fits the models; all clips must have been measured."""
    cache = cache_of(spec)
    categories, folds = spec.data.categories, fold_of_clips(spec)
    labels = np.array([categories.index(clip.category) for clip in spec.data.clips])
    said = {
        "revision": _REVISION,
        "features": cache.folder.name,
        "clips": [clip.digest for clip in spec.data.clips],
        "labels": labels.tolist(),
        "folds": folds.tolist(),
        "num_trees": spec.num_trees,
        "seed": spec.seed,
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    key = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
    kept = spec.home / "noise-classifier" / key
    kept.mkdir(parents=True, exist_ok=True)
    return Trials(
        features=cache.load(spec.data.clips),
        labels=labels,
        folds=folds,
        num_trees=spec.num_trees,
        seed=spec.seed,
        workers=spec.workers,
        kept=kept,
    )


def fit_model(spec: TrainingSpec, choice: ModelChoice) -> Fitted:
    """Fit the chosen model on all clips; ``auto`` takes the best on held-out recordings."""
    trials = open_trials(spec)
    names = list(MEMBERS) if choice == "auto" else [choice]
    accuracy = {
        name: float((trials.answers(name).tests[0].argmax(axis=1) == trials.labels).mean())
        for name in names
    }
    model = max(names, key=lambda name: accuracy[name])
    return Fitted(
        model=model,
        train_accuracy=fit_final(model, trials),
        candidates={str(name): share for name, share in accuracy.items()},
    )


def evaluate_model(spec: TrainingSpec, fitted: Fitted) -> NoiseEvaluation:
    """Return all figures of a fitted model, from recordings that it never met."""
    return evaluate(
        fitted.model,
        spec.data.clips,
        open_trials(spec),
        train_accuracy=fitted.train_accuracy,
        candidates=fitted.candidates,
    )


def split_digest(spec: TrainingSpec) -> str:
    """Return a name for data and folds: figures of equal names are of the same clips, held out."""
    folds = fold_of_clips(spec)
    lines = sorted(
        f"{clip.digest} {fold}\n" for clip, fold in zip(spec.data.clips, folds, strict=True)
    )
    said = data_digest(spec.data.clips) + "".join(lines)
    return hashlib.sha256(said.encode()).hexdigest()
