"""A queue of samples: chunks of any length go in, stretches of the wanted length come out."""

from __future__ import annotations

import numpy as np

from anc_core.arrays import Chunk


class SampleBuffer:
    """First in, first out, by samples.

    Parameters
    ----------
    num_channels : int
        Columns of every chunk.

    Notes
    -----
    Chunks are collected in a list and joined only when somebody looks at them, so that a stream of
    single samples costs no more copies than a stream of seconds. Chunks are not copied on entry:
    give it arrays that nobody else will change.
    """

    def __init__(self, num_channels: int) -> None:
        self._num_channels = num_channels
        self._chunks: list[Chunk] = []
        self._dropped = 0
        self._num_samples = 0

    def __len__(self) -> int:
        return self._num_samples

    def put(self, chunk: Chunk) -> None:
        """Append ``chunk`` (num_samples, num_channels)."""
        if len(chunk):
            self._chunks.append(chunk)
            self._num_samples += len(chunk)

    def put_zeros(self, num_samples: int) -> None:
        """Append silence."""
        self.put(np.zeros((num_samples, self._num_channels), np.float32))

    def peek(self, num_samples: int) -> Chunk:
        """Return the oldest ``num_samples`` (or all, where fewer wait) without removing them."""
        if not self._chunks:
            return np.zeros((0, self._num_channels), np.float32)
        if len(self._chunks) > 1 and num_samples > self._head_length():
            self._join(num_samples)
        return self._chunks[0][self._dropped : self._dropped + num_samples]

    def drop(self, num_samples: int) -> None:
        """Remove the oldest ``num_samples`` (or all, where fewer wait)."""
        num_samples = min(num_samples, self._num_samples)
        self._num_samples -= num_samples
        while num_samples:
            head = self._head_length()
            if num_samples < head:
                self._dropped += num_samples
                self._release()
                return
            del self._chunks[0]
            self._dropped = 0
            num_samples -= head

    def take(self, num_samples: int) -> Chunk:
        """Remove and return the oldest ``num_samples`` (or all, where fewer wait)."""
        chunk = self.peek(num_samples)
        self.drop(num_samples)
        return chunk

    def clear(self) -> None:
        """Remove everything."""
        self.drop(self._num_samples)

    def _head_length(self) -> int:
        return len(self._chunks[0]) - self._dropped

    def _release(self) -> None:
        """Give back what was dropped once it is the larger part of the oldest chunk.

        A joined chunk would otherwise be kept whole until its last sample has gone; and what is
        copied is never more than what was dropped since the last time.
        """
        if self._dropped > self._head_length():
            self._chunks[0] = self._chunks[0][self._dropped :].copy()
            self._dropped = 0

    def _join(self, num_samples: int) -> None:
        """Make one of the oldest chunks, of as many as hold ``num_samples``.

        The others stay what they are: several queues wait for the same samples, and share them.
        """
        known, count = -self._dropped, 0
        while known < num_samples and count < len(self._chunks):
            known += len(self._chunks[count])
            count += 1
        oldest = [self._chunks[0][self._dropped :], *self._chunks[1:count]]
        self._chunks[:count] = [np.concatenate(oldest)]
        self._dropped = 0
