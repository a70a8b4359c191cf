"""Decoding by FFmpeg (PyAV, the extra ``codecs``): M4A, WebM, AMR, WMA and whatever else it knows.

FFmpeg itself drops the encoder's delay and padding as the container states them (edit lists,
``iTunSMPB``, Matroska's CodecDelay), so the first sample out is the first that was recorded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from anc_core.arrays import Chunk
from anc_core.audio.formats import AudioFormat
from anc_core.audio.tags import FIELDS, Tags
from anc_core.audio.views import SourceView
from anc_core.errors import ErrorCode, SourceError, WarningCode
from anc_core.files import printable
from anc_core.records import Remark

_CONTAINERS = {"MOV": "MP4"}
# Containers whose length is exact to a frame; others state milliseconds or a guess from bit rates.
_EXACT_LENGTH = {"MP4", "CAF", "WV", "TTA", "APE", "FLAC", "OGG", "WAV", "AIFF", "W64"}
_LENGTH_SLACK = 2048
_SUBTYPES = {
    "mp3": "MPEG_LAYER_III",
    "mp2": "MPEG_LAYER_II",
    "pcm_u8": "PCM_U8",
    "pcm_s8": "PCM_S8",
    "pcm_alaw": "ALAW",
    "pcm_mulaw": "ULAW",
}
_LOSSLESS = {"alac", "ape", "flac", "mlp", "shorten", "tak", "truehd", "tta", "wavpack"}
_PROTECTED_TAGS = {"drms", "enca", "aavd"}
_TAG_NAMES = {"track": "tracknumber", "encoder": "software", "year": "date"}
# Half of the range of each integer sample format; floats have full scale +-1 already.
_FULL_SCALE = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31, "s64": 2.0**63}


class PyavDecoder:
    """Decodes the first audio track of what FFmpeg knows.

    Parameters
    ----------
    view : SourceView
        The file.
    path : Path
        For messages.

    Raises
    ------
    SourceError
        UNSUPPORTED (no decoder, DRM, damaged beyond reading) or NO_AUDIO_STREAM.
    """

    def __init__(self, view: SourceView, path: Path) -> None:
        self._path = path
        self._view = view
        try:
            self._container: Any = av.open(view, mode="r", metadata_errors="replace")
        except (FFmpegError, OSError, ValueError) as err:
            raise self._unsupported(f"FFmpeg cannot read it ({_words(err)})") from err
        try:
            self._open()
        except BaseException:
            self._container.close()
            raise

    def read(self) -> Chunk:
        """Return the next samples (n, num_channels), n >= 0; n = 0 is the end for good."""
        return next(self._blocks, np.zeros((0, self.num_channels), np.float32))

    def close(self) -> None:
        """Close FFmpeg's demuxer and decoder."""
        self._container.close()

    def _open(self) -> None:
        audio = self._container.streams.audio
        if not audio:
            kinds = ", ".join(sorted({s.type for s in self._container.streams})) or "nothing"
            msg = f"{printable(self._path)}: holds {kinds} but no audio track"
            raise SourceError(ErrorCode.NO_AUDIO_STREAM, msg)
        stream = self._stream = audio[0]
        codec = stream.codec_context
        if codec is None or codec.format is None:
            raise self._unsupported("FFmpeg has no decoder for its codec, or it is damaged")
        if _fourcc(codec) in _PROTECTED_TAGS:
            raise self._unsupported("it is protected by DRM; use an unprotected copy")
        self.sample_rate: int = codec.sample_rate
        self.num_channels: int = codec.channels
        self.format = _format(self._container, codec)
        self.tags = _tags(self._container.metadata, stream.metadata)
        self.declared_num_samples = (
            _declared(stream, codec) if self.format.container in _EXACT_LENGTH else None
        )
        self.length_slack = _LENGTH_SLACK
        self.remarks = _remarks(len(audio))
        self.ended_early: str | None = None
        self._blocks = self._decoded()

    def _decoded(self) -> Iterator[Chunk]:
        last: Any = None
        for frame in self._frames():
            self._check_constant(frame)
            if last is not None and last.samples:
                yield _samples(last)
            last = frame
        if last is not None and last.samples:
            yield _samples(last)[: self._true_length(last)]

    def _frames(self) -> Iterator[Any]:
        frames = self._container.decode(self._stream)
        while True:
            try:
                frame = next(frames, None)
            except FFmpegError as err:
                self.ended_early = f"the rest is damaged ({_words(err)})"
                return
            if self._view.error is not None:
                self.ended_early = f"the disk could not be read ({self._view.error.strerror})"
            if frame is None:
                return
            yield frame

    def _true_length(self, last: Any) -> int:  # noqa: ANN401 - PyAV's types are optional
        """Return how much of the last frame was recorded; the rest is the encoder's padding.

        FFmpeg trims what edit lists and CodecDelay state, but not what MP4 states by giving the
        last packet a shorter duration.
        """
        num_samples: int = last.samples
        counts_samples = last.time_base == Fraction(1, self.sample_rate)
        if self.format.container == "MP4" and counts_samples and last.duration:
            return min(num_samples, int(last.duration))
        return num_samples

    def _check_constant(self, frame: Any) -> None:  # noqa: ANN401
        found = (frame.sample_rate, frame.layout.nb_channels)
        if found != (self.sample_rate, self.num_channels):
            raise self._unsupported(
                f"it changes from {self.sample_rate} Hz with {self.num_channels} channels to "
                f"{found[0]} Hz with {found[1]}; split it there"
            )

    def _unsupported(self, reason: str) -> SourceError:
        return SourceError(ErrorCode.UNSUPPORTED, f"{printable(self._path)}: {reason}")


def _samples(frame: Any) -> Chunk:  # noqa: ANN401
    """Return a frame as float32 (n, num_channels), full scale +-1."""
    name = frame.format.name
    values = frame.to_ndarray()
    if name.endswith("p"):
        values = values.T
        name = name[:-1]
    else:
        values = values.reshape(-1, frame.layout.nb_channels)
    if name in _FULL_SCALE:
        offset = 128.0 if name == "u8" else 0.0
        values = (values.astype(np.float64) - offset) / _FULL_SCALE[name]
    return np.ascontiguousarray(values, dtype=np.float32)


def _format(container: Any, codec: Any) -> AudioFormat:  # noqa: ANN401
    name = container.format.name.split(",")[0].upper()
    return AudioFormat(container=_CONTAINERS.get(name, name), subtype=_subtype(codec))


def _subtype(codec: Any) -> str:  # noqa: ANN401
    name = codec.codec.canonical_name
    if name in _SUBTYPES:
        return _SUBTYPES[name]
    if pcm := re.fullmatch(r"pcm_([sf])(\d+)(?:le|be)(?:_planar)?", name):
        if pcm[1] == "f":
            return "FLOAT" if pcm[2] == "32" else "DOUBLE"
        return f"PCM_{pcm[2]}"
    if name in _LOSSLESS:
        return f"{name.upper()}_{'16' if codec.format.name.startswith(('s16', 'u8')) else '24'}"
    return str(name).upper()


def _tags(*metadata: dict[str, str]) -> Tags:
    words: dict[str, str] = {}
    for given in metadata:
        for key, value in given.items():
            field = _TAG_NAMES.get(key.lower(), key.lower())
            if field in FIELDS and value:
                words.setdefault(field, value)
    return Tags(words)


def _declared(stream: Any, codec: Any) -> int | None:  # noqa: ANN401
    if stream.duration is None or stream.time_base is None:
        return None
    num_samples: int = round(stream.duration * stream.time_base * codec.sample_rate)
    return num_samples


def _remarks(num_tracks: int) -> tuple[Remark, ...]:
    if num_tracks == 1:
        return ()
    message = f"the file holds {num_tracks} audio tracks; the first was taken"
    return (Remark(code=WarningCode.SEVERAL_TRACKS, message=message),)


def _fourcc(codec: Any) -> str:  # noqa: ANN401
    try:
        return str(codec.codec_tag)
    except UnicodeDecodeError:  # PyAV decodes it as ASCII, whatever a file holds
        return ""


def _words(err: Exception) -> str:
    return getattr(err, "strerror", None) or str(err)
