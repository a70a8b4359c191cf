"""Ridges that last: where a tone or a sweep goes on, or pulses of one pitch come back.

They are kept from suppression even where no rule recognises an alarm in them. What parts them from
the stray peaks of noise and from the harmonics of a voice is found out on their tracks
(:mod:`anc_core.emergency.tracks`), a second to either side:

- they *last*, for a quarter of a second at least;
- they are *smooth*: the harmonics of a voice bend, and what noise links into a track jitters;
- they are *loud*: a siren stands at the level of what is loud within seconds, the tones of a
  machine or a bird behind a voice lie far below it.

Where the learned head is sure that it hears no alarm, they must be more of all that, but in the
strict setting. Strictness is the evidence that these three must sum up to; weights and sums are
measured, see docs/emergency.md. A ridge of a few bins costs little where it is kept for nothing, so
much less evidence will do than for an alarm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.jit import jit
from anc_core.emergency.base import RidgePoints
from anc_core.emergency.figure_names import CELL_FRAMES, FRAMES_PER_S
from anc_core.emergency.ridges import ANALYSIS_RATE_HZ, FRAME_LENGTH, HOP_LENGTH
from anc_core.emergency.scorer import SCORE_LAG_CELLS, SMOOTHING_CELLS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from anc_core.emergency.ridges import Ridges
    from anc_core.emergency.tracks import Tracks

BLOCK_FRAMES = FRAMES_PER_S
"""Frames (1 s) that are judged at a time."""
REACH_FRAMES = 64
"""Frames (1 s) on either side of a point in which its track counts."""
CONTEXT_FRAMES = 4 * FRAMES_PER_S
"""Frames (4 s) on either side of a block in which loudness is compared and pulses come back."""
MIN_FRAMES = 16
"""Least length of a track, 0.25 s."""

MIN_EVIDENCE = {"default": 0.9, "strict": 0.6}
MIN_PROMINENCE_DB = {"default": 12.0, "strict": 11.0}
"""Mean over the track. Where there is nothing but noise its peaks are what is loud, and link by
chance; they stand 9 to 13 dB over their neighbourhood, sirens 13 to 37 dB."""
_DOUBT_BELOW = -1.5
_EVIDENCE_PER_DOUBT = {"default": 3.0, "strict": 0.0}
"""Where the learned head hears nothing of an alarm a ridge must be the clearer: so much evidence
more for every unit of log-odds that the best score near by lies below. On half of the recorded
sirens it costs 0.03 dB, and 9 dB of a helicopter and 4 dB of engines stay out; from -1.0 on sirens
in noise begin to pay."""
_DOUBT_REACH_CELLS = 4
"""Cells (2 s) on either side in which the best score counts: an alarm goes on through a dip."""
_PER_OCTAVE_OF_ROUGHNESS = -100.0
_PER_DB_BELOW_LOUD = -0.19
"""Beside 1 for every doubling of the length."""
_LOUD_SHARE = 0.95
"""Of the strongest peaks of all frames in the context: what is loud there."""

_PULSE_FRAMES = (4, MIN_FRAMES)
"""Length of a pulse that is too short for a track of its own: 0.06 to 0.25 s."""
_PULSE_SPREAD = 0.012
"""Octaves that the pitch of a pulse may cover, and that of equal pulses differ by."""
_PULSE_LENGTHS = 3
"""Frames by which equal pulses differ in length."""
_PULSE_DB = 6.0
"""dB by which they differ in level."""
_PULSE_BELOW_LOUD_DB = 14.0
_NUM_PULSES = 3

_FRAME_S = HOP_LENGTH / ANALYSIS_RATE_HZ
_CENTRE_S = FRAME_LENGTH / 2 / ANALYSIS_RATE_HZ
_ABSENT_DB = np.float32(-200.0)


class LastingRidges:
    """Collects the ridges and tracks of all channels and says which of them last.

    Parameters
    ----------
    num_channels : int
    strictness : {"default", "strict"}
        How much evidence it takes.
    is_scored : bool
        Whether a head gives its scores to :meth:`judge`.

    Notes
    -----
    A ridge of any channel counts for all. Blocks of frames are counted from the start of the
    stream, so that nothing depends on how it is split; about 9 s of peaks are kept.
    """

    def __init__(self, num_channels: int, strictness: str, *, is_scored: bool) -> None:
        self._num_channels = num_channels
        self._min_evidence = MIN_EVIDENCE[strictness]
        self._per_doubt = _EVIDENCE_PER_DOUBT[strictness]
        self._is_scored = is_scored and self._per_doubt > 0.0
        self._min_prominence_db = MIN_PROMINENCE_DB[strictness]
        self.reset()

    @property
    def decided_s(self) -> float:
        """Time before which all is final: seconds from the start of the stream."""
        return np.inf if self._has_ended else self._num_judged * _FRAME_S + _CENTRE_S

    @property
    def look_ahead_s(self) -> float:
        """Seconds of ridges that must be known after a moment to judge it."""
        cells = SCORE_LAG_CELLS + SMOOTHING_CELLS + _DOUBT_REACH_CELLS + 1
        ahead = max(CONTEXT_FRAMES, cells * CELL_FRAMES if self._is_scored else 0)
        # Frames come in blocks of their own.
        return (2 * BLOCK_FRAMES + ahead) * _FRAME_S + _CENTRE_S

    def reset(self) -> None:
        """Forget everything."""
        self._channels = [_Channel() for _ in range(self._num_channels)]
        self._points: list[RidgePoints] = []
        self._scores: list[float] = []
        self._first_scored = 0
        self._num_judged = 0
        self._has_ended = False

    def add(self, channel: int, ridges: Ridges, tracks: Tracks) -> None:
        """Take the next frames of ``channel``."""
        self._channels[channel].add(ridges, tracks)

    def judge(self, scores: Sequence[float] = (), *, is_last: bool = False) -> None:
        """Judge what all channels have frames enough for; all that is left if ``is_last``.

        ``scores`` are those that the head gives the next cells, in log-odds.
        """
        if self._is_scored:
            self._scores += scores
        while True:
            known = min(channel.num_ahead for channel in self._channels)
            due = min(known, BLOCK_FRAMES) if is_last else BLOCK_FRAMES
            if due == 0 or not (is_last or self._can_judge(known)):
                break
            needed = self._needed(due)
            found = [c.judge(due, needed, self._min_prominence_db) for c in self._channels]
            frame, pitch, slope = np.concatenate(found, axis=1)
            if len(frame):
                order = np.argsort(frame, kind="stable")
                time_s = (frame[order] + self._num_judged) * _FRAME_S + _CENTRE_S
                self._points.append(RidgePoints(time_s, pitch[order], slope[order] / _FRAME_S))
            self._num_judged += due
            self._forget_scores()
        self._has_ended = is_last

    def _can_judge(self, num_known_frames: int) -> bool:
        if num_known_frames < BLOCK_FRAMES + CONTEXT_FRAMES:
            return False
        last = (self._num_judged + BLOCK_FRAMES - 1) // CELL_FRAMES + _DOUBT_REACH_CELLS
        return not self._is_scored or last < self._first_scored + len(self._scores)

    def _needed(self, num_frames: int) -> NDArray[np.float64]:
        """Return the evidence that each of the next ``num_frames`` asks for."""
        needed = np.full(num_frames, self._min_evidence)
        if not self._scores:
            return needed
        scores = np.array(self._scores)
        stop = self._num_judged + num_frames
        for cell in range(self._num_judged // CELL_FRAMES, -(-stop // CELL_FRAMES)):
            place, last = cell - self._first_scored, len(scores) - 1
            near = scores[
                min(max(place - _DOUBT_REACH_CELLS, 0), last) : place + _DOUBT_REACH_CELLS + 1
            ]
            begin = max(cell * CELL_FRAMES - self._num_judged, 0)
            end = (cell + 1) * CELL_FRAMES - self._num_judged
            # What is no number never raises what is asked for.
            needed[begin:end] += self._per_doubt * np.fmax(_DOUBT_BELOW - near.max(), 0.0)
        return needed

    def _forget_scores(self) -> None:
        keep = self._num_judged // CELL_FRAMES - _DOUBT_REACH_CELLS
        drop = min(max(0, keep - self._first_scored), max(0, len(self._scores) - 1))
        del self._scores[:drop]
        self._first_scored += drop

    def within(self, start_s: float, stop_s: float) -> RidgePoints:
        """Return the points in [start_s, stop_s) and forget those of blocks before ``start_s``.

        Final where ``stop_s <= decided_s``.
        """
        while self._points and self._points[0].time_s[-1] < start_s:
            del self._points[0]
        parts = [np.stack([p.time_s, p.pitch, p.slope]) for p in self._points]
        rows = np.concatenate([np.zeros((3, 0)), *parts], axis=1)
        return RidgePoints(*rows[:, (rows[0] >= start_s) & (rows[0] < stop_s)])


class _Channel:
    """The peaks of one channel around the next block to be judged."""

    def __init__(self) -> None:
        self._pitch = np.zeros((0, 0), np.float32)
        self._level_db = np.zeros((0, 0), np.float32)
        self._prominence_db = np.zeros((0, 0), np.float32)
        self._number = np.zeros((0, 0), np.int64)
        self._top_db = np.zeros(0, np.float32)
        self._num_before = 0

    @property
    def num_ahead(self) -> int:
        """Frames that are known and not judged."""
        return len(self._pitch) - self._num_before

    def add(self, ridges: Ridges, tracks: Tracks) -> None:
        top_db = np.fmax.reduce(ridges.level_db, axis=1, initial=_ABSENT_DB)
        self._top_db = np.concatenate([self._top_db, top_db])
        if not len(self._pitch):
            self._pitch, self._level_db = ridges.pitch, ridges.level_db
            self._prominence_db = ridges.prominence_db
            self._number = tracks.number
            return
        self._pitch = np.concatenate([self._pitch, ridges.pitch])
        self._level_db = np.concatenate([self._level_db, ridges.level_db])
        self._prominence_db = np.concatenate([self._prominence_db, ridges.prominence_db])
        self._number = np.concatenate([self._number, tracks.number])

    def judge(
        self, num_frames: int, needed: NDArray[np.float64], min_prominence_db: float
    ) -> NDArray[np.float64]:
        """Return frame (from the block's first), pitch and slope (octaves a frame) of the points.

        The next ``num_frames`` are judged, each by what it needs; shape (3, num_points).
        """
        first, stop = self._num_before, self._num_before + num_frames
        seen = slice(0, stop + CONTEXT_FRAMES)
        pitch, level_db, number = self._pitch[seen], self._level_db[seen], self._number[seen]
        top = self._top_db[seen]
        place = int(_LOUD_SHARE * (len(top) - 1))
        loud_db = float(np.partition(top, place)[place])
        found = np.empty((3, num_frames * (2 * pitch.shape[1])), np.float64)
        num_found = _judge(
            np.ascontiguousarray(pitch),
            np.ascontiguousarray(level_db),
            np.ascontiguousarray(self._prominence_db[seen]),
            np.ascontiguousarray(number),
            first,
            stop,
            loud_db,
            needed,
            min_prominence_db,
            found,
        )
        drop = max(0, stop - CONTEXT_FRAMES)
        self._pitch, self._level_db = self._pitch[drop:], self._level_db[drop:]
        self._prominence_db = self._prominence_db[drop:]
        self._number, self._top_db = self._number[drop:], self._top_db[drop:]
        self._num_before = stop - drop
        return found[:, :num_found]


@jit(
    "int64(float32[:, ::1], float32[:, ::1], float32[:, ::1], int64[:, ::1], int64, int64,"
    " float64, float64[::1], float64, float64[:, ::1])"
)
def _judge(  # noqa: PLR0912, PLR0915 - one pass over the tracks of a block
    pitch: NDArray[np.float32],
    level_db: NDArray[np.float32],
    prominence_db: NDArray[np.float32],
    number: NDArray[np.int64],
    first: int,
    stop: int,
    loud_db: float,
    needed: NDArray[np.float64],
    min_prominence_db: float,
    found: NDArray[np.float64],
) -> int:
    """Write the points of frames ``first`` to ``stop`` that last; return how many."""
    num_frames, num_peaks = pitch.shape
    lowest, highest = np.int64(2**62), np.int64(0)
    for i in range(num_frames):
        for k in range(num_peaks):
            if number[i, k] > 0:
                lowest, highest = min(lowest, number[i, k]), max(highest, number[i, k])
    if highest == 0:
        return 0
    # Tracks are numbered in the order in which they begin, so a table over the numbers is small.
    num_tracks = highest - lowest + 1
    begin = np.full(num_tracks, num_frames)
    end = np.zeros(num_tracks, np.int64)
    count = np.zeros(num_tracks, np.int64)
    low, high = np.full(num_tracks, np.inf), np.full(num_tracks, -np.inf)
    level_sum, pitch_sum = np.zeros(num_tracks), np.zeros(num_tracks)
    for i in range(num_frames):
        for k in range(num_peaks):
            t = number[i, k] - lowest
            if number[i, k] > 0:
                begin[t], end[t] = min(begin[t], i), i + 1
                count[t] += 1
                low[t], high[t] = min(low[t], pitch[i, k]), max(high[t], pitch[i, k])
                level_sum[t] += level_db[i, k]
                pitch_sum[t] += pitch[i, k]
    start, last = max(0, first - REACH_FRAMES - 4), min(num_frames, stop + REACH_FRAMES + 4)
    length = last - start
    line, level = np.zeros(length), np.zeros(length)
    standing = np.zeros(length)
    rough, loudness, clear = np.zeros(length + 1), np.zeros(length + 1), np.zeros(length + 1)
    places = np.zeros(length, np.int64)
    num_found = 0
    for t in range(num_tracks):
        if count[t] == 0 or end[t] <= first or begin[t] >= stop:
            continue
        span = end[t] - begin[t]
        if span < MIN_FRAMES:
            if span < _PULSE_FRAMES[0] or high[t] - low[t] > _PULSE_SPREAD:
                continue
            mean_db = level_sum[t] / count[t]
            if mean_db < loud_db - _PULSE_BELOW_LOUD_DB:
                continue
            mean = pitch_sum[t] / count[t]
            equal = 0
            for u in range(num_tracks):
                if (
                    count[u] > 0
                    and abs(end[u] - begin[u] - span) <= _PULSE_LENGTHS
                    and high[u] - low[u] <= _PULSE_SPREAD
                    and abs(pitch_sum[u] / count[u] - mean) <= _PULSE_SPREAD
                    and abs(level_sum[u] / count[u] - mean_db) <= _PULSE_DB
                ):
                    equal += 1
            if equal < _NUM_PULSES:
                continue
            for i in range(max(first, begin[t]), min(stop, end[t])):
                if num_found < found.shape[1]:
                    found[0, num_found], found[1, num_found] = i - first, mean
                    found[2, num_found] = 0.0
                    num_found += 1
            continue
        # The track as a line without holes, within reach of the block.
        a, b = max(begin[t], start), min(end[t], last)
        num_points = 0
        for i in range(a, b):
            for k in range(num_peaks):
                if number[i, k] == t + lowest:
                    line[i - a], level[i - a] = pitch[i, k], level_db[i, k]
                    standing[i - a] = prominence_db[i, k]
                    places[num_points] = i - a
                    num_points += 1
                    break
        if num_points == 0:
            continue
        for j in range(places[0]):
            line[j], level[j], standing[j] = line[places[0]], level[places[0]], standing[places[0]]
        for q in range(num_points - 1):
            p, n = places[q], places[q + 1]
            for j in range(p + 1, n):
                share = (j - p) / (n - p)
                line[j] = line[p] + share * (line[n] - line[p])
                level[j] = level[p] + share * (level[n] - level[p])
                standing[j] = standing[p] + share * (standing[n] - standing[p])
        for j in range(places[num_points - 1] + 1, b - a):
            line[j], level[j], standing[j] = line[j - 1], level[j - 1], standing[j - 1]
        size = b - a
        for j in range(size):
            half = min(4, j, size - 1 - j)
            mean = 0.0
            for m in range(j - half, j + half + 1):
                mean += line[m]
            rough[j + 1] = rough[j] + abs(line[j] - mean / (2 * half + 1))
            loudness[j + 1] = loudness[j] + level[j]
            clear[j + 1] = clear[j] + standing[j]
        for i in range(max(first, a), min(stop, b)):
            j = i - a
            c, d = max(0, j - REACH_FRAMES), min(size, j + REACH_FRAMES + 1)
            if clear[d] - clear[c] < min_prominence_db * (d - c):
                continue
            evidence = (
                np.log2(min(d - c, REACH_FRAMES))
                + _PER_OCTAVE_OF_ROUGHNESS * (rough[d] - rough[c]) / (d - c)
                + _PER_DB_BELOW_LOUD * (loud_db - (loudness[d] - loudness[c]) / (d - c))
            )
            if evidence >= needed[i - first] and num_found < found.shape[1]:
                before, after = max(0, j - 1), min(size - 1, j + 1)
                found[0, num_found], found[1, num_found] = i - first, line[j]
                found[2, num_found] = (line[after] - line[before]) / (after - before)
                num_found += 1
    return num_found
