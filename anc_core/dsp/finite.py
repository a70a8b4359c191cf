"""Keep out of the algorithms what they have no answer to: NaN, infinities, absurd magnitudes."""

from __future__ import annotations

import numpy as np

from anc_core.arrays import Chunk

MAX_MAGNITUDE = np.float32(1e9)
"""+180 dBFS: the power of the longest frame at this level still fits float32."""

MIN_MAGNITUDE = np.float32(1e-15)
"""-300 dBFS: float32 arithmetic below it meets denormals, which cost a hundred times the time."""


def repair(chunk: Chunk) -> Chunk:
    """Return a copy of ``chunk`` with NaN and infinities replaced by 0, all else bit for bit."""
    return np.where(np.isfinite(chunk), chunk, np.float32(0.0))


def tame(chunk: Chunk) -> Chunk:
    """Return a copy of ``chunk`` that every algorithm can square and sum without surprise.

    NaN and infinities become 0, magnitudes above :data:`MAX_MAGNITUDE` are limited to it, those
    below :data:`MIN_MAGNITUDE` become 0.

    Examples
    --------
    >>> tame(np.array([0.5, np.nan, 1e-30, -1e30], np.float32)).tolist()
    [0.5, 0.0, 0.0, -1000000000.0]
    """
    magnitude = np.abs(chunk)
    # NaN compares as false on the left, so it ends as 0 like what is too small; inf is caught too.
    usable = (magnitude >= MIN_MAGNITUDE) & (magnitude < np.inf)
    return np.where(usable, np.clip(chunk, -MAX_MAGNITUDE, MAX_MAGNITUDE), np.float32(0.0))
