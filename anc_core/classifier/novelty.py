"""How far a sound is from all that was trained: what is beyond a threshold is called unknown.

A probability can't say so: it is shared among the known classes, whatever is heard. Three things
can, and their mean says more than each: the distance from the nearest class, how much nearer that
is than the middle of all sounds, and how undecided the model is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

NUM_TERMS = 3
_TINY = 1e-6
_MAX_EXPONENT = 50.0
_ROWS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class NoveltySpace:
    """The leading directions of the variation within classes, each of unit variance.

    Attributes
    ----------
    projection : float32, shape (NUM_FEATURES, num_dimensions)
    means : float32, shape (num_classes, num_dimensions)
        Of the classes, projected.
    centre : float32, shape (num_dimensions,)
        Of all classes, projected.
    """

    projection: FloatArray
    means: FloatArray
    centre: FloatArray

    def distances(self, scaled: FloatArray) -> NDArray[np.float64]:
        """Return a^2 and a^2 - b^2 of ``scaled`` (n, NUM_FEATURES), shape (n, 2).

        Notes
        -----
        a = min_k ||z P - m_k||, b = ||z P - c||: the Mahalanobis distance from the nearest class,
        and relative to that from all.

        References
        ----------
        Ren et al., "A Simple Fix to Mahalanobis Distance" (2021), Eq. 3.
        """
        place = np.empty((len(scaled), self.projection.shape[1]))
        # Few at a time: a BLAS library wakes threads for more, which on a busy machine wait for
        # each other a hundred times as long as they work.
        for start in range(0, len(scaled), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            place[rows] = scaled[rows] @ self.projection
        nearest = np.square(place[:, np.newaxis, :] - self.means).sum(axis=2).min(axis=1)
        return np.stack([nearest, nearest - np.square(place - self.centre).sum(axis=1)], axis=1)


@dataclass(frozen=True, slots=True)
class NoveltyScale:
    """What the terms of novelty are for known sounds that were not trained on.

    Attributes
    ----------
    location, spread : float32, shape (3,)
        Their mean and standard deviation.
    """

    location: FloatArray
    spread: FloatArray

    def score(self, terms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the novelty of sounds with ``terms`` (n, 3), shape (n,), above 0; NaN stays NaN.

        Notes
        -----
        exp(mean_i (t_i - location_i) / spread_i), t the distances and the :func:`entropy`.
        """
        deviation = ((terms - self.location) / self.spread).mean(axis=1)
        return np.asarray(np.exp(np.clip(deviation, -_MAX_EXPONENT, _MAX_EXPONENT)))


def entropy(probabilities: NDArray[Any]) -> NDArray[np.float64]:
    """Return -sum p log p over the last axis: 0 for a certain model, log K for one without a clue.

    ``probabilities`` are those of the model before its calibration.
    """
    given = np.asarray(probabilities, np.float64)
    return np.asarray(-(given * np.log(given + _TINY)).sum(axis=-1))
