"""The space and the scale that novelty is measured in, fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.classifier.novelty import NoveltyScale, NoveltySpace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

_NUM_DIMENSIONS = 64
_LEAST_SPREAD = 1e-6


def fit_space(scaled: NDArray[np.float32], labels: NDArray[np.int64]) -> NoveltySpace:
    """Return the space of ``scaled`` (n, NUM_FEATURES) with ``labels`` (n,).

    Notes
    -----
    The 64 eigenvectors of the covariance within classes (shrunk) that have the largest eigenvalues,
    divided by their square roots.

    References
    ----------
    Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices"
    (2004).
    """
    from sklearn.covariance import ledoit_wolf

    classes, index = np.unique(labels, return_inverse=True)
    means = np.stack(
        [scaled[index == k].mean(axis=0, dtype=np.float64) for k in range(len(classes))]
    )
    covariance, _ = ledoit_wolf(scaled - means[index], assume_centered=True)
    # All of them: a solver that is asked for a few may give fewer where eigenvalues are equal.
    values, vectors = np.linalg.eigh(covariance)
    projection = vectors[:, -_NUM_DIMENSIONS:] / np.sqrt(values[-_NUM_DIMENSIONS:])
    # The sign of an eigenvector is the library's whim; the same data shall give the same file.
    largest = np.take_along_axis(projection, np.abs(projection).argmax(axis=0)[np.newaxis], axis=0)
    projection *= np.where(largest < 0.0, -1.0, 1.0)
    centre = scaled.mean(axis=0, dtype=np.float64)
    return NoveltySpace(
        projection=projection.astype(np.float32),
        means=(means @ projection).astype(np.float32),
        centre=(centre @ projection).astype(np.float32),
    )


def fit_scale(terms: FloatArray, weights: FloatArray) -> NoveltyScale:
    """Return the scale of the terms (n, 3), weighted (n,), of held-out sounds of known classes."""
    location = np.average(terms, axis=0, weights=weights)
    variance = np.average(np.square(terms - location), axis=0, weights=weights)
    return NoveltyScale(
        location.astype(np.float32),
        np.maximum(np.sqrt(variance), _LEAST_SPREAD).astype(np.float32),
    )
