"""MPEG audio (MP3) as a file: tags in front, frames, and how many there really are.

libsndfile believes the frame count of the Xing header and, without one, estimates the length from
the first frame's bit rate: a VBR file without Xing, two files joined, or a damaged stretch lose
audio. So the frames are counted here, and the decoder is shown only frames, behind a Xing header
that is right.

References
----------
ISO/IEC 11172-3:1993, 2.4.1 and 2.4.2 (frame header); ID3v2.4.0 §3.1; the Xing, Info and LAME
headers as LAME 3.100 writes them (VbrTag.c).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_ID3_HEADER_BYTES = 10
_READ_BYTES = 1 << 18
_MAX_SEARCH_BYTES = 1 << 20
"""How far after the tags the first frame may lie; more garbage than that is another format."""

_BIT_RATES_LSF = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_BIT_RATES = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_SAMPLE_RATES = (44_100, 48_000, 32_000)

_XING_FRAMES, _XING_BYTES, _XING_TOC, _XING_QUALITY = 1, 2, 4, 8
DECODER_DELAY = 529
"""Samples that every MP3 decoder is late and libmpg123 removes where LAME's delay is unknown."""

# Version, layer, sample rate: what cannot change within a stream. Bit rate and padding can.
_STREAM_MASK = 0xFFFE0C00


@dataclass(frozen=True, slots=True)
class Frame:
    """What the header of a layer III frame says."""

    num_bytes: int
    num_samples: int
    """Per channel: 1152, or 576 at the low sample rates of MPEG-2."""
    side_info_bytes: int


@lru_cache(maxsize=4096)
def parse_frame(word: int) -> Frame | None:
    """Return the frame of the 32-bit header ``word``, or ``None`` if it is no layer III header."""
    version, layer = (word >> 19) & 3, (word >> 17) & 3
    rate_index, frequency_index = (word >> 12) & 15, (word >> 10) & 3
    if word >> 21 != 0x7FF or version == 1 or layer != 1:
        return None
    # Index 0 is the free format, whose frame length the header does not tell.
    if rate_index in {0, 15} or frequency_index == 3:
        return None
    is_mpeg1, is_mono = version == 3, (word >> 6) & 3 == 3
    sample_rate = _SAMPLE_RATES[frequency_index] >> (0 if is_mpeg1 else 1 if version == 2 else 2)
    bit_rate = (_BIT_RATES if is_mpeg1 else _BIT_RATES_LSF)[rate_index - 1] * 1000
    num_samples = 1152 if is_mpeg1 else 576
    num_bytes = num_samples // 8 * bit_rate // sample_rate + ((word >> 9) & 1)
    side_info_bytes = (17 if is_mono else 32) if is_mpeg1 else (9 if is_mono else 17)
    return Frame(num_bytes, num_samples, side_info_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class MpegLayout:
    """Where the frames of an MP3 file are."""

    prefix: bytes
    """A Xing header with the true number of frames; empty if the file's own is right."""
    stretches: tuple[tuple[int, int], ...]
    """(offset, length) of runs of whole frames."""
    declared_num_samples: int | None
    """By the file's own Xing or VBRI header."""


def skip_id3(file: io.FileIO, start: int, end: int) -> int:
    """Return where the ID3v2 tags that begin at ``start`` end; ``start`` if there is none."""
    while True:
        head = _read_at(file, start, _ID3_HEADER_BYTES)
        if len(head) < _ID3_HEADER_BYTES or head[:3] != b"ID3" or max(head[6:10]) > 0x7F:
            return start
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        footer = _ID3_HEADER_BYTES if head[5] & 0x10 else 0
        start = min(start + _ID3_HEADER_BYTES + size + footer, end)


def parse_mpeg(file: io.FileIO, start: int, end: int) -> MpegLayout | None:
    """Return where the layer III frames in [start, end) are, or ``None`` if there are none.

    Parameters
    ----------
    file : io.FileIO
        Its position is moved.
    start, end : int
        Byte offsets, without the tags in front.
    """
    source = _Window(file, end)
    first = _find_frame(source, start, min(end, start + _MAX_SEARCH_BYTES), None)
    if first is None:
        return None
    frame = parse_frame(source.word(first))
    assert frame is not None  # noqa: S101 - _find_frame found one
    own = _OwnHeader.read(_read_at(file, first, frame.num_bytes), frame)
    if own.is_right_for(end - first) or own.is_right_for(end - first - _id3v1_bytes(file, end)):
        stretches = ((first, end - first),)
        return MpegLayout(prefix=b"", stretches=stretches, declared_num_samples=own.num_samples)
    begin = first + frame.num_bytes if own.kind else first
    word = source.word(first)
    runs, num_frames = _count(source, begin, end, word)
    prefix = own.corrected(num_frames, sum(length for _, length in runs), word)
    return MpegLayout(prefix=prefix, stretches=tuple(runs), declared_num_samples=own.num_samples)


def _id3v1_bytes(file: io.FileIO, end: int) -> int:
    return 128 if end >= 128 and _read_at(file, end - 128, 3) == b"TAG" else 0


def _read_at(file: io.FileIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size) or b""


class _Window:
    """A large file as a piece in memory that moves on."""

    def __init__(self, file: io.FileIO, end: int) -> None:
        self._file = file
        self.end = end
        self._base = 0
        self._piece = b""

    def bytes_at(self, position: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``position``."""
        offset = position - self._base
        if offset < 0 or offset + size > len(self._piece):
            self._base = position
            self._piece = _read_at(
                self._file, position, max(min(_READ_BYTES, self.end - position), 0)
            )
            offset = 0
        return self._piece[offset : offset + size]

    def word(self, position: int) -> int:
        """Return the 32 bits at ``position``; 0 at the end."""
        return int.from_bytes(self.bytes_at(position, 4)) if position + 4 <= self.end else 0


def _find_frame(source: _Window, start: int, end: int, like: int | None) -> int | None:
    """Return where the first frame at or after ``start`` is that another one follows.

    ``like`` is a header word of the stream it must belong to.
    """
    position = start
    while position < end:
        piece = source.bytes_at(position, min(_READ_BYTES, end - position))
        found = -1
        while (found := piece.find(b"\xff", found + 1)) >= 0:
            if _is_frame(source, position + found, like):
                return position + found
        position += len(piece) or end
    return None


def _is_frame(source: _Window, position: int, like: int | None) -> bool:
    word = source.word(position)
    frame = parse_frame(word)
    if frame is None or (like is not None and (word ^ like) & _STREAM_MASK):
        return False
    following = position + frame.num_bytes
    if following == source.end:
        return True
    after = source.word(following)
    return parse_frame(after) is not None and not (word ^ after) & _STREAM_MASK


def _count(source: _Window, start: int, end: int, like: int) -> tuple[list[tuple[int, int]], int]:
    """Return the runs of whole frames in [start, end) and how many frames they are."""
    runs: list[tuple[int, int]] = []
    num_frames = 0
    position: int | None = start
    while position is not None:
        run_start = position
        for frame in _frames(source, position, like):
            position += frame.num_bytes
            num_frames += 1
        if position > run_start:
            runs.append((run_start, position - run_start))
        position = _find_frame(source, max(position, run_start + 1), end, like)
    return runs, num_frames


def _frames(source: _Window, position: int, like: int) -> Iterator[Frame]:
    while True:
        word = source.word(position)
        frame = parse_frame(word)
        if frame is None or (word ^ like) & _STREAM_MASK:
            return
        if position + frame.num_bytes > source.end:
            return
        yield frame
        position += frame.num_bytes


@dataclass(frozen=True, slots=True)
class _OwnHeader:
    """The Xing, Info or VBRI header that a file begins with, if it does."""

    kind: bytes
    frame: Frame
    body: bytes
    num_frames: int | None
    num_bytes: int | None

    @classmethod
    def read(cls, body: bytes, frame: Frame) -> _OwnHeader:
        at = 4 + frame.side_info_bytes
        if body[at : at + 4] in {b"Xing", b"Info"} and len(body) >= at + 16:
            flags, frames, size = struct.unpack_from(">III", body, at + 4)
            return cls(
                body[at : at + 4],
                frame,
                body,
                frames if flags & _XING_FRAMES else None,
                # Both fields are present in every encoder's header that has the second.
                size if flags & (_XING_FRAMES | _XING_BYTES) == 3 else None,
            )
        if body[36:40] == b"VBRI" and len(body) >= 54:  # always at 32 after the header
            size, frames = struct.unpack_from(">II", body, 46)
            return cls(b"VBRI", frame, body, frames, size)
        return cls(b"", frame, body, None, None)

    def is_right_for(self, num_bytes: int) -> bool:
        """Tell whether the header may be believed: it counts every byte of the stream."""
        return self.kind != b"VBRI" and self.num_frames is not None and self.num_bytes == num_bytes

    @property
    def _lame_at(self) -> int | None:
        """Where LAME's extension begins, which holds the encoder's delay and padding."""
        if self.kind not in {b"Xing", b"Info"}:
            return None
        at = 4 + self.frame.side_info_bytes
        flags = int.from_bytes(self.body[at + 4 : at + 8])
        at += 8 + 4 * bool(flags & _XING_FRAMES) + 4 * bool(flags & _XING_BYTES)
        at += 100 * bool(flags & _XING_TOC) + 4 * bool(flags & _XING_QUALITY)
        return at if len(self.body) >= at + 24 and self.body[at : at + 4].isalnum() else None

    @property
    def num_samples(self) -> int | None:
        """Length by this header."""
        if self.num_frames is None:
            return None
        total = self.num_frames * self.frame.num_samples
        if self._lame_at is None:
            return max(total - DECODER_DELAY, 0)
        trims = int.from_bytes(self.body[self._lame_at + 21 : self._lame_at + 24])
        return max(total - (trims >> 12) - (trims & 0xFFF), 0)

    def corrected(self, num_frames: int, num_bytes: int, word: int) -> bytes:
        """Return a Xing header for a stream of so many frames and bytes."""
        if self.num_frames is not None and self.num_bytes is not None and self.kind != b"VBRI":
            return self._patched(num_frames, num_bytes)
        return _new_xing(word, num_frames, num_bytes)

    def _patched(self, num_frames: int, num_bytes: int) -> bytes:
        body = bytearray(self.body)
        at = 4 + self.frame.side_info_bytes
        struct.pack_into(">II", body, at + 8, num_frames, num_bytes + len(body))
        lame_at = self._lame_at
        if num_frames != self.num_frames and lame_at is not None:
            # The padding belonged to the last frame, which is not there (or not the last).
            body[lame_at + 22] &= 0xF0
            body[lame_at + 23] = 0
        return bytes(body)


def _new_xing(word: int, num_frames: int, num_bytes: int) -> bytes:
    """Return a frame of the same stream that holds nothing but a Xing header."""
    word |= 0x10000  # no CRC
    for rate_index in range(1, 15):
        candidate = word & ~0xF000 | rate_index << 12
        frame = parse_frame(candidate)
        if frame is not None and frame.num_bytes >= 4 + frame.side_info_bytes + 16:
            break
    else:
        return b""
    body = bytearray(frame.num_bytes)
    body[:4] = candidate.to_bytes(4)
    struct.pack_into(
        ">4sIII",
        body,
        4 + frame.side_info_bytes,
        b"Xing",
        _XING_FRAMES | _XING_BYTES,
        num_frames,
        num_bytes + len(body),
    )
    return bytes(body)
