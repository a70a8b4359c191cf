"""Which clips are tested together: every category in every fold, no recording in two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from anc_core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_FOLDS = 5
_TRIES = 50


def assign_folds(
    categories: Sequence[str], recordings: Sequence[str], *, num_folds: int | None, seed: int
) -> NDArray[np.int64]:
    """Return the fold of every clip, shape (num_clips,), 0 to the number of folds - 1.

    Parameters
    ----------
    categories, recordings : sequence of str
        Of every clip.
    num_folds : int, optional
        2 or more; by default 5, or as many as the category with the fewest recordings has.
    seed : int
        Decides where several assignments are equally even.

    Raises
    ------
    InputError
        If a category has fewer recordings than folds, or only ones it shares with others in a way
        that leaves some training without it.

    Notes
    -----
    Greedy: the largest recording first, each to the fold where the shares of the categories stay
    most even (as scikit-learn's StratifiedGroupKFold), tried in several orders until every category
    is in two folds at least, so that no training is without it.
    """
    classes, labels = np.unique(np.asarray(categories, object), return_inverse=True)
    groups, group_of = np.unique(np.asarray(recordings, object), return_inverse=True)
    counts = np.zeros((len(groups), len(classes)))
    np.add.at(counts, (group_of, labels), 1.0)
    per_class = (counts > 0).sum(axis=0)
    fewest = int(per_class.min())
    if num_folds is None:
        num_folds = min(MAX_FOLDS, fewest)
    if not 2 <= num_folds <= fewest:
        scarce = classes[int(per_class.argmin())]
        msg = (
            f"folds is {num_folds}; it must be 2 to {fewest}, the number of recordings of "
            f"category {scarce!r}"
        )
        raise InputError(msg)
    rng = np.random.default_rng(seed)
    for _ in range(_TRIES):
        folds = _assigned(counts, num_folds, rng)
        present = np.stack([counts[folds == f].sum(axis=0) > 0 for f in range(num_folds)])
        if present.any(axis=1).all() and (present.sum(axis=0) >= 2).all():
            return folds[group_of]
    msg = (
        f"no way was found to put the recordings into {num_folds} folds such that every category "
        "is in two of them; add recordings, or say what names a recording with groups"
    )
    raise InputError(msg)


def _assigned(
    counts: NDArray[np.float64], num_folds: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the fold of every recording; ``counts`` has shape (num_recordings, num_classes)."""
    shares = counts / counts.sum(axis=0)
    order = rng.permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    filled = np.zeros((num_folds, counts.shape[1]))
    folds = np.zeros(len(counts), np.int64)
    for group in order:
        # The sum of squares rises least where the recording's categories are scarcest.
        cost = (filled * shares[group]).sum(axis=1)
        best = np.flatnonzero(cost <= cost.min() + 1e-12)
        folds[group] = best[np.argmin(filled[best].sum(axis=1))]
        filled[folds[group]] += shares[group]
    return folds
