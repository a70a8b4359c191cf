"""Frequency weightings as recursive filters, for levels over time: A (IEC 61672) and K (BS.1770).

Both begin with zeros at 0 Hz, then come poles, at last a numerator of three taps; so a kernel can
difference and sum in SIMD code and only the poles are worked off sample by sample.

A: the poles of the standard, moved to the sample rate by impulse invariance; the numerator is
chosen so that the power is the standard's at three frequencies (Vicanek's matching, which has not
the droop of the bilinear transform near half the sample rate). Up to 0.45 of the sample rate the
curve is that of the standard to within 0.3 dB, less than a third of what class 1 allows.

References
----------
IEC 61672-1:2013, 5.5 and Annex E.
M. Vicanek, Matched Second Order Digital Filters (2016), Eqs. (12) to (15), (26) to (29).
ITU-R BS.1770-4, Annex 1, Tables 1 and 2: coefficients at 48 kHz. The analogue filters behind them,
whose poles other rates get by the bilinear transform, are those of libebur128; the numerator is
matched to the power at 48 kHz (to 0.32 dB at 8 kHz, 0.09 dB at 16 kHz and above).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.weighting import A_WEIGHTING_POLES_HZ, a_weighting_power

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LEAST_K_RATE_HZ = 7_000
"""Below, the shelf at 1.7 kHz lies too near to half the sample rate: 0.6 dB off at 5 kHz."""

_MATCHED_AT = (0.25, 0.45)
"""Shares of the sample rate at which the A-weighting is exact, besides 1 kHz."""

_K_RATE_HZ = 48_000
_K_MATCHED_HZ = (100.0, 997.0)
_HIGHEST_HZ = 20_000.0
_SHELF_HZ, _SHELF_DB, _SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
_SHELF_BAND_EXPONENT = 0.4996667741545416
_HIGH_PASS_HZ, _HIGH_PASS_Q = 38.13547087602444, 0.5003270373238773


@dataclass(frozen=True, slots=True)
class WeightingFilter:
    """Zeros at 0 Hz, denominators of second order, numerator.

    Attributes
    ----------
    num_zeros : int
        Zeros at z = 1.
    denominators : float64, shape (num_sections, 2)
        a1 and a2 of 1 + a1·z⁻¹ + a2·z⁻².
    numerator : float64, shape (3,)
    """

    num_zeros: int
    denominators: NDArray[np.float64]
    numerator: NDArray[np.float64]

    def power(self, frequency_hz: ArrayLike, sample_rate: int) -> NDArray[np.float64]:
        """Return the power gain at frequencies in Hz, any shape."""
        delay = np.exp(-2j * np.pi * np.asarray(frequency_hz, dtype=np.float64) / sample_rate)
        response = (1.0 - delay) ** self.num_zeros * np.polyval(self.numerator[::-1], delay)
        for a1, a2 in self.denominators:
            response = response / (1.0 + a1 * delay + a2 * delay**2)
        return np.asarray(np.abs(response) ** 2)


def a_weighting_filter(sample_rate: int) -> WeightingFilter:
    """Return the A-weighting for ``sample_rate`` (Hz, >= 1 000): 0 dB at 1 kHz.

    Examples
    --------
    >>> a_weighting = a_weighting_filter(48_000)
    >>> (10 * np.log10(a_weighting.power([31.5, 2000.0, 8000.0], 48_000))).round(1).tolist()
    [-39.5, 1.2, -1.1]
    """
    f1, f2, f3, f4 = np.exp(-2.0 * np.pi * np.array(A_WEIGHTING_POLES_HZ) / sample_rate)
    pairs = ((f1, f1), (f2, f3), (f4, f4))
    denominators = np.array([(-(p + q), p * q) for p, q in pairs])
    bare = WeightingFilter(4, denominators, np.array([1.0, 0.0, 0.0]))
    shares = np.array([min(1_000.0 / sample_rate, 0.125), *_MATCHED_AT])
    wanted = a_weighting_power(shares * sample_rate) / bare.power(shares * sample_rate, sample_rate)
    return WeightingFilter(4, denominators, _numerator(shares, wanted))


def k_weighting_filter(sample_rate: int) -> WeightingFilter:
    """Return the K-weighting for ``sample_rate`` (Hz, at least :data:`LEAST_K_RATE_HZ`).

    Examples
    --------
    >>> k_weighting = k_weighting_filter(48_000)
    >>> (10 * np.log10(k_weighting.power([38.0, 997.0, 8000.0], 48_000))).round(2).tolist()
    [-6.0, 0.69, 4.04]
    """
    high_pass, _ = _bilinear(_HIGH_PASS_HZ, _HIGH_PASS_Q, sample_rate)
    shelf, (tangent, scale) = _bilinear(_SHELF_HZ, _SHELF_Q, sample_rate)
    denominators = np.array([high_pass, shelf])
    if sample_rate == _K_RATE_HZ:
        top = 10.0 ** (_SHELF_DB / 20.0)
        band = top**_SHELF_BAND_EXPONENT * tangent / _SHELF_Q
        numerator = np.array(
            [top + band + tangent**2, 2.0 * (tangent**2 - top), top - band + tangent**2]
        )
        return WeightingFilter(2, denominators, numerator / scale)
    # As it was written, the recommendation's gain would depend on the rate, by 0.2 dB at 8 kHz.
    highest_hz = min(_MATCHED_AT[-1] * sample_rate, _HIGHEST_HZ)
    frequencies = np.array([*_K_MATCHED_HZ, highest_hz])
    bare = WeightingFilter(2, denominators, np.array([1.0, 0.0, 0.0]))
    wanted = k_weighting_filter(_K_RATE_HZ).power(frequencies, _K_RATE_HZ)
    wanted /= bare.power(frequencies, sample_rate)
    return WeightingFilter(2, denominators, _numerator(frequencies / sample_rate, wanted))


def _bilinear(
    frequency_hz: float, quality: float, sample_rate: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return (a1, a2) of a section, and the two numbers that its numerator needs as well."""
    tangent = math.tan(math.pi * frequency_hz / sample_rate)
    scale = 1.0 + tangent / quality + tangent**2
    a1, a2 = 2.0 * (tangent**2 - 1.0), 1.0 - tangent / quality + tangent**2
    return (a1 / scale, a2 / scale), (tangent, scale)


def _numerator(shares: NDArray[np.float64], powers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the three minimum-phase taps with ``powers`` at three shares of the sample rate."""
    sine = np.sin(np.pi * shares) ** 2
    cosine = 1.0 - sine
    low, high, bend = np.linalg.solve(np.stack([cosine, sine, 4.0 * cosine * sine], axis=1), powers)
    middle = (math.sqrt(low) + math.sqrt(high)) / 2.0
    first = (middle + math.sqrt(middle**2 + bend)) / 2.0
    return np.array([first, (math.sqrt(low) - math.sqrt(high)) / 2.0, -bend / (4.0 * first)])
