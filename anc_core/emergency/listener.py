"""One channel, heard: analysis samples in, findings out, with all the memory that needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.emergency.context import CellContext
from anc_core.emergency.figure_names import FRAMES_PER_S
from anc_core.emergency.findings import Finding
from anc_core.emergency.recent import Recent
from anc_core.emergency.rhythm import CONTEXT_FRAMES, Heard, rhythm_findings
from anc_core.emergency.ridges import (
    FAST_FRAME_LENGTH,
    FRAME_LENGTH,
    HOP_LENGTH,
    NUM_PEAKS,
    Ridges,
    ridges_and_power,
)
from anc_core.emergency.sweeps import (
    CONTOUR_FRAMES,
    contour_findings,
    contour_of,
    run_findings,
)
from anc_core.emergency.tracks import TrackLabeller, Tracks

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_FRAMES = FRAMES_PER_S
"""Frames (1 s) that are judged at a time."""
BLOCK_ADVANCE = BLOCK_FRAMES * HOP_LENGTH
BLOCK_LENGTH = BLOCK_ADVANCE - HOP_LENGTH + FRAME_LENGTH
"""Samples that those frames reach over."""
_CENTRING = (FRAME_LENGTH - FAST_FRAME_LENGTH) // 2
_CONTOUR_STEP = FRAMES_PER_S // 2
_RHYTHM_STEP = 2 * BLOCK_FRAMES
"""Frames: rhythms last for seconds, and their context overlaps six-fold."""


class Listener:
    """Applies all rules to one channel, block by block."""

    def __init__(self) -> None:
        self._labeller = TrackLabeller()
        self._context = CellContext()
        self.reset()

    def reset(self) -> None:
        """Forget everything heard."""
        self._labeller.reset()
        self._context.reset()
        self.figures: list[NDArray[np.float32]] = []
        """Of the cells that the last block completed."""
        empty = np.full((CONTEXT_FRAMES, NUM_PEAKS), np.nan, np.float32)
        self._pitch, self._level_db = Recent(empty), Recent(empty)
        self._fast_pitch, self._fast_level_db = Recent(empty), Recent(empty)
        self._steady = Recent(np.zeros((CONTEXT_FRAMES, NUM_PEAKS), np.int64))
        self._num_frames = 0
        self.heard: tuple[Ridges, Tracks] | None = None
        """Peaks of the last block and their tracks."""
        self.fast_power = np.zeros((0, 0), np.float32)
        """Powers of its short frames."""

    def hear(self, samples: NDArray[np.float32], *, is_last: bool = False) -> list[Finding]:
        """Return what the rules find in the frames of ``samples`` and their past.

        Parameters
        ----------
        samples : ndarray of float32, shape (num_samples,)
            :data:`BLOCK_LENGTH` finite samples at the analysis rate, each block beginning
            :data:`BLOCK_ADVANCE` after the one before; the last block may be shorter, but not
            than a frame.
        is_last : bool
            Whether the recording ends here, so that a rhythm need not wait for its silence.
        """
        long, power = ridges_and_power(samples, FRAME_LENGTH)
        fast, fast_power = ridges_and_power(samples[_CENTRING:], FAST_FRAME_LENGTH)
        num = len(long.pitch)
        self.fast_power = fast_power[:num]
        tracks = self._labeller.label(long)
        self.heard = (long, tracks)
        first = self._num_frames
        self._num_frames += num
        heard = Heard(
            pitch=self._pitch.append(long.pitch),
            level_db=self._level_db.append(long.level_db),
            fast_pitch=self._fast_pitch.append(fast.pitch[:num]),
            fast_level_db=self._fast_level_db.append(fast.level_db[:num]),
            steady_frames=self._steady.append(tracks.steady_frames),
            first_frame=self._num_frames - CONTEXT_FRAMES,
            is_complete=is_last,
        )
        self.figures = self._context.hear(long, fast, tracks, power, is_last=is_last)
        findings = run_findings(tracks, long.level_db, first)
        findings += self._contour_findings(heard.fast_pitch[-CONTOUR_FRAMES - num :])
        if is_last or self._num_frames % _RHYTHM_STEP == 0:
            findings += rhythm_findings(heard)
        return findings

    def _contour_findings(self, fast_pitch: NDArray[np.float32]) -> list[Finding]:
        contour = contour_of(fast_pitch)
        findings: list[Finding] = []
        for stop in range(len(contour), CONTOUR_FRAMES, -_CONTOUR_STEP):
            start = stop - CONTOUR_FRAMES
            first = self._num_frames - len(contour) + start
            findings += contour_findings(contour[start:stop], first)
        return findings
