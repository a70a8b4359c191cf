"""The value of a rank in each of many columns: a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.jit import jit, part_of_kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COLUMNS = 32
"""That are searched at a time: what they hold stays in the cache."""


@part_of_kernel
def _in_order(bits: np.int32) -> np.int32:
    """Return a number that grows with the float whose bits are given; its own inverse."""
    return bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF))


@part_of_kernel
def _count(row: NDArray[np.int32], limit: NDArray[np.int32], count: NDArray[np.int32]) -> None:
    for b in range(len(limit)):
        count[b] += np.int32(row[b] <= limit[b])


@part_of_kernel
def _halve(
    low: NDArray[np.int64], high: NDArray[np.int64], count: NDArray[np.int32], rank: int
) -> bool:
    """Keep the half of each interval that holds the rank; return whether one is longer than 1."""
    is_longer = False
    for b in range(len(count)):
        middle = (low[b] + high[b]) >> 1
        if count[b] > rank:
            high[b] = middle
        elif low[b] < high[b]:
            low[b] = middle + 1
        is_longer = is_longer or low[b] < high[b]
    return is_longer


@jit("void(float32[:, ::1], int64, float32[::1])")
def ranked(values: NDArray[np.float32], rank: int, out: NDArray[np.float32]) -> None:
    """Write the value of a rank, counted from 0, in each column of ``values``.

    Bisection over the bits of the floats, many columns at once: exact, and a third of the time of a
    selection for each. No NaN.
    """
    num_rows, num_columns = values.shape
    bits, found = values.view(np.int32), out.view(np.int32)
    keys = np.empty((num_rows, _COLUMNS), np.int32)
    low, high = np.empty(_COLUMNS, np.int64), np.empty(_COLUMNS, np.int64)
    middle, count = np.empty(_COLUMNS, np.int32), np.empty(_COLUMNS, np.int32)
    for start in range(0, num_columns, _COLUMNS):
        width = min(_COLUMNS, num_columns - start)
        for b in range(width):
            low[b], high[b] = 2**31 - 1, -(2**31)
        for i in range(num_rows):
            for b in range(width):
                keys[i, b] = _in_order(bits[i, start + b])
                low[b], high[b] = min(low[b], keys[i, b]), max(high[b], keys[i, b])
        is_longer = True
        while is_longer:
            for b in range(width):
                middle[b], count[b] = np.int32((low[b] + high[b]) >> 1), 0
            for i in range(num_rows):
                _count(keys[i, :width], middle[:width], count[:width])
            is_longer = _halve(low, high, count[:width], rank)
        for b in range(width):
            found[start + b] = _in_order(np.int32(low[b]))
