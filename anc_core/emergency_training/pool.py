"""Recordings in memory, so that any second of them is taken at no cost."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anc_core.audio.training_clips import MIN_CLIP_S, read_clip
from anc_core.emergency_training.tones import RATE
from anc_core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Pool:
    """Clips at the detector's rate.

    Parameters
    ----------
    paths : iterable of Path

    Raises
    ------
    InputError
        If no clip is long enough.
    AudioFileError
        If one can't be decoded.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        clips = [read_clip(path, RATE) for path in paths]
        self._clips = [clip for clip in clips if len(clip) >= MIN_CLIP_S * RATE]
        if not self._clips:
            msg = f"of {len(clips)} recordings none is as long as {MIN_CLIP_S} s"
            raise InputError(msg)

    def __len__(self) -> int:
        return len(self._clips)

    def excerpt(self, num_samples: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return a random stretch of a random clip; short clips follow each other or repeat."""
        clip = self._clips[int(rng.integers(len(self._clips)))].astype(np.float64)
        if len(clip) < num_samples:
            if rng.random() < 0.5:
                return np.resize(np.roll(clip, int(rng.integers(len(clip)))), num_samples)
            parts, left = [clip], num_samples - len(clip)
            while left > 0:
                other = self._clips[int(rng.integers(len(self._clips)))][:left].astype(np.float64)
                parts.append(other * (np.std(clip) / (np.std(other) + 1e-9)))
                left -= len(other)
            return np.concatenate(parts)
        start = int(rng.integers(len(clip) - num_samples + 1))
        return clip[start : start + num_samples]
