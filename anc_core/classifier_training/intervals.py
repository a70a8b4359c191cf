"""Intervals of shares whose clips are not independent: takes of one recording fail together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Z = 1.959964
"""95 %, two-sided."""


def wilson(share: float, count: float) -> tuple[float, float]:
    """Return the 95 % interval of ``share`` seen in ``count`` independent trials.

    References
    ----------
    Wilson, "Probable Inference, the Law of Succession, and Statistical Inference" (1927).

    Examples
    --------
    >>> [round(end, 3) for end in wilson(0.9, 100)]
    [0.826, 0.945]
    """
    spread = _Z**2 / count
    centre = (share + spread / 2) / (1 + spread)
    half = _Z * math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def design_effect(is_right: NDArray[np.bool_], cluster: NDArray[np.int64]) -> float:
    """Return by how much the clusters widen the variance of a share, 1 or more.

    Parameters
    ----------
    is_right : bool, shape (n,)
    cluster : int64, shape (n,)
        Clips of one category and recording.

    Notes
    -----
    var of the ratio estimator over clusters / (p (1 - p) / n), at most n / number of clusters.

    References
    ----------
    Kish, "Survey Sampling" (1965), Sec. 5.4; Korn and Graubard (1998) for its use with Wilson's
    interval.
    """
    share, count = float(is_right.mean()), len(is_right)
    _, index = np.unique(cluster, return_inverse=True)
    num_clusters = int(index.max()) + 1
    simple = share * (1 - share) / count
    if simple <= 0.0 or num_clusters < 2:
        # All right or all wrong says nothing of how they fail together: the clusters count.
        return count / num_clusters
    excess = np.bincount(index, is_right - share)
    clustered = num_clusters / (num_clusters - 1) * float(np.square(excess).sum()) / count**2
    return float(np.clip(clustered / simple, 1.0, count / num_clusters))
