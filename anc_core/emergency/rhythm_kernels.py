"""Carriers, their envelopes and their pulses, and which of these fit a rhythm: kernels.

Everything here is done for all carriers of a context in one call: there are up to eight, each cut
several ways, and nearly all of them fit nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.jit import jit, part_of_kernel
from anc_core.emergency.figure_names import FRAMES_PER_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUM_CARRIERS = 8
STEADY_FRAMES = 5
"""Frames after which a peak at one pitch counts towards a carrier."""
_MIN_PEAKS = 8
_BINS_PER_OCTAVE = np.float32(48.0)
_REACH = 0.03
"""Octaves around a carrier that belong to it."""
ABSENT_DB = np.float32(-200.0)
MIN_PULSE = 3
"""Frames; a shorter one is a click."""

_SETTLED = int(0.1 * FRAMES_PER_S)
"""Frames after which the first reflections have come: they may raise or lower a tone at once."""
_FALL_STOP = int(0.42 * FRAMES_PER_S)
"""Frames after which the tail of the room follows the shortest pulse of a standard."""


def most_pulses(num_frames: int) -> int:
    """Return how many pulses so many frames can hold, each with a hole of two or more after it."""
    return num_frames // (MIN_PULSE + 2) + 1


@jit("int64(float32[:, ::1], int64[:, ::1], float64[::1])")
def find_carriers(  # noqa: PLR0912 - one recipe: collect, count, pick
    pitch: NDArray[np.float32], steady_frames: NDArray[np.int64], carriers: NDArray[np.float64]
) -> int:
    """Write the pitches (log2 Hz) where steady peaks pile up, the busiest first; return how many.

    ``pitch`` and ``steady_frames`` have shape (num_frames, num_peaks).
    """
    steady = np.empty(pitch.size, np.float32)
    place = np.empty(pitch.size, np.int64)
    num, highest = 0, 0
    for i in range(len(pitch)):
        for k in range(pitch.shape[1]):
            if steady_frames[i, k] >= STEADY_FRAMES:
                steady[num] = pitch[i, k]
                place[num] = np.int64(np.rint(pitch[i, k] * _BINS_PER_OCTAVE))
                highest = max(highest, place[num])
                num += 1
    if num < _MIN_PEAKS:
        return 0
    around = np.zeros(highest + 3, np.int64)
    for n in range(num):
        for p in range(max(0, place[n] - 1), place[n] + 2):
            around[p] += 1
    near = np.empty(num, np.float32)
    for found in range(len(carriers)):
        top = 0
        for p in range(len(around)):
            if around[p] > around[top]:
                top = p
        if around[top] < _MIN_PEAKS:
            return found
        count = 0
        for n in range(num):
            if abs(place[n] - top) <= 1:
                near[count] = steady[n]
                count += 1
        near[:count].sort()
        middle = near[count // 2]
        if count % 2 == 0:
            middle = (near[count // 2 - 1] + middle) * np.float32(0.5)
        carriers[found] = np.float64(middle)
        for p in range(max(0, top - 2), min(top + 3, len(around))):
            around[p] = 0
    return len(carriers)


@jit("void(float32[:, ::1], float32[:, ::1], float64[::1], float32[:, ::1], float64[:, ::1])")
def follow_carriers(
    pitch: NDArray[np.float32],
    level_db: NDArray[np.float32],
    carriers: NDArray[np.float64],
    envelope: NDArray[np.float32],
    heard: NDArray[np.float64],
) -> None:
    """Write level and pitch of the loudest peak of every frame that is on a carrier.

    ``envelope`` and ``heard`` have shape (num_carriers, num_frames); they hold :data:`ABSENT_DB`
    and 0, which stay where there is no such peak.
    """
    for i in range(len(pitch)):
        for k in range(pitch.shape[1]):
            now, level = np.float64(pitch[i, k]), level_db[i, k]
            if not now > 0.0:
                continue
            for c in range(len(carriers)):
                if not (now >= carriers[c] - _REACH and now < carriers[c] + _REACH):
                    continue
                # Of equally loud ones the higher.
                if level > envelope[c, i] or (level == envelope[c, i] and now >= heard[c, i]):
                    envelope[c, i], heard[c, i] = level, now


@part_of_kernel
def _cut(
    level_db: NDArray[np.float32], floor_db: float, max_hole: int, places: NDArray[np.int64]
) -> int:
    """Write start and stop of what is above the floor, without short holes and clicks."""
    num_frames = len(level_db)
    num, begin, end = 0, -1, 0
    for i in range(num_frames + 1):
        if i < num_frames and level_db[i] > floor_db:
            if begin < 0:
                begin = i
            end = i + 1
        elif begin >= 0 and (i - end >= max_hole or i == num_frames):
            if end - begin >= MIN_PULSE:
                places[0, num], places[1, num] = begin, end
                num += 1
            begin = -1
    return num


@jit("void(float32[:, ::1], float32[:, ::1], int64[::1], int64[:, ::1], int64[:, :, :, ::1])")
def cut_pulses(
    level_db: NDArray[np.float32],
    floor_db: NDArray[np.float32],
    max_hole: NDArray[np.int64],
    count: NDArray[np.int64],
    places: NDArray[np.int64],
) -> None:
    """Cut every envelope at every floor; a pulse is what is above it, without short holes.

    Parameters
    ----------
    level_db : float32, shape (num_carriers, num_frames)
    floor_db : float32, shape (num_carriers, num_cuts)
    max_hole : int64, shape (num_cuts,)
        Frames that a pulse may miss, 2 or more.
    count : int64, shape (num_carriers, num_cuts)
        Receives the number of pulses.
    places : int64, shape (num_carriers, num_cuts, 2, most_pulses(num_frames))
        Receives start and stop of every pulse, in frames.
    """
    for c in range(len(level_db)):
        for cut in range(len(max_hole)):
            count[c, cut] = _cut(level_db[c], floor_db[c, cut], max_hole[cut], places[c, cut])


@jit("void(float32[::1], float64[::1], float64, float32, int64[:, ::1], float64[:, ::1])")
def describe_pulses(
    level_db: NDArray[np.float32],
    pitch: NDArray[np.float64],
    carrier: float,
    floor_db: float,
    places: NDArray[np.int64],
    figures: NDArray[np.float64],
) -> None:
    """Write pitch, spread, filled and fall of every pulse, shape (4, num_pulses).

    The fall is by how many dB a second the straight line through a settled pulse falls; 0 for what
    is shorter than 0.2 s.
    """
    num_frames = len(level_db)
    sums = np.zeros((num_frames + 1, 7))
    for i in range(num_frames):
        for k in range(7):
            sums[i + 1, k] = sums[i, k]
        if level_db[i] > floor_db:
            # About the carrier, so that squares of small numbers are summed.
            offset, level, time_s = pitch[i] - carrier, np.float64(level_db[i]), i / FRAMES_PER_S
            sums[i + 1, 0] += 1.0
            sums[i + 1, 1] += offset
            sums[i + 1, 2] += offset * offset
            sums[i + 1, 3] += time_s
            sums[i + 1, 4] += time_s * time_s
            sums[i + 1, 5] += level
            sums[i + 1, 6] += time_s * level
    for n in range(places.shape[1]):
        start, stop = places[0, n], places[1, n]
        count = sums[stop, 0] - sums[start, 0]
        mean = (sums[stop, 1] - sums[start, 1]) / count
        variance = (sums[stop, 2] - sums[start, 2]) / count - mean * mean
        figures[0, n] = carrier + mean
        figures[1, n] = math.sqrt(max(variance, 0.0))
        figures[2, n] = count / (stop - start)
        first = min(start + _SETTLED, stop)
        last = max(first, min(stop - 2, start + _FALL_STOP))
        count = sums[last, 0] - sums[first, 0]
        figures[3, n] = 0.0
        if count >= _SETTLED:
            mean_s = (sums[last, 3] - sums[first, 3]) / count
            mean_db = (sums[last, 5] - sums[first, 5]) / count
            spread = (sums[last, 4] - sums[first, 4]) / count - mean_s * mean_s
            slope = (sums[last, 6] - sums[first, 6]) / count - mean_s * mean_db
            figures[3, n] = -slope / spread


@part_of_kernel
def _is_group(
    places: NDArray[np.int64], first: int, num_pulses: int, limits: NDArray[np.float64]
) -> bool:
    """Return whether pulses from ``first`` on are alike in length and distance, as a group is."""
    max_spread = limits[4]
    least = np.float64(places[1, first] - places[0, first]) / FRAMES_PER_S
    most = least
    low, high = np.inf, -np.inf
    for n in range(first, first + num_pulses):
        length = np.float64(places[1, n] - places[0, n]) / FRAMES_PER_S
        least, most = min(least, length), max(most, length)
        if n > first:
            period = np.float64(places[0, n] - places[0, n - 1]) / FRAMES_PER_S
            low, high = min(low, period), max(high, period)
    is_length = least >= limits[0] and most <= limits[1] and most - least <= 2.0 * max_spread
    is_in_time = low >= limits[2] and high <= limits[3] and high - low <= max_spread
    return bool(is_length and is_in_time)


@jit("void(int64[:, ::1], int64[:, :, :, ::1], int64, float64[::1], float64, boolean[:, :, ::1])")
def fit_groups(
    count: NDArray[np.int64],
    places: NDArray[np.int64],
    num_pulses: int,
    limits: NDArray[np.float64],
    end: float,
    fits: NDArray[np.bool_],
) -> None:
    """Write for every pulse whether a group in time begins with it, silence before and after.

    Parameters
    ----------
    count, places : int64
        From :func:`cut_pulses`.
    num_pulses : int
        Of a group.
    limits : float64, shape (6,)
        Seconds: shortest and longest pulse, least and largest period, most that periods (and half
        of what lengths) may differ, least silence.
    end : float
        Frame up to which the silence after the last pulse is known to last.
    fits : bool, shape (num_carriers, num_cuts, most_pulses(num_frames))
        False at first.
    """
    for c in range(count.shape[0]):
        for cut in range(count.shape[1]):
            of_cut, num = places[c, cut], count[c, cut]
            for first in range(num - num_pulses + 1):
                last = first + num_pulses - 1
                before = after = np.inf
                if first > 0:
                    before = np.float64(of_cut[0, first] - of_cut[1, first - 1]) / FRAMES_PER_S
                if last + 1 < num:
                    after = np.float64(of_cut[0, last + 1] - of_cut[1, last]) / FRAMES_PER_S
                else:
                    after = (end - of_cut[1, last]) / FRAMES_PER_S
                fits[c, cut, first] = min(before, after) >= limits[5] and _is_group(
                    of_cut, first, num_pulses, limits
                )


@part_of_kernel
def _longest(fits: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the longest stretch of True, the first of several, as (start, stop); or (0, 0)."""
    begin = best_start = best_stop = 0
    for i in range(len(fits)):
        if not fits[i]:
            begin = i + 1
        elif i + 1 - begin > best_stop - best_start:
            best_start, best_stop = begin, i + 1
    return best_start, best_stop


@part_of_kernel
def _middle_s(frames: NDArray[np.int64]) -> float:
    """Return the median of numbers of frames, in seconds; **sorts them**."""
    frames.sort()
    half = len(frames) // 2
    twice = 2 * frames[half] if len(frames) % 2 else frames[half - 1] + frames[half]
    return np.float64(twice) / (2 * FRAMES_PER_S)


@jit(
    "Tuple((int64, int64, float64, float64))(int64[:, ::1], float64[::1], float64, float64,"
    " float64, float64, float64)"
)
def find_regular(
    places: NDArray[np.int64],
    pitch: NDArray[np.float64],
    shortest_s: float,
    longest_s: float,
    spread: float,
    least_spread_s: float,
    max_detune: float,
) -> tuple[int, int, float, float]:
    """Return the longest train of equal pulses at equal distances.

    Parameters
    ----------
    places : int64, shape (2, num_pulses)
    pitch : float64, shape (num_pulses,)
    shortest_s, longest_s : float
        Limits of the median period.
    spread : float
        Share of the median period that periods may be off, and half of what lengths may be off
        theirs; ``least_spread_s`` is allowed to both.
    max_detune : float
        Octaves between neighbours.

    Returns
    -------
    first, last : int
        Pulses; equal if there is no such train.
    period_s, length_s : float
        Medians over all pulses.
    """
    num = places.shape[1]
    typical = _middle_s(places[0, 1:] - places[0, :-1])
    usual = _middle_s(places[1] - places[0])
    if not shortest_s <= typical <= longest_s:
        return 0, 0, typical, usual
    alike = np.empty(num, np.bool_)
    most = max(2.0 * spread * usual, least_spread_s)
    for n in range(num):
        length = np.float64(places[1, n] - places[0, n]) / FRAMES_PER_S
        alike[n] = abs(length - usual) <= most
    fits = np.empty(num - 1, np.bool_)
    most = max(spread * typical, least_spread_s)
    for n in range(num - 1):
        period = np.float64(places[0, n + 1] - places[0, n]) / FRAMES_PER_S
        is_even = abs(period - typical) <= most
        is_in_tune = abs(pitch[n + 1] - pitch[n]) <= max_detune
        fits[n] = is_even and is_in_tune and alike[n] and alike[n + 1]
    first, last = _longest(fits)
    return first, last, typical, usual


@part_of_kernel
def _upper_middle_s(places: NDArray[np.int64]) -> float:
    """Return the median length of pulses in seconds, of two the longer; 0 if there are none."""
    if places.shape[1] == 0:
        return 0.0
    length = places[1] - places[0]
    length.sort()
    return np.float64(length[len(length) // 2]) / FRAMES_PER_S


@jit(
    "Tuple((int64, int64))(int64[:, ::1], int64[:, ::1], float64, float64, float64,"
    " int64[::1], boolean[::1])"
)
def find_turns(
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    shortest_s: float,
    longest_s: float,
    max_join_s: float,
    order: NDArray[np.int64],
    is_high: NDArray[np.bool_],
) -> tuple[int, int]:
    """Find the longest stretch in which two carriers take turns; return its (first, last) note.

    Parameters
    ----------
    low, high : int64, shape (2, num_notes)
        Start and stop of the notes of either.
    shortest_s, longest_s : float
        Limits of the median length of a note.
    max_join_s : float
        Most that a note and the next overlap or are apart.
    order : int64, shape (num_low + num_high,)
        Receives the notes in order of their start, numbered from the low ones on.
    is_high : bool, shape (num_low + num_high,)
        Receives whether a note, in that order, is of the high carrier.
    """
    num_low, num = low.shape[1], low.shape[1] + high.shape[1]
    start, stop = np.empty(num, np.int64), np.empty(num, np.int64)
    i, j = 0, 0
    for n in range(num):
        is_high[n] = i == num_low or (j < num - num_low and high[0, j] < low[0, i])
        if is_high[n]:
            start[n], stop[n], order[n] = high[0, j], high[1, j], num_low + j
            j += 1
        else:
            start[n], stop[n], order[n] = low[0, i], low[1, i], i
            i += 1
    usual_low, usual_high = _upper_middle_s(low), _upper_middle_s(high)
    alike = np.empty(num, np.bool_)
    for n in range(num):
        usual = usual_high if is_high[n] else usual_low
        length = np.float64(stop[n] - start[n]) / FRAMES_PER_S
        is_cut = (n == 0 or n == num - 1) and length <= usual  # by the end of the context
        is_alike = is_cut or abs(length - usual) <= max(0.2 * usual, 0.05)
        alike[n] = is_alike and shortest_s <= usual <= longest_s
    fits = np.empty(num - 1, np.bool_)
    for n in range(num - 1):
        join = np.float64(start[n + 1] - stop[n]) / FRAMES_PER_S
        fits[n] = (
            abs(join) <= max_join_s and is_high[n] != is_high[n + 1] and alike[n] and alike[n + 1]
        )
    return _longest(fits)
