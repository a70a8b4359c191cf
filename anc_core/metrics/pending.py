"""Measured frames that wait until the mask has given them a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from anc_core.metrics.frames import FRAMES_PER_SLOT

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredFrames:
    """What is kept of consecutive frames and of the whole slots among them.

    Attributes
    ----------
    counts, protected : ndarray, shape (num_frames,)
        Samples of each frame (only the last of a recording may be short), and how many of them
        are protected.
    sums_in, squares_in, sums_out, squares_out : ndarray, shape (num_frames, num_channels)
        Sums of samples and of their squares.
    slots_in, slots_out : ndarray, shape (num_slots, num_bands + 2)
        See :meth:`anc_core.metrics.frames.FrameGrid.slot_powers`.
    """

    counts: NDArray[np.int64]
    protected: NDArray[np.int64]
    sums_in: Array
    squares_in: Array
    sums_out: Array
    squares_out: Array
    slots_in: Array
    slots_out: Array

    def split(self, num_frames: int) -> tuple[MeasuredFrames, MeasuredFrames]:
        """Return the first ``num_frames`` (whole slots, or all there are) and the rest."""
        num_slots = -(-num_frames // FRAMES_PER_SLOT)
        first, rest = {}, {}
        for name in _NAMES:
            values = getattr(self, name)
            at = num_slots if name.startswith("slots") else num_frames
            first[name], rest[name] = values[:at], values[at:]
        return MeasuredFrames(**first), MeasuredFrames(**rest)


_NAMES = tuple(field.name for field in fields(MeasuredFrames))


def join(parts: Sequence[MeasuredFrames]) -> MeasuredFrames:
    """Return consecutive ``parts`` as one; at least one is needed."""
    return MeasuredFrames(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in _NAMES}
    )
