"""What half a second sounds like, in numbers: the input of the learned head.

All figures are ratios, pitches or times: none depends on the level of the recording. A cell is
judged with its context of four seconds, 1.5 s before it and 2 s after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.jit import jit, part_of_kernel
from anc_core.emergency.figure_names import (
    BAND_ROW,
    CELL_START,
    CONTEXT_FRAMES,
    CONTOUR_FIGURES,
    LAGS,
    NUM_BANDS,
    NUM_CELL_FIGURES,
    PEAK_FIGURES,
    RATES,
    RUN_FIGURES,
    TOTAL_ROW,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LAGS = np.array(LAGS)
_RATES = np.array(RATES)
_NUM_BINS = int(_RATES.max()) + 1
_TURN = np.exp(
    -2j * np.pi * np.outer(np.arange(_NUM_BINS), np.arange(CONTEXT_FRAMES)) / CONTEXT_FRAMES
)
_COSINE = np.ascontiguousarray(_TURN.real.astype(np.float32))
_SINE = np.ascontiguousarray(_TURN.imag.astype(np.float32))

_NUM_CONTOUR = len(CONTOUR_FIGURES)
_NUM_RUN = len(RUN_FIGURES)
_NUM_PEAKS = len(PEAK_FIGURES)

# Rows of a frame: its peaks, then the columns of the tracks in their order.
_PITCH, _LEVEL, _PROMINENCE = range(3)
_NUMBER, _SMOOTH, _STEADY, _LOW, _HIGH, _RISE, _ROUGH, _STRENGTH, _CROWD, _MOVING, _ANCHOR = range(
    3, 14
)
_NO_RUN = -1.0
"""The number of no run: they count from 1, and 0 means that a peak is in none."""

_NEAR_START, _NEAR_STOP = CELL_START - 32, CELL_START + 64
_JUMP = 0.12
"""Octaves a frame beyond which the contour has jumped."""
_SAME = 0.05
_PILES_PER_OCTAVE = 24
_NUM_PILES = 4 * _PILES_PER_OCTAVE
_LOWEST = 8.3
"""log2 Hz: below every peak."""


@part_of_kernel
def _sorted_share(
    values: NDArray[np.float32],
    num: int,
    share: float,
) -> float:
    """Return the quantile of the first ``num`` values, sorted already."""
    chosen: float = values[min(num - 1, int(share * num))]
    return chosen


@part_of_kernel
def _num_same(later: NDArray[np.float32], earlier: NDArray[np.float32]) -> tuple[int, int]:
    """Return in how many frames a contour is what it was before, and in how many it is at all."""
    same = there = np.int32(0)
    for i in range(len(later)):
        is_there = later[i] > 0.0
        there += np.int32(is_there)
        same += np.int32(is_there & (abs(later[i] - earlier[i]) < _SAME))
    return int(same), int(there)


@part_of_kernel
def _contour(  # noqa: PLR0912, PLR0915 - one list of figures, in the order of their names
    pitch: NDArray[np.float32],
    level: NDArray[np.float32],
    prominence: NDArray[np.float32],
    total: NDArray[np.float32],
    peaks: NDArray[np.float32],
    cosine: NDArray[np.float32],
    sine: NDArray[np.float32],
    lags: NDArray[np.int64],
    rates: NDArray[np.int64],
    out: NDArray[np.float32],
) -> None:
    n = len(pitch)
    voiced = near_voiced = 0
    sum_prominence = near_prominence = 0.0
    sum_below = sum_below2 = 0.0
    sum_level = sum_level2 = 0.0
    for i in range(n):
        if pitch[i] > 0.0:
            voiced += 1
            sum_prominence += prominence[i]
            below = level[i] - total[i]
            sum_below += below
            sum_below2 += below * below
            sum_level += level[i]
            sum_level2 += level[i] * level[i]
            if _NEAR_START <= i < _NEAR_STOP:
                near_voiced += 1
                near_prominence += prominence[i]
    out[0] = voiced / n
    out[1] = near_voiced / (_NEAR_STOP - _NEAR_START)
    if voiced < 12:
        return
    out[2] = sum_prominence / voiced
    out[3] = near_prominence / max(near_voiced, 1)
    out[4] = sum_below / voiced
    out[5] = np.sqrt(max(sum_below2 / voiced - out[4] * out[4], 0.0))
    mean_level = sum_level / voiced
    out[6] = np.sqrt(max(sum_level2 / voiced - mean_level * mean_level, 0.0))
    # --- steps
    jumps = pairs = still = slow = medium = fast = 0
    up = way = change = 0.0
    length, longest, pieces = 1, 0, 0
    for i in range(1, n):
        linked = pitch[i] > 0.0 and pitch[i - 1] > 0.0
        if linked:
            step = pitch[i] - pitch[i - 1]
            size = abs(step)
            pairs += 1
            change += abs(level[i] - level[i - 1])
            if size > _JUMP:
                jumps += 1
                linked = False
            else:
                way += size
                up += max(step, 0.0)
                still += size < 0.003
                slow += 0.003 <= size < 0.012
                medium += 0.012 <= size < 0.04
                fast += size >= 0.04
        if linked:
            length += 1
        else:
            if length > 1:
                longest = max(longest, length)
                pieces += 1
            length = 1
    if length > 1:
        longest = max(longest, length)
        pieces += 1
    steps = max(pairs, 1)
    out[7] = change / steps
    out[8] = jumps / steps
    out[9] = np.log2(longest + 1.0)
    out[10] = np.log2(voiced / max(pieces, 1) + 1.0)
    out[16], out[17], out[18], out[19] = still / steps, slow / steps, medium / steps, fast / steps
    out[22] = abs(up / (way + 1e-9) - 0.5)
    # --- reach
    ordered = np.empty(n, np.float32)
    num = 0
    for i in range(n):
        if pitch[i] > 0.0:
            ordered[num] = pitch[i]
            num += 1
    ordered[:num].sort()
    out[11] = _sorted_share(ordered, num, 0.1)
    out[12] = _sorted_share(ordered, num, 0.5)
    out[13] = _sorted_share(ordered, num, 0.9)
    out[14] = out[13] - out[11]
    num = 0
    for i in range(_NEAR_START, _NEAR_STOP):
        if pitch[i] > 0.0:
            ordered[num] = pitch[i]
            num += 1
    if num > 4:
        ordered[:num].sort()
        out[15] = _sorted_share(ordered, num, 0.9) - _sorted_share(ordered, num, 0.1)
    # --- roughness: the distance from the middle of the chord over four frames, either way
    rough = near_rough = 0.0
    count = near_count = turns = 0
    previous = 0.0
    for i in range(4, n - 4):
        inside = True
        for j in range(i - 4, i + 4):
            if not (pitch[j] > 0.0 and pitch[j + 1] > 0.0) or abs(pitch[j + 1] - pitch[j]) > _JUMP:
                inside = False
                break
        if not inside:
            continue
        total_pitch = 0.0
        for j in range(i - 4, i + 5):
            total_pitch += pitch[j]
        off = abs(pitch[i] - total_pitch / 9.0)
        rough += off
        count += 1
        slope = pitch[i + 4] - pitch[i - 4]
        if slope * previous < 0.0:
            turns += 1
        if abs(slope) > 0.01:
            previous = slope
        if _NEAR_START <= i < _NEAR_STOP:
            near_rough += off
            near_count += 1
    out[20] = rough / count if count else 0.06
    out[21] = near_rough / near_count if near_count else 0.06
    out[23] = turns
    # --- piles: do pitches come back to one or two places
    pile = np.zeros(_NUM_PILES, np.int64)
    for i in range(n):
        if pitch[i] > 0.0:
            place = int((pitch[i] - _LOWEST) * _PILES_PER_OCTAVE)
            pile[min(max(place, 0), _NUM_PILES - 1)] += 1
    first, first_place = 0, 0
    for k in range(1, _NUM_PILES - 1):
        both = pile[k] + pile[k + 1]
        if both > first:
            first, first_place = both, k
    second, second_place = 0, first_place
    for k in range(1, _NUM_PILES - 1):
        if abs(k - first_place) > 1:
            both = pile[k] + pile[k + 1]
            if both > second:
                second, second_place = both, k
    out[24] = first / voiced
    out[25] = second / voiced
    out[26] = abs(second_place - first_place) / _PILES_PER_OCTAVE
    # --- runs and gaps in time: pulses
    runs = 0
    length, sum_run, sum_run2, gaps, sum_gap = 0, 0.0, 0.0, 0, 0.0
    rest = 0
    for i in range(n):
        if pitch[i] > 0.0:
            if rest > 2 and runs > 0:
                gaps += 1
                sum_gap += rest
            if rest > 2 or length == 0:
                if length > 0:
                    sum_run += length
                    sum_run2 += length * length
                runs += 1
                length = 0
            length += 1
            rest = 0
        else:
            rest += 1
    sum_run += length
    sum_run2 += length * length
    mean_run = sum_run / max(runs, 1)
    out[27] = runs
    out[28] = np.log2(mean_run + 1.0)
    out[29] = np.sqrt(max(sum_run2 / max(runs, 1) - mean_run * mean_run, 0.0)) / mean_run
    out[30] = np.log2(sum_gap / max(gaps, 1) + 1.0)
    # --- company: overtones, and the second tone of a horn
    octave = twelfth = below_it = third = fifth = 0
    for i in range(n):
        if not pitch[i] > 0.0:
            continue
        has_octave = has_twelfth = has_below = has_third = has_fifth = False
        for k in range(peaks.shape[1]):
            apart = peaks[i, k] - pitch[i]
            has_octave |= abs(apart - 1.0) < 0.03
            has_twelfth |= abs(apart - 1.585) < 0.03
            has_below |= abs(apart + 1.0) < 0.03
            has_third |= 0.2 < abs(apart) < 0.45
            has_fifth |= 0.45 <= abs(apart) < 0.7
        octave += has_octave
        twelfth += has_twelfth
        below_it += has_below
        third += has_third
        fifth += has_fifth
    out[31], out[32], out[33] = octave / voiced, twelfth / voiced, below_it / voiced
    out[34], out[35] = third / voiced, fifth / voiced
    # --- agreement with itself
    at = 36
    best_lag, best, has_left, mean = 0, 0.0, False, 0.0
    for lag in range(4, 129, 4):
        same, there = _num_same(pitch[lag:], pitch)
        share = same / max(there, 1)
        mean += share / 32.0
        for k in range(len(lags)):
            if lags[k] == lag:
                out[at + k] = share
        if share < 0.3:
            has_left = True
        elif has_left and share > best:
            best, best_lag = share, lag
    out[at + len(lags)] = best - mean if best_lag else 0.0
    out[at + len(lags) + 1] = best_lag
    # --- how fast it moves: the spectrum of the contour, gaps held
    held = np.empty(n, np.float32)
    last = out[12]
    centre = 0.0
    for i in range(n):
        if pitch[i] > 0.0:
            last = pitch[i]
        held[i] = last
        centre += last
    centre /= n
    for i in range(n):
        held[i] -= np.float32(centre)
    at += len(lags) + 2
    total_power = 1e-6
    peak_power = 0.0
    for k in range(len(rates)):
        power = 0.0
        for bin_ in range(rates[k, 0], rates[k, 1] + 1):
            real = imaginary = np.float32(0.0)
            for i in range(n):
                real += held[i] * cosine[bin_, i]
                imaginary += held[i] * sine[bin_, i]
            one = float(real * real + imaginary * imaginary)
            power += one
            peak_power = max(peak_power, one)
        out[at + k] = power
        total_power += power
    for k in range(len(rates)):
        out[at + k] = np.log10(out[at + k] / total_power + 1e-3)
    out[at + len(rates)] = peak_power / total_power
    out[at + len(rates) + 1] = np.log10(total_power / (n * n) + 1e-7)


@part_of_kernel
def _best_run(
    frames: NDArray[np.float32],
    total: NDArray[np.float32],
    start: int,
    stop: int,
    other_than: float,
    out: NDArray[np.float32],
) -> float:
    """Describe the longest and clearest smooth run in some frames; return its number.

    The run ``other_than`` is passed over. Where there is none, ``out`` stays as it is.
    """
    best, i, k = 0.0, 0, 0
    for row in range(start, stop):
        for column in range(frames.shape[2]):
            worth = frames[row, _SMOOTH, column] * max(frames[row, _STRENGTH, column] - 8.0, 0.0)
            if worth > best and frames[row, _NUMBER, column] != other_than:
                best, i, k = worth, row, column
    number: float = frames[i, _NUMBER, k]
    if best == 0.0:
        return number
    level, low, high = frames[i, _LEVEL, k], frames[i, _LOW, k], frames[i, _HIGH, k]
    span = high - low
    top = frames[i, _LEVEL, 0]
    for j in range(frames.shape[2]):
        top = max(top, frames[i, _LEVEL, j])
    out[0] = np.log2(frames[i, _SMOOTH, k] + 1.0)
    out[1] = span
    out[2] = abs(frames[i, _RISE, k]) / (span + 0.01)
    out[3] = frames[i, _ROUGH, k]
    out[4] = frames[i, _STRENGTH, k]
    out[5] = frames[i, _CROWD, k]
    out[6] = frames[i, _MOVING, k]
    out[7] = 0.5 * (low + high)
    out[8] = top - level
    out[9] = level - total[i]
    return number


# What is said of the peaks of one frame.
(
    _NUM,
    _OVER_14,
    _OVER_20,
    _TOP,
    _STACK,
    _IS_STACKED,
    _APART,
    _NUM_SMOOTH,
    _NUM_MOVING,
    _NUM_STEADY,
) = range(10)
NUM_FRAME_FIGURES = 10


@jit("void(float32[:, :, ::1], float64[:, ::1])")
def _fill_frames(frames: NDArray[np.float32], out: NDArray[np.float64]) -> None:
    num_peaks = frames.shape[2]
    hertz = np.empty(num_peaks)
    for i in range(len(frames)):
        num = 0
        for k in range(num_peaks):
            if not frames[i, _PITCH, k] > 0.0:
                continue
            hertz[num] = frames[i, _PITCH, k]
            num += 1
            out[i, _OVER_14] += frames[i, _PROMINENCE, k] > 14.0
            out[i, _OVER_20] += frames[i, _PROMINENCE, k] > 20.0
            if frames[i, _SMOOTH, k] >= 24:
                out[i, _NUM_SMOOTH] += 1.0
                out[i, _NUM_MOVING] += frames[i, _MOVING, k] > 0.5
            out[i, _NUM_STEADY] += frames[i, _STEADY, k] >= 24
        out[i, _NUM] = num
        if num:
            out[i, _TOP] = frames[i, _PROMINENCE, 0]
        if num < 3:
            continue
        hertz[:num].sort()
        # Powers cost more than all else here: only of frames with a stack.
        for k in range(num):
            hertz[k] = 2.0 ** hertz[k]
        close = 0
        apart = 0.0
        for k in range(1, num):
            between = hertz[k] - hertz[k - 1]
            if 70.0 < between < 450.0:
                close += 1
                apart += between
        out[i, _STACK] = close / (num - 1)
        if close:
            out[i, _IS_STACKED] = 1.0
            out[i, _APART] = apart / close


def frame_figures(frames: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return what is said of the peaks of each frame: every cell around it adds that up.

    Parameters
    ----------
    frames : ndarray of float32, shape (num_frames, NUM_ROWS, NUM_PEAKS)
        As for :func:`cell_figures`.

    Returns
    -------
    ndarray of float64, shape (num_frames, NUM_FRAME_FIGURES)
    """
    out = np.zeros((len(frames), NUM_FRAME_FIGURES))
    _fill_frames(frames, out)
    return out


@part_of_kernel
def _peaks(start: int, stop: int, figures: NDArray[np.float64], out: NDArray[np.float32]) -> None:
    n = stop - start
    sums = np.zeros(NUM_FRAME_FIGURES)
    squares = 0.0
    for i in range(start, stop):
        for k in range(NUM_FRAME_FIGURES):
            sums[k] += figures[i, k]
        squares += figures[i, _TOP] * figures[i, _TOP]
    out[0], out[1], out[2] = sums[_NUM] / n, sums[_OVER_14] / n, sums[_OVER_20] / n
    out[3] = sums[_TOP] / n
    out[4] = np.sqrt(max(squares / n - out[3] * out[3], 0.0))
    out[5] = sums[_STACK] / n
    out[6] = sums[_APART] / max(sums[_IS_STACKED], 1.0)
    out[7], out[8] = sums[_NUM_SMOOTH] / n, sums[_NUM_MOVING] / n
    out[9] = sums[_NUM_STEADY] / n


@jit(
    "void(float32[:, ::1], float32[:, ::1], float32[:, :, ::1], float64[:, ::1], float32[:, ::1],"
    " float32[:, ::1], int64[::1], int64[:, ::1], float32[::1])"
)
def fill_cell(  # noqa: PLR0912, PLR0915 - one list of figures, in the order of their names
    slow: NDArray[np.float32],
    fast: NDArray[np.float32],
    frames: NDArray[np.float32],
    of_frames: NDArray[np.float64],
    cosine: NDArray[np.float32],
    sine: NDArray[np.float32],
    lags: NDArray[np.int64],
    rates: NDArray[np.int64],
    out: NDArray[np.float32],
) -> None:
    """Write the figures of one cell; the first four arrays hold its context."""
    n = len(frames)
    pitch, prominence = frames[:, _PITCH], frames[:, _PROMINENCE]
    total = frames[:, TOTAL_ROW, 0].copy()
    _contour(slow[0], slow[1], slow[2], total, pitch, cosine, sine, lags, rates, out[:_NUM_CONTOUR])
    at = _NUM_CONTOUR
    _contour(
        fast[0],
        fast[1],
        fast[2],
        total,
        pitch,
        cosine,
        sine,
        lags,
        rates,
        out[at : at + _NUM_CONTOUR],
    )
    at += _NUM_CONTOUR
    # --- runs
    first = _best_run(frames, total, _NEAR_START, _NEAR_STOP, _NO_RUN, out[at : at + _NUM_RUN])
    at += _NUM_RUN
    _best_run(frames, total, _NEAR_START, _NEAR_STOP, first, out[at : at + _NUM_RUN])
    at += _NUM_RUN
    _best_run(frames, total, 0, n, _NO_RUN, out[at : at + _NUM_RUN])
    at += _NUM_RUN
    steady, anchor = frames[:, _STEADY], frames[:, _ANCHOR]
    most, most_i, most_k = np.float32(0.0), 0, 0
    for i in range(_NEAR_START, _NEAR_STOP):
        for k in range(pitch.shape[1]):
            if steady[i, k] > most:
                most, most_i, most_k = steady[i, k], i, k
    if most > 0.0:
        out[at] = np.log2(most + 1.0)
        out[at + 1] = anchor[most_i, most_k]
        out[at + 2] = prominence[most_i, most_k]
    at += 3
    _peaks(_NEAR_START, _NEAR_STOP, of_frames, out[at : at + _NUM_PEAKS])
    at += _NUM_PEAKS
    _peaks(0, n, of_frames, out[at : at + _NUM_PEAKS])
    at += _NUM_PEAKS
    # --- the whole spectrum
    num_bands = NUM_BANDS
    width = frames.shape[2]
    near_total = 0.0
    for b in range(num_bands):
        near = 0.0
        for i in range(_NEAR_START, _NEAR_STOP):
            near += frames[i, BAND_ROW + b // width, b % width]
        out[at + b] = near / (_NEAR_STOP - _NEAR_START)
        near_total += out[at + b] / num_bands
    for b in range(num_bands):
        out[at + b] -= near_total
    at += num_bands
    for b in range(0, num_bands, 2):
        mean = square = 0.0
        for i in range(n):
            mean += frames[i, BAND_ROW + b // width, b % width] / n
        for i in range(n):
            square += (frames[i, BAND_ROW + b // width, b % width] - mean) ** 2 / n
        out[at] = np.sqrt(square)
        at += 1
    for b in range(0, num_bands, 3):
        change = 0.0
        for i in range(4, n):
            change += abs(
                frames[i, BAND_ROW + b // width, b % width]
                - frames[i - 4, BAND_ROW + b // width, b % width]
            )
        out[at] = change / (n - 4)
        at += 1
    mean = square = change = 0.0
    onsets = 0
    for i in range(n):
        mean += total[i] / n
    for i in range(n):
        square += (total[i] - mean) ** 2 / n
    for i in range(4, n):
        now = total[i] - total[i - 4]
        change += abs(now)
        onsets += now > 6.0
    out[at] = np.sqrt(square)
    out[at + 1] = change / (n - 4)
    out[at + 2] = onsets / n


def cell_figures(
    slow: NDArray[np.float32],
    fast: NDArray[np.float32],
    frames: NDArray[np.float32],
    of_frames: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Return the figures of one cell, in the order of :data:`CELL_FIGURES`.

    Parameters
    ----------
    slow, fast : ndarray of float32, shape (3, CONTEXT_FRAMES)
        Pitch, level and prominence of the two paths.
    frames : ndarray of float32, shape (CONTEXT_FRAMES, NUM_ROWS, NUM_PEAKS)
        Rows 0 to 2: pitch, level and prominence of the peaks. Rows 3 to 13: the columns of
        :class:`anc_core.emergency.tracks.Tracks` in their order. Then the levels of the bands and
        of all, dBFS.
    of_frames : ndarray of float64, shape (CONTEXT_FRAMES, NUM_FRAME_FIGURES)
        Their :func:`frame_figures`.
    """
    out = np.zeros(NUM_CELL_FIGURES, np.float32)
    fill_cell(slow, fast, frames, of_frames, _COSINE, _SINE, _LAGS, _RATES, out)
    return out
