"""What each model says of clips whose recordings it never met."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anc_core.classifier_training.estimators import MEMBERS, ModelName, fit
from anc_core.classifier_training.extraction import TESTS, ClipFeatures
from anc_core.classifier_training.novelty import fit_novelty
from anc_core.classifier_training.scaling import Scaler, fit_scaler
from anc_core.files import atomic_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

_MAX_SETS = 5
"""In which the categories are left out in turn, a fifth of them at a time."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Answers for clips and windows, each from a model that never met its recording.

    Attributes
    ----------
    tests : float64, shape (len(TESTS), num_clips, num_classes)
    windows : float64, shape (num_windows, num_classes)
    """

    tests: FloatArray
    windows: FloatArray


@dataclass(frozen=True, slots=True)
class HeldOutNovelty:
    """Distances from what was trained.

    Attributes
    ----------
    clips, windows : float64, shape (num_clips,), (num_windows,)
        All categories known, the recording not.
    known, unknown : float64, shape (num,)
        Clips of trained categories, and of categories left out of the training, in turn.
    """

    clips: FloatArray
    windows: FloatArray
    known: FloatArray
    unknown: FloatArray


def held_out(
    model: ModelName,
    features: ClipFeatures,
    labels: IntArray,
    folds: IntArray,
    *,
    num_trees: int,
    seed: int,
    workers: int,
    kept: Path,
) -> HeldOut:
    """Return the answers of ``model``, fitted once for every fold.

    Parameters
    ----------
    model : str
        One of MEMBERS.
    features, labels, folds
        Of all clips; see :class:`ClipFeatures`.
    num_trees, seed, workers : int
        As :func:`anc_core.classifier_training.estimators.fit` has them.
    kept : Path
        Folder of this training: what was found is kept there and not sought again.
    """
    found = [
        _kept(
            kept / f"held-out-{member}.npz",
            partial(
                _held_out_member,
                member,
                features,
                labels,
                folds,
                num_trees=num_trees,
                seed=seed,
                workers=workers,
            ),
        )
        for member in MEMBERS[model]
    ]
    return HeldOut(
        np.mean([some["tests"] for some in found], axis=0),
        np.mean([some["windows"] for some in found], axis=0),
    )


def held_out_novelty(
    features: ClipFeatures, labels: IntArray, folds: IntArray, *, kept: Path
) -> HeldOutNovelty:
    """Return the distances of clips, windows and categories that were left out."""
    return HeldOutNovelty(
        **_kept(kept / "held-out-novelty.npz", partial(_distances, features, labels, folds))
    )


def _held_out_member(
    member: ModelName,
    features: ClipFeatures,
    labels: IntArray,
    folds: IntArray,
    *,
    num_trees: int,
    seed: int,
    workers: int,
) -> dict[str, FloatArray]:
    num_classes = int(labels.max()) + 1
    tests = np.zeros((len(TESTS), len(labels), num_classes))
    windows = np.zeros((len(features.windows), num_classes))
    for fold in range(int(folds.max()) + 1):
        scaler, vectors, targets = training_side(features, labels, folds != fold)
        estimator = fit(member, vectors, targets, num_trees=num_trees, seed=seed, workers=workers)
        is_tested = folds == fold
        for test in range(len(TESTS)):
            scaled = scaler(features.tests[test, is_tested])
            tests[test, is_tested] = estimator.predict_proba(scaled)
        of_tested = is_tested[features.clip_of_window]
        windows[of_tested] = estimator.predict_proba(scaler(features.windows[of_tested]))
    return {"tests": tests, "windows": windows}


def training_side(
    features: ClipFeatures, labels: IntArray, is_chosen: NDArray[np.bool_]
) -> tuple[Scaler, NDArray[np.float32], IntArray]:
    """Return the scaler, the scaled vectors (n, NUM_FEATURES) and labels (n,) of chosen clips."""
    chosen = features.training[is_chosen]
    vectors = chosen.reshape(-1, chosen.shape[-1])
    scaler = fit_scaler(vectors)
    return scaler, scaler(vectors), np.repeat(labels[is_chosen], chosen.shape[1])


def _distances(features: ClipFeatures, labels: IntArray, folds: IntArray) -> dict[str, FloatArray]:
    clips = np.zeros(len(labels))
    windows = np.zeros(len(features.windows))
    known: list[FloatArray] = [np.zeros(0)]
    unknown: list[FloatArray] = [np.zeros(0)]
    for fold in range(int(folds.max()) + 1):
        is_tested = folds == fold
        scaler, vectors, targets = training_side(features, labels, ~is_tested)
        space = fit_novelty(vectors, targets)
        clips[is_tested] = space.distance(scaler(features.tests[0, is_tested]))
        of_tested = is_tested[features.clip_of_window]
        windows[of_tested] = space.distance(scaler(features.windows[of_tested]))
        for left_out in _left_out(int(labels.max()) + 1):
            is_unknown = np.isin(labels, left_out)
            scaler, vectors, targets = training_side(features, labels, ~is_tested & ~is_unknown)
            space = fit_novelty(vectors, targets)
            known.append(space.distance(scaler(features.tests[0, is_tested & ~is_unknown])))
            unknown.append(space.distance(scaler(features.tests[0, is_tested & is_unknown])))
    return {
        "clips": clips,
        "windows": windows,
        "known": np.concatenate(known),
        "unknown": np.concatenate(unknown),
    }


def _left_out(num_classes: int) -> list[IntArray]:
    """Return the categories to leave out in turn: each once, at least two always stay."""
    if num_classes < 3:
        return []
    num_sets = min(num_classes, _MAX_SETS)
    return [np.arange(first, num_classes, num_sets) for first in range(num_sets)]


def _kept(path: Path, compute: Callable[[], dict[str, FloatArray]]) -> dict[str, FloatArray]:
    if not path.exists():
        found = compute()
        with atomic_path(path) as part, part.open("wb") as file:
            np.savez(file, **found)  # type: ignore[arg-type] - numpy types its options only
        return found
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
