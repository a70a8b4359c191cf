"""The array types that travel between modules, and the checks at the door."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from anc_core.errors import InputError

Chunk: TypeAlias = NDArray[np.float32]
"""Samples as they travel: float32, shape (num_samples, num_channels), full scale +-1."""

Spectrum: TypeAlias = NDArray[np.complex64]
"""Short-time spectra: complex64, shape (num_frames, num_bins, num_channels)."""

MIN_SAMPLE_RATE_HZ = 1_000
MAX_SAMPLE_RATE_HZ = 768_000
MAX_NUM_CHANNELS = 1_024


def check_sample_rate(sample_rate: float) -> int:
    """Return ``sample_rate`` as an integer, or say why it cannot be one.

    Parameters
    ----------
    sample_rate : float
        Hz, 1 000 to 768 000 (bat detectors record at 384 kHz, infrasound loggers at 1 kHz).

    Raises
    ------
    InputError
        If it is not a whole number within the range.
    """
    if not MIN_SAMPLE_RATE_HZ <= sample_rate <= MAX_SAMPLE_RATE_HZ or sample_rate != int(
        sample_rate
    ):
        msg = (
            f"sample_rate is {sample_rate} Hz; it must be a whole number from "
            f"{MIN_SAMPLE_RATE_HZ} to {MAX_SAMPLE_RATE_HZ} Hz"
        )
        raise InputError(msg)
    return int(sample_rate)


def check_num_channels(num_channels: int) -> int:
    """Return ``num_channels`` (1 to 1024), or raise :class:`InputError`."""
    if not 1 <= num_channels <= MAX_NUM_CHANNELS:
        msg = f"num_channels is {num_channels}; it must be from 1 to {MAX_NUM_CHANNELS}"
        raise InputError(msg)
    return num_channels


def check_chunk(chunk: NDArray[Any], num_channels: int) -> Chunk:
    """Return ``chunk`` as a C-contiguous float32 array (num_samples, num_channels).

    Raises
    ------
    InputError
        If it is not two-dimensional with ``num_channels`` columns of floating-point samples. The
        channel axis is never guessed.
    """
    if chunk.ndim != 2 or chunk.shape[1] != num_channels:
        msg = (
            f"chunk has shape {chunk.shape}; it must be (num_samples, {num_channels}), "
            "one column a channel"
        )
        raise InputError(msg)
    if chunk.dtype == np.float32 and chunk.flags.c_contiguous:
        return chunk
    if not np.issubdtype(chunk.dtype, np.floating):
        msg = f"chunk has dtype {chunk.dtype}; it must be floating point with full scale +-1"
        raise InputError(msg)
    with np.errstate(over="ignore"):  # beyond float32 is infinite, which the processors repair
        return np.ascontiguousarray(chunk, dtype=np.float32)


def as_columns(audio: NDArray[Any]) -> Chunk:
    """Return ``audio`` of shape (n,) or (n, num_channels) as a chunk (n, num_channels).

    Integer samples are refused: their full scale is not known here.
    """
    audio = np.asarray(audio)
    if audio.ndim == 1:
        audio = audio[:, np.newaxis]
    if audio.ndim != 2:
        msg = f"audio has shape {audio.shape}; it must be (n,) or (n, num_channels)"
        raise InputError(msg)
    return check_chunk(audio, check_num_channels(audio.shape[1]))
