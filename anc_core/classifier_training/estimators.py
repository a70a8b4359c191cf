"""The models that can be chosen: each is the mean of its members' probabilities.

Forests need no tuning and are right about what they don't know. A linear discriminant with
shrinkage is small and quick; it errs where one far-out figure misleads it, and it knows no "in
between". So the better one sees its figures through tanh, and their squares: low and high against
medium. It is the mean of many, each of a random part of the figures, which is linear again: one
matrix, and right of windows of a second in 83 of 100 where a single discriminant is in 77. The mean
of forest, plain and squared discriminant is best.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from anc_core.classifier_training.extraction import NUM_CROPS
from anc_core.classifier_training.records import ModelName

if TYPE_CHECKING:
    from numpy.typing import NDArray

MemberName: TypeAlias = Literal["random_forest", "extra_trees", "plain_lda", "squared_lda"]

FORESTS: frozenset[MemberName] = frozenset({"random_forest", "extra_trees"})

MEMBERS: dict[ModelName, tuple[MemberName, ...]] = {
    "random_forest": ("random_forest",),
    "lda": ("squared_lda",),
    "extra_trees": ("extra_trees",),
    "vote": ("random_forest", "plain_lda", "squared_lda"),
}

NUM_TREES = 300

NUM_SUBSPACES = 20
_SUBSPACE_SHARE = 0.3
"""Of the figures that one discriminant sees."""

SOFTNESS = 3.0
"""The logits of discriminants are divided by it, and ..."""
SHARPNESS = 2.0
"""... the probabilities of forests are raised to it, before a mean is taken: on held-out clips that
makes both about as sure as they are right, else the discriminants alone would decide. What is left
the temperature of the whole takes away."""

_CROP_WEIGHT = 1.0 / NUM_CROPS
"""All crops of a clip weigh as much as the clip itself: a forest that heard them as often as they
are would be worse at whole clips."""


@dataclass(frozen=True, slots=True)
class Linear:
    """Probabilities softmax(coef_ x + intercept_), with the names that scikit-learn uses.

    Attributes
    ----------
    coef_ : float64, shape (num_classes, num_inputs)
    intercept_ : float64, shape (num_classes,)
    classes_ : int64, shape (num_classes,)
    """

    coef_: NDArray[np.float64]
    intercept_: NDArray[np.float64]
    classes_: NDArray[np.int64]

    def predict_proba(self, seen: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probabilities (n, num_classes) of ``seen`` (n, num_inputs)."""
        logits = seen @ self.coef_.T + self.intercept_
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True)
class Member:
    """A fitted estimator and how it sees its figures."""

    name: MemberName
    estimator: Any

    @property
    def classes(self) -> NDArray[np.int64]:
        """Labels that it knows, in the order of its columns."""
        return np.asarray(self.estimator.classes_, np.int64)

    def probabilities(self, scaled: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return its answer for ``scaled`` (n, NUM_FEATURES), shape (n, number of classes)."""
        given = np.asarray(self.estimator.predict_proba(_seen(self.name, scaled)), np.float64)
        if self.name in FORESTS:
            given = given**SHARPNESS
        return np.asarray(given / given.sum(axis=1, keepdims=True))


def fit_member(
    name: MemberName,
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    is_crop: NDArray[np.bool_],
    *,
    num_trees: int,
    seed: int,
    workers: int,
) -> Member:
    """Return a fitted member; ``workers`` changes the time and nothing else.

    Parameters
    ----------
    name : str
        One of those in MEMBERS.
    vectors : float32, shape (n, NUM_FEATURES)
        Scaled.
    labels : int64, shape (n,)
    is_crop : bool, shape (n,)
        Crops are for the forests, which learn that windows of a second are something else;
        a linear model has one answer for both and is fitted on whole clips.
    num_trees, seed, workers : int
        Of the forests.
    """
    if name not in FORESTS:
        heard, names = _seen(name, vectors[~is_crop]), labels[~is_crop]
        return Member(name, _fit_linear(heard, names, seed, is_whole=name == "plain_lda"))
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

    forest = RandomForestClassifier if name == "random_forest" else ExtraTreesClassifier
    fitted = forest(num_trees, random_state=seed, n_jobs=workers).fit(
        vectors, labels, sample_weight=np.where(is_crop, _CROP_WEIGHT, 1.0)
    )
    # Threads would add the trees' answers in the order they come: other last bits every time.
    return Member(name, fitted.set_params(n_jobs=1))


def _fit_linear(
    seen: NDArray[np.float32], labels: NDArray[np.int64], seed: int, *, is_whole: bool
) -> Linear:
    """Return the discriminant of all columns of ``seen``, or the mean of those of parts of them."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    rng = np.random.default_rng(seed)
    num_inputs = seen.shape[1]
    every = np.arange(num_inputs)
    num_chosen = max(1, int(_SUBSPACE_SHARE * num_inputs))
    parts = (
        [every]
        if is_whole
        else [np.sort(rng.choice(every, num_chosen, replace=False)) for _ in range(NUM_SUBSPACES)]
    )
    classes = np.unique(labels)
    coef, intercept = np.zeros((len(classes), num_inputs)), np.zeros(len(classes))
    for columns in parts:
        lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        lda.fit(seen[:, columns], labels)
        # Of two classes scikit-learn gives the difference: the softmax of 0 and x.
        first = len(classes) - len(lda.coef_)
        coef[first:, columns] += lda.coef_
        intercept[first:] += lda.intercept_
    scale = SOFTNESS * len(parts)
    return Linear(coef / scale, intercept / scale, classes)


def _seen(name: MemberName, scaled: NDArray[np.float32]) -> NDArray[np.float32]:
    if name != "squared_lda":
        return scaled
    squashed = np.tanh(scaled)
    return np.concatenate([squashed, np.square(squashed)], axis=1)
