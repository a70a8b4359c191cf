"""Tracks: ridges linked from frame to frame, so that a tone or a sweep becomes one thing.

A peak continues the track whose straight-line prediction it meets (a sweep in progress) or whose
last pitch it meets (a sweep that turns round). Older tracks choose first; a track that finds
nothing for :data:`MAX_GAP` frames has ended. Plain recursion over frames with a fixed number of
slots: constant memory, and the same answer however the stream was split.

What parts a siren from a voice is not the pitch but how *smoothly* it moves: a generator or a
rotor draws a clean line for seconds, while formants, babble and noise peaks jitter. Roughness is
the distance of a track from its own moving average over 9 frames (a straight sweep has none); a
*smooth run* lasts as long as its running mean stays below :data:`MAX_ROUGHNESS`. On half of the
development recordings runs of over 0.75 s that cover 0.1 octaves with a roughness below 0.009 took
0.2 % of the speech, 97 % of clean wails and whoops, and none of the yelps (see ``sweeps``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.jit import jit
from anc_core.emergency.ridges import Ridges

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_GAP = 3
"""Frames (47 ms) that a track may miss."""
NUM_SLOTS = 24
PREDICTED_REACH = 0.06
"""Octaves between a peak and the prediction of its track."""
HELD_REACH = 0.05
"""Octaves a frame between a peak and the last pitch of its track."""
MAX_ROUGHNESS = 0.016
"""Octaves; a voice has 0.01 to 0.05, a siren 0.001 to 0.008, in noise or echo up to 0.016."""
SETTLING = 9
"""Frames before roughness means anything: the length of the moving average."""
_SLOPE_SMOOTHING = 0.5
_ROUGHNESS_SMOOTHING = 1.0 / 20.0
_CROWD_HZ = np.float32(420.0)
_CROWD_DB = np.float32(12.0)
_MOVEMENT = 0.006
"""Octaves within 8 frames (125 ms) that are movement: a slow wail makes 0.03."""
_STEADY_REACH = 0.006
"""Octaves that a steady tone may be off its start, plus ..."""
_STEADY_REACH_HZ = 4.0
"""... this: an eighth of a bin, about the accuracy of a peak 12 dB over the noise."""


@dataclass(frozen=True, slots=True)
class Tracks:
    """What is known of the track of every peak at the moment of that peak.

    All arrays have the shape (num_frames, num_peaks); 0 where there is no peak.

    Attributes
    ----------
    number : ndarray of int64
        Number of the track, from 1.
    smooth_frames, steady_frames : ndarray of int64
        Frames since the track has been smooth, and at one pitch.
    low, high : ndarray of float64
        log2 Hz; reach of the smooth run.
    rise : ndarray of float64
        Octaves; upward less downward motion in the smooth run.
    roughness : ndarray of float64
        Octaves; mean of the smooth run.
    prominence_db : ndarray of float64
        dB; mean of the smooth run.
    crowd : ndarray of float64
        Peaks as strong close by; mean of the smooth run.
    moving : ndarray of float64
        Share of the smooth run in which the pitch moved.
    anchor : ndarray of float64
        log2 Hz; pitch of the steady stretch.
    """

    number: NDArray[np.int64]
    smooth_frames: NDArray[np.int64]
    steady_frames: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    rise: NDArray[np.float64]
    roughness: NDArray[np.float64]
    prominence_db: NDArray[np.float64]
    crowd: NDArray[np.float64]
    moving: NDArray[np.float64]
    anchor: NDArray[np.float64]

    @property
    def columns(self) -> tuple[NDArray[np.int64] | NDArray[np.float64], ...]:
        """All of them, in this order."""
        return (
            *(self.number, self.smooth_frames, self.steady_frames),
            *(self.low, self.high, self.rise, self.roughness),
            *(self.prominence_db, self.crowd, self.moving, self.anchor),
        )


class TrackLabeller:
    """Follows the peaks of one channel; holds the state between blocks of frames.

    Examples
    --------
    >>> labeller = TrackLabeller()
    >>> tone = np.full((4, 1), 11.6, np.float32)
    >>> ridges = Ridges(pitch=tone, level_db=0 * tone, prominence_db=2 * tone)
    >>> labeller.label(ridges).number.ravel().tolist()
    [1, 1, 1, 1]
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all tracks and number from 1 again."""
        self._counts = np.zeros((NUM_SLOTS, 6), np.int64)
        self._values = np.zeros((NUM_SLOTS, 12), np.float64)
        self._recent = np.zeros((NUM_SLOTS, SETTLING), np.float64)
        self._last_number = np.zeros(1, np.int64)

    def label(self, ridges: Ridges) -> Tracks:
        """Return the tracks of the peaks of the next frames."""
        counts = np.zeros((3, *ridges.pitch.shape), np.int64)
        values = np.zeros((8, *ridges.pitch.shape), np.float64)
        _follow(
            np.ascontiguousarray(ridges.pitch),
            np.ascontiguousarray(ridges.prominence_db),
            crowd_of(ridges),
            self._counts,
            self._values,
            self._recent,
            self._last_number,
            counts,
            values,
        )
        return Tracks(*counts, *values)


def crowd_of(ridges: Ridges) -> NDArray[np.float32]:
    """Return how many other peaks lie within 420 Hz and are not 12 dB weaker.

    The overtones of an engine, a horn or a voice stand close together, those of a siren do not.

    Returns
    -------
    ndarray of float32, shape (num_frames, num_peaks)
    """
    crowd = np.empty(ridges.pitch.shape, np.float32)
    _count_crowd(np.exp2(ridges.pitch), np.ascontiguousarray(ridges.level_db), crowd)
    return crowd


@jit("void(float32[:, ::1], float32[:, ::1], float32[:, ::1])")
def _count_crowd(
    hertz: NDArray[np.float32], level_db: NDArray[np.float32], crowd: NDArray[np.float32]
) -> None:
    # Comparisons with NaN are False: what is no peak has no neighbours and is nobody's.
    for i in range(len(hertz)):
        for k in range(hertz.shape[1]):
            count = 0
            for other in range(hertz.shape[1]):
                is_near = abs(hertz[i, k] - hertz[i, other]) < _CROWD_HZ
                if is_near and level_db[i, other] > level_db[i, k] - _CROWD_DB:
                    count += 1
            crowd[i, k] = np.float32(max(count - 1, 0))


# Columns of the state of a slot.
_NUMBER, _MISSED, _AGE, _SMOOTH, _STEADY, _HEAD = range(6)
(
    _LAST,
    _SLOPE,
    _ROUGH,
    _LOW,
    _HIGH,
    _RISE,
    _ANCHOR,
    _TOTAL,
    _SUM_ROUGH,
    _SUM_PROMINENCE,
    _SUM_CROWD,
    _MOVING,
) = range(12)


@jit(
    "void(float32[:, ::1], float32[:, ::1], float32[:, ::1], int64[:, ::1], float64[:, ::1],"
    " float64[:, ::1], int64[::1], int64[:, :, ::1], float64[:, :, ::1])"
)
def _follow(  # noqa: PLR0912, PLR0915 - one recursion over frames, in the order of the docstring
    pitch: NDArray[np.float32],
    prominence: NDArray[np.float32],
    crowd: NDArray[np.float32],
    counts: NDArray[np.int64],
    values: NDArray[np.float64],
    recent: NDArray[np.float64],
    last_number: NDArray[np.int64],
    out_counts: NDArray[np.int64],
    out_values: NDArray[np.float64],
) -> None:
    """Link the peaks frame by frame, **changing the state**; the slots stay in order of age."""
    num_frames, num_peaks = pitch.shape
    for i in range(num_frames):
        for s in range(NUM_SLOTS):
            if counts[s, _NUMBER] == 0:
                break
            steps = counts[s, _MISSED] + 1
            last = values[s, _LAST]
            predicted = last + values[s, _SLOPE] * steps
            best, best_distance = -1, 1.0
            for k in range(num_peaks):
                if out_counts[0, i, k] != 0 or not pitch[i, k] > 0.0:
                    continue
                ahead = abs(pitch[i, k] - predicted) / PREDICTED_REACH
                held = abs(pitch[i, k] - last) / (HELD_REACH * steps)
                distance = min(ahead, held)
                if distance < best_distance:
                    best, best_distance = k, distance
            if best < 0:
                counts[s, _MISSED] = steps
                continue
            now = float(pitch[i, best])
            moved = (now - last) / steps
            values[s, _SLOPE] += _SLOPE_SMOOTHING * (moved - values[s, _SLOPE])
            values[s, _LAST] = now
            counts[s, _MISSED] = 0
            # Missed frames are bridged by a straight line, so that averages keep their length.
            for step in range(1, steps + 1):
                head = counts[s, _HEAD]
                values[s, _TOTAL] += last + moved * step - recent[s, head]
                recent[s, head] = last + moved * step
                counts[s, _HEAD] = (head + 1) % SETTLING
                counts[s, _AGE] += 1
            if counts[s, _AGE] >= SETTLING:
                middle = recent[s, (counts[s, _HEAD] + SETTLING // 2) % SETTLING]
                off = abs(middle - values[s, _TOTAL] / SETTLING)
                values[s, _ROUGH] += _ROUGHNESS_SMOOTHING * (off - values[s, _ROUGH])
                counts[s, _SMOOTH] += steps
                if values[s, _ROUGH] > MAX_ROUGHNESS:
                    counts[s, _SMOOTH] = 0
                    values[s, _RISE] = values[s, _SUM_ROUGH] = 0.0
                    values[s, _SUM_PROMINENCE] = values[s, _SUM_CROWD] = 0.0
                    values[s, _MOVING] = 0.0
                    values[s, _LOW] = values[s, _HIGH] = middle
                values[s, _LOW] = min(values[s, _LOW], middle)
                values[s, _HIGH] = max(values[s, _HIGH], middle)
                if counts[s, _SMOOTH] > 0:
                    values[s, _RISE] += moved * steps
                    values[s, _SUM_ROUGH] += off * steps
                    values[s, _SUM_PROMINENCE] += prominence[i, best] * steps
                    values[s, _SUM_CROWD] += crowd[i, best] * steps
                    if abs(now - recent[s, counts[s, _HEAD]]) > _MOVEMENT:
                        values[s, _MOVING] += steps
            reach = _STEADY_REACH + _STEADY_REACH_HZ * 1.4427 * 2.0 ** (-now)
            if abs(now - values[s, _ANCHOR]) < reach:
                counts[s, _STEADY] += steps
                values[s, _ANCHOR] += 0.1 * (now - values[s, _ANCHOR])
            else:
                counts[s, _STEADY] = 1
                values[s, _ANCHOR] = now
            out_counts[0, i, best] = counts[s, _NUMBER]
            out_counts[1, i, best] = counts[s, _SMOOTH]
            out_counts[2, i, best] = counts[s, _STEADY]
            out_values[0, i, best] = values[s, _LOW]
            out_values[1, i, best] = values[s, _HIGH]
            out_values[2, i, best] = values[s, _RISE]
            length = max(1, counts[s, _SMOOTH])
            out_values[3, i, best] = values[s, _SUM_ROUGH] / length
            out_values[4, i, best] = values[s, _SUM_PROMINENCE] / length
            out_values[5, i, best] = values[s, _SUM_CROWD] / length
            out_values[6, i, best] = values[s, _MOVING] / length
            out_values[7, i, best] = values[s, _ANCHOR]
        kept = 0
        for s in range(NUM_SLOTS):
            if counts[s, _NUMBER] != 0 and counts[s, _MISSED] <= MAX_GAP:
                if kept != s:
                    counts[kept] = counts[s]
                    values[kept] = values[s]
                    recent[kept] = recent[s]
                kept += 1
        for k in range(num_peaks):
            if kept == NUM_SLOTS:
                break
            if out_counts[0, i, k] == 0 and pitch[i, k] > 0.0:
                now = float(pitch[i, k])
                last_number[0] += 1
                counts[kept] = 0
                counts[kept, _NUMBER] = last_number[0]
                counts[kept, _AGE] = counts[kept, _STEADY] = 1
                values[kept] = 0.0
                values[kept, _LAST] = values[kept, _ANCHOR] = now
                values[kept, _LOW] = values[kept, _HIGH] = now
                recent[kept] = now
                values[kept, _TOTAL] = now * SETTLING
                out_counts[0, i, k] = last_number[0]
                out_counts[2, i, k] = 1
                out_values[0, i, k] = out_values[1, i, k] = now
                kept += 1
        for s in range(kept, NUM_SLOTS):
            counts[s, _NUMBER] = 0
