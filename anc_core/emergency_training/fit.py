"""Gradient boosting over the cells of many scenes, and its trees as the detector reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.emergency.head import Trees
from anc_core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAX_DIFFERENCE = 1e-3
"""Log-odds: sums of single-precision leaves against the estimator's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitParameters:
    """Of the boosting.

    Attributes
    ----------
    num_trees : int
    learning_rate : float
    max_leaves : int
        Of a tree.
    min_cells : int
        Of a leaf.
    share_of_figures : float
        Drawn anew for every split: figures that say much the same then all get their turn.
    penalty : float
        L2, on the leaves.
    seed : int
    """

    num_trees: int = 300
    learning_rate: float = 0.06
    max_leaves: int = 24
    min_cells: int = 60
    share_of_figures: float = 0.2
    penalty: float = 3.0
    seed: int = 1


def fit_trees(
    figures: NDArray[np.float32],
    is_alarm: NDArray[np.bool_],
    weights: NDArray[np.float64],
    parameters: FitParameters,
) -> Trees:
    """Return trees fitted to the cells.

    Parameters
    ----------
    figures : ndarray of float32, shape (num_cells, NUM_HEAD_FIGURES)
    is_alarm : ndarray of bool, shape (num_cells,)
    weights : ndarray of float64, shape (num_cells,)
    parameters : FitParameters

    Raises
    ------
    InputError
        If the trees as arrays answer otherwise than scikit-learn's: then its nodes have changed.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    estimator = HistGradientBoostingClassifier(
        max_iter=parameters.num_trees,
        learning_rate=parameters.learning_rate,
        max_leaf_nodes=parameters.max_leaves,
        min_samples_leaf=parameters.min_cells,
        max_features=parameters.share_of_figures,
        l2_regularization=parameters.penalty,
        early_stopping=False,
        random_state=parameters.seed,
    )
    estimator.fit(figures, is_alarm, sample_weight=weights)
    trees = as_arrays(estimator)
    probe = np.ascontiguousarray(figures[:: max(1, len(figures) // 2_000)])
    difference = np.abs(trees.scores(probe) - estimator.decision_function(probe)).max()
    if not difference <= _MAX_DIFFERENCE:
        msg = f"the trees differ from the estimator by {difference:.2g}; see as_arrays()"
        raise InputError(msg)
    return trees


def as_arrays(estimator: Any) -> Trees:  # noqa: ANN401 - scikit-learn ships no types
    """Return the trees of a fitted estimator, children side by side and after their parents."""
    parts = [_one_tree(stage[0].nodes) for stage in estimator._predictors]  # noqa: SLF001
    lengths = [len(part[0]) for part in parts]
    feature, threshold, left, value = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    return Trees(
        feature=feature,
        threshold=threshold,
        left=left,
        value=value,
        start=np.cumsum([0, *lengths[:-1]]).astype(np.int32),
        base=float(np.ravel(estimator._baseline_prediction)[0]),  # noqa: SLF001
    )


def _one_tree(nodes: Any) -> tuple[Any, Any, Any, Any]:  # noqa: ANN401 - a structured array
    order, place = [0], {0: 0}
    for index in order:  # grows while it is walked: breadth first
        if not nodes[index]["is_leaf"]:
            for child in (int(nodes[index]["left"]), int(nodes[index]["right"])):
                place[child] = len(order)
                order.append(child)
    chosen = nodes[order]
    is_leaf = chosen["is_leaf"].astype(bool)
    exact = chosen["num_threshold"]
    threshold = exact.astype(np.float32)
    # Figures are single precision: the largest such number up to the threshold decides the same.
    above = threshold.astype(np.float64) > exact
    threshold[above] = np.nextafter(threshold[above], np.float32(-np.inf))
    left = [
        0 if leaf else place[int(node["left"])] for node, leaf in zip(chosen, is_leaf, strict=True)
    ]
    return (
        np.where(is_leaf, -1, chosen["feature_idx"]).astype(np.int16),
        np.where(is_leaf, np.float32(0.0), threshold).astype(np.float32),
        np.array(left, np.int16),
        np.where(is_leaf, chosen["value"], 0.0).astype(np.float32),
    )
