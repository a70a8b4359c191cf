"""Chunks: how long they may be, and how to cut a stream into others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from anc_core.arrays import Chunk
from anc_core.errors import InputError

MIN_CHUNK_S = 0.5
MAX_CHUNK_S = 5.0


def chunk_size_for(
    sample_rate: int,
    num_samples: int | None,
    *,
    requested: int | None = None,
    default_s: float = 1.0,
) -> int:
    """Return how many samples a chunk has (design.md, section 6).

    Parameters
    ----------
    sample_rate : int
        Hz.
    num_samples : int or None
        Length of the recording; ``None`` where it is not known before it was read.
    requested : int, optional
        Asked for by the user; refused outside the limits, never bent.
    default_s : float
        Seconds, where nothing is requested; brought within the limits.

    Returns
    -------
    int
        0.5 s to 5 s at ``sample_rate``, never longer than the recording: one that is shorter than
        0.5 s is one chunk.

    Raises
    ------
    InputError
        If ``requested`` is outside the limits; the message names them.

    Examples
    --------
    >>> chunk_size_for(16_000, 1_000_000)
    16000
    >>> chunk_size_for(16_000, 3_000)
    3000
    """
    smallest, largest = round(MIN_CHUNK_S * sample_rate), round(MAX_CHUNK_S * sample_rate)
    if num_samples is not None:
        largest = min(largest, max(num_samples, 1))
        smallest = min(smallest, largest)
    if requested is None:
        return min(max(round(default_s * sample_rate), smallest), largest)
    if not smallest <= requested <= largest:
        length = "" if num_samples is None else f" and a recording of {num_samples} samples"
        msg = (
            f"chunk_size is {requested}; at {sample_rate} Hz{length} it must be from {smallest} "
            f"to {largest} samples ({MIN_CHUNK_S:g} s to {MAX_CHUNK_S:g} s, never longer than the "
            "recording)"
        )
        raise InputError(msg)
    return requested


def rechunk(chunks: Iterable[Chunk], size: int) -> Iterator[Chunk]:
    """Yield the samples of ``chunks`` in chunks of exactly ``size``, the last one apart.

    Parameters
    ----------
    chunks : iterable of Chunk
        Any lengths >= 0, shape (n, num_channels).
    size : int
        Samples, >= 1.

    Yields
    ------
    Chunk
        C-contiguous float32, shape (size, num_channels); the last may be shorter, never empty.

    Raises
    ------
    InputError
        If ``size`` is below 1.

    Notes
    -----
    Memory grows with the samples that have come, never with ``size``.
    """
    if size < 1:
        msg = f"size is {size}; a chunk has at least 1 sample"
        raise InputError(msg)
    return _rechunked(chunks, size)


def _rechunked(chunks: Iterable[Chunk], size: int) -> Iterator[Chunk]:
    waiting: list[Chunk] = []
    num_waiting = 0
    for chunk in chunks:
        start = 0
        while len(chunk) - start >= size - num_waiting:
            stop = start + size - num_waiting
            waiting.append(chunk[start:stop])
            yield _joined(waiting)
            waiting, num_waiting, start = [], 0, stop
        if start < len(chunk):
            waiting.append(chunk[start:])
            num_waiting += len(chunk) - start
    if waiting:
        yield _joined(waiting)


def _joined(parts: list[Chunk]) -> Chunk:
    if len(parts) == 1:
        return np.ascontiguousarray(parts[0], dtype=np.float32)
    return np.concatenate(parts, dtype=np.float32)
