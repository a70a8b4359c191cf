"""Files as the decoders and encoders are shown them.

A decoder gets a :class:`SourceView`: stretches of the file behind a header of our making, so that
what a header claims never decides what is read. An encoder gets a :class:`SinkView`, which
keeps the reason of a failed write (libsndfile keeps none) and can leave room inside its output.

Both are called from C: an exception could not pass, so it waits in ``error``.
"""

from __future__ import annotations

import errno
import io
import os
from bisect import bisect_right
from collections.abc import Sequence

Part = bytes | tuple[int, int]
"""Bytes of our making, or a stretch (offset, length) of the file."""


class SourceView:
    """A read-only file made of parts of another file and of bytes of our making.

    Parameters
    ----------
    file : io.FileIO
        Unbuffered; its position is moved.
    parts : sequence of Part, optional
        In order; the whole file if not given.
    """

    def __init__(self, file: io.FileIO, parts: Sequence[Part] | None = None) -> None:
        if parts is None:
            parts = [(0, os.fstat(file.fileno()).st_size)]
        self._file = file
        self._parts: list[Part] = []
        # Where each part begins in the view; the last entry is the end.
        self._starts = [0]
        for part in parts:
            length = len(part) if isinstance(part, bytes) else part[1]
            if length:
                self._parts.append(part)
                self._starts.append(self._starts[-1] + length)
        self._position = 0
        self.error: OSError | None = None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to ``offset`` and return the position."""
        base = (0, self._position, self._starts[-1])[whence]
        self._position = max(base + offset, 0)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readinto(self, buffer: object) -> int:
        """Fill ``buffer`` as far as the view goes; return the number of bytes."""
        rest = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        wanted = len(rest)
        # Nearly always one part holds it all: libsndfile asks for no more than 8 KiB at a time.
        while rest and (count := self._read_some(rest)):
            self._position += count
            rest = rest[count:]
        return wanted - len(rest)

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, all that is left by default."""
        if size < 0:
            size = max(self._starts[-1] - self._position, 0)
        buffer = bytearray(size)
        return bytes(buffer[: self.readinto(buffer)])

    def _read_some(self, target: memoryview) -> int:
        index = bisect_right(self._starts, self._position) - 1
        if index >= len(self._parts):
            return 0
        part, within = self._parts[index], self._position - self._starts[index]
        left = self._starts[index + 1] - self._position
        if isinstance(part, bytes):
            count = min(left, len(target))
            target[:count] = part[within : within + count]
            return count
        try:
            self._file.seek(part[0] + within)
            return self._file.readinto(target[:left]) or 0
        except OSError as err:
            self.error = err
            return 0


class SinkView:
    """A write-only file that leaves a gap of ``gap_length`` bytes at ``gap_offset``.

    The encoder does not notice: what it writes from ``gap_offset`` on lies behind the gap.
    """

    def __init__(self, file: io.FileIO, gap_offset: int = 0, gap_length: int = 0) -> None:
        self._file = file
        self._gap_offset = gap_offset
        self._gap_length = gap_length
        self._position = 0
        self._size = 0
        self.error: OSError | None = None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to ``offset`` and return the position."""
        base = (0, self._position, self._size)[whence]
        self._position = max(base + offset, 0)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return nothing: encoders write."""
        del size
        return b""

    def write(self, data: bytes) -> int:
        """Write all of ``data``, or nothing more once a write has failed."""
        if self.error is not None:
            return 0
        before_gap = max(min(self._gap_offset - self._position, len(data)), 0)
        try:
            self._write_at(self._position, data[:before_gap])
            self._write_at(self._position + before_gap + self._gap_length, data[before_gap:])
        except OSError as err:
            self.error = err
            return 0
        self._position += len(data)
        self._size = max(self._size, self._position)
        return len(data)

    def _write_at(self, offset: int, data: bytes) -> None:
        if not data:
            return
        self._file.seek(offset)
        rest = memoryview(data)
        while rest:
            count = self._file.write(rest)
            if not count:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            rest = rest[count:]
