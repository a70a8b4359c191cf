"""The few calls of libsndfile that soundfile does not offer, and why they are needed.

soundfile seeks after every read. In MP3 and Opus a seek restarts the decoder, so the samples would
depend on the chunk size (measured: they do). It also asserts that every write was complete, where a
full disk is an ordinary event, and it cannot switch off the time stamp in PEAK chunks, without
which equal input gives equal files. Everything private that we touch is in this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import soundfile

from anc_core.arrays import Chunk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SoundFile = soundfile.SoundFile
SoundFileError = soundfile.SoundFileError

_SFC_SET_ADD_PEAK_CHUNK = 0x1050  # sndfile.h
_WRITERS = {"int16": "short", "int32": "int", "float32": "float"}
UNKNOWN_FRAMES = 1 << 62
"""From here on a number of frames means: not known (a FLAC that was streamed)."""


def read_into(sound_file: Any, block: Chunk) -> int:  # noqa: ANN401 - soundfile is untyped
    """Fill ``block`` (n, num_channels) with the next samples; return how many came.

    0 is the end, be it a good one or not.
    """
    pointer = soundfile._ffi.cast("float *", block.ctypes.data)  # noqa: SLF001
    return int(soundfile._snd.sf_readf_float(sound_file._file, pointer, len(block)))  # noqa: SLF001


def write_from(sound_file: Any, block: NDArray[np.generic]) -> int:  # noqa: ANN401
    """Write ``block`` (n, num_channels) of int16, int32 or float32; return how many were taken."""
    ctype = _WRITERS[block.dtype.name]
    pointer = soundfile._ffi.cast(f"{ctype} *", block.ctypes.data)  # noqa: SLF001
    write = getattr(soundfile._snd, f"sf_writef_{ctype}")  # noqa: SLF001
    return int(write(sound_file._file, pointer, len(block)))  # noqa: SLF001


def omit_peak_chunk(sound_file: Any) -> None:  # noqa: ANN401
    """Let ``sound_file``, new and opened for writing, have no PEAK chunk: it holds the time."""
    soundfile._snd.sf_command(  # noqa: SLF001
        sound_file._file,  # noqa: SLF001
        _SFC_SET_ADD_PEAK_CHUNK,
        soundfile._ffi.NULL,  # noqa: SLF001
        0,
    )
