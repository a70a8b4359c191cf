"""A first-in first-out store of samples: the input waits in it for its output."""

from __future__ import annotations

from collections import deque

import numpy as np

from anc_core.arrays import Chunk


class SampleFifo:
    """Samples that wait; holds references to the chunks that were put, not copies.

    Parameters
    ----------
    num_channels : int
        Columns of every chunk.
    """

    def __init__(self, num_channels: int) -> None:
        self._num_channels = num_channels
        self._chunks: deque[Chunk] = deque()
        self._num_samples = 0

    def __len__(self) -> int:
        """Return how many samples wait."""
        return self._num_samples

    def put(self, chunk: Chunk) -> None:
        """Append ``chunk`` (num_samples, num_channels)."""
        if len(chunk):
            self._chunks.append(chunk)
            self._num_samples += len(chunk)

    def take(self, num_samples: int) -> Chunk:
        """Remove and return the oldest ``num_samples``; fewer if fewer wait."""
        parts: list[Chunk] = []
        wanted = min(num_samples, self._num_samples)
        self._num_samples -= wanted
        while wanted:
            head = self._chunks.popleft()
            if len(head) > wanted:
                self._chunks.appendleft(head[wanted:])
                head = head[:wanted]
            parts.append(head)
            wanted -= len(head)
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return np.zeros((0, self._num_channels), np.float32)
        return np.concatenate(parts)
