"""Yelps deep in noise: paths are tried whole, before any of their points is called a peak.

Context: a yelp moves ten octaves a second; 5 dB below its noise it breaks into pieces that no track
and no rule follows, and the head protects it without being sure. But it repeats: three seconds hold
eight cycles or more of one shape. Decision ("track before detect", e.g. Tonissen & Evans 1996):
where the head hears anything of an alarm, the last seconds are whitened and folded at the periods
at which they resemble themselves, and every path of a family (rise, bend, reach, pitch, phase) is
laid through the fold. What lies on the best one is compared with what lies on the same path at all
other moments of the cycle (so a held tone and a loud moment give nothing), with what lies beside it
(so a broad or a chequered pattern gives nothing), and with its own weakest moments (so notes that
a path happens to join give nothing). Consequence: it costs nothing where nothing is like an alarm,
and little where nothing repeats.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.jit import jit
from anc_core.emergency.figure_names import CELL_FRAMES, FRAMES_PER_S
from anc_core.emergency.findings import Finding, Kind
from anc_core.emergency.ridges import FAST_FRAME_LENGTH, bin_frequencies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from anc_core.emergency.choice import Thresholds

_REACH_CELLS = 3
"""Cells (1.5 s) on either side of the moment looked at."""
_STEP_CELLS = 2
_MIN_FRAMES = int(1.8 * FRAMES_PER_S)

_LOWEST_HZ = 420.0
_NUM_PITCHES = 28
_OCTAVES = 0.1
"""Between pitches: 28 of them reach to 2.7 kHz, the first overtone included."""
_PERIODS_S = (0.22, 0.42)
"""143 to 273 cycles a minute; 13 CCR 1021 allows more, but makers stay within 150 and 250."""
_PERIOD_STEP = 0.125
"""Frames; over eight cycles that adds up to half a phase."""
_NUM_PERIODS = 3
"""Periods that are tried: a sound that repeats also repeats every second time."""
_PHASES = 16
_RISES = (0.03, 0.2, 0.35, 0.5, 0.65, 0.8, 0.97)
"""Share of a cycle in which the pitch goes up."""
_BENDS = (0.0, 1.5, 3.0)
"""How much it slows down on its way: not at all, or as a capacitor is charged."""
_REACHES = (0.5, 0.7, 0.9, 1.1, 1.3)
"""Octaves between its lowest and its highest pitch."""
_NUM_SWEEPS = len(_RISES) * len(_BENDS) * len(_REACHES)
_NOTE_SHARES = (0.35, 0.5, 0.65)
_NOTE_STEPS = tuple(range(1, 11))
"""Two notes in turn are tried as well, up to an octave apart: what they fit better is no yelp but a
warble, of a telephone or of two overtones that flutter."""

_FRAME_RANK, _TIME_RANK = 0.45, 0.35
"""Quantiles of a frame, and of a pitch over time, that are its noise: a path spends up to a third
of its cycle near its turning points."""
_EVIDENCE_FROM_DB, _EVIDENCE_REACH_DB = 2.0, 10.0
_RANGE_DB = 25.0
"""What is further below the loudest pitch of its frame is a side lobe of it."""
_TINY_POWER = 1e-16
_MIN_LIKENESS = 0.1
"""Correlation of the whitened seconds with themselves, some periods later: yelps at +5 and -5 dB
have 0.5 (median; 95 % more than 0.2), other sounds that the head doubts 0.02 (median)."""

# Chosen on training scenes (1.7 h without an alarm) and on the half of the recordings that is there
# to tune on (0.66 h): car alarms, cries and street music come nearest. Of the seconds of yelps at
# +5 and -5 dB in which the head hears anything 95 % pass.
_MIN_CONTRAST_DB = 3.9
"""Between the path and the same path at other moments."""
_DB_PER_DOUBT = 1.5
"""More, for every unit of log-odds that the head is below what it protects: a car alarm yelps, too,
among a car's other noises."""
_MIN_APART_DB = 3.0
"""Between the path and what lies 0.3 and 0.4 octaves beside it."""
_MIN_WEAKEST_DB = 2.0
"""At the weakest moments of the cycle."""
_SIDES = (-4, -3, 3, 4)


@dataclass(frozen=True, slots=True)
class Yelp:
    """A path that was found in some seconds of sound.

    Attributes
    ----------
    contrast_db : float
        Evidence on it, less the evidence on the same path at other moments of the cycle.
    cycle_frames : float
    start, stop : int
        Frames between which its cycles are there, half open.
    low_hz, high_hz : float
    rise : float
        Share of a cycle in which the pitch goes up.
    """

    contrast_db: float
    cycle_frames: float
    start: int
    stop: int
    low_hz: float
    high_hz: float
    rise: float


class YelpTracer:
    """Remembers the last seconds of one channel and looks for yelps where it is asked to.

    Parameters
    ----------
    thresholds : Thresholds
        Of the head: a moment is looked at while a protected stretch could go on. Where the head
        would not protect by itself, the path must be the clearer for it.
    """

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self._power: list[NDArray[np.float32]] = []
        self._first_frame = 0
        self._next_cell = 0

    def take(self, power: NDArray[np.float32]) -> None:
        """Remember the powers of the next short frames, shape (num_frames, num_bins)."""
        self._power.append(power)

    def trace(self, scores: Sequence[float]) -> list[Finding]:
        """Return the yelps around the next cells, of which the head says ``scores``."""
        findings = []
        for score in scores:
            cell = self._next_cell
            self._next_cell += 1
            if cell % _STEP_CELLS or score < self._thresholds.hold:
                continue
            first = max(0, (cell - _REACH_CELLS) * CELL_FRAMES)
            yelp = find_yelp(self._between(first, (cell + _REACH_CELLS) * CELL_FRAMES))
            doubt = max(0.0, self._thresholds.protect - score)
            if yelp is not None and yelp.contrast_db >= _MIN_CONTRAST_DB + _DB_PER_DOUBT * doubt:
                findings.append(_finding(yelp, first))
        self._forget(max(0, (self._next_cell - _REACH_CELLS) * CELL_FRAMES))
        return findings

    def _between(self, start: int, stop: int) -> NDArray[np.float32]:
        parts, at = [], self._first_frame
        for block in self._power:
            parts.append(block[max(0, start - at) : max(0, stop - at)])
            at += len(block)
        return np.concatenate(parts)

    def _forget(self, frame: int) -> None:
        while self._power and self._first_frame + len(self._power[0]) <= frame:
            self._first_frame += len(self._power.pop(0))


def _finding(yelp: Yelp, first: int) -> Finding:
    return Finding(
        kind=Kind.FAST_SWEEP,
        start=first + yelp.start,
        stop=first + yelp.stop,
        score=min(0.95, 0.7 + 0.05 * (yelp.contrast_db - _MIN_CONTRAST_DB)),
        low_hz=yelp.low_hz,
        high_hz=yelp.high_hz,
        cycle_s=yelp.cycle_frames / FRAMES_PER_S,
        upward=yelp.rise,
        is_traced=True,
    )


def find_yelp(power: NDArray[np.float32]) -> Yelp | None:
    """Return the yelp in some seconds of short frames, if there is one.

    Parameters
    ----------
    power : ndarray of float32, shape (num_frames, num_bins)
        Of frames of :data:`FAST_FRAME_LENGTH`, from :func:`ridges_and_power`.

    Returns
    -------
    Yelp or None
        None as well where there are less than 1.8 s.
    """
    if len(power) < _MIN_FRAMES:
        return None
    evidence = _evidence(power)
    wide = evidence.copy()
    wide[:, 1:] += np.float32(0.5) * evidence[:, :-1]
    wide[:, :-1] += np.float32(0.5) * evidence[:, 1:]
    best, contrast, period = (0, 0, 0), 0.0, 0.0
    for candidate in _periods(wide):
        place = np.empty(3, np.int64)
        found = _search(_fold(wide, candidate), _paths(), place)
        if found > contrast:
            best = (int(place[0]), int(place[1]), int(place[2]))
            contrast, period = found, candidate
    if contrast < _MIN_CONTRAST_DB or best[0] >= _NUM_SWEEPS:
        return None
    return _judged(evidence, best, contrast, period)


def _judged(
    evidence: NDArray[np.float32], place: tuple[int, int, int], contrast: float, period: float
) -> Yelp | None:
    """Return the path as a yelp, if it stands apart and has no holes."""
    path, shift, low = place
    steps = _paths()[path]
    frames = np.arange(len(evidence))
    phase = _phases(len(evidence), period)
    pitch = low + steps[(phase - shift) % _PHASES]

    def beside(offset: int) -> NDArray[np.float32]:
        values: NDArray[np.float32] = evidence[frames, np.clip(pitch + offset, 0, _NUM_PITCHES - 1)]
        return values

    on = np.maximum(beside(0), np.maximum(beside(-1), beside(1))).astype(np.float64)
    apart = on.mean() - max(float(beside(side).mean()) for side in _SIDES)
    by_phase = np.bincount(phase, on, _PHASES) / np.bincount(phase, minlength=_PHASES)
    if apart < _MIN_APART_DB or np.sort(by_phase)[1] < _MIN_WEAKEST_DB:
        return None
    cycle = (frames / period).astype(np.int64)
    by_cycle = np.bincount(cycle, on) / np.bincount(cycle)
    there = np.flatnonzero(by_cycle >= 0.5 * np.median(by_cycle))
    pitches = _pitches()
    return Yelp(
        contrast_db=contrast,
        cycle_frames=period,
        start=int(there[0] * period),
        stop=min(len(evidence), int((there[-1] + 1) * period)),
        low_hz=float(pitches[low]),
        high_hz=float(pitches[low + steps.max()]),
        rise=_RISES[path // (len(_BENDS) * len(_REACHES))],
    )


@lru_cache(maxsize=1)
def _pitches() -> NDArray[np.float64]:
    return np.asarray(_LOWEST_HZ * 2.0 ** (_OCTAVES * np.arange(_NUM_PITCHES)), np.float64)


@lru_cache(maxsize=1)
def _to_pitches() -> NDArray[np.float32]:
    """Return the weights (num_bins, num_pitches) that make bins to pitches: triangles."""
    hertz = bin_frequencies(FAST_FRAME_LENGTH)
    pitches = _pitches()
    half = np.maximum(
        hertz[1] - hertz[0], pitches * (2.0 ** (_OCTAVES / 2) - 2.0 ** (-_OCTAVES / 2))
    )
    weights = np.maximum(0.0, 1.0 - np.abs(hertz[:, np.newaxis] - pitches) / half)
    return np.asarray(weights / weights.sum(axis=0), np.float32)


@lru_cache(maxsize=1)
def _paths() -> NDArray[np.int64]:
    """Return the family, then the notes: steps over the lowest pitch, (num_paths, _PHASES)."""
    place = (np.arange(_PHASES) + 0.5) / _PHASES
    paths = []
    for rise in _RISES:
        part = np.where(place < rise, place / rise, (place - rise) / (1.0 - rise))
        for bend in _BENDS:
            curve = np.expm1(-bend * part) / np.expm1(-bend) if bend else part
            height = np.where(place < rise, curve, 1.0 - curve)
            paths += [np.rint(height * octaves / _OCTAVES) for octaves in _REACHES]
    paths += [(place >= share) * step for share in _NOTE_SHARES for step in _NOTE_STEPS]
    return np.array(paths, np.int64)


def _evidence(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return by how many dB every pitch of every frame exceeds its frame and its usual level."""
    level = np.float32(10.0) * np.log10(power @ _to_pitches() + np.float32(_TINY_POWER))
    level = np.maximum(level, level.max(axis=1, keepdims=True) - np.float32(_RANGE_DB))
    level -= np.sort(level, axis=1)[:, [int(_FRAME_RANK * _NUM_PITCHES)]]
    level -= np.sort(level, axis=0)[int(_TIME_RANK * len(level))]
    excess: NDArray[np.float32] = np.clip(
        level - np.float32(_EVIDENCE_FROM_DB), 0, _EVIDENCE_REACH_DB
    )
    return np.ascontiguousarray(excess, np.float32)


def _periods(evidence: NDArray[np.float32]) -> list[float]:
    """Return the periods (frames) at which the evidence resembles itself most."""
    shortest, longest = (seconds * FRAMES_PER_S for seconds in _PERIODS_S)
    last_lag = int(0.7 * len(evidence))
    alike = np.zeros(last_lag + 1)
    deviation = evidence - evidence.mean(axis=0)
    _correlate(deviation.ravel(), _NUM_PITCHES, int(shortest), alike)
    if not alike[int(shortest) :].max() > _MIN_LIKENESS * alike[0]:
        return []
    alike /= alike[0]
    periods = np.arange(shortest, longest, _PERIOD_STEP)
    multiples = periods[:, np.newaxis] * np.arange(1, int(last_lag / shortest) + 1)
    at = np.interp(multiples, np.arange(last_lag + 1), alike)
    is_heard = multiples < last_lag
    likeness = np.where(is_heard, at, 0.0).sum(axis=1) / is_heard.sum(axis=1)
    chosen: list[float] = []
    for _ in range(_NUM_PERIODS):
        top = int(np.argmax(likeness))
        if likeness[top] < _MIN_LIKENESS:
            break
        chosen.append(float(periods[top]))
        likeness[np.abs(periods - periods[top]) < 0.08 * periods[top]] = 0.0
    return chosen


def _phases(num_frames: int, period: float) -> NDArray[np.int64]:
    return (np.arange(num_frames) / period % 1.0 * _PHASES).astype(np.int64)


def _fold(evidence: NDArray[np.float32], period: float) -> NDArray[np.float32]:
    """Return the mean of all cycles, shape (_PHASES, _NUM_PITCHES)."""
    folded = np.zeros((_PHASES, _NUM_PITCHES), np.float32)
    phase = _phases(len(evidence), period)
    np.add.at(folded, phase, evidence)
    count = np.bincount(phase, minlength=_PHASES)
    folded /= np.maximum(count, 1).astype(np.float32)[:, np.newaxis]
    return folded


@jit("void(float32[::1], int64, int64, float64[::1])")
def _correlate(
    deviation: NDArray[np.float32], width: int, first_lag: int, alike: NDArray[np.float64]
) -> None:
    """Write the mean product of frames with those ``lag`` later, for lag 0 and from ``first_lag``.

    The frames lie one after the other, ``width`` values each: a lag is one long product.
    """
    for lag in range(len(alike)):
        if 0 < lag < first_lag:
            continue
        later = deviation[lag * width :]
        total = np.float32(0.0)
        for i in range(len(later)):
            total += deviation[i] * later[i]
        alike[lag] = total / (len(later) // width)


@jit("float64(float32[:, ::1], int64[:, ::1], int64[::1])")
def _search(
    folded: NDArray[np.float32], paths: NDArray[np.int64], place: NDArray[np.int64]
) -> float:
    """Return the highest contrast of all paths; write which path, phase and lowest pitch has it."""
    num_phases, num_pitches = folded.shape
    sums = np.empty((num_phases, num_pitches), np.float32)
    mean = np.empty(num_pitches, np.float32)
    best = 0.0
    place[:] = 0
    for path in range(len(paths)):
        steps = paths[path]
        num_lows = num_pitches - steps.max()
        mean[:] = 0.0
        for shift in range(num_phases):
            row = sums[shift]
            row[:] = 0.0
            for phase in range(num_phases):
                source = folded[(phase + shift) % num_phases]
                step = steps[phase]
                for low in range(num_lows):
                    row[low] += source[low + step]
            for low in range(num_lows):
                mean[low] += row[low] / num_phases
        for shift in range(num_phases):
            for low in range(num_lows):
                contrast = (sums[shift, low] - mean[low]) / num_phases
                if contrast > best:
                    best = contrast
                    place[0], place[1], place[2] = path, shift, low
    return best
