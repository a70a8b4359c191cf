"""Gradient boosting over the cells of many scenes, and its trees as the detector reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.emergency.head import Trees
from anc_core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NUM_CLASSES = 128
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
    edges = [_edges(column) for column in figures.T]
    coarse = np.stack([_coarse(c, e) for c, e in zip(figures.T, edges, strict=True)], axis=1)
    estimator.fit(coarse, is_alarm, sample_weight=weights)
    trees = as_arrays(estimator, edges)
    some = slice(None, None, max(1, len(figures) // 2_000))
    said = trees.scores(np.ascontiguousarray(figures[some]))
    difference = np.abs(said - estimator.decision_function(coarse[some])).max()
    if not difference <= _MAX_DIFFERENCE:
        msg = f"the trees differ from the estimator by {difference:.2g}; see as_arrays()"
        raise InputError(msg)
    return trees


def _edges(figure: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what parts the values of a figure into classes of about equal size, ascending.

    scikit-learn would do so itself, but with weights it takes a hundred times as long.
    """
    quantiles = np.linspace(0.0, 1.0, _NUM_CLASSES + 1)[1:-1]
    edges = np.unique(np.quantile(figure, quantiles, method="higher"))
    return np.asarray(edges[edges > figure.min()], np.float32)


def _coarse(figure: NDArray[np.float32], edges: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the number of the class of every value."""
    return np.searchsorted(edges, figure, side="right").astype(np.float32)


def as_arrays(estimator: Any, edges: list[NDArray[np.float32]]) -> Trees:  # noqa: ANN401
    """Return the trees of an estimator fitted to classes, children side by side, parents first.

    Parameters
    ----------
    estimator : HistGradientBoostingClassifier
    edges : list of ndarray of float32
        Of every figure; the trees returned ask for figures, not for classes.
    """
    parts = [_one_tree(stage[0].nodes, edges) for stage in estimator._predictors]  # noqa: SLF001
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


def _one_tree(
    nodes: Any,  # noqa: ANN401 - a structured array
    edges: list[NDArray[np.float32]],
) -> tuple[NDArray[np.int16], NDArray[np.float32], NDArray[np.int16], NDArray[np.float32]]:
    order, place = [0], {0: 0}
    for index in order:  # grows while it is walked: breadth first
        if not nodes[index]["is_leaf"]:
            for child in (int(nodes[index]["left"]), int(nodes[index]["right"])):
                place[child] = len(order)
                order.append(child)
    num = len(order)
    feature, left = np.full(num, -1, np.int16), np.zeros(num, np.int16)
    threshold, value = np.zeros(num, np.float32), np.zeros(num, np.float32)
    for i, node in enumerate(nodes[order]):
        if node["is_leaf"]:
            value[i] = node["value"]
            continue
        feature[i], left[i] = node["feature_idx"], place[int(node["left"])]
        # Classes up to the threshold are the values below the next edge.
        edge = edges[feature[i]][int(np.floor(node["num_threshold"]))]
        threshold[i] = np.nextafter(edge, np.float32(-np.inf))
    return feature, threshold, left, value
