"""Features on one scale, so that no figure weighs more for its unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anc_core.classifier.model import MAX_DEVIATION

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

_LEAST_SCALE = 1e-6
"""A figure that never changes in the training must not become the loudest at work."""


@dataclass(frozen=True, slots=True)
class Scaler:
    """z = clip((x - mean) / scale, -10, 10), as the classifier does it at work.

    Attributes
    ----------
    mean, scale : float32, shape (NUM_FEATURES,)
    """

    mean: FloatArray
    scale: FloatArray

    def __call__(self, vectors: FloatArray) -> FloatArray:
        """Return ``vectors`` (..., NUM_FEATURES), scaled."""
        scaled: FloatArray = np.clip(
            (vectors - self.mean) / self.scale, -MAX_DEVIATION, MAX_DEVIATION
        )
        return scaled


def fit_scaler(vectors: FloatArray) -> Scaler:
    """Return the scaler of the training's ``vectors`` (n, NUM_FEATURES)."""
    spread = vectors.std(axis=0, dtype=np.float64)
    spread[spread < _LEAST_SCALE] = 1.0
    return Scaler(
        vectors.mean(axis=0, dtype=np.float64).astype(np.float32), spread.astype(np.float32)
    )
