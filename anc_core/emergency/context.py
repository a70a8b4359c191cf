"""The last seconds of one channel, kept so that every cell can be described with its context."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.emergency.cell_figures import NUM_FRAME_FIGURES, cell_figures, frame_figures
from anc_core.emergency.figure_names import (
    CELL_FRAMES,
    CELL_START,
    CONTEXT_FRAMES,
    NUM_BANDS,
    NUM_ROWS,
    TOTAL_ROW,
)
from anc_core.emergency.paths import PathFinder
from anc_core.emergency.recent import Recent
from anc_core.emergency.ridges import NUM_PEAKS, Ridges, band_levels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anc_core.emergency.tracks import Tracks

CELLS_AFTER = (CONTEXT_FRAMES - CELL_START) // CELL_FRAMES - 1
"""Cells (2 s) that must have been heard after the one described."""
_SLOW_REACH, _FAST_REACH = 0.02, 0.07
"""Octaves a frame: 1.3 and 4.5 octaves a second."""


class CellContext:
    """Describes the cells of one channel, each once what follows it was heard."""

    def __init__(self) -> None:
        self._slow = PathFinder(CONTEXT_FRAMES, _SLOW_REACH)
        self._fast = PathFinder(CONTEXT_FRAMES, _FAST_REACH)
        self.reset()

    def reset(self) -> None:
        """Forget everything heard."""
        self._slow.reset()
        self._fast.reset()
        # What came before the recording: the first block says how loud it was.
        self._frames: Recent | None = None
        self._of_frames = Recent(np.zeros((CONTEXT_FRAMES, NUM_FRAME_FIGURES)))
        self._num_cells: int = 0

    def hear(
        self,
        long: Ridges,
        fast: Ridges,
        tracks: Tracks,
        power: NDArray[np.float32],
        *,
        is_last: bool,
    ) -> list[NDArray[np.float32]]:
        """Take the next frames; return the figures of the cells that are complete with them.

        Parameters
        ----------
        long, fast : Ridges
            Of the long and the short frames; there may be more of the short ones.
        tracks : Tracks
            Of ``long``.
        power : ndarray of float32, shape (num_frames, num_bins)
            Of the long frames: whole cells, but for the last call.
        is_last : bool
            Whether the rest is to be described as if silence followed.
        """
        num = len(power)
        frames = np.empty((num, NUM_ROWS, NUM_PEAKS), np.float32)
        frames[:, 0], frames[:, 1], frames[:, 2] = long.pitch, long.level_db, long.prominence_db
        for row, column in enumerate(tracks.columns, start=3):
            frames[:, row] = column
        bands, total = band_levels(power)
        frames[:, TOTAL_ROW - 2 : TOTAL_ROW] = bands.reshape(num, 2, NUM_BANDS // 2)
        frames[:, TOTAL_ROW] = total[:, np.newaxis]
        short = np.stack([fast.pitch[:num], fast.level_db[:num], fast.prominence_db[:num]])
        if self._frames is None:
            before = np.zeros((CONTEXT_FRAMES, NUM_ROWS, NUM_PEAKS), np.float32)
            before[:, :3] = np.nan
            # It was as loud as the beginning.
            before[:, TOTAL_ROW - 2 :] = frames[0, TOTAL_ROW - 2 :]
            self._frames = Recent(before)
        if is_last:
            missing = -num % CELL_FRAMES + CELLS_AFTER * CELL_FRAMES
            frames = np.concatenate([frames, np.repeat(frames[-1:], missing, axis=0)])
            frames[num:, :3] = np.nan
            frames[num:, 3 : TOTAL_ROW - 2] = 0.0
            silence = np.full((3, missing, NUM_PEAKS), np.nan, np.float32)
            short = np.concatenate([short, silence], axis=1)
        self._frames.append(frames)
        self._of_frames.append(frame_figures(frames))
        num_known = CONTEXT_FRAMES + len(frames)
        return self._described(self._frames.last(num_known), self._of_frames.last(num_known), short)

    def _described(
        self,
        known: NDArray[np.float32],
        of_known: NDArray[np.float64],
        short: NDArray[np.float32],
    ) -> list[NDArray[np.float32]]:
        """Return the figures of the cells that the frames of ``short`` complete."""
        long = known[CONTEXT_FRAMES:, :3].swapaxes(0, 1)
        described = []
        for start in range(0, long.shape[1], CELL_FRAMES):
            now = slice(start, start + CELL_FRAMES)
            slow, fast = self._slow.extend(long[:, now]), self._fast.extend(short[:, now])
            self._num_cells += 1
            if self._num_cells > CELLS_AFTER:
                around = slice(start + CELL_FRAMES, start + CELL_FRAMES + CONTEXT_FRAMES)
                described.append(cell_figures(slow, fast, known[around], of_known[around]))
        return described
