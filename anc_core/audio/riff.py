"""The chunk table of WAV files (RIFF, RIFX, RF64, BW64), read without believing its sizes.

Recorders die before they write the sizes, pipes never know them, files beyond 4 GB wrap them. So
the table is walked here, bounded by the file itself, and the decoder is shown the data behind a
correct header (:meth:`WaveLayout.header`).

References
----------
Microsoft, Multimedia Programming Interface and Data Specifications 1.0 (1991); EBU Tech 3306 (RF64,
2009); ITU-R BS.2088 (BW64, 2019).
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from anc_core.arrays import MAX_NUM_CHANNELS, MAX_SAMPLE_RATE_HZ, MIN_SAMPLE_RATE_HZ
from anc_core.errors import ErrorCode, SourceError, WarningCode
from anc_core.files import printable
from anc_core.records import Remark

FORMS = (b"RIFF", b"RIFX", b"RF64", b"BW64")
MAX_RIFF_BYTES = 0xFFFFFFFF
DS64_BYTES = 28  # riff size, data size, sample count (8 each), length of the table (4)

_MAX_SMALL_CHUNK = 1 << 12  # fmt and fact are tens of bytes
_MAX_INFO_CHUNK = 1 << 20
_MAX_CHUNKS = 10_000
_TAG_MPEG = {0x0050, 0x0055}  # MPEG layers I/II and III inside a WAV


@dataclass(slots=True)
class WaveLayout:
    """Where things are in a WAV file."""

    form: bytes
    fmt: bytes = b""
    fact: bytes = b""
    info: list[bytes] = field(default_factory=list)
    """Bodies of ``LIST INFO`` chunks: the tags."""
    data_offset: int | None = None
    data_size: int = 0
    """Bytes of audio that are there, whatever the header says."""
    declared_data_size: int | None = None
    """What the header says; ``None`` where it says nothing (a stream) or cannot (wrapped)."""
    remarks: list[Remark] = field(default_factory=list)

    @property
    def byte_order(self) -> str:
        """``>`` for RIFX, else ``<``, as :mod:`struct` has it."""
        return ">" if self.form == b"RIFX" else "<"

    @property
    def _fmt_fields(self) -> tuple[int, int, int, int, int]:
        """Format tag, channels, sample rate, bytes a second, bytes a sample of all channels."""
        tag, channels, rate, bytes_per_s, align = struct.unpack_from(
            f"{self.byte_order}HHIIH", self.fmt
        )
        return tag, channels, rate, bytes_per_s, align

    @property
    def is_mpeg(self) -> bool:
        """Whether the data are MPEG audio frames."""
        return self._fmt_fields[0] in _TAG_MPEG

    @property
    def declared_num_samples(self) -> int | None:
        """Length by the header: from the data's size, or from ``fact`` where that is no measure."""
        tag, _, _, _, align = self._fmt_fields
        if self.declared_data_size is None:
            return None
        if tag in {0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE}:  # PCM, float, the laws, extensible
            return self.declared_data_size // align if align else None
        if len(self.fact) < 4:
            return None
        return int(struct.unpack_from(f"{self.byte_order}I", self.fact)[0]) or None

    def header(self) -> bytes:
        """Return a correct header for the data that are there, tags included."""
        chunks = [(b"fmt ", self.fmt)]
        if self.fact:
            chunks.append((b"fact", self.fact))
        chunks += [(b"LIST", b"INFO" + body) for body in self.info]
        middle = b"".join(self._chunk(*chunk) for chunk in chunks)
        size = 4 + len(middle) + 8 + self.data_size
        if size <= MAX_RIFF_BYTES:
            form = b"RIFX" if self.form == b"RIFX" else b"RIFF"
            start = form + self._u32(size) + b"WAVE"
            return start + middle + b"data" + self._u32(self.data_size)
        align = max(self._fmt_fields[4], 1)
        sizes = struct.pack(
            "<QQQI", size + 8 + DS64_BYTES, self.data_size, self.data_size // align, 0
        )
        start = b"RF64" + self._u32(MAX_RIFF_BYTES) + b"WAVE" + self._chunk(b"ds64", sizes)
        return start + middle + b"data" + self._u32(MAX_RIFF_BYTES)

    def check(self, path: Path) -> None:
        """Refuse what no decoder could read.

        Raises
        ------
        SourceError
            NOT_AUDIO, BAD_CHANNELS, BAD_SAMPLE_RATE, NO_DATA_CHUNK or NO_AUDIO.
        """
        name = printable(path)
        if len(self.fmt) < 14:
            msg = f"{name}: a {self.form.decode()} file without a 'fmt ' chunk; export it again"
            raise SourceError(ErrorCode.NOT_AUDIO, msg)
        _, channels, rate, _, _ = self._fmt_fields
        if not 1 <= channels <= MAX_NUM_CHANNELS:
            msg = (
                f"{name}: the header says {channels} channels; 1 to {MAX_NUM_CHANNELS} can be "
                "processed"
            )
            raise SourceError(ErrorCode.BAD_CHANNELS, msg)
        if not MIN_SAMPLE_RATE_HZ <= rate <= MAX_SAMPLE_RATE_HZ:
            msg = (
                f"{name}: the header says {rate} Hz; {MIN_SAMPLE_RATE_HZ} to "
                f"{MAX_SAMPLE_RATE_HZ} Hz can be processed"
            )
            raise SourceError(ErrorCode.BAD_SAMPLE_RATE, msg)
        if self.data_offset is None:
            msg = f"{name}: there is no 'data' chunk; the recording was not finished, export again"
            raise SourceError(ErrorCode.NO_DATA_CHUNK, msg)
        if not self.data_size:
            msg = f"{name}: the header is valid but no samples follow it"
            raise SourceError(ErrorCode.NO_AUDIO, msg)

    def _u32(self, value: int) -> bytes:
        return struct.pack(f"{self.byte_order}I", value)

    def _chunk(self, name: bytes, body: bytes) -> bytes:
        return name + self._u32(len(body)) + body + b"\0" * (len(body) % 2)


def parse_wave(file: io.FileIO) -> WaveLayout | None:
    """Return the layout of a WAV file, or ``None`` if ``file`` is no WAV.

    Parameters
    ----------
    file : io.FileIO
        Its position is moved.
    """
    size = os.fstat(file.fileno()).st_size
    head = _read_at(file, 0, 12)
    if head[:4] not in FORMS or head[8:12] != b"WAVE":
        return None
    return _Walk(file, size, WaveLayout(form=head[:4]), head[4:8]).run()


def _read_at(file: io.FileIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    data = b""
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data


def _is_chunk_id(name: bytes) -> bool:
    """Tell whether four bytes may name a chunk: printable ASCII, as all registered ones are."""
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name) and name != b"    "


class _Walk:
    """One walk over the chunk table."""

    def __init__(self, file: io.FileIO, size: int, layout: WaveLayout, riff_size: bytes) -> None:
        self.file = file
        self.size = size
        self.layout = layout
        self.riff_size = self._u32(riff_size)
        self.ds64_data_size: int | None = None

    def run(self) -> WaveLayout:
        for name, offset, declared in self._chunks():
            present = min(declared, self.size - offset)
            if name == b"fmt " and len(self.layout.fmt) < 14:
                self.layout.fmt = _read_at(self.file, offset, min(present, _MAX_SMALL_CHUNK))
            elif name == b"fact" and not self.layout.fact:
                self.layout.fact = _read_at(self.file, offset, min(present, _MAX_SMALL_CHUNK))
            elif name == b"ds64" and present >= 16:
                body = _read_at(self.file, offset, 16)
                self.ds64_data_size = struct.unpack_from("<Q", body, 8)[0]
            elif name == b"LIST" and 4 < present <= _MAX_INFO_CHUNK:
                body = _read_at(self.file, offset, present)
                if body.startswith(b"INFO"):
                    self.layout.info.append(body[4:])
        return self.layout

    def _chunks(self) -> Iterator[tuple[bytes, int, int]]:
        """Yield (name, offset of the body, declared size) as far as the table makes sense."""
        position = 12
        for _ in range(_MAX_CHUNKS):
            head = _read_at(self.file, position, 8)
            if len(head) < 8 or not _is_chunk_id(head[:4]):
                return
            name, declared = head[:4], self._u32(head[4:])
            body = position + 8
            if name == b"data" and not self.layout.data_size:
                declared = self._take_data(body, declared)
            else:
                yield name, body, declared
            position = self._after(body, declared)

    def _take_data(self, offset: int, declared: int) -> int:
        """Note the data chunk; return how far it reaches."""
        layout, available = self.layout, self.size - offset
        layout.data_offset = offset
        if layout.form in {b"RF64", b"BW64"} and declared == MAX_RIFF_BYTES:
            declared = self.ds64_data_size or MAX_RIFF_BYTES
        if self._is_stream(offset, declared, available):
            layout.data_size = available
            if available:
                self._remark(declared)
        elif layout.form == b"RIFF" and available > MAX_RIFF_BYTES:
            # The size was counted modulo 2^32: the largest that fits is meant.
            wraps = (available - declared) >> 32
            layout.data_size = declared + (wraps << 32)
            self._remark(declared)
        else:
            layout.declared_data_size = declared
            layout.data_size = min(declared, available)
        return layout.data_size

    def _is_stream(self, offset: int, declared: int, available: int) -> bool:
        """Tell whether the size is a placeholder of a writer that could not come back to it."""
        if declared == 0:
            return available > 0 and not self._holds_chunk(offset)
        # FFmpeg writes 0xFFFFFFFF to a pipe, sox 0x7FFFF000 and more, arecord 0x80000000.
        placeholder = declared >= 0xFFFFFF00 or 0x7FFFF000 <= declared <= 0x80000040
        return placeholder and declared > available

    def _holds_chunk(self, offset: int) -> bool:
        """Tell whether a chunk that fits into the file begins at ``offset``."""
        head = _read_at(self.file, offset, 8)
        if len(head) < 8 or not _is_chunk_id(head[:4]):
            return False
        return offset + 8 + self._u32(head[4:]) <= self.size and self.riff_size not in {
            0,
            MAX_RIFF_BYTES,
        }

    def _after(self, body: int, declared: int) -> int:
        """Return where the next chunk begins: chunks are padded to even, by most writers."""
        end = body + declared
        if declared % 2:
            following = _read_at(self.file, end, 5)
            unpadded = _is_chunk_id(following[:4]) and not _is_chunk_id(following[1:5])
            end += 0 if unpadded else 1
        return end

    def _remark(self, declared: int) -> None:
        message = (
            f"the header says {declared} bytes of audio, the file holds {self.layout.data_size}; "
            "the file was believed"
        )
        self.layout.remarks.append(Remark(code=WarningCode.HEADER_REPAIRED, message=message))

    def _u32(self, raw: bytes) -> int:
        return int(struct.unpack(f"{self.layout.byte_order}I", raw)[0])
