"""WAV files that may pass 4 GB: room is kept for 64-bit sizes and used only if they are needed.

EBU Tech 3306, section 4: a ``JUNK`` chunk of the length of ``ds64`` comes first; a file that stays
below 4 GB remains a WAV that everything reads, one that does not becomes an RF64 in place.
"""

from __future__ import annotations

import io
import os
import struct
from dataclasses import dataclass

from anc_core.audio.formats import AudioFormat
from anc_core.audio.riff import DS64_BYTES, MAX_RIFF_BYTES, parse_wave

_BYTES = {"PCM_U8": 1, "ULAW": 1, "ALAW": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4,
          "DOUBLE": 8}  # fmt: skip
_HEADER_ROOM = 1 << 20  # tags and all
_JUNK_OFFSET = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveSizes:
    """How the sizes of one WAV file are to be completed."""

    bytes_per_sample: int
    """Of all channels together."""
    always_64: bool
    """An RF64 was asked for, whatever the length."""

    @property
    def gap(self) -> tuple[int, bytes]:
        """Where libsndfile leaves room, and what fills it meanwhile."""
        return _JUNK_OFFSET, b"JUNK" + struct.pack("<I", DS64_BYTES) + bytes(DS64_BYTES)

    def complete(self, file: io.FileIO, num_samples: int) -> None:
        """Set the true sizes into the header of ``file``, which libsndfile has closed."""
        riff_size = os.fstat(file.fileno()).st_size - 8
        if not self.always_64 and riff_size <= MAX_RIFF_BYTES:
            # libsndfile did not know of the gap.
            _put(file, 4, struct.pack("<I", riff_size))
            return
        layout = parse_wave(file)
        assert layout is not None  # noqa: S101 - libsndfile has written it
        assert layout.data_offset is not None  # noqa: S101
        data_size = num_samples * self.bytes_per_sample
        sizes = struct.pack("<QQQI", riff_size, data_size, num_samples, 0)
        _put(file, layout.data_offset - 4, struct.pack("<I", MAX_RIFF_BYTES))
        _put(file, _JUNK_OFFSET, b"ds64" + struct.pack("<I", DS64_BYTES) + sizes)
        # The name last: until then the file is no worse a WAV than before.
        _put(file, 0, b"RF64" + struct.pack("<I", MAX_RIFF_BYTES))


def _put(file: io.FileIO, offset: int, data: bytes) -> None:
    file.seek(offset)
    file.write(data)


def plan(
    audio_format: AudioFormat, num_channels: int, num_samples_hint: int | None
) -> WaveSizes | None:
    """Return how to keep room in a WAV, or ``None`` where none is needed or possible.

    Parameters
    ----------
    audio_format : AudioFormat
    num_channels : int
    num_samples_hint : int or None
        Expected length; ``None`` = may be anything.
    """
    if audio_format.container not in {"WAV", "WAVEX", "RF64"} or audio_format.endian == "BIG":
        return None
    bytes_per_sample = num_channels * _BYTES[audio_format.subtype]
    always_64 = audio_format.container == "RF64"
    fits = (
        num_samples_hint is not None
        and num_samples_hint * bytes_per_sample + _HEADER_ROOM <= MAX_RIFF_BYTES
    )
    if fits and not always_64:
        return None
    return WaveSizes(bytes_per_sample=bytes_per_sample, always_64=always_64)
