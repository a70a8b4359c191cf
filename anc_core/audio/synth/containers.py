"""Audio as bytes of a file, the same bytes every time.

libsndfile writes the time of day into float WAV files and a random serial number into Ogg streams;
both are overwritten here, so that a recording made from a seed is the same file to the last bit.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import soundfile as sf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anc_core.arrays import Chunk

_OGG_SERIAL = 0x414E4321
_OGG_POLYNOMIAL = 0x04C11DB7  # RFC 3533, section 6: field page_checksum
_OGG_HEADER_BYTES = 27


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How samples become a file; names as in ``soundfile.available_formats()``."""

    container: str
    subtype: str


def encode(audio: Chunk, sample_rate: int, encoding: Encoding, tags: Mapping[str, str]) -> bytes:
    """Return the bytes of an audio file.

    Parameters
    ----------
    audio : ndarray of float32, shape (num_samples, num_channels)
        Full scale +-1; what exceeds it is clipped in integer formats.
    sample_rate : int
        Hz.
    encoding : Encoding
        Container and sample format.
    tags : mapping
        Of ``title``, ``artist``, ``album``, ``comment``, ``date``; containers keep what they can.
    """
    memory = io.BytesIO()
    with sf.SoundFile(
        memory,
        "w",
        sample_rate,
        audio.shape[1],
        format=encoding.container,
        subtype=encoding.subtype,
    ) as file:
        for name, text in tags.items():
            setattr(file, name, text)
        file.write(audio)
    content = bytearray(memory.getvalue())
    if encoding.container == "OGG":
        _fix_ogg_serial(content)
    elif encoding.container == "WAV":
        _clear_peak_time(content)
    return bytes(content)


def _clear_peak_time(content: bytearray) -> None:
    """Set the time stamp of the PEAK chunk of a RIFF file, if there is one, to 0."""
    position = 12
    while position + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, position)
        if name == b"PEAK":
            struct.pack_into("<I", content, position + 12, 0)
        position += 8 + size + size % 2


def _fix_ogg_serial(content: bytearray) -> None:
    """Give every page the same serial number and the checksum that goes with it (RFC 3533)."""
    table = _crc_table()
    position = 0
    while position < len(content):
        num_segments = content[position + 26]
        lacing = position + _OGG_HEADER_BYTES
        body = lacing + num_segments
        end = body + sum(content[lacing:body])
        struct.pack_into("<I", content, position + 14, _OGG_SERIAL)
        struct.pack_into("<I", content, position + 22, 0)
        struct.pack_into("<I", content, position + 22, _crc(content[position:end], table))
        position = end


def _crc_table() -> list[int]:
    values = np.arange(256, dtype=np.uint32) << 24
    for _ in range(8):
        carry = (values >> 31).astype(bool)
        values = (values << 1) ^ np.where(carry, np.uint32(_OGG_POLYNOMIAL), np.uint32(0))
    return [int(value) for value in values]


def _crc(page: bytearray, table: list[int]) -> int:
    checksum = 0
    for byte in page:
        checksum = ((checksum << 8) & 0xFFFFFFFF) ^ table[(checksum >> 24) ^ byte]
    return checksum
