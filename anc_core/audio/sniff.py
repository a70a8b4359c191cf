"""What a file is by its first bytes, where that decides who reads it or that nobody can."""

from __future__ import annotations

import codecs
from pathlib import Path

from anc_core.errors import ErrorCode, SourceError
from anc_core.files import printable

HEAD_BYTES = 1 << 12

_LIBSNDFILE_MAGIC = (
    b"fLaC", b"OggS", b"caff", b"FORM", b".snd", b"dns.", b"riff", b"NIST_1A", b"Creative Voice",
    b"PVF1", b" paf", b"fap ", b"2BIT", b"MATLAB", b"Extended Instrument", b"ALawSoundFile",
)  # fmt: skip
_FFMPEG_MAGIC = {
    b"\x1a\x45\xdf\xa3": "Matroska or WebM",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "Windows Media (ASF)",
    b"#!AMR": "AMR",
    b"MAC ": "Monkey's Audio",
    b"wvpk": "WavPack",
    b"TTA1": "True Audio",
    b"MPCK": "Musepack",
    b"MP+": "Musepack",
    b"DSD ": "DSD",
    b".RMF": "RealMedia",
    b"FLV\x01": "Flash video",
    b"\xff\xf1": "AAC (ADTS)",
    b"\xff\xf9": "AAC (ADTS)",
}
_FOREIGN_MAGIC = {
    b"PK\x03\x04": "a ZIP archive",
    b"PK\x05\x06": "an empty ZIP archive",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"\x1f\x8b": "a gzip archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\xfd7zXZ": "an xz archive",
    b"BZh": "a bzip2 archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
    b"\x7fELF": "a program",
    b"SQLite format 3": "a database",
    b"\x00\x00\x00\x01Bud1": "a .DS_Store of macOS",
    b"\x00\x05\x16\x07": "an AppleDouble file of macOS, which holds no audio",
    b"\xd0\xcf\x11\xe0": "a document or Thumbs.db of Windows",
}
_ZIP_ENCRYPTED = 0x01
_SAMPLE_DUMP = b"\xf0\x7e"


def refuse_foreign(head: bytes, path: Path) -> None:
    """Refuse what is certainly something else than audio.

    Parameters
    ----------
    head : bytes
        The first :data:`HEAD_BYTES` of the file.
    path : Path
        For the message.

    Raises
    ------
    SourceError
        NOT_AUDIO naming what it is; UNSUPPORTED for an encrypted archive or a sample dump.
    """
    name = printable(path)
    if head[:4] == b"PK\x03\x04" and len(head) > 6 and head[6] & _ZIP_ENCRYPTED:
        msg = f"{name}: is a ZIP archive with a password; unpack it first"
        raise SourceError(ErrorCode.UNSUPPORTED, msg)
    if head.startswith(_SAMPLE_DUMP):
        # libsndfile decodes it wrongly and prints to the standard output, which belongs to --json.
        msg = f"{name}: is a MIDI sample dump, which is not read here; convert it to WAV"
        raise SourceError(ErrorCode.UNSUPPORTED, msg)
    for magic, what in _FOREIGN_MAGIC.items():
        if head.startswith(magic):
            raise SourceError(ErrorCode.NOT_AUDIO, f"{name}: is {what}, not audio")
    if ffmpeg_kind(head) is None and not head.startswith(_LIBSNDFILE_MAGIC) and _is_text(head):
        is_markup = head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
        what = "a web page or XML" if is_markup else "text"
        raise SourceError(ErrorCode.NOT_AUDIO, f"{name}: is {what}, not audio")


def ffmpeg_kind(head: bytes) -> str | None:
    """Return in words what container ``head`` begins if FFmpeg is the one to read it."""
    if head[4:8] == b"ftyp":
        return "MP4"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "AVI"
    return next((what for magic, what in _FFMPEG_MAGIC.items() if head.startswith(magic)), None)


def _is_text(head: bytes) -> bool:
    """Tell whether ``head`` reads as text: UTF-16 with its mark, or UTF-8 without controls."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    try:
        # A character may be cut at the end of what was read; final=False forgives that.
        text = codecs.getincrementaldecoder("utf-8")().decode(head, final=False)
    except UnicodeDecodeError:
        return False
    return all(char.isprintable() or char in "\t\r\n\f\ufeff" for char in text)


def is_known(head: bytes) -> bool:
    """Tell whether ``head`` bears the mark of an audio format that libsndfile may read."""
    return head.startswith(_LIBSNDFILE_MAGIC)
