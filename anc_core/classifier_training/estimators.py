"""The models that can be chosen, as scikit-learn has them.

Forests need no tuning and are right about what they don't know; linear discriminants with shrinkage
are the best single model on ESC-10 but overconfident; the mean of the three is better than each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ModelName: TypeAlias = Literal["random_forest", "lda", "extra_trees", "vote"]

MEMBERS: dict[ModelName, tuple[ModelName, ...]] = {
    "random_forest": ("random_forest",),
    "lda": ("lda",),
    "extra_trees": ("extra_trees",),
    "vote": ("random_forest", "extra_trees", "lda"),
}
"""What a model takes the mean of."""

NUM_TREES = 300


def fit(
    model: ModelName,
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
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
    num_trees, seed, workers : int
        Of the forests.
    """
    estimator = _unfitted(model, num_trees=num_trees, seed=seed, workers=workers)
    estimator.fit(vectors, labels)
    # Threads would add the trees' answers in the order they come: other last bits every time.
    estimator.set_params(**{key: 1 for key in estimator.get_params() if key.endswith("n_jobs")})
    return estimator


def _unfitted(model: ModelName, *, num_trees: int, seed: int, workers: int) -> Any:  # noqa: ANN401
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier, VotingClassifier

    if model == "lda":
        return LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    if model == "vote":
        members = [
            (name, _unfitted(name, num_trees=num_trees, seed=seed, workers=workers))
            for name in MEMBERS[model]
        ]
        return VotingClassifier(members, voting="soft")
    forest = RandomForestClassifier if model == "random_forest" else ExtraTreesClassifier
    return forest(num_trees, random_state=seed, n_jobs=workers)
