"""A curve drawn through points that come in one by one: for a strength that never jumps."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    DoubleArray = NDArray[np.float64]


class SlowCurve:
    """Means over neighbouring points, and straight lines between them.

    Parameters
    ----------
    spacing : int
        Samples from one point to the next.
    first : int
        Sample of the first point; before it and after the last one the curve is level.
    half_width : int, default 2
        Points on either side that a mean reaches, as far as there are any.

    Notes
    -----
    Where all neighbours are 1 (or 0) the curve is 1 (or 0) exactly. Its value at a sample does not
    depend on when or how often it is asked for.

    Examples
    --------
    >>> curve = SlowCurve(4, 2, half_width=0)
    >>> curve.put([1.0, 0.0])
    >>> curve.finish()
    >>> curve.take(9).tolist()
    [1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0, 0.0]
    """

    def __init__(self, spacing: int, first: int, *, half_width: int = 2) -> None:
        self._spacing = spacing
        self._first = first
        self._half_width = half_width
        self.reset()

    @property
    def look_ahead(self) -> int:
        """Points beyond the next one that a sample's value may depend on."""
        return self._half_width + 1

    @property
    def num_final(self) -> float:
        """Samples, from the last one taken, whose value is known; ``inf`` after `finish`."""
        if self._has_finished:
            return np.inf
        num_means = self._num_dropped + len(self._means)
        return max(0, self._first + (num_means - 1) * self._spacing - self._num_taken)

    def put(self, points: NDArray[np.float64] | list[float]) -> None:
        """Append points, 0 to 1."""
        for point in points:
            self._points.append(float(point))
            if len(self._points) - self._num_done > self._half_width:
                self._add_mean()

    def finish(self) -> None:
        """Say that no point follows."""
        while self._num_done < len(self._points):
            self._add_mean()
        self._has_finished = True

    def take(self, num_samples: int) -> DoubleArray:
        """Return the values of the next ``num_samples``, of those that are final.

        Without any point at all the curve is 1.
        """
        start = self._num_taken
        self._num_taken += num_samples
        if not self._means:
            return np.ones(num_samples)
        means = np.array(self._means)
        first = max(0, (start - self._first) // self._spacing - self._num_dropped)
        stop = (self._num_taken - self._first) // self._spacing + 2 - self._num_dropped
        near = means[min(first, len(means) - 1) : max(1, stop)]
        if near.min() == near.max():
            values = np.full(num_samples, near[0])
        else:
            values = self._interpolated(means, start, num_samples)
        self._drop_what_is_past()
        return values

    def _interpolated(self, means: DoubleArray, start: int, num_samples: int) -> DoubleArray:
        position = np.arange(start - self._first, start - self._first + num_samples)
        index = position // self._spacing
        share = (position - index * self._spacing) / self._spacing
        index -= self._num_dropped
        last = len(means) - 1
        before = means[np.minimum(np.maximum(index, 0), last)]
        after = means[np.minimum(np.maximum(index + 1, 0), last)]
        # Equal neighbours give their value exactly: the difference is 0.
        return np.asarray(before + (after - before) * share)

    def _drop_what_is_past(self) -> None:
        next_index = (self._num_taken - self._first) // self._spacing
        while self._num_dropped < next_index and len(self._means) > 1:
            self._means.popleft()
            self._num_dropped += 1

    def reset(self) -> None:
        """Forget all points and begin at sample 0."""
        self._points: deque[float] = deque()
        self._num_done = 0
        self._means: deque[float] = deque()
        self._num_dropped = 0
        self._num_taken = 0
        self._has_finished = False

    def _add_mean(self) -> None:
        points = list(self._points)
        near = points[
            max(0, self._num_done - self._half_width) : self._num_done + self._half_width + 1
        ]
        self._means.append(sum(near) / len(near))
        if self._num_done < self._half_width:
            self._num_done += 1
        else:
            self._points.popleft()
