"""Title, artist, cover art: what a recording says of itself, carried to the output.

The words go through libsndfile. What it has no words for, art above all, travels as the untouched
bytes of the source's tag where source and output are the same container (MP3: the ID3v2 tag as a
whole; FLAC: the PICTURE blocks); elsewhere the output says that it was dropped.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping

from anc_core.errors import WarningCode
from anc_core.records import Remark

FIELDS = (
    "title", "copyright", "software", "artist", "comment", "date", "album", "license",
    "tracknumber", "genre",
)  # fmt: skip
"""The words that libsndfile knows."""

MAX_RAW_BYTES = 1 << 24
"""Larger tags are left behind: a FLAC block ends at 16 MiB, and a cover is not worth the memory."""

_FLAC_PICTURE = 6
_FLAC_LAST_BLOCK = 0x80
FLAC_STREAMINFO_END = 42
"""Marker (4), block header (4) and STREAMINFO (34): PICTURE blocks may follow here."""

_INFO = tuple(field for field in FIELDS if field != "license")
# Measured: what is read back by libsndfile 1.2.2 from what it wrote (test_tags.py).
_CARRIED: dict[str, tuple[str, ...]] = {
    "WAV": _INFO,
    "WAVEX": _INFO,
    "RF64": _INFO,
    "FLAC": FIELDS,
    "OGG": FIELDS,
    "CAF": FIELDS,
    "AIFF": ("title", "copyright", "software", "artist", "comment"),
    "MP3": FIELDS,
}
_ASCII_ONLY = {"AIFF": ("copyright", "software")}
# ID3v2.4.0 Native Frames, sections 4.2 and 4.3; TXXX and COMM hold a description before the text.
_ID3_FRAMES = {
    "title": (b"TIT2", ""),
    "artist": (b"TPE1", ""),
    "album": (b"TALB", ""),
    "date": (b"TDRC", ""),
    "genre": (b"TCON", ""),
    "tracknumber": (b"TRCK", ""),
    "copyright": (b"TCOP", ""),
    "software": (b"TSSE", ""),
    "comment": (b"COMM", "und\0"),
    "license": (b"TXXX", "LICENSE\0"),
}
_ID3_UTF_8 = b"\x03"


class Tags(dict[str, str]):
    """The words of a recording by field name, and the raw tag they came from.

    Parameters
    ----------
    words : mapping
        Keys among :data:`FIELDS`.
    raw : bytes
        What can be set into another file of the same container as it is.
    container : str
        The container that ``raw`` belongs to.
    has_art : bool
        Whether ``raw`` holds a picture.
    """

    def __init__(
        self,
        words: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        *,
        raw: bytes = b"",
        container: str = "",
        has_art: bool = False,
    ) -> None:
        super().__init__(words)
        self.raw = raw
        self.container = container
        self.has_art = has_art


def words_for(tags: Mapping[str, str], container: str) -> dict[str, str]:
    """Return the words of ``tags`` that libsndfile writes into a file of ``container``."""
    if container == "MP3":
        return {}  # LAME knows neither copyright nor genres of one's own: see raw_for
    ascii_only = _ASCII_ONLY.get(container, ())
    return {
        field: tags[field]
        for field in _CARRIED.get(container, ())
        if tags.get(field) and (field not in ascii_only or tags[field].isascii())
    }


def raw_for(tags: Mapping[str, str], container: str) -> bytes:
    """Return the bytes to be set into a ``container`` as they are; for MP3 an ID3v2 tag."""
    if isinstance(tags, Tags) and tags.raw and tags.container == container:
        return tags.raw
    return _id3(tags) if container == "MP3" else b""


def dropped(tags: Mapping[str, str], container: str) -> Remark | None:
    """Return a TAGS_DROPPED remark naming what of ``tags`` a ``container`` cannot carry."""
    kept = FIELDS if container == "MP3" else words_for(tags, container)
    lost = sorted(field for field in tags if tags[field] and field not in kept)
    if isinstance(tags, Tags) and tags.has_art and not (tags.raw and tags.container == container):
        lost.append("cover art")
    if not lost:
        return None
    return Remark(
        code=WarningCode.TAGS_DROPPED,
        message=f"{container} as it is written here cannot carry {', '.join(lost)}",
    )


def _id3(words: Mapping[str, str]) -> bytes:
    """Return an ID3v2.4 tag that holds ``words``; nothing for none."""
    frames = b""
    for field, (name, description) in _ID3_FRAMES.items():
        if words.get(field):
            body = _ID3_UTF_8 + (description + words[field]).encode()
            frames += name + _synchsafe(len(body)) + b"\0\0" + body
    return b"ID3\x04\0\0" + _synchsafe(len(frames)) + frames if frames else b""


def _synchsafe(size: int) -> bytes:
    """Return ``size`` as ID3 has it: four bytes of seven bits."""
    return bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))


def id3_tags(words: Mapping[str, str], file: io.FileIO, start: int, end: int) -> Tags:
    """Return ``words`` with the ID3v2 tag that lies at [start, end) of ``file``."""
    if not 0 < end - start <= MAX_RAW_BYTES:
        return Tags(words, has_art=end > start)
    file.seek(start)
    raw = file.read(end - start) or b""
    # APIC since ID3v2.3, PIC before.
    has_art = b"APIC" in raw or b"PIC\0" in raw
    return Tags(words, raw=raw, container="MP3", has_art=has_art)


def flac_tags(words: Mapping[str, str], file: io.FileIO, start: int) -> Tags:
    """Return ``words`` with the PICTURE blocks of the FLAC stream at ``start`` of ``file``."""
    position, blocks, is_last = start + 4, [], False
    while not is_last:
        file.seek(position)
        head = file.read(4) or b""
        if len(head) < 4:
            break
        is_last = bool(head[0] & _FLAC_LAST_BLOCK)
        size = int.from_bytes(head[1:])
        if head[0] & ~_FLAC_LAST_BLOCK == _FLAC_PICTURE:
            blocks.append(bytes([_FLAC_PICTURE]) + head[1:] + (file.read(size) or b""))
        position += 4 + size
    raw = b"".join(blocks)
    if len(raw) > MAX_RAW_BYTES:
        return Tags(words, has_art=True)
    return Tags(words, raw=raw, container="FLAC", has_art=bool(blocks))
