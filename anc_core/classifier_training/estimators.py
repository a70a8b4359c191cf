"""The models that can be chosen: each is the mean of its members' probabilities.

Forests need no tuning and are right about what they don't know; linear discriminants with shrinkage
are the best single model on ESC-10 but overconfident. A second one sees its figures through tanh,
so that it errs where the first is misled by one far-out figure. The mean of all is best.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from anc_core.classifier_training.extraction import NUM_CROPS
from anc_core.classifier_training.records import ModelName

if TYPE_CHECKING:
    from numpy.typing import NDArray

MemberName: TypeAlias = Literal["random_forest", "extra_trees", "lda", "squashed_lda"]

FORESTS: frozenset[MemberName] = frozenset({"random_forest", "extra_trees"})

MEMBERS: dict[ModelName, tuple[MemberName, ...]] = {
    "random_forest": ("random_forest",),
    "lda": ("lda", "squashed_lda"),
    "extra_trees": ("extra_trees",),
    "vote": ("random_forest", "extra_trees", "lda", "squashed_lda"),
}

NUM_TREES = 300

_CROP_WEIGHT = 1.0 / NUM_CROPS
"""All crops of a clip weigh as much as the clip itself: a forest that heard them as often as they
are would be worse at whole clips."""


@dataclass(frozen=True, slots=True)
class Member:
    """A fitted estimator of scikit-learn and how it sees its figures."""

    name: MemberName
    estimator: Any

    @property
    def classes(self) -> NDArray[np.int64]:
        """Labels that it knows, in the order of its columns."""
        return np.asarray(self.estimator.classes_, np.int64)

    def probabilities(self, scaled: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return its answer for ``scaled`` (n, NUM_FEATURES), shape (n, number of classes)."""
        given = self.estimator.predict_proba(_seen(self.name, scaled))
        return np.asarray(given, np.float64)


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
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        return Member(name, lda.fit(_seen(name, vectors[~is_crop]), labels[~is_crop]))
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

    forest = RandomForestClassifier if name == "random_forest" else ExtraTreesClassifier
    fitted = forest(num_trees, random_state=seed, n_jobs=workers).fit(
        vectors, labels, sample_weight=np.where(is_crop, _CROP_WEIGHT, 1.0)
    )
    # Threads would add the trees' answers in the order they come: other last bits every time.
    return Member(name, fitted.set_params(n_jobs=1))


def _seen(name: MemberName, scaled: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.tanh(scaled)) if name == "squashed_lda" else scaled
