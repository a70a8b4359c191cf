"""White noise that is known by its number: the same samples however a stream is cut.

References
----------
G. L. Steele, D. Lea & C. H. Flood, Fast splittable pseudorandom number generators, OOPSLA 2014,
Fig. 14 (SplitMix64, whose n-th output needs no earlier one).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def auxiliary_noise(
    seed: int, first: int, num_samples: int, num_sources: int
) -> NDArray[np.float64]:
    """Return uniform white noise of power 1, independent for each loudspeaker.

    Parameters
    ----------
    seed : int
        At least 0.
    first : int
        Number of the first sample, from the start of the stream.
    num_samples, num_sources : int

    Returns
    -------
    float64, shape (num_sources, num_samples)
        From -sqrt(3) to sqrt(3).

    Examples
    --------
    >>> whole = auxiliary_noise(7, 0, 10, 2)
    >>> bool((auxiliary_noise(7, 4, 6, 2) == whole[:, 4:]).all())
    True
    """
    key = _mixed(np.array([seed % 2**64], np.uint64))
    number = np.arange(first * num_sources, (first + num_samples) * num_sources, dtype=np.uint64)
    with np.errstate(over="ignore"):
        bits = _mixed(key + (number + np.uint64(1)) * _GOLDEN) >> np.uint64(11)
    uniform = bits.astype(np.float64) * 2.0**-52 - 1.0
    columns = (math.sqrt(3.0) * uniform).reshape(num_samples, num_sources)
    return np.ascontiguousarray(columns.T)


def _mixed(z: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * _FIRST
        z = (z ^ (z >> np.uint64(27))) * _SECOND
    mixed: NDArray[Any] = z ^ (z >> np.uint64(31))
    return mixed
