"""Outputs that are complete or do not exist, in the format of the source.

Samples go into a temporary file beside the output; :meth:`AudioWriter.finish` closes and syncs it,
so that it can be examined, and only a clean end of the ``with`` block gives it its name.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from anc_core.arrays import Chunk, check_chunk, check_num_channels, check_sample_rate
from anc_core.audio import wave_sizes
from anc_core.audio.formats import AudioFormat
from anc_core.audio.quantize import BITS, quantize
from anc_core.audio.tags import FLAC_STREAMINFO_END, dropped, raw_for, words_for
from anc_core.audio.views import SinkView
from anc_core.errors import ErrorCode, InputError, SinkError
from anc_core.files import atomic_path, printable, sink_error
from anc_core.records import Remark

# Encoder settings of the lossy formats: transparent rather than small, since the result is to be
# judged by ear. libsndfile counts from 0 (largest) to 1: 0.2 is LAME's V2 and Vorbis' q8.
# Opus keeps its own choice, which follows sample rate and channels.
_COMPRESSION_LEVELS = {"VORBIS": 0.2, "MPEG_LAYER_III": 0.2}


class AudioWriter:
    """An output that is being written; made by :func:`open_writer`.

    Attributes
    ----------
    path : Path
        Where the output will be.
    format : AudioFormat
    num_samples : int
        Written so far.
    clipped_samples : int
        Values beyond full scale that an integer subtype had to clamp; never wrapped.
    remarks : tuple of Remark
        TAGS_DROPPED where the container cannot carry a tag.
    """

    def __init__(
        self,
        path: Path,
        temp: Path,
        *,
        sample_rate: int,
        num_channels: int,
        audio_format: AudioFormat,
        tags: Mapping[str, str],
        num_samples_hint: int | None,
    ) -> None:
        from anc_core.audio import sndfile

        self._sndfile = sndfile
        self.path = path
        self._temp = temp
        self.sample_rate = check_sample_rate(sample_rate)
        self.num_channels = check_num_channels(num_channels)
        self.format = audio_format
        self.num_samples = 0
        self.clipped_samples = 0
        remark = dropped(tags, audio_format.container)
        self.remarks: tuple[Remark, ...] = () if remark is None else (remark,)
        self._num_bits = BITS.get(audio_format.subtype)
        self._wave = wave_sizes.plan(audio_format, num_channels, num_samples_hint)
        raw = raw_for(tags, audio_format.container)
        self._file = io.FileIO(temp, "w+")
        try:
            self._view = self._make_view(raw)
            self._sound_file: Any = self._open_sound_file()
            for field, words in words_for(tags, audio_format.container).items():
                setattr(self._sound_file, field, words)
        except BaseException:
            self._file.close()
            raise

    def write(self, chunk: Chunk) -> None:
        """Append ``chunk``, float32, shape (n >= 0, num_channels), full scale +-1.

        Raises
        ------
        InputError
            If the shape is wrong, a value is NaN or infinite, or the writer is finished.
        SinkError
            NO_SPACE or NOT_WRITABLE.
        """
        if self._sound_file is None:
            msg = f"{printable(self.path)}: is finished; nothing can be appended to it"
            raise InputError(msg)
        chunk = check_chunk(chunk, self.num_channels)
        if not np.isfinite(chunk).all():
            msg = f"{printable(self.path)}: a sample to be written is NaN or infinite"
            raise InputError(msg)
        if not len(chunk):
            return
        values: np.ndarray[Any, Any] = chunk
        if self._num_bits is not None:
            values, num_clamped = quantize(chunk, self._num_bits)
            self.clipped_samples += num_clamped
        written = self._sndfile.write_from(self._sound_file, values)
        self._refuse_failure(complete=written == len(values))
        self.num_samples += len(chunk)

    def finish(self) -> Path:
        """Complete the temporary file and return its path; again: only return it.

        Raises
        ------
        SinkError
            NO_SPACE or NOT_WRITABLE.
        """
        if self._sound_file is not None:
            self._close_sound_file()
            self._refuse_failure(complete=True)
            try:
                if self._wave is not None:
                    self._wave.complete(self._file, self.num_samples)
                os.fsync(self._file.fileno())
                self._file.close()
            except OSError as err:
                raise sink_error(self.path, err) from err
        return self._temp

    def abort(self) -> None:
        """Close what is open; the temporary file is its owner's to remove."""
        with suppress(OSError, self._sndfile.SoundFileError):
            self._close_sound_file()
        with suppress(OSError):
            self._file.close()

    def _close_sound_file(self) -> None:
        sound_file, self._sound_file = self._sound_file, None
        if sound_file is not None:
            sound_file.close()

    def _make_view(self, raw: bytes) -> SinkView:
        """Return where libsndfile writes: around what it does not write itself."""
        if self._wave is not None:
            gap_offset, gap = self._wave.gap
        else:
            gap_offset = FLAC_STREAMINFO_END if self.format.container == "FLAC" else 0
            gap = raw
        if gap:
            try:
                self._file.seek(gap_offset)
                self._file.write(gap)
            except OSError as err:
                raise sink_error(self.path, err) from err
        return SinkView(self._file, gap_offset, len(gap))

    def _open_sound_file(self) -> Any:  # noqa: ANN401 - soundfile is untyped
        container = "WAV" if self.format.container == "RF64" else self.format.container
        try:
            sound_file = self._sndfile.SoundFile(
                self._view,
                "w",
                samplerate=self.sample_rate,
                channels=self.num_channels,
                subtype=self.format.subtype,
                endian=self.format.endian,
                format=container,
                compression_level=_COMPRESSION_LEVELS.get(self.format.subtype),
            )
        except (self._sndfile.SoundFileError, ValueError, TypeError) as err:
            self._refuse_failure(complete=True)
            msg = (
                f"{printable(self.path)}: {container} {self.format.subtype} cannot hold "
                f"{self.num_channels} channels at {self.sample_rate} Hz ({err}); "
                "name the output .wav"
            )
            raise SinkError(ErrorCode.NOT_WRITABLE, msg) from err
        self._sndfile.omit_peak_chunk(sound_file)
        return sound_file

    def _refuse_failure(self, *, complete: bool) -> None:
        if self._view.error is not None:
            raise sink_error(self.path, self._view.error) from self._view.error
        if not complete:
            msg = (
                f"{printable(self.path)}: the encoder took only a part of the samples; "
                "name the output .wav"
            )
            raise SinkError(ErrorCode.NOT_WRITABLE, msg)


@contextmanager
def open_writer(
    path: Path | str,
    *,
    sample_rate: int,
    num_channels: int,
    format: AudioFormat,  # noqa: A002 - the word of libsndfile and soundfile
    tags: Mapping[str, str] | None = None,
    num_samples_hint: int | None = None,
    token: str | None = None,
) -> Iterator[AudioWriter]:
    """Open an output, which appears under its name when the block ends without an exception.

    Parameters
    ----------
    path : path
        Replaced atomically if it exists; missing folders are made.
    sample_rate : int
        Hz.
    num_channels : int
    format : AudioFormat
        As :func:`anc_core.audio.output_format` returns it.
    tags : mapping, optional
        Words by field name; those of a reader carry cover art too.
    num_samples_hint : int, optional
        Expected length. Where it, or its absence, leaves more than 4 GB possible, a WAV is prepared
        to become an RF64 and does so only if it must.
    token : str, optional
        Names the temporary file, see :func:`anc_core.files.temp_path`.

    Yields
    ------
    AudioWriter

    Raises
    ------
    InputError
        If a parameter breaks its rule.
    SinkError
        NO_SPACE or NOT_WRITABLE.

    Notes
    -----
    After an exception nothing is left, and what was at ``path`` before is there still.
    """
    path = Path(path)
    with atomic_path(path, token=token) as temp:
        writer = AudioWriter(
            path,
            temp,
            sample_rate=sample_rate,
            num_channels=num_channels,
            audio_format=format,
            tags=tags or {},
            num_samples_hint=num_samples_hint,
        )
        try:
            yield writer
            writer.finish()
        finally:
            writer.abort()
