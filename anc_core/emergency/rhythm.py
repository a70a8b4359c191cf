"""T3, T4, other regular pulses and two-tone signals: rhythm first, carrier second (ISO 8201).

Carriers are pitches at which steady peaks pile up. The envelope of a carrier is cut 8 dB below its
own loud level, so that the tail of a room (12 dB within 0.1 s at a reverberation time of 0.5 s)
does not fill the pauses; the pulses are then compared with the patterns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from anc_core.emergency import rhythm_kernels as kernels
from anc_core.emergency.figure_names import FRAMES_PER_S
from anc_core.emergency.findings import Finding, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

CONTEXT_FRAMES = int(12.5 * FRAMES_PER_S)
"""Three cycles of T3, two groups of T4."""
_DEPTH_DB = np.float32(8.0)
_QUICK_DEPTHS_DB = (np.float32(5.0), np.float32(3.0))
"""For T4, whose pauses a room half fills, or fills but for this."""
_SLOW_DEPTHS_DB = (_DEPTH_DB, np.float32(14.0), np.float32(20.0))
"""For T3: where a room cancels the tone, what is loud are its onset and its end, and what sounds in
between lies 10 to 20 dB lower. Its pauses are long enough for the tail of a room."""
_LOUD_FRAMES = 16
"""What so many frames (0.25 s) exceed is loud as well: T4 is silent nine tenths of the time, and
what noise leaves at its pitch would be most of what sounds."""
_MAX_HOLE = 2
"""Frames that a pulse may miss."""
_MAX_NULL = 7
"""Frames that a pulse of T3 may miss: as the reflections come in, 0.05 to 0.15 s after the onset,
they can cancel the tone for that long; its pauses last three times as long at the least."""


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


def rhythm_findings(heard: Heard) -> list[Finding]:
    """Return the rhythms in the context."""
    carriers = np.empty(kernels.NUM_CARRIERS)
    carriers = carriers[: kernels.find_carriers(heard.pitch, heard.steady_frames, carriers)]
    if not len(carriers):
        return []
    long = _Envelopes.of(heard.pitch, heard.level_db, carriers)
    quick = _Envelopes.of(heard.fast_pitch, heard.fast_level_db, carriers)
    plain = _Cuts(long, (long.usual_db - _DEPTH_DB)[:, np.newaxis], (_MAX_HOLE,))
    slow_floors_db = long.usual_db[:, np.newaxis] - np.array(_SLOW_DEPTHS_DB)
    bridged = _Cuts(long, slow_floors_db, (_MAX_NULL,) * len(_SLOW_DEPTHS_DB))
    floors_db = [loud - d for loud in (quick.usual_db, quick.loud_db) for d in _QUICK_DEPTHS_DB]
    quick_cuts = _Cuts(quick, np.sort(floors_db, axis=0).T, (_MAX_HOLE,) * len(floors_db))
    findings: list[list[Finding]] = [[] for _ in carriers]
    for cuts, pattern in (
        (quick_cuts, _FOUR),
        (plain, _THREE),
        (bridged, _THREE),
        (bridged, _WORN_THREE),
    ):
        for carrier, train, onsets in cuts.groups(pattern, is_complete=heard.is_complete):
            found = _groups(train, onsets, pattern, heard)
            findings[carrier] += [one for one in found if one.cycle_s or not pattern.must_repeat]
    trains = [plain.train(carrier, 0) for carrier in range(len(carriers))]
    for carrier, train in enumerate(trains):
        findings[carrier] += _regular(train, heard)
    together = [finding for of_carrier in findings for finding in of_carrier]
    # Where floors are equal, or nothing is bridged, several cuts say the same.
    return list(dict.fromkeys(together + _two_tone(trains, heard)))


@dataclass(frozen=True, slots=True)
class _Envelopes:
    """Level and pitch of all carriers, frame by frame; shape (num_carriers, num_frames).

    ``usual_db`` is what a fifth of the frames in which a carrier sounds exceeds, ``loud_db`` what
    :data:`_LOUD_FRAMES` of them do; shape (num_carriers,).
    """

    carriers: NDArray[np.float64]
    level_db: NDArray[np.float32]
    pitch: NDArray[np.float64]
    usual_db: NDArray[np.float32]
    loud_db: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        pitch: NDArray[np.float32],
        level_db: NDArray[np.float32],
        carriers: NDArray[np.float64],
    ) -> Self:
        envelope = np.full((len(carriers), len(pitch)), kernels.ABSENT_DB)
        heard = np.zeros(envelope.shape)
        kernels.follow_carriers(pitch, level_db, carriers, envelope, heard)
        # What is absent comes first.
        ordered, rows = np.sort(envelope, axis=1), np.arange(len(carriers))
        num = np.count_nonzero(envelope > kernels.ABSENT_DB, axis=1)
        usual = ordered[rows, len(pitch) - np.maximum(num - num * 4 // 5, 1)]
        loud = ordered[rows, len(pitch) - np.clip(num, 1, _LOUD_FRAMES)]
        # A carrier that never sounds has no pulses: it lies below any floor.
        usual[num == 0] = loud[num == 0] = 0.0
        return cls(carriers, envelope, heard, usual, loud)


class _Train:
    """Pulses of one carrier, in frames of the context.

    Parameters
    ----------
    envelopes : _Envelopes
    carrier : int
        Which of them.
    floor_db : float
        Above it a pulse sounds.
    places : int64, shape (2, num_pulses)
        Start and stop.
    """

    def __init__(
        self,
        envelopes: _Envelopes,
        carrier: int,
        floor_db: np.float32,
        places: NDArray[np.int64],
    ) -> None:
        self._envelopes = envelopes
        self._carrier = carrier
        self._floor_db = floor_db
        self.places = places
        self.start, self.stop = places
        self.hertz = 2.0 ** float(envelopes.carriers[carrier])

    @property
    def length_s(self) -> NDArray[np.float64]:
        return np.asarray((self.stop - self.start) / FRAMES_PER_S)

    @property
    def pitch(self) -> NDArray[np.float64]:
        """log2 Hz, the mean of every pulse."""
        return np.asarray(self._figures[0])

    @property
    def spread(self) -> NDArray[np.float64]:
        """Octaves, the standard deviation of the pitch within every pulse."""
        return np.asarray(self._figures[1])

    @property
    def filled(self) -> NDArray[np.float64]:
        """Share of the frames of every pulse that have a peak."""
        return np.asarray(self._figures[2])

    @property
    def fall_db_s(self) -> NDArray[np.float64]:
        """Level that every pulse loses once it has settled, dB a second."""
        return np.asarray(self._figures[3])

    @cached_property
    def _figures(self) -> NDArray[np.float64]:
        figures: NDArray[np.float64] = np.empty((4, self.places.shape[1]))
        heard, row = self._envelopes, self._carrier
        kernels.describe_pulses(
            heard.level_db[row],
            heard.pitch[row],
            float(heard.carriers[row]),
            float(self._floor_db),
            self.places,
            figures,
        )
        return figures


class _Cuts:
    """The pulses of all carriers, each cut in several ways.

    Parameters
    ----------
    envelopes : _Envelopes
    floor_db : float32, shape (num_carriers, num_cuts)
    max_holes : tuple of int
        Frames that a pulse may miss, for each cut.
    """

    def __init__(
        self, envelopes: _Envelopes, floor_db: NDArray[np.float32], max_holes: tuple[int, ...]
    ) -> None:
        self._envelopes = envelopes
        self._floor_db = np.ascontiguousarray(floor_db)
        self._num_frames = envelopes.level_db.shape[1]
        self._count = np.empty(floor_db.shape, np.int64)
        shape = (*floor_db.shape, 2, kernels.most_pulses(self._num_frames))
        self._places = np.empty(shape, np.int64)
        kernels.cut_pulses(
            envelopes.level_db, self._floor_db, np.array(max_holes), self._count, self._places
        )

    def train(self, carrier: int, cut: int) -> _Train:
        """Return the pulses of a carrier in one of the cuts."""
        places = self._places[carrier, cut, :, : self._count[carrier, cut]].copy()
        return _Train(self._envelopes, carrier, self._floor_db[carrier, cut], places)

    def groups(
        self, pattern: _Pattern, *, is_complete: bool
    ) -> Iterator[tuple[int, _Train, NDArray[np.intp]]]:
        """Yield every train in which groups of the pattern begin: carrier, train, their pulses."""
        fits = np.zeros((*self._count.shape, self._places.shape[3]), np.bool_)
        end = np.inf if is_complete else float(self._num_frames)
        kernels.fit_groups(self._count, self._places, *pattern.numbers, end, fits)
        for carrier, cut in np.argwhere(fits.any(axis=2)).tolist():
            train, onsets = self.train(carrier, cut), np.flatnonzero(fits[carrier, cut])
            pitch = np.lib.stride_tricks.sliding_window_view(train.pitch, pattern.num_pulses)
            is_in_tune = np.ptp(pitch[onsets], axis=1) <= _MAX_DETUNE
            if is_in_tune.any():
                yield carrier, train, onsets[is_in_tune]


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
    must_repeat: bool = False
    """Whether a single group is none."""

    @property
    def numbers(self) -> tuple[int, NDArray[np.float64]]:
        """The number of pulses and what the kernel calls the limits."""
        limits = (*self.length_s, *self.period_s, self.max_spread_s, self.pause_s)
        return self.num_pulses, np.array(limits)


# The standards allow +-10 %; rooms and noise move an edge by some frames more.
_THREE = _Pattern(Kind.TEMPORAL_THREE, 3, (0.34, 0.74), (0.8, 1.25), 0.12, 0.9, (3.2, 4.8))
_WORN_THREE = replace(_THREE, length_s=(0.34, 0.92), must_repeat=True)
"""With the tail of the room."""
_FOUR = _Pattern(Kind.TEMPORAL_FOUR, 4, (0.06, 0.19), (0.13, 0.30), 0.09, 1.2, (4.5, 7.0))


def _groups(
    train: _Train, onsets: NDArray[np.intp], pattern: _Pattern, heard: Heard
) -> list[Finding]:
    """Return the stretch in which the pattern repeats; a group begins at each of ``onsets``."""
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
    if len(train.start) < _REGULAR_PULSES or train.hertz < _REGULAR_HZ:
        return []
    begin, stop, typical, usual = kernels.find_regular(
        train.places,
        train.pitch,
        *_REGULAR_PERIOD_S,
        _REGULAR_SPREAD,
        1.5 / FRAMES_PER_S,
        _MAX_DETUNE,
    )
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
    num = len(low.start) + len(high.start)
    order, is_high = np.empty(num, np.int64), np.empty(num, np.bool_)
    begin, end = kernels.find_turns(low.places, high.places, *_NOTE_S, _MAX_JOIN_S, order, is_high)
    num_notes = end - begin + 1
    members = slice(begin, end + 1)
    if num_notes < _MIN_NOTES:
        return []
    start, stop = np.concatenate([low.places, high.places], axis=1)[:, order]
    length = (stop - start) / FRAMES_PER_S
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
