"""Samples as integers, exactly: what was decoded from b bits comes back as the same b bits.

libsndfile decodes with 1 / 2**(b - 1) but encodes floats with 2**(b - 1) - 1, which moves almost
every sample; so it is given integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.arrays import Chunk

if TYPE_CHECKING:
    from numpy.typing import NDArray

BITS = {
    "PCM_S8": 8,
    "PCM_U8": 8,
    "PCM_16": 16,
    "PCM_24": 24,
    "PCM_32": 32,
    "ALAC_16": 16,
    # The laws are 13 and 14 bits wide, left-justified in 16.
    "ULAW": 16,
    "ALAW": 16,
}
"""Significant bits of the subtypes that hold integers."""


def quantize(chunk: Chunk, num_bits: int) -> tuple[NDArray[Any], int]:
    """Return ``chunk`` as left-justified integers, and how many values were clamped.

    Parameters
    ----------
    chunk : Chunk
        float32, shape (n, num_channels), finite.
    num_bits : int
        8, 16, 24 or 32.

    Returns
    -------
    values : ndarray, shape (n, num_channels)
        int16 for 16 bits, else int32 with the lowest ``32 - num_bits`` bits 0.
    num_clamped : int
        Values beyond the range, which were brought to its end and never wrapped.

    Notes
    -----
    ``rint(x * 2**(b - 1))``, half to even. float32 scales by a power of two without error and holds
    the range of 24 bits exactly; 32 bits need float64.
    """
    scale = 2.0 ** (num_bits - 1)
    wide = chunk.astype(np.float64) if num_bits > 24 else chunk
    values = np.rint(wide * wide.dtype.type(scale))
    outside = (values < -scale) | (values > scale - 1)
    num_clamped = int(np.count_nonzero(outside))
    if num_clamped:
        np.clip(values, -scale, scale - 1, out=values)
    if num_bits == 16:
        return values.astype(np.int16), num_clamped
    return values.astype(np.int32) << (32 - num_bits), num_clamped
