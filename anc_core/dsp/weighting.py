"""A-weighting: how loud a spectrum is to the ear, as IEC 61672-1 writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Pole frequencies in Hz, IEC 61672-1:2013, 5.5.6 (f_1 to f_4, exact values of Annex E).
_F1_HZ = 20.598_997
_F2_HZ = 107.652_65
_F3_HZ = 737.862_23
_F4_HZ = 12_194.217
A_WEIGHTING_POLES_HZ = (_F1_HZ, _F2_HZ, _F3_HZ, _F4_HZ)
"""The first and the last are double."""


def _magnitude(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    square = frequency_hz**2
    denominator = (
        (square + _F1_HZ**2)
        * np.sqrt((square + _F2_HZ**2) * (square + _F3_HZ**2))
        * (square + _F4_HZ**2)
    )
    return _F4_HZ**2 * square**2 / denominator


def a_weighting_power(frequency_hz: ArrayLike) -> NDArray[np.float64]:
    r"""Return the power gain of the A-weighting curve.

    Parameters
    ----------
    frequency_hz : array_like
        Frequencies in Hz, any shape, >= 0.

    Returns
    -------
    ndarray
        float64, same shape: the factor for powers; 1 at 1 kHz, 0 at 0 Hz.

    Notes
    -----
    .. math:: A(f) = \left[\frac{f_4^2 f^4}{(f^2+f_1^2)\sqrt{f^2+f_2^2}\sqrt{f^2+f_3^2}(f^2+f_4^2)}
              \cdot \frac{1}{|A(1000)|}\right]^2

    References
    ----------
    IEC 61672-1:2013, Equation (5) and Table 3.

    Examples
    --------
    >>> (10 * np.log10(a_weighting_power([100.0, 1000.0]))).round(1).tolist()
    [-19.1, 0.0]
    """
    frequency = np.asarray(frequency_hz, dtype=np.float64)
    reference = _magnitude(np.array(1_000.0))
    return np.asarray((_magnitude(frequency) / reference) ** 2)
