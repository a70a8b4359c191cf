"""The last rows of a growing table, without a copy of all of them for each new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROOM = 4
"""Times the rows that are kept: what is brought to the front each time that is used up."""


class Recent:
    """Keeps the last rows.

    Parameters
    ----------
    first : ndarray, shape (num_rows, ...)
        What they are at first.

    Examples
    --------
    >>> recent = Recent(np.zeros(3))
    >>> recent.append(np.array([1.0, 2.0])).tolist()
    [0.0, 1.0, 2.0]
    """

    def __init__(self, first: NDArray[Any]) -> None:
        self._num_rows = len(first)
        self._rows = np.empty((_ROOM * len(first), *first.shape[1:]), first.dtype)
        self._rows[: len(first)] = first
        self._stop = len(first)

    def append(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Take the next rows, no more than are kept; return the last, to be read until the next."""
        if self._stop + len(rows) > len(self._rows):
            self._rows[: self._num_rows] = self.last(self._num_rows)
            self._stop = self._num_rows
        self._rows[self._stop : self._stop + len(rows)] = rows
        self._stop += len(rows)
        return self.last(self._num_rows)

    def last(self, num_rows: int) -> NDArray[Any]:
        """Return the last ``num_rows``, as far as the table reaches back."""
        return self._rows[self._stop - num_rows : self._stop]
