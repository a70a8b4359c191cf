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
    "MP3": ("title", "artist", "comment", "date", "album", "tracknumber", "genre"),
}


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


def carried(container: str) -> tuple[str, ...]:
    """Return the fields that a file of ``container`` can carry."""
    return _CARRIED.get(container, ())


def raw_for(tags: Mapping[str, str], container: str) -> bytes:
    """Return the bytes of ``tags`` that can be set into a ``container`` as they are."""
    return tags.raw if isinstance(tags, Tags) and tags.container == container else b""


def dropped(tags: Mapping[str, str], container: str) -> Remark | None:
    """Return a TAGS_DROPPED remark naming what of ``tags`` a ``container`` cannot carry."""
    raw = raw_for(tags, container)
    if raw and container == "MP3":
        return None  # the ID3 tag goes over whole
    lost = sorted(field for field in tags if field not in carried(container))
    if isinstance(tags, Tags) and tags.has_art and not raw:
        lost.append("cover art")
    if not lost:
        return None
    return Remark(
        code=WarningCode.TAGS_DROPPED,
        message=f"{container} as it is written here cannot carry {', '.join(lost)}",
    )


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
