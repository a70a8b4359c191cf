"""Recordings that a model is trained on: mono, at one rate, without the silence around them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anc_core.audio.reader import open_reader
from anc_core.audio.resample import StreamResampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_CLIP_S = 0.5
"""A shorter clip teaches nothing."""
_SILENCE = 1e-4
"""Digital silence at both ends is cut (many collections pad their clips with it)."""


def read_clip(path: Path, sample_rate: int) -> NDArray[np.float32]:
    """Return a recording as the mean of its channels, silent ends cut.

    Parameters
    ----------
    path : Path
        Any format that is read here.
    sample_rate : int
        Hz, of what is returned.

    Returns
    -------
    ndarray of float32, shape (num_samples,)
        Non-finite samples count as 0. Of silence nothing is left.

    Raises
    ------
    SourceError
        If it can't be decoded.
    """
    with open_reader(path) as reader:
        resampler = StreamResampler(reader.sample_rate, sample_rate, 1)
        parts = [
            resampler.process(np.ascontiguousarray(chunk.mean(axis=1, keepdims=True)))
            for chunk in reader.chunks()
        ]
        parts.append(resampler.flush())
    samples = np.concatenate(parts)[:, 0]
    samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    loud = np.flatnonzero(np.abs(samples) > _SILENCE)
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples[:0]
