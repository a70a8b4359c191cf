"""Powers and decibels: one place that says where decibels end and "nothing there" begins.

0 dBFS is the full-scale *square* wave, so a full-scale sine reads -3.01 dBFS (as in ffmpeg and
sox). Decibels are only ever made from powers that were averaged first, never averaged themselves.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

POWER_FLOOR = 1e-20
"""-200 dBFS, below the last step of 32-bit integers (-192.7 dBFS): not a level but nothing."""

SILENCE_DBFS = -90.0
"""Below the level of one 16-bit step (-90.3 dBFS): nobody can tell it from digital silence."""

SILENCE_POWER = 1e-9
"""The power that belongs to :data:`SILENCE_DBFS`."""


def power_to_db(power: ArrayLike) -> NDArray[np.float64]:
    """Convert powers to decibels, element by element.

    Parameters
    ----------
    power : array_like
        Mean squares, any shape, relative to full scale 1.

    Returns
    -------
    ndarray
        float64, same shape, dB; never below -200 (:data:`POWER_FLOOR`), so always finite for
        finite powers.

    Examples
    --------
    >>> power_to_db([1.0, 0.5, 0.0]).round(2).tolist()
    [0.0, -3.01, -200.0]
    """
    return 10.0 * np.log10(np.maximum(np.asarray(power, dtype=np.float64), POWER_FLOOR))


def db_to_power(level_db: ArrayLike) -> NDArray[np.float64]:
    """Convert decibels to powers, element by element; the inverse of :func:`power_to_db`."""
    return np.asarray(10.0 ** (np.asarray(level_db, dtype=np.float64) / 10.0))


def level_db(power: float) -> float | None:
    """Return the level of one power in dB, or ``None`` where there is nothing to measure.

    Parameters
    ----------
    power : float
        Mean square relative to full scale 1.

    Returns
    -------
    float or None
        ``None`` below -200 dB and for what is not finite: a record never carries -inf or NaN.

    Examples
    --------
    >>> level_db(0.25), level_db(0.0)
    (-6.020599913279624, None)
    """
    if not POWER_FLOOR <= power < math.inf:
        return None
    return 10.0 * math.log10(power)


def ratio_db(numerator: float, denominator: float) -> float | None:
    """Return the ratio of two powers in dB, or ``None`` if either is nothing.

    Examples
    --------
    >>> ratio_db(2.0, 1.0), ratio_db(1.0, 0.0)
    (3.010299956639812, None)
    """
    if level_db(numerator) is None or level_db(denominator) is None:
        return None
    # The quotient first: equal powers must give 0.0 exactly, not the rounding of two logarithms.
    return 10.0 * math.log10(numerator / denominator)


def energy_ratio_db(part: NDArray[np.float64], whole: NDArray[np.float64]) -> float | None:
    """Return 10·log10(Σpart² / Σwhole²), None where either is 0; for numbers of any size."""
    peak = float(np.abs(whole).max(initial=0.0))
    if not peak or not part.any():
        return None
    share = float(np.sum((part / peak) ** 2) / np.sum((whole / peak) ** 2))
    return 10.0 * math.log10(share) if share else None
