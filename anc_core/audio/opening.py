"""Which decoder reads a file, and what of the file it is shown."""

from __future__ import annotations

import io
import os
from importlib.util import find_spec
from pathlib import Path

from anc_core.audio import headers
from anc_core.audio.decoders import Decoder, SndfileDecoder
from anc_core.audio.formats import AudioFormat
from anc_core.audio.mpeg import MpegLayout, parse_frame, parse_mpeg, skip_id3
from anc_core.audio.riff import WaveLayout, parse_wave
from anc_core.audio.sniff import HEAD_BYTES, ffmpeg_kind, is_known, refuse_foreign
from anc_core.audio.tags import MAX_RAW_BYTES
from anc_core.audio.views import SourceView
from anc_core.errors import ErrorCode, SourceError, WarningCode
from anc_core.files import printable
from anc_core.records import Remark

_MPEG_SUFFIXES = {".mp3", ".mp2", ".mpga"}
_INSTALL = "install the extra `codecs` (pip install 'anc-platform[codecs]') or convert it to FLAC"


def open_decoder(file: io.FileIO, path: Path) -> Decoder:
    """Return the decoder of an open file, by its content.

    Parameters
    ----------
    file : io.FileIO
        Not empty; stays the caller's.
    path : Path
        For messages; of the name only an ``.mp3`` is looked at, where garbage comes first.

    Raises
    ------
    SourceError
        As :func:`anc_core.audio.open_reader`.
    """
    decoder = _by_content(file, path)
    container, found = decoder.format.container, decoder.declared_num_samples
    if found is not None:
        decoder.declared_num_samples = headers.declared_num_samples(file, container, found)
    if container == "OGG" and headers.ogg_was_cut_off(file):
        decoder.ended_early = "the mark at the end of an Ogg stream is missing"
    return decoder


def _by_content(file: io.FileIO, path: Path) -> Decoder:
    size = os.fstat(file.fileno()).st_size
    start = skip_id3(file, 0, size)
    view = SourceView(file, [(start, size - start)])
    head = view.read(HEAD_BYTES)
    refuse_foreign(head, path)
    layout = parse_wave(file)
    if layout is not None:
        layout.check(path)
        return _open_wave(file, path, layout)
    if ffmpeg_kind(head) is not None:
        return _open_ffmpeg(file, path, ffmpeg_kind(head))
    if _may_be_mpeg(head, start, path):
        mpeg = parse_mpeg(file, start, size)
        if mpeg is not None:
            return _open_mpeg(file, path, mpeg, start)
    decoder = _try_libsndfile(file, SourceView(file, [(start, size - start)]), start=start)
    if decoder is not None:
        return decoder
    if is_known(head):
        return _open_ffmpeg(file, path, None)
    return _open_unknown(file, path)


def _may_be_mpeg(head: bytes, start: int, path: Path) -> bool:
    # Eleven set bits alone are too common; behind an ID3 tag or under .mp3 more may be searched.
    if start > 0 or path.suffix.lower() in _MPEG_SUFFIXES:
        return not is_known(head)
    return parse_frame(int.from_bytes(head[:4])) is not None


def _open_wave(file: io.FileIO, path: Path, layout: WaveLayout) -> Decoder:
    assert layout.data_offset is not None  # noqa: S101 - layout.check() saw to it
    stretch = (layout.data_offset, layout.data_size)
    if layout.is_mpeg:
        mpeg = parse_mpeg(file, stretch[0], sum(stretch))
        if mpeg is not None:
            decoder = _open_mpeg(file, path, mpeg, 0)
            decoder.format = AudioFormat(container="WAV", subtype=decoder.format.subtype)
            return decoder
    sndfile = _try_libsndfile(file, SourceView(file, [layout.header(), stretch]))
    if sndfile is None:
        return _open_ffmpeg(file, path, "WAV with a rare codec")
    if layout.form in {b"RF64", b"BW64"} and sndfile.format.container != "RF64":
        sndfile.format = AudioFormat(container="RF64", subtype=sndfile.format.subtype)
    elif layout.form == b"RIFF" and sndfile.format.container == "RF64":
        sndfile.format = AudioFormat(container="WAV", subtype=sndfile.format.subtype)
    sndfile.declared_num_samples = layout.declared_num_samples
    sndfile.remarks = tuple(layout.remarks)
    declared = layout.declared_data_size
    if declared is not None and declared > layout.data_size:
        sndfile.ended_early = f"{layout.data_size} of {declared} bytes of audio are there"
    return sndfile


def _open_mpeg(file: io.FileIO, path: Path, layout: MpegLayout, start: int) -> Decoder:
    # The tag in front is shown too, for its words, unless it is too large to be worth it.
    tag = [(0, start)] if start <= MAX_RAW_BYTES else []
    view = SourceView(file, [*tag, layout.prefix, *layout.stretches])
    decoder = _try_libsndfile(file, view, id3=(0, start))
    if decoder is None:
        return _open_ffmpeg(file, path, "MPEG audio")
    declared, counted = layout.declared_num_samples, decoder.declared_num_samples
    if declared is None or counted is None:
        return decoder
    decoder.declared_num_samples = declared
    if counted > declared:
        message = (
            f"the header says {declared} samples, the frames hold {counted}; "
            "the frames were believed"
        )
        decoder.remarks = (Remark(code=WarningCode.HEADER_REPAIRED, message=message),)
        decoder.declared_num_samples = counted
    return decoder


def _try_libsndfile(
    file: io.FileIO, view: SourceView, *, id3: tuple[int, int] = (0, 0), start: int = 0
) -> SndfileDecoder | None:
    from anc_core.audio.sndfile import SoundFileError

    try:
        return SndfileDecoder(file, view, id3=id3, start=start)
    except SoundFileError:
        return None


def _open_ffmpeg(file: io.FileIO, path: Path, what: str | None) -> Decoder:
    if find_spec("av") is None:
        msg = f"{printable(path)}: {what or 'this codec'} cannot be decoded here; {_INSTALL}"
        raise SourceError(ErrorCode.UNSUPPORTED, msg)
    from anc_core.audio.pyav_reader import PyavDecoder

    return PyavDecoder(SourceView(file), path)


def _open_unknown(file: io.FileIO, path: Path) -> Decoder:
    """Give FFmpeg, which knows some formats without a mark, the last word."""
    not_audio = SourceError(
        ErrorCode.NOT_AUDIO,
        f"{printable(path)}: the content is no audio format that is known here",
    )
    if find_spec("av") is None:
        raise not_audio
    try:
        return _open_ffmpeg(file, path, None)
    except SourceError as err:
        raise not_audio from err
