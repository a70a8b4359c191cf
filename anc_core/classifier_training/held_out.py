"""What each model says of clips whose recordings it never met."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.classifier.novelty import entropy
from anc_core.classifier_training.estimators import MEMBERS, Member, MemberName, fit_member
from anc_core.classifier_training.extraction import NUM_CROPS, TESTS, ClipFeatures
from anc_core.classifier_training.novelty import fit_space
from anc_core.classifier_training.records import ModelName
from anc_core.classifier_training.scaling import Scaler, fit_scaler
from anc_core.files import atomic_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

_MAX_SETS = 5
"""In which the categories are left out in turn, a fifth of them at a time."""
_MAX_TREES = 100
"""Of the forests that never met a category: how undecided they are needs no more."""
_ANSWERS = ("tests", "windows")


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
class HeldOutTerms:
    """What novelty is made of, three terms in the last axis.

    Attributes
    ----------
    clips, windows : float64, shape (num_clips, 3), (num_windows, 3)
        All categories known, the recording not.
    known, unknown : float64, shape (num, 3)
        Clips of trained categories, and of categories left out of the training, in turn.
    """

    clips: FloatArray
    windows: FloatArray
    known: FloatArray
    unknown: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """Everything that is fitted to judge a training.

    Attributes
    ----------
    features, labels, folds
        Of all clips; see :class:`ClipFeatures`.
    num_trees, seed, workers : int
        As :func:`anc_core.classifier_training.estimators.fit_member` has them.
    kept : Path
        Folder of this training: what was found is kept there and not sought again.
    """

    features: ClipFeatures
    labels: IntArray
    folds: IntArray
    num_trees: int
    seed: int
    workers: int
    kept: Path

    def answers(self, model: ModelName) -> HeldOut:
        """Return the answers of ``model``, fitted once for every fold."""
        found = [
            _kept(self.kept / f"held-out-{member}.npz", partial(self._member, member))
            for member in MEMBERS[model]
        ]
        return HeldOut(*(np.mean([some[name] for some in found], axis=0) for name in _ANSWERS))

    def terms(self, model: ModelName) -> HeldOutTerms:
        """Return what the novelty of clips, windows and left-out categories is made of."""
        distances = _kept(self.kept / "distances.npz", self._distances)
        answers = self.answers(model)
        left_out = [
            _kept(self.kept / f"left-out-{member}.npz", partial(self._left_out_member, member))
            for member in MEMBERS[model]
        ]
        given = {
            "clips": answers.tests[0],
            "windows": answers.windows,
            "known": np.mean([some["known"] for some in left_out], axis=0),
            "unknown": np.mean([some["unknown"] for some in left_out], axis=0),
        }
        return HeldOutTerms(
            **{
                name: np.column_stack([distances[name], entropy(probabilities)])
                for name, probabilities in given.items()
            }
        )

    @property
    def weights(self) -> FloatArray:
        """Weights of all clips, then of all windows: the model serves both alike.

        The windows of a clip weigh as much together as the clip.
        """
        windows = 1.0 / np.bincount(self.features.clip_of_window)[self.features.clip_of_window]
        return np.concatenate([np.ones(len(self.labels)), windows])

    def training_side(
        self, is_chosen: NDArray[np.bool_]
    ) -> tuple[Scaler, NDArray[np.float32], IntArray, NDArray[np.bool_]]:
        """Return scaler, scaled vectors (n, NUM_FEATURES), labels and what is a crop (n,)."""
        chosen = self.features.training[is_chosen]
        vectors = chosen.reshape(-1, chosen.shape[-1])
        scaler = fit_scaler(vectors)
        is_crop = np.arange(chosen.shape[1]) >= chosen.shape[1] - NUM_CROPS
        return (
            scaler,
            scaler(vectors),
            np.repeat(self.labels[is_chosen], chosen.shape[1]),
            np.tile(is_crop, len(chosen)),
        )

    def _member(self, name: MemberName) -> dict[str, FloatArray]:
        num_classes = int(self.labels.max()) + 1
        tests = np.zeros((len(TESTS), len(self.labels), num_classes))
        windows = np.zeros((len(self.features.windows), num_classes))
        for fold in range(int(self.folds.max()) + 1):
            is_tested = self.folds == fold
            scaler, *side = self.training_side(~is_tested)
            member = self.fit(name, side, self.num_trees)
            for test in range(len(TESTS)):
                scaled = scaler(self.features.tests[test, is_tested])
                tests[test, is_tested] = member.probabilities(scaled)
            of_tested = is_tested[self.features.clip_of_window]
            if of_tested.any():
                scaled = scaler(self.features.windows[of_tested])
                windows[of_tested] = member.probabilities(scaled)
        return {"tests": tests, "windows": windows}

    def _distances(self) -> dict[str, FloatArray]:
        clips = np.zeros((len(self.labels), 2))
        windows = np.zeros((len(self.features.windows), 2))
        for fold in range(int(self.folds.max()) + 1):
            is_tested = self.folds == fold
            scaler, vectors, targets, _ = self.training_side(~is_tested)
            space = fit_space(vectors, targets)
            clips[is_tested] = space.distances(scaler(self.features.tests[0, is_tested]))
            of_tested = is_tested[self.features.clip_of_window]
            windows[of_tested] = space.distances(scaler(self.features.windows[of_tested]))
        known, unknown = [np.zeros((0, 2))], [np.zeros((0, 2))]
        for is_known, is_unknown, is_trained in self._left_out():
            scaler, vectors, targets, _ = self.training_side(is_trained)
            space = fit_space(vectors, targets)
            known.append(space.distances(scaler(self.features.tests[0, is_known])))
            unknown.append(space.distances(scaler(self.features.tests[0, is_unknown])))
        return {
            "clips": clips,
            "windows": windows,
            "known": np.concatenate(known),
            "unknown": np.concatenate(unknown),
        }

    def _left_out_member(self, name: MemberName) -> dict[str, FloatArray]:
        num_classes = int(self.labels.max()) + 1
        found: dict[str, list[FloatArray]] = {
            "known": [np.zeros((0, num_classes))],
            "unknown": [np.zeros((0, num_classes))],
        }
        for is_known, is_unknown, is_trained in self._left_out():
            scaler, *side = self.training_side(is_trained)
            member = self.fit(name, side, min(self.num_trees, _MAX_TREES))
            for kind, is_asked in (("known", is_known), ("unknown", is_unknown)):
                scaled = scaler(self.features.tests[0, is_asked])
                given = np.zeros((len(scaled), num_classes))
                given[:, member.classes] = member.probabilities(scaled)
                found[kind].append(given)
        return {kind: np.concatenate(parts) for kind, parts in found.items()}

    def _left_out(self) -> Iterator[tuple[NDArray[np.bool_], ...]]:
        """Yield which clips are known, which unknown and which trained on, each time other ones.

        Every category is left out once. Its clips may be of recordings that are trained on as
        something else: that makes them less novel, never more.
        """
        num_classes, num_folds = int(self.labels.max()) + 1, int(self.folds.max()) + 1
        if num_classes < 3:
            return
        num_sets = min(num_classes, _MAX_SETS)
        for number in range(num_sets):
            is_unknown = self.labels % num_sets == number
            is_tested = self.folds == number % num_folds
            yield is_tested & ~is_unknown, is_unknown, ~is_tested & ~is_unknown

    def fit(self, name: MemberName, side: Sequence[Any], num_trees: int) -> Member:
        """Return a member fitted on vectors, labels and crops of a training side."""
        return fit_member(name, *side, num_trees=num_trees, seed=self.seed, workers=self.workers)


def _kept(path: Path, compute: Callable[[], dict[str, FloatArray]]) -> dict[str, FloatArray]:
    if not path.exists():
        found: dict[str, Any] = dict(compute())
        with atomic_path(path) as part, part.open("wb") as file:
            np.savez(file, **found)
        return found
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
