"""The value of a rank in each of many rows: a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.jit import jit, part_of_kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray


@part_of_kernel
def _in_order(bits: np.int32) -> np.int32:
    """Return a number that grows with the float whose bits are given; its own inverse."""
    return bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF))


@part_of_kernel
def _count(keys: NDArray[np.int32], limit: np.int32) -> np.int32:
    count = np.int32(0)
    for i in range(len(keys)):
        count += np.int32(keys[i] <= limit)
    return count


@jit("void(float32[:, ::1], int64, float32[::1])")
def ranked(values: NDArray[np.float32], rank: int, out: NDArray[np.float32]) -> None:
    """Write the value of a rank, counted from 0, in each row of ``values``.

    Bisection over the bits of the floats: exact, and in loops that become SIMD code. No NaN.
    """
    bits, found = values.view(np.int32), out.view(np.int32)
    keys = np.empty(values.shape[1], np.int32)
    for row in range(len(values)):
        least, most = _in_order(bits[row, 0]), _in_order(bits[row, 0])
        for i in range(len(keys)):
            keys[i] = _in_order(bits[row, i])
        for i in range(len(keys)):
            least, most = min(least, keys[i]), max(most, keys[i])
        low, high = np.int64(least), np.int64(most)
        while low < high:
            middle = (low + high) >> 1
            if _count(keys, np.int32(middle)) > rank:
                high = middle
            else:
                low = middle + 1
        found[row] = _in_order(np.int32(low))
