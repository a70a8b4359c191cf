"""Keep out of the algorithms what they have no answer to: NaN, infinities, absurd magnitudes."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.arrays import Chunk

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_MAGNITUDE = np.float32(1e9)
"""+180 dBFS: the power of the longest frame at this level still fits float32."""

MIN_MAGNITUDE = np.float32(1e-15)
"""-300 dBFS: float32 arithmetic below it meets denormals, which cost a hundred times the time."""


def repair(chunk: Chunk) -> Chunk:
    """Return a copy of ``chunk`` with NaN and infinities replaced by 0, all else bit for bit."""
    repaired = np.empty(chunk.shape, chunk.dtype)
    _kernels().repair(chunk.dtype)(_flat(chunk), repaired.reshape(-1))
    return repaired


def tame(chunk: Chunk) -> Chunk:
    """Return a copy of ``chunk`` that every algorithm can square and sum without surprise.

    NaN and infinities become 0, magnitudes above :data:`MAX_MAGNITUDE` are limited to it, those
    below :data:`MIN_MAGNITUDE` become 0.

    Examples
    --------
    >>> tame(np.array([0.5, np.nan, 1e-30, -1e30], np.float32)).tolist()
    [0.5, 0.0, 0.0, -1000000000.0]
    """
    real = chunk.dtype.type
    tamed = np.empty(chunk.shape, chunk.dtype)
    _kernels().tame(chunk.dtype)(
        _flat(chunk), real(MIN_MAGNITUDE), real(MAX_MAGNITUDE), tamed.reshape(-1)
    )
    return tamed


def energy(chunk: Chunk) -> float:
    """Return the sum of the squares of all samples, in float64."""
    total: float = _kernels().energy(_flat(chunk))
    return total


@cache
def _kernels() -> Any:  # noqa: ANN401 - a module
    """Load numba: only who processes pays, and once."""
    from anc_core.dsp import finite_kernels

    return finite_kernels


def _flat(chunk: Chunk) -> NDArray[np.float32]:
    return np.ascontiguousarray(chunk).reshape(-1)
