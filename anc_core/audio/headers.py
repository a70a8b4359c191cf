"""What the headers of the rarer containers claim, to tell a recording that was cut off.

libsndfile shortens a length to what the file holds and keeps no word of it. WAV has
:mod:`anc_core.audio.riff`; FLAC and MP3 carry their claim through the decoder.
"""

from __future__ import annotations

import io
import os
import re
import struct

_HEAD_BYTES = 1 << 12
_TAIL_BYTES = 1 << 16
_MAX_OGG_PAGE = 65_307  # RFC 3533, section 6
_OGG_LAST_PAGE = 0x04
_OGG_HEADER_BYTES = 27
_UNKNOWN = 0xFFFFFFFF
_CAF_HEADER_BYTES = 8
_CAF_EDIT_COUNT_BYTES = 4
_MAX_CAF_CHUNKS = 1000
_AU_SIZES_END = 12
_W64_CHUNK_BYTES = 24  # the name, a GUID, and 64 bits of size
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


def declared_num_samples(file: io.FileIO, container: str, num_samples: int) -> int | None:
    """Return the length that a header claims.

    Parameters
    ----------
    file : io.FileIO
        Its position is moved.
    container : str
        As libsndfile names it.
    num_samples : int
        What libsndfile found.

    Returns
    -------
    int or None
        Samples per channel; ``None`` where the header leaves it open; ``num_samples`` where the
        container is not one of those that can be cut off unnoticed.
    """
    size = os.fstat(file.fileno()).st_size
    head = _read_at(file, 0, _HEAD_BYTES)
    if container == "AIFF":
        at = head.find(b"COMM")
        return _u32(head, at + 10) if 0 < at <= len(head) - 14 else num_samples
    if container == "NIST":
        claim = re.search(rb"sample_count -i (\d+)", head)
        return int(claim[1]) if claim else num_samples
    if container == "AU" and head[:4] == b".snd" and len(head) >= _AU_SIZES_END:
        offset, declared = struct.unpack_from(">II", head, 4)
        return None if declared == _UNKNOWN else _scaled(num_samples, declared, size - offset)
    if container == "CAF":
        return _caf(file, size, num_samples)
    if container == "W64" and 0 < (at := head.find(_W64_DATA)) <= len(head) - _W64_CHUNK_BYTES:
        declared = int(struct.unpack_from("<Q", head, at + 16)[0]) - _W64_CHUNK_BYTES
        return _scaled(num_samples, declared, size - at - _W64_CHUNK_BYTES)
    return num_samples


def ogg_was_cut_off(file: io.FileIO) -> bool:
    """Tell whether the last page of an Ogg file is cut or not marked as the last (RFC 3533, 6)."""
    size = os.fstat(file.fileno()).st_size
    tail = _read_at(file, max(size - _TAIL_BYTES - _MAX_OGG_PAGE, 0), _TAIL_BYTES + _MAX_OGG_PAGE)
    page = tail.rfind(b"OggS")
    if page < 0 or len(tail) < page + _OGG_HEADER_BYTES:
        return page >= 0
    segments = tail[page + _OGG_HEADER_BYTES :][: tail[page + 26]]
    end = page + _OGG_HEADER_BYTES + tail[page + 26] + sum(segments)
    is_whole = len(segments) == tail[page + 26] and end <= len(tail)
    return not (is_whole and tail[page + 5] & _OGG_LAST_PAGE)


def _caf(file: io.FileIO, size: int, num_samples: int) -> int | None:
    """Return the claim of a CAF's ``data`` chunk (Apple, Core Audio Format Specification 1.0)."""
    position, packet_bytes, packet_samples = _CAF_HEADER_BYTES, 0, 0
    for _ in range(_MAX_CAF_CHUNKS):
        head = _read_at(file, position, 12)
        if len(head) < 12:
            break
        name, declared = struct.unpack(">4sq", head)
        if name == b"desc":
            body = _read_at(file, position + 12, 24)
            packet_bytes, packet_samples = struct.unpack_from(">II", body.ljust(24, b"\0"), 16)
        if name == b"data" and packet_bytes:
            audio_bytes = declared - _CAF_EDIT_COUNT_BYTES
            return None if declared < 0 else audio_bytes // packet_bytes * int(packet_samples)
        position += 12 + max(declared, 0)
        if position > size:
            break
    return num_samples  # packets of varying size are counted in a table


def _scaled(num_samples: int, declared: int, available: int) -> int:
    """Return the samples of ``declared`` bytes where ``available`` bytes hold ``num_samples``."""
    if not declared > available > 0 or not num_samples:
        return num_samples
    # The last sample may be cut too: whole bytes a sample are found by rounding down.
    width = available // num_samples
    return declared // width if width else num_samples * declared // available


def _u32(data: bytes, at: int) -> int:
    return int(struct.unpack_from(">I", data, at)[0])


def _read_at(file: io.FileIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size) or b""
