"""Probabilities that mean what they say: one temperature, and how far off they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.classifier.model import MIN_PROBABILITY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

NUM_BINS = 15
_LOG_RANGE = (-3.0, 3.0)


def tempered(probabilities: FloatArray, temperature: float) -> FloatArray:
    """Return (p + 1e-6)^(1/T), normalised over the last axis: what the classifier does at work."""
    weights = (probabilities + MIN_PROBABILITY) ** (1.0 / temperature)
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def fit_temperature(
    probabilities: FloatArray, labels: NDArray[np.int64], weights: FloatArray
) -> float:
    """Return the temperature of the least weighted negative log likelihood, 0.05 to 20.

    Parameters
    ----------
    probabilities : float64, shape (n, num_classes)
        Of held-out vectors.
    labels : int64, shape (n,)
    weights : float64, shape (n,)

    References
    ----------
    Guo et al., "On Calibration of Modern Neural Networks" (2017), Sec. 4.2.
    """
    from scipy.optimize import minimize_scalar

    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        given = tempered(probabilities, float(np.exp(log_temperature)))[rows, labels]
        return -float(np.average(np.log(given + 1e-12), weights=weights))

    found = minimize_scalar(loss, bounds=_LOG_RANGE, method="bounded")
    # Six digits go into the card; the last bits of a sum may differ between machines.
    return round(float(np.exp(found.x)), 6)


def calibration_error(probabilities: FloatArray, labels: NDArray[np.int64]) -> float:
    """Return the expected calibration error: how far confidence and accuracy are apart.

    Parameters
    ----------
    probabilities : float64, shape (n, num_classes)
    labels : int64, shape (n,)

    Notes
    -----
    sum_b n_b / n |accuracy_b - confidence_b| over 15 equal bins of the highest probability.

    References
    ----------
    Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (2015).

    Examples
    --------
    >>> certain = np.array([[1.0, 0.0], [1.0, 0.0]])
    >>> calibration_error(certain, np.array([0, 1]))
    0.5
    """
    confidence = probabilities.max(axis=1)
    is_right = probabilities.argmax(axis=1) == labels
    bins = np.clip(np.ceil(confidence * NUM_BINS).astype(int) - 1, 0, NUM_BINS - 1)
    gaps = np.bincount(bins, is_right - confidence, NUM_BINS)
    return float(np.abs(gaps).sum() / len(labels))
