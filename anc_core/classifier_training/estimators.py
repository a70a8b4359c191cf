"""The models that can be chosen, as scikit-learn has them.

Forests need no tuning and are right about what they don't know; linear discriminants with shrinkage
are the best single model on ESC-10 but overconfident; the mean of the three is better than each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.classifier_training.extraction import NUM_CROPS
from anc_core.classifier_training.records import ModelName

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEMBERS: dict[ModelName, tuple[ModelName, ...]] = {
    "random_forest": ("random_forest",),
    "lda": ("lda",),
    "extra_trees": ("extra_trees",),
    "vote": ("random_forest", "extra_trees", "lda"),
}
"""What a model takes the mean of."""

NUM_TREES = 300


_CROP_WEIGHT = 1.0 / NUM_CROPS
"""All crops of a clip weigh as much as the clip itself: a forest that heard them as often as they
are would be worse at whole clips."""


def fit(
    model: ModelName,
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    is_crop: NDArray[np.bool_],
    *,
    num_trees: int,
    seed: int,
    workers: int,
) -> Any:  # noqa: ANN401 - scikit-learn has no common type
    """Return a fitted estimator; ``workers`` changes the time and nothing else.

    Parameters
    ----------
    model : str
        One of MEMBERS.
    vectors : float32, shape (n, NUM_FEATURES)
        Scaled.
    labels : int64, shape (n,)
        0 to the number of classes - 1.
    is_crop : bool, shape (n,)
        Crops are for the forests, which learn that windows of a second are something else;
        a linear model has one answer for both and is fitted on whole clips.
    num_trees, seed, workers : int
        Of the forests.
    """
    members = [
        _fit_member(member, vectors, labels, is_crop, num_trees, seed, workers)
        for member in MEMBERS[model]
    ]
    return members[0] if len(members) == 1 else _vote(MEMBERS[model], members, labels)


def _fit_member(
    member: ModelName,
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    is_crop: NDArray[np.bool_],
    num_trees: int,
    seed: int,
    workers: int,
) -> Any:  # noqa: ANN401
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

    if member == "lda":
        lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        return lda.fit(vectors[~is_crop], labels[~is_crop])
    forest = RandomForestClassifier if member == "random_forest" else ExtraTreesClassifier
    fitted = forest(num_trees, random_state=seed, n_jobs=workers).fit(
        vectors, labels, sample_weight=np.where(is_crop, _CROP_WEIGHT, 1.0)
    )
    # Threads would add the trees' answers in the order they come: other last bits every time.
    return fitted.set_params(n_jobs=1)


def _vote(names: tuple[ModelName, ...], members: list[Any], labels: NDArray[np.int64]) -> Any:  # noqa: ANN401
    """Return the mean of fitted members as one estimator.

    Its own ``fit`` would give all members the same clips.
    """
    from sklearn.ensemble import VotingClassifier
    from sklearn.preprocessing import LabelEncoder

    vote = VotingClassifier(
        list(zip(names, members, strict=True)), voting="soft", flatten_transform=False
    )
    vote.estimators_ = members
    vote.le_ = LabelEncoder().fit(labels)
    vote.classes_ = vote.le_.classes_
    return vote
