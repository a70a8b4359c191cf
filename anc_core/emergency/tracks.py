"""Tracks: ridges linked from frame to frame, so that a tone or a sweep becomes one thing.

A peak continues the track whose straight-line prediction it meets (a sweep in progress) or whose
last pitch it meets (a sweep that turns round). Older tracks choose first; a track that finds
nothing for :data:`MAX_GAP` frames has ended. Plain recursion over frames with a fixed number of
slots: constant memory, and the same labels however the stream was split.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

MAX_GAP = 3
"""Frames (47 ms) that a track may miss."""
NUM_SLOTS = 24
PREDICTED_REACH = 0.06
"""Octaves between a peak and the prediction of its track."""
HELD_REACH = 0.05
"""Octaves a frame between a peak and the last pitch of its track."""
_SLOPE_SMOOTHING = 0.5


class TrackLabeller:
    """Gives every peak the number of its track; the state between blocks of frames.

    Examples
    --------
    >>> labeller = TrackLabeller()
    >>> pitch = np.full((4, 1), 11.6, np.float32)
    >>> labeller.label(pitch).ravel().tolist()
    [1, 1, 1, 1]
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all tracks and number from 1 again."""
        self._pitch = np.zeros(NUM_SLOTS)
        self._slope = np.zeros(NUM_SLOTS)
        self._gap = np.zeros(NUM_SLOTS, np.int64)
        self._number = np.zeros(NUM_SLOTS, np.int64)
        self._last_number = np.zeros(1, np.int64)

    def label(self, pitch: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the track number (>= 1) of every peak, 0 where there is none.

        Parameters
        ----------
        pitch : ndarray of float32, shape (num_frames, num_peaks)
            log2 Hz, NaN where there is no peak.

        Returns
        -------
        ndarray of int64, shape (num_frames, num_peaks)
        """
        return _link(
            pitch, self._pitch, self._slope, self._gap, self._number, self._last_number
        )


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _link(
    pitch: NDArray[np.float32],
    last: NDArray[np.float64],
    slope: NDArray[np.float64],
    gap: NDArray[np.int64],
    number: NDArray[np.int64],
    last_number: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Link the peaks of consecutive frames; the slots are kept in order of age and updated."""
    num_frames, num_peaks = pitch.shape
    num_slots = len(last)
    labels = np.zeros((num_frames, num_peaks), np.int64)
    for i in range(num_frames):
        for s in range(num_slots):
            if number[s] == 0:
                continue
            steps = gap[s] + 1
            predicted = last[s] + slope[s] * steps
            best, best_distance = -1, 1.0
            for k in range(num_peaks):
                if labels[i, k] != 0 or np.isnan(pitch[i, k]):
                    continue
                ahead = abs(pitch[i, k] - predicted) / PREDICTED_REACH
                held = abs(pitch[i, k] - last[s]) / (HELD_REACH * steps)
                distance = min(ahead, held)
                if distance < best_distance:
                    best, best_distance = k, distance
            if best < 0:
                gap[s] += 1
                if gap[s] > MAX_GAP:
                    number[s] = 0
                continue
            moved = (pitch[i, best] - last[s]) / steps
            slope[s] += _SLOPE_SMOOTHING * (moved - slope[s])
            last[s] = pitch[i, best]
            gap[s] = 0
            labels[i, best] = number[s]
        # Close the ranks, so that the order of slots stays the order of age.
        kept = 0
        for s in range(num_slots):
            if number[s] != 0:
                last[kept], slope[kept] = last[s], slope[s]
                gap[kept], number[kept] = gap[s], number[s]
                kept += 1
        for k in range(num_peaks):
            if labels[i, k] == 0 and not np.isnan(pitch[i, k]) and kept < num_slots:
                last_number[0] += 1
                last[kept], slope[kept], gap[kept] = pitch[i, k], 0.0, 0
                number[kept] = last_number[0]
                labels[i, k] = last_number[0]
                kept += 1
        for s in range(kept, num_slots):
            number[s] = 0
    return labels
