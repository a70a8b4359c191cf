"""T3, T4, other regular pulses and two-tone signals: rhythm first, carrier second (ISO 8201).

Carriers are pitches at which steady peaks pile up. The envelope of a carrier is cut 8 dB below its
own loud level, so that the tail of a room (12 dB within 0.1 s at a reverberation time of 0.5 s)
does not fill the pauses; the pulses are then compared with the patterns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.dsp.jit import jit
from anc_core.emergency.figure_names import FRAMES_PER_S
from anc_core.emergency.findings import Finding, Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONTEXT_FRAMES = int(12.5 * FRAMES_PER_S)
"""Three cycles of T3, two groups of T4."""
STEADY_FRAMES = 5
"""Frames after which a peak at one pitch counts towards a carrier."""
_MIN_PEAKS = 8
_NUM_CARRIERS = 8
_BINS_PER_OCTAVE = 48
_REACH = 0.03
"""Octaves around a carrier that belong to it."""
_DEPTH_DB = 8.0
_QUICK_DEPTHS_DB = (5.0, 3.0)
"""For T4, whose pauses a room half fills, or fills but for this."""
_SLOW_DEPTHS_DB = (_DEPTH_DB, 14.0, 20.0)
"""For T3: where a room cancels the tone, what is loud are its onset and its end, and what sounds in
between lies 10 to 20 dB lower. Its pauses are long enough for the tail of a room."""
_LOUD_FRAMES = 16
"""What so many frames (0.25 s) exceed is loud as well: T4 is silent nine tenths of the time, and
what noise leaves at its pitch would be most of what sounds."""
_ABSENT_DB = np.float32(-200.0)
_MAX_HOLE = 2
"""Frames that a pulse may miss."""
_MAX_NULL = 7
"""Frames that a pulse of T3 may miss: as the reflections come in, 0.05 to 0.15 s after the onset,
they can cancel the tone for that long; its pauses last three times as long at the least."""
_MIN_PULSE = 3


@dataclass(frozen=True, slots=True)
class Heard:
    """The context that rhythm is judged in.

    Attributes
    ----------
    pitch, level_db : ndarray of float32, shape (num_frames, num_peaks)
        Peaks of the long frames.
    fast_pitch, fast_level_db : ndarray of float32, shape (num_frames, num_peaks)
        Peaks of the short frames: the pauses of T4 last 0.1 s.
    steady_frames : ndarray of int64, shape (num_frames, num_peaks)
    first_frame : int
    is_complete : bool
        Whether the recording ends with the context.
    """

    pitch: NDArray[np.float32]
    level_db: NDArray[np.float32]
    fast_pitch: NDArray[np.float32]
    fast_level_db: NDArray[np.float32]
    steady_frames: NDArray[np.int64]
    first_frame: int
    is_complete: bool


@dataclass(frozen=True, slots=True)
class _Train:
    """Pulses of one carrier, in frames of the context."""

    hertz: float
    start: NDArray[np.intp]
    stop: NDArray[np.intp]
    pitch: NDArray[np.float64]
    """log2 Hz, the mean of every pulse."""
    spread: NDArray[np.float64]
    """Octaves, the standard deviation of the pitch within every pulse."""
    filled: NDArray[np.float64]
    """Share of the frames of every pulse that have a peak."""
    fall_db_s: NDArray[np.float64]
    """dB a second that every pulse loses once it has settled."""

    @property
    def length_s(self) -> NDArray[np.float64]:
        return (self.stop - self.start) / FRAMES_PER_S

    @property
    def period_s(self) -> NDArray[np.float64]:
        return np.diff(self.start) / FRAMES_PER_S

    @property
    def pause_s(self) -> NDArray[np.float64]:
        return (self.start[1:] - self.stop[:-1]) / FRAMES_PER_S


def rhythm_findings(heard: Heard) -> list[Finding]:
    """Return the rhythms in the context."""
    carriers = _carriers(heard)
    if not carriers:
        return []
    envelopes = [_envelope(heard.pitch, heard.level_db, carrier) for carrier in carriers]
    trains = [_cut(one, one.usual_db - _DEPTH_DB, _MAX_HOLE) for one in envelopes]
    num_frames = len(heard.pitch)
    findings: list[Finding] = []
    for envelope, train in zip(envelopes, trains, strict=True):
        quick = _envelope(heard.fast_pitch, heard.fast_level_db, envelope.carrier)
        floors = {loud - d for loud in (quick.usual_db, quick.loud_db) for d in _QUICK_DEPTHS_DB}
        for floor_db in sorted(floors):
            findings += _groups(_cut(quick, floor_db, _MAX_HOLE), _FOUR, heard, num_frames)
        findings += _groups(train, _THREE, heard, num_frames)
        for depth_db in _SLOW_DEPTHS_DB:
            bridged = _cut(envelope, envelope.usual_db - depth_db, _MAX_NULL)
            findings += _groups(bridged, _THREE, heard, num_frames)
            worn = _groups(bridged, _WORN_THREE, heard, num_frames)
            findings += [finding for finding in worn if finding.cycle_s]
        findings += _regular(train, heard)
    findings += _two_tone(trains, heard)
    return list(dict.fromkeys(findings))  # where nothing is bridged both cuts say the same


def _carriers(heard: Heard) -> list[float]:
    """Return the pitches (log2 Hz) where steady peaks pile up, the busiest first."""
    steady = heard.pitch[heard.steady_frames >= STEADY_FRAMES]
    if len(steady) < _MIN_PEAKS:
        return []
    place = np.rint(steady * _BINS_PER_OCTAVE).astype(np.int64)
    count = np.bincount(place, minlength=int(place.max()) + 3)
    around = count.copy()
    around[1:] += count[:-1]
    around[:-1] += count[1:]
    carriers: list[float] = []
    for _ in range(_NUM_CARRIERS):
        top = int(np.argmax(around))
        if around[top] < _MIN_PEAKS:
            break
        near = steady[np.abs(place - top) <= 1]
        carriers.append(float(np.median(near)))
        around[max(0, top - 2) : top + 3] = 0
    return carriers


@dataclass(frozen=True, slots=True)
class _Envelope:
    """Level and pitch of one carrier, frame by frame."""

    carrier: float
    """log2 Hz."""
    level_db: NDArray[np.float32]
    pitch: NDArray[np.float64]
    usual_db: float
    """What a fifth of the frames in which it sounds exceeds."""
    loud_db: float
    """What :data:`_LOUD_FRAMES` exceed."""


def _envelope(
    pitch: NDArray[np.float32], level_db: NDArray[np.float32], carrier: float
) -> _Envelope:
    envelope = np.full(len(pitch), _ABSENT_DB)
    heard = np.zeros(len(pitch))
    _follow(pitch, level_db, carrier - _REACH, carrier + _REACH, envelope, heard)
    sounding = np.sort(envelope[envelope > _ABSENT_DB])
    usual, loud = 0.0, 0.0
    if len(sounding):
        usual = sounding[len(sounding) * 4 // 5]
        loud = sounding[max(0, len(sounding) - _LOUD_FRAMES)]
    return _Envelope(carrier, envelope, heard, usual, loud)


@jit("void(float32[:, ::1], float32[:, ::1], float64, float64, float32[::1], float64[::1])")
def _follow(
    pitch: NDArray[np.float32],
    level_db: NDArray[np.float32],
    low: float,
    high: float,
    envelope: NDArray[np.float32],
    heard: NDArray[np.float64],
) -> None:
    """Write level and pitch of the loudest peak in [low, high) of every frame that has one."""
    for i in range(len(pitch)):
        for k in range(pitch.shape[1]):
            now = np.float64(pitch[i, k])
            if not (now >= low and now < high) or level_db[i, k] < envelope[i]:
                continue
            # Of equally loud ones the higher.
            if level_db[i, k] > envelope[i] or now >= heard[i]:
                envelope[i], heard[i] = level_db[i, k], now


def _cut(envelope: _Envelope, floor_db: float, max_hole: int) -> _Train:
    """Return the stretches above the floor as pulses, without short holes and clicks."""
    carrier, num_frames = envelope.carrier, len(envelope.level_db)
    places = np.empty((2, num_frames // 2 + 1), np.int64)
    figures = np.empty((4, places.shape[1]))
    num = _cut_pulses(
        envelope.level_db, envelope.pitch, carrier, floor_db, max_hole, places, figures
    )
    start, stop = places[:, :num].copy()
    pitch, spread, filled, fall_db_s = figures[:, :num].copy()
    return _Train(2.0**carrier, start, stop, pitch, spread, filled, fall_db_s)


_SETTLED = int(0.1 * FRAMES_PER_S)
"""Frames after which the first reflections have come: they may raise or lower a tone at once."""
_FALL_STOP = int(0.42 * FRAMES_PER_S)
"""Frames after which the tail of the room follows the shortest pulse of a standard."""


@jit("int64(float32[::1], float64[::1], float64, float32, int64, int64[:, ::1], float64[:, ::1])")
def _cut_pulses(
    level_db: NDArray[np.float32],
    pitch: NDArray[np.float64],
    carrier: float,
    floor_db: float,
    max_hole: int,
    places: NDArray[np.int64],
    figures: NDArray[np.float64],
) -> int:
    """Write start and stop, and pitch, spread, filled, fall of every pulse; return their number.

    The fall is by how many dB a second the straight line through a settled pulse falls; 0 for what
    is shorter than 0.2 s.
    """
    num_frames = len(level_db)
    sums = np.zeros((num_frames + 1, 7))
    num, begin, end = 0, -1, -max_hole - 1
    for i in range(num_frames + 1):
        is_loud = i < num_frames and level_db[i] > floor_db
        if i < num_frames:
            for k in range(7):
                sums[i + 1, k] = sums[i, k]
        if is_loud:
            # About the carrier, so that squares of small numbers are summed.
            offset, level, time_s = pitch[i] - carrier, np.float64(level_db[i]), i / FRAMES_PER_S
            sums[i + 1, 0] += 1.0
            sums[i + 1, 1] += offset
            sums[i + 1, 2] += offset * offset
            sums[i + 1, 3] += time_s
            sums[i + 1, 4] += time_s * time_s
            sums[i + 1, 5] += level
            sums[i + 1, 6] += time_s * level
            if begin < 0:
                begin = i
            end = i + 1
        elif begin >= 0 and (i - end >= max_hole or i == num_frames):
            if end - begin >= _MIN_PULSE:
                places[0, num], places[1, num] = begin, end
                num += 1
            begin = -1
    for n in range(num):
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
    return num


def _stretches(is_on: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return where the stretches of True begin and end, half open."""
    edges = np.diff(np.concatenate([[False], is_on, [False]]).astype(np.int8))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A group of equal pulses, silence around it, repeated."""

    kind: Kind
    num_pulses: int
    length_s: tuple[float, float]
    period_s: tuple[float, float]
    max_spread_s: float
    """Between the periods, and twice that between the lengths, of one group."""
    pause_s: float
    """Least silence before and after the group."""
    cycle_s: tuple[float, float]


# The standards allow +-10 %; rooms and noise move an edge by some frames more.
_THREE = _Pattern(Kind.TEMPORAL_THREE, 3, (0.34, 0.74), (0.8, 1.25), 0.12, 0.9, (3.2, 4.8))
_WORN_THREE = replace(_THREE, length_s=(0.34, 0.92))
"""With the tail of the room; only what repeats a cycle later is taken for that."""
_FOUR = _Pattern(Kind.TEMPORAL_FOUR, 4, (0.06, 0.19), (0.13, 0.30), 0.09, 1.2, (4.5, 7.0))


def _groups(train: _Train, pattern: _Pattern, heard: Heard, num_frames: int) -> list[Finding]:
    """Return the stretch in which the pattern repeats, if it is there."""
    onsets = np.flatnonzero(_fits(train, pattern, heard, num_frames))
    if not len(onsets):
        return []
    n = pattern.num_pulses
    begins = train.start[onsets]
    spacing_s = np.diff(begins) / FRAMES_PER_S
    repeats = spacing_s[(spacing_s >= pattern.cycle_s[0]) & (spacing_s <= pattern.cycle_s[1])]
    # Once the pattern is known, every pulse of the carrier near a group belongs to the alarm: the
    # first group of a recording is often cut, and noise hides single pulses.
    reach = int(pattern.cycle_s[1] * FRAMES_PER_S)
    first, last = int(begins[0]), int(train.stop[onsets[-1] + n - 1])
    near = (train.stop > first - reach) & (train.start < last + reach)
    start, stop = int(train.start[near][0]), int(train.stop[near][-1])
    members = np.concatenate([np.arange(i, i + n) for i in onsets])
    return [
        Finding(
            kind=pattern.kind,
            start=heard.first_frame + start,
            stop=heard.first_frame + stop,
            score=_group_score(train, onsets, pattern, has_repeats=bool(len(repeats))),
            low_hz=train.hertz,
            high_hz=train.hertz,
            on_s=float(np.median(train.length_s[members])),
            cycle_s=float(np.median(repeats)) if len(repeats) else 0.0,
            onsets=tuple(int(heard.first_frame + onset) for onset in begins),
            fall_db_s=float(np.median(train.fall_db_s[members])),
        )
    ]


def _group_score(
    train: _Train, onsets: NDArray[np.intp], pattern: _Pattern, *, has_repeats: bool
) -> float:
    """Return 0.95 for a repeated group, 0.75 for a single one in silence, 0.45 among others."""
    if has_repeats:
        return 0.95
    begin, end = train.start[onsets[0]], train.stop[onsets[-1] + pattern.num_pulses - 1]
    reach = int(_LONELY_S * FRAMES_PER_S)
    around = (train.stop > begin - reach) & (train.start < end + reach)
    is_alone = np.count_nonzero(around) == len(onsets) * pattern.num_pulses
    return 0.75 if is_alone else 0.45


def _fits(train: _Train, pattern: _Pattern, heard: Heard, num_frames: int) -> NDArray[np.bool_]:
    """Return for every pulse whether it and the next ones are one group of the pattern."""
    n = pattern.num_pulses
    if len(train.start) < n:
        return np.zeros(0, np.bool_)
    in_time = (train.period_s >= pattern.period_s[0]) & (train.period_s <= pattern.period_s[1])
    if np.count_nonzero(in_time) < n - 1:
        return np.zeros(0, np.bool_)
    last_stop = train.stop[-1]
    rest = np.inf if heard.is_complete else (num_frames - last_stop) / FRAMES_PER_S
    # Silence before pulse i, and after pulse i: nothing is known before the first.
    before = np.concatenate([[np.inf], train.pause_s])[: len(train.start) - n + 1]
    after = np.concatenate([train.pause_s, [rest]])[n - 1 :]
    length = _each(train.length_s, n)
    period = _each(train.period_s, n - 1)
    pitch = _each(train.pitch, n)
    fits: NDArray[np.bool_] = (
        (np.minimum(before, after) >= pattern.pause_s)
        & np.all((length >= pattern.length_s[0]) & (length <= pattern.length_s[1]), axis=1)
        & np.all(_each(in_time, n - 1), axis=1)
        & (np.ptp(period, axis=1) <= pattern.max_spread_s)
        & (np.ptp(length, axis=1) <= 2.0 * pattern.max_spread_s)
        & (np.ptp(pitch, axis=1) <= _MAX_DETUNE)
    )
    return fits


def _each(values: NDArray[Any], num: int) -> NDArray[Any]:
    """Return every run of ``num`` neighbours, shape (len(values) - num + 1, num)."""
    return np.lib.stride_tricks.sliding_window_view(values, num)


_LONELY_S = 2.5
"""A single group must have its carrier for itself that long before and after."""
_MAX_DETUNE = 0.012
"""Octaves between the pulses of a group: a sounder keeps its pitch, a machine does not."""

_REGULAR_PULSES = 5
_REGULAR_PERIOD_S = (0.12, 2.5)
_REGULAR_HZ = 700.0
_REGULAR_SPREAD = 0.1


def _regular(train: _Train, heard: Heard) -> list[Finding]:
    """Return a train of at least five equal pulses at equal distances."""
    num = len(train.start)
    if num < _REGULAR_PULSES or train.hertz < _REGULAR_HZ:
        return []
    period, length = train.period_s, train.length_s
    typical = float(np.median(period))
    if not _REGULAR_PERIOD_S[0] <= typical <= _REGULAR_PERIOD_S[1]:
        return []
    in_tune = np.abs(np.diff(train.pitch)) <= _MAX_DETUNE
    even = np.abs(period - typical) <= max(_REGULAR_SPREAD * typical, 1.5 / FRAMES_PER_S)
    usual = float(np.median(length))
    alike = np.abs(length - usual) <= max(0.2 * usual, 1.5 / FRAMES_PER_S)
    fits = even & in_tune & alike[1:] & alike[:-1]
    begin, stop = _longest(fits)
    if stop - begin < _REGULAR_PULSES - 1 or usual > 0.9 * typical:
        return []
    return [
        Finding(
            kind=Kind.PULSES,
            start=heard.first_frame + int(train.start[begin]),
            stop=heard.first_frame + int(train.stop[stop]),
            score=min(0.9, 0.5 + 0.05 * (stop - begin - _REGULAR_PULSES + 2)),
            low_hz=train.hertz,
            high_hz=train.hertz,
            on_s=usual,
            cycle_s=typical,
            onsets=tuple(int(heard.first_frame + s) for s in train.start[begin : stop + 1]),
        )
    ]


def _longest(fits: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the longest stretch of True as (start, stop)."""
    start, stop = _stretches(fits)
    if not len(start):
        return 0, 0
    best = int(np.argmax(stop - start))
    return int(start[best]), int(stop[best])


_NOTE_S = (0.09, 3.2)
_QUICK_NOTE_S = 0.22
"""Shorter notes (a warble) must be many and pure: in a room noise itself flickers between the
modes, for 0.16 s at most (98 %), with gaps and an unsteady pitch. The shortest notes of a standard
are 0.25 s (BS 5839-1, 2 Hz), of DIN 14610 0.6 s."""
_MIN_QUICK_NOTES = 8
_MIN_FILLED = 0.9
_MAX_NOTE_SPREAD = 0.006
"""Octaves; hi-lo in noise as loud has 0.002 (median) to 0.006 (90 %), modes 0.008."""
_RATIO = (1.06, 2.1)
_MAX_JOIN_S = 0.14
_MIN_NOTES = 4


def _two_tone(trains: list[_Train], heard: Heard) -> list[Finding]:
    """Return two carriers that take turns without a pause (hi-lo, NF S 32-001)."""
    findings = []
    for i, one in enumerate(trains):
        for other in trains[i + 1 :]:
            low, high = sorted([one, other], key=lambda train: train.hertz)
            num_notes = len(low.start), len(high.start)
            if (
                _RATIO[0] <= high.hertz / low.hertz <= _RATIO[1]
                and sum(num_notes) >= _MIN_NOTES
                and abs(num_notes[0] - num_notes[1]) <= max(2, min(num_notes))
            ):
                findings += _alternation(low, high, heard)
    return findings


def _alternation(low: _Train, high: _Train, heard: Heard) -> list[Finding]:
    start = np.concatenate([low.start, high.start])
    stop = np.concatenate([low.stop, high.stop])
    is_high = np.repeat([False, True], [len(low.start), len(high.start)])
    order = np.argsort(start, kind="stable")
    start, stop, is_high = start[order], stop[order], is_high[order]
    length = (stop - start) / FRAMES_PER_S
    join = (start[1:] - stop[:-1]) / FRAMES_PER_S
    usual = np.where(is_high, _median(length[is_high]), _median(length[~is_high]))
    alike = np.abs(length - usual) <= np.maximum(0.2 * usual, 0.05)
    # The first and the last note of a context are cut.
    alike[[0, -1]] |= length[[0, -1]] <= usual[[0, -1]]
    alike &= (usual >= _NOTE_S[0]) & (usual <= _NOTE_S[1])
    fits = (np.abs(join) <= _MAX_JOIN_S) & (is_high[1:] != is_high[:-1]) & alike[1:] & alike[:-1]
    begin, end = _longest(fits)
    num_notes = end - begin + 1
    members = slice(begin, end + 1)
    if num_notes < _MIN_NOTES:
        return []
    if float(np.median(length[members])) < _QUICK_NOTE_S:
        spread = np.concatenate([low.spread, high.spread])[order][members]
        filled = np.concatenate([low.filled, high.filled])[order][members]
        is_pure = np.mean(spread) <= _MAX_NOTE_SPREAD and np.mean(filled) >= _MIN_FILLED
        if num_notes < _MIN_QUICK_NOTES or not is_pure:
            return []
    onsets = start[members][is_high[members]]
    falls = np.concatenate([low.fall_db_s, high.fall_db_s])[order][members]
    return [
        Finding(
            kind=Kind.TWO_TONE,
            start=heard.first_frame + int(start[begin]),
            stop=heard.first_frame + int(stop[end]),
            score=min(0.95, 0.6 + 0.1 * (num_notes - _MIN_NOTES)),
            low_hz=low.hertz,
            high_hz=high.hertz,
            on_s=float(np.median(length[members])),
            cycle_s=float(np.median(length[is_high]) + np.median(length[~is_high])),
            onsets=tuple(int(heard.first_frame + onset) for onset in onsets),
            fall_db_s=float(np.median(falls)),
        )
    ]


def _median(values: NDArray[np.float64]) -> float:
    return float(np.sort(values)[len(values) // 2]) if len(values) else 0.0
