"""The best path through the peaks: one pitch contour that noise between may interrupt, not divert.

Tracks follow every peak and break where a peak is missing. The path is the other view: of all ways
through the last seconds the one that collects the most prominence and jumps the least (Viterbi
1967; for pitch e.g. Talkin 1995, RAPT). A siren of which every second frame stands out is one path,
where it would be twenty tracks. Two are kept: a *slow* one through the long frames, which prefers
tones that hardly move (hi-lo, wail), and a *fast* one through the short frames (yelp).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.jit import jit
from anc_core.emergency.ridges import NUM_PEAKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROOM = 4
"""Times the frames that are asked for: so they need not be moved each time."""
_REWARD_FROM_DB, _REWARD_TO_DB = 8.0, 30.0
_REWARD_SCALE_DB = 10.0
_PAUSE_COST = 0.8
"""Of leaving a tone for silence, and of coming back: a pulse is worth it from three frames on."""
_JUMP_COST = 2.4
"""A step that costs more than this is a jump to another tone."""
_MOVE_COST = 0.5
"""Of a step of one reach; grows with the square."""


class PathFinder:
    """Extends the best paths frame by frame and remembers the last ``num_frames``.

    Parameters
    ----------
    num_frames : int
        Length of the contours that are asked for.
    reach : float
        Octaves a frame that a tone moves with ease.
    """

    def __init__(self, num_frames: int, reach: float) -> None:
        self._num_frames = num_frames
        self._reach = reach
        self.reset()

    def reset(self) -> None:
        """Forget all paths."""
        shape = (_ROOM * self._num_frames, NUM_PEAKS)
        self._score = np.zeros(NUM_PEAKS + 1)
        self._last = np.full(NUM_PEAKS, np.nan, np.float32)
        # Frames are appended, and the last ones brought to the front when there is no more room.
        self._back = np.full((shape[0], NUM_PEAKS + 1), NUM_PEAKS, np.int8)
        self._peaks = np.full((3, *shape), np.nan, np.float32)
        self._stop = self._num_frames

    def extend(self, peaks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the next frames; return the best path over the last ones, newest last.

        Parameters
        ----------
        peaks : ndarray of float32, shape (3, num_new, NUM_PEAKS)
            Pitch, level and prominence; NaN where there is no peak. No more than ``num_frames``.

        Returns
        -------
        ndarray of float32, shape (3, num_frames)
            The same of the path, 0 where it rests.
        """
        start, stop = self._stop, self._stop + peaks.shape[1]
        if stop > len(self._back):
            kept = slice(start - self._num_frames, start)
            start, stop = self._num_frames, self._num_frames + peaks.shape[1]
            self._peaks[:, :start] = self._peaks[:, kept]
            self._back[:start] = self._back[kept]
        self._peaks[:, start:stop] = peaks
        self._stop = stop
        _extend(self._peaks, start, stop, self._reach, self._last, self._score, self._back)
        contour = np.zeros((3, self._num_frames), np.float32)
        _trace(self._score, self._back, self._peaks, stop, contour)
        return contour


@jit("void(float32[:, :, ::1], int64, int64, float64, float32[::1], float64[::1], int8[:, ::1])")
def _extend(
    peaks: NDArray[np.float32],
    start: int,
    stop: int,
    reach: float,
    last: NDArray[np.float32],
    score: NDArray[np.float64],
    back: NDArray[np.int8],
) -> None:
    """Write which place every place of frames ``start`` to ``stop`` is best reached from.

    **Changes** ``last``, ``score`` and ``back``.

    The place after the last peak is silence.
    """
    num_peaks = peaks.shape[2]
    pitch, prominence = peaks[0], peaks[2]
    now = np.zeros(num_peaks + 1)
    for i in range(start, stop):
        top = score[num_peaks]
        for k in range(num_peaks):
            top = max(top, score[k])
        best, origin = score[num_peaks], num_peaks
        for k in range(num_peaks):
            if score[k] - _PAUSE_COST > best:
                best, origin = score[k] - _PAUSE_COST, k
        now[num_peaks] = best
        back[i, num_peaks] = origin
        for j in range(num_peaks):
            if not pitch[i, j] > 0.0:
                now[j] = -1e9
                back[i, j] = num_peaks
                continue
            best, origin = score[num_peaks] - _PAUSE_COST, num_peaks
            for k in range(num_peaks):
                if not last[k] > 0.0:
                    continue
                step = (pitch[i, j] - last[k]) / reach
                value = score[k] - min(_MOVE_COST * step * step, _JUMP_COST)
                if value > best:
                    best, origin = value, k
            height = min(prominence[i, j], _REWARD_TO_DB) - _REWARD_FROM_DB
            now[j] = best + height / _REWARD_SCALE_DB
            back[i, j] = origin
        for k in range(num_peaks):
            score[k] = now[k] - top
            last[k] = pitch[i, k]
        score[num_peaks] = now[num_peaks] - top


@jit("void(float64[::1], int8[:, ::1], float32[:, :, ::1], int64, float32[:, ::1])")
def _trace(
    score: NDArray[np.float64],
    back: NDArray[np.int8],
    peaks: NDArray[np.float32],
    stop: int,
    contour: NDArray[np.float32],
) -> None:
    """Write the path that ends best before ``stop``, from its end to its beginning."""
    num_frames, num_peaks = contour.shape[1], peaks.shape[2]
    place = num_peaks
    for k in range(num_peaks):
        if score[k] > score[place]:
            place = k
    for step in range(num_frames):
        i = stop - 1 - step
        if place < num_peaks:
            for n in range(3):
                contour[n, num_frames - 1 - step] = peaks[n, i, place]
        place = back[i, place]
