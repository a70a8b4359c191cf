"""What the reader needs of a decoder, and the one that libsndfile is."""

from __future__ import annotations

import io
from typing import Any, Protocol

import numpy as np

from anc_core.arrays import Chunk
from anc_core.audio.formats import AudioFormat
from anc_core.audio.tags import Tags, flac_tags, id3_tags
from anc_core.audio.views import SourceView
from anc_core.records import Remark

_BLOCK_VALUES = 1 << 18
"""Values (samples times channels) decoded at once: 1 MiB, whatever a header claims."""


class Decoder(Protocol):
    """Turns one open file into samples."""

    sample_rate: int
    num_channels: int
    format: AudioFormat
    tags: Tags
    declared_num_samples: int | None
    """What the headers claim; ``None`` = nothing."""
    remarks: tuple[Remark, ...]
    """On the file as a whole; complete after the last block."""
    ended_early: str | None
    """Why the samples end before the recording did, where that is known."""
    length_slack: int
    """Samples by which even a whole recording may miss what the headers claim."""

    def read(self) -> Chunk:
        """Return the next samples (n, num_channels), n >= 0; n = 0 is the end for good."""

    def close(self) -> None:
        """Let go of the library's own resources; the file belongs to the caller."""


class SndfileDecoder:
    """Decodes what libsndfile knows.

    Parameters
    ----------
    file : io.FileIO
        The recording.
    view : SourceView
        What of it libsndfile sees.
    id3 : (int, int)
        Where an ID3v2 tag lies; equal offsets if there is none.
    start : int
        Where the audio format begins, behind such tags.

    Raises
    ------
    soundfile.SoundFileError
        If libsndfile cannot read it.
    """

    def __init__(
        self,
        file: io.FileIO,
        view: SourceView,
        *,
        id3: tuple[int, int] = (0, 0),
        start: int = 0,
    ) -> None:
        from anc_core.audio import sndfile

        self._sndfile = sndfile
        self._view = view
        self._sound_file: Any = sndfile.SoundFile(view)
        sound_file = self._sound_file
        self.sample_rate: int = sound_file.samplerate
        self.num_channels: int = sound_file.channels
        self.format = AudioFormat(
            container=sound_file.format, subtype=sound_file.subtype, endian=sound_file.endian
        )
        self.tags = _tags(file, sound_file.copy_metadata(), sound_file.format, id3, start)
        frames: int = sound_file.frames
        self.declared_num_samples = None if frames >= sndfile.UNKNOWN_FRAMES else frames
        self.remarks: tuple[Remark, ...] = ()
        self.ended_early: str | None = None
        self.length_slack = 0

    def read(self) -> Chunk:
        """Return the next samples (n, num_channels), n >= 0; n = 0 is the end for good."""
        size = max(_BLOCK_VALUES // self.num_channels, 1)
        block = np.empty((size, self.num_channels), np.float32)
        count = self._sndfile.read_into(self._sound_file, block)
        if self._view.error is not None:
            self.ended_early = f"the disk could not be read ({self._view.error.strerror})"
        return block[: max(count, 0)]

    def close(self) -> None:
        """Close libsndfile's handle."""
        self._sound_file.close()


def _tags(
    file: io.FileIO, words: dict[str, str], container: str, id3: tuple[int, int], start: int
) -> Tags:
    if container == "FLAC":
        return flac_tags(words, file, start)
    if container == "MP3":
        return id3_tags(words, file, *id3)
    return Tags(words)
