"""Recordings of any kind as float32 chunks, in constant memory.

The content decides what a file is, never its name; the bytes that are there decide how long it is,
never its header. What is wrong with a file is said in one of the codes of
:class:`anc_core.errors.ErrorCode` with the file, the value and the cure; what is odd but readable
becomes a remark.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from anc_core.arrays import Chunk, check_num_channels, check_sample_rate
from anc_core.audio.chunks import chunk_size_for, rechunk
from anc_core.audio.decoders import Decoder
from anc_core.audio.formats import AudioFormat, suffix_mismatch
from anc_core.audio.opening import open_decoder
from anc_core.audio.tags import Tags
from anc_core.errors import ErrorCode, InputError, SourceError, WarningCode
from anc_core.files import open_regular, printable
from anc_core.records import Remark


class AudioReader:
    """A recording that is open; made by :func:`open_reader`.

    Attributes
    ----------
    path : Path
    sample_rate : int
        Hz.
    num_channels : int
    format : AudioFormat
        What the content is.
    tags : Tags
        Title, artist ... where present.
    declared_num_samples : int or None
        What the headers claim; ``None`` where they claim nothing (a stream).
    num_samples : int
        Decoded so far; the truth after the last chunk.
    non_finite_samples : int
        Values that were NaN or infinite and became 0.
    chunk_size : int
        Samples of a chunk where :meth:`chunks` is given no other size.
    """

    def __init__(
        self,
        path: Path,
        decoder: Decoder,
        *,
        chunk_size: int | None,
        max_duration_s: float | None,
        channels: Sequence[int] | None = None,
    ) -> None:
        self.path = path
        self._decoder = decoder
        self.sample_rate = self._checked(ErrorCode.BAD_SAMPLE_RATE, decoder.sample_rate)
        self.num_channels = self._checked(ErrorCode.BAD_CHANNELS, decoder.num_channels)
        self._channels = None if channels is None else self._existing(channels)
        if self._channels is not None:
            self.num_channels = len(self._channels)
        self.format: AudioFormat = decoder.format
        self.tags: Tags = decoder.tags
        self.declared_num_samples = decoder.declared_num_samples
        self.num_samples = 0
        self.non_finite_samples = 0
        if chunk_size is None:
            chunk_size = chunk_size_for(self.sample_rate, self.declared_num_samples)
        self.chunk_size = chunk_size
        self._max_samples = (
            None if max_duration_s is None else int(max_duration_s * self.sample_rate)
        )
        self._at_end = False
        self._refuse_early()

    @property
    def source_channels(self) -> tuple[int, ...]:
        """Numbers that the channels have in the file, from 0."""
        return tuple(range(self.num_channels) if self._channels is None else self._channels)

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """What is odd about the recording; complete after the last chunk."""
        mismatch = suffix_mismatch(self.format, self.path.suffix)
        remarks = self._decoder.remarks + (() if mismatch is None else (mismatch,))
        truncation = self._truncation() if self._at_end else None
        if truncation is not None:
            remarks += (Remark(code=WarningCode.TRUNCATED, message=truncation),)
        return remarks

    def chunks(self, chunk_size: int | None = None) -> Iterator[Chunk]:
        """Yield the samples, once, from where an earlier call stopped.

        Parameters
        ----------
        chunk_size : int, optional
            Samples a chunk, >= 1; :attr:`chunk_size` if not given. The policy on chunk sizes is
            :func:`anc_core.audio.chunk_size_for`; here any size does.

        Yields
        ------
        Chunk
            float32, C-contiguous, shape (chunk_size, num_channels), full scale +-1; the last may be
            shorter. PCM of up to 24 bits is exact: value / 2**(bits - 1).

        Raises
        ------
        SourceError
            NO_AUDIO if not one sample can be decoded, TOO_LONG as soon as the limit is passed.
        """
        return rechunk(self._blocks(), self.chunk_size if chunk_size is None else chunk_size)

    def _blocks(self) -> Iterator[Chunk]:
        while not self._at_end:
            block = self._decoder.read()
            if not len(block):
                self._at_end = True
                self._refuse_empty()
                return
            self.num_samples += len(block)
            self._refuse_too_long(self.num_samples, "at least ")
            if self._channels is not None:
                block = np.ascontiguousarray(block[:, self._channels])
            yield self._repaired(block)

    def _repaired(self, block: Chunk) -> Chunk:
        finite = np.isfinite(block)
        if not finite.all():
            self.non_finite_samples += int(block.size - np.count_nonzero(finite))
            block[~finite] = 0.0
        return block

    def _checked(self, code: ErrorCode, value: int) -> int:
        check = check_sample_rate if code is ErrorCode.BAD_SAMPLE_RATE else check_num_channels
        try:
            return check(value)
        except InputError as err:
            raise SourceError(code, f"{printable(self.path)}: {err}") from err

    def _existing(self, channels: Sequence[int]) -> list[int]:
        missing = [channel for channel in channels if not 0 <= channel < self.num_channels]
        if missing or not len(channels):
            asked = ", ".join(str(channel + 1) for channel in missing) or "none"
            msg = (
                f"{printable(self.path)}: channel {asked} was asked for; "
                f"the recording has {self.num_channels}, counted from 1"
            )
            raise SourceError(ErrorCode.BAD_CHANNELS, msg)
        return list(channels)

    def _refuse_early(self) -> None:
        if self.declared_num_samples == 0:
            self._refuse_empty()
        self._refuse_too_long(self.declared_num_samples or 0)

    def _refuse_empty(self) -> None:
        if not self.num_samples:
            msg = f"{printable(self.path)}: no samples; the recording is empty"
            raise SourceError(ErrorCode.NO_AUDIO, msg)

    def _refuse_too_long(self, num_samples: int, at_least: str = "") -> None:
        if self._max_samples is not None and num_samples > self._max_samples:
            msg = (
                f"{printable(self.path)}: {at_least}{num_samples / self.sample_rate:.0f} s long, "
                f"{self._max_samples / self.sample_rate:.0f} s are allowed; "
                "split it or raise the limit"
            )
            raise SourceError(ErrorCode.TOO_LONG, msg)

    def _truncation(self) -> str | None:
        declared, rate = self.declared_num_samples, self.sample_rate
        reason = self._decoder.ended_early
        decoded = f"{self.num_samples} samples ({self.num_samples / rate:.3f} s) could be decoded"
        if declared is not None and declared - self.num_samples > self._decoder.length_slack:
            because = f"; {reason}" if reason else ""
            claim = f"the header says {declared} samples ({declared / rate:.3f} s)"
            return f"{claim}, {decoded}{because}"
        return None if reason is None else f"{reason}; {decoded}"


@contextmanager
def open_reader(
    path: Path | str,
    *,
    chunk_size: int | None = None,
    max_duration_s: float | None = None,
    max_bytes: int | None = None,
    channels: Sequence[int] | None = None,
) -> Iterator[AudioReader]:
    """Open a recording for one pass.

    Parameters
    ----------
    path : path
        A regular file of any kind that libsndfile or, with the extra ``codecs``, FFmpeg reads.
    chunk_size : int, optional
        Samples a chunk, >= 1; 1 s within the limits of :func:`chunk_size_for` if not given.
    max_duration_s : float, optional
        Longer recordings are refused: by their header before decoding, by their samples at last.
    max_bytes : int, optional
        Larger files are refused.
    channels : sequence of int, optional
        Columns to deliver, from 0, in this order; all if not given.

    Yields
    ------
    AudioReader

    Raises
    ------
    SourceError
        NOT_FOUND, PERMISSION, EMPTY_FILE, TOO_LONG, NOT_AUDIO, UNSUPPORTED, NO_AUDIO,
        NO_AUDIO_STREAM, NO_DATA_CHUNK, BAD_SAMPLE_RATE or BAD_CHANNELS.
    """
    path = Path(path)
    with open_regular(path) as file:
        _check_size(file, path, max_bytes)
        with closing(open_decoder(file, path)) as decoder:
            yield AudioReader(
                path,
                decoder,
                chunk_size=chunk_size,
                max_duration_s=max_duration_s,
                channels=channels,
            )


def _check_size(file: io.FileIO, path: Path, max_bytes: int | None) -> None:
    size = os.fstat(file.fileno()).st_size
    if not size:
        msg = f"{printable(path)}: the file has 0 bytes; copy or record it again"
        raise SourceError(ErrorCode.EMPTY_FILE, msg)
    if max_bytes is not None and size > max_bytes:
        msg = (
            f"{printable(path)}: {size} bytes, {max_bytes} are allowed; split it or raise the limit"
        )
        raise SourceError(ErrorCode.TOO_LONG, msg)
