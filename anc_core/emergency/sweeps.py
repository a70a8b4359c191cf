"""Wail, yelp, whoop: tones whose pitch moves cleanly; and tones that hold for seconds.

Two views of the same sound. *Runs* are smooth tracks (:mod:`anc_core.emergency.tracks`): exact, and
lost where echoes or noise break the track. The *contour* is the most prominent pitch of every
short frame, broken or not. It is compared with itself, delayed: in a siren it nearly agrees with
itself an eighth of a second ago (it moves, but slowly) and again after one yelp, and disagrees
elsewhere. A voice agrees nowhere, a held note everywhere: the *difference* of the agreements tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.jit import jit, part_of_kernel
from anc_core.emergency.figure_names import FRAMES_PER_S
from anc_core.emergency.findings import SOUNDER_HZ, Finding, Kind
from anc_core.emergency.tracks import SETTLING, Tracks

if TYPE_CHECKING:
    from numpy.typing import NDArray

# --- runs
_MIN_RUN = 48
"""Frames (0.75 s) from which a smooth run says something."""
_MIN_RANGE = 0.1
"""Octaves below which a run is a held tone, not a sweep."""
_MIN_MOVING = 0.5
"""Share of a run that must move: a tone that began as a stray peak is no sweep."""
_MAX_STEADY_MOVING = 0.2
_STEADY_RUN = 3 * FRAMES_PER_S
_STEADY_HZ = (900.0, 3500.0)
_STEADY_PROMINENCE_DB = 23.0
_STEADY_BELOW_TOP_DB = 6.0
"""A held tone counts only if it is about the strongest of its frames: chords are music."""

_BIAS = -1.0
_CROWD_WEIGHT = 1.2
_HIGHEST_HZ = 1_700.0
"""Above this a sweep is more often a bird, a saw or an overtone than a siren."""

# --- contour
CONTOUR_FRAMES = 3 * FRAMES_PER_S
"""Frames compared at a time."""
_LONGEST_LAG = 72
"""1.1 s: DIN sweeps repeat every second."""
_SHORT_LAG = 8
"""125 ms."""
_SEARCHED = np.log2([390.0, 2200.0])
"""log2 Hz."""
_SAME = np.float32(0.1)
"""Octaves within which two pitches agree."""
_NONE = np.float32(-99.0)
_MIN_CONTINUITY = 0.4
"""Share of steps between frames that are below ..."""
_LINKED = np.float32(0.25)
"""... a quarter of an octave."""


def run_findings(tracks: Tracks, level_db: NDArray[np.float32], first_frame: int) -> list[Finding]:
    """Return the smooth runs seen in a block of frames, as far as they have come.

    Parameters
    ----------
    tracks : Tracks
        Of the block, shape (num_frames, num_peaks).
    level_db : ndarray of float32, shape (num_frames, num_peaks)
    first_frame : int
        Number of the first frame of the block.
    """
    if tracks.smooth_frames.max() < _MIN_RUN:
        return []
    frame, peak = np.nonzero(tracks.smooth_frames >= _MIN_RUN)
    begin = frame - tracks.smooth_frames[frame, peak]
    # The last peak of every run knows all of it.
    # Two whole numbers as one: runs begin up to some seconds before the block.
    keys = (tracks.number[frame, peak] << 32) - begin
    _, last = np.unique(keys[::-1], return_index=True)
    top = np.nanmax(np.where(np.isnan(level_db), -np.inf, level_db), axis=1)
    findings = []
    for index in np.sort(len(frame) - 1 - last):
        i, k = int(frame[index]), int(peak[index])
        below_top_db = float(top[i] - level_db[i, k])
        finding = _judge_run(tracks, i, k, first_frame, below_top_db)
        if finding is not None:
            findings.append(finding)
    return findings


def _judge_run(
    tracks: Tracks, i: int, k: int, first_frame: int, below_top_db: float
) -> Finding | None:
    num_frames = int(tracks.smooth_frames[i, k]) + SETTLING - 1
    low, high = float(tracks.low[i, k]), float(tracks.high[i, k])
    prominence = float(tracks.prominence_db[i, k])
    start, stop = first_frame + i + 1 - num_frames, first_frame + i + 1
    span = high - low
    moving = float(tracks.moving[i, k])
    if span >= _MIN_RANGE and moving >= _MIN_MOVING:
        score = _sweep_score(
            num_frames,
            span,
            2.0 ** ((low + high) / 2),
            float(tracks.roughness[i, k]),
            prominence,
            float(tracks.crowd[i, k]),
        )
        rise = float(tracks.rise[i, k])
        upward = 0.5 + 0.5 * float(np.clip(rise / span, -1.0, 1.0))
        return Finding(
            kind=Kind.SWEEP,
            start=start,
            stop=stop,
            score=score,
            low_hz=2.0**low,
            high_hz=2.0**high,
            upward=upward,
        )
    hertz = 2.0 ** float(tracks.anchor[i, k])
    if (
        moving < _MAX_STEADY_MOVING
        and num_frames >= _STEADY_RUN
        and _STEADY_HZ[0] <= hertz <= _STEADY_HZ[1]
        and prominence >= _STEADY_PROMINENCE_DB
        and below_top_db <= _STEADY_BELOW_TOP_DB
    ):
        score = min(0.9, 0.5 + _steady_evidence(num_frames, prominence, hertz))
        return Finding(
            kind=Kind.STEADY, start=start, stop=stop, score=score, low_hz=hertz, high_hz=hertz
        )
    return None


def _steady_evidence(num_frames: int, prominence_db: float, hertz: float) -> float:
    """Return what duration, prominence and a standard's pitch add to the score of a held tone."""
    longer_s = (num_frames - _STEADY_RUN) / FRAMES_PER_S
    at_standard = SOUNDER_HZ[0] <= hertz <= SOUNDER_HZ[1]
    return 0.015 * longer_s + 0.02 * (prominence_db - _STEADY_PROMINENCE_DB) + 0.15 * at_standard


def _sweep_score(
    num_frames: int,
    span: float,
    mean_hz: float,
    roughness: float,
    prominence_db: float,
    crowd: float,
) -> float:
    """Return how much a run is like a siren, 0 to 1.

    The middle of every term lies between the medians of siren runs (1.3 s, 0.4 octaves, 0.008
    octaves rough, 22 dB) and of the runs that voices and machines leave (0.9 s, 0.25, 0.017, 12).
    """
    seconds = num_frames / FRAMES_PER_S
    evidence = (
        _BIAS
        + 2.0 * np.log(seconds / 1.2)
        + 1.0 * np.log(span / 0.25)
        - _CROWD_WEIGHT * min(crowd, 1.0)
        - 2.0 * max(0.0, np.log2(mean_hz / _HIGHEST_HZ))
        + np.clip((0.011 - roughness) / 0.0035, -2.5, 1.5)
        + np.clip((prominence_db - 14.0) / 4.0, -1.5, 1.5)
    )
    return float(1.0 / (1.0 + np.exp(-evidence)))


def contour_of(pitch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the pitch of the most prominent peak within 390-2200 Hz, -99 where there is none.

    Parameters
    ----------
    pitch : ndarray of float32, shape (num_frames, num_peaks)
        log2 Hz, most prominent first, NaN where there is none.

    Returns
    -------
    ndarray of float32, shape (num_frames,)
    """
    contour = np.full(len(pitch), _NONE)
    low, high = _SEARCHED.tolist()
    _fill_contour(np.ascontiguousarray(pitch), low, high, contour)
    return contour


@jit("void(float32[:, ::1], float64, float64, float32[::1])")
def _fill_contour(
    pitch: NDArray[np.float32], low: float, high: float, contour: NDArray[np.float32]
) -> None:
    for i in range(len(pitch)):
        for k in range(pitch.shape[1]):
            if np.float64(pitch[i, k]) > low and np.float64(pitch[i, k]) < high:
                contour[i] = pitch[i, k]
                break


def contour_findings(contour: NDArray[np.float32], first_frame: int) -> list[Finding]:
    """Return what the contour's agreement with itself tells of one stretch.

    Parameters
    ----------
    contour : ndarray of float32, shape (CONTOUR_FRAMES,)
        From :func:`contour_of`.
    first_frame : int
        Number of its first frame.

    Notes
    -----
    A(lag) is the share of frames whose pitch is within 0.1 octaves of the pitch ``lag`` frames
    earlier; missing pitches disagree. Slow sweep: A(8) less the mean of A(24..72). Fast sweep: the
    best A(lag) after a lag at which A was below 1/4, less the mean of all.
    """
    agreement = np.empty(_LONGEST_LAG + 1)
    if not _find_agreement(contour, agreement):
        return []
    slow = agreement[_SHORT_LAG] - np.mean(agreement[3 * _SHORT_LAG :])
    fast, lag = _repetition(agreement)
    stop = first_frame + len(contour)
    findings = []
    for kind, evidence, limits, cycle_s, moves in (
        (Kind.SWEEP, float(slow), _SLOW_RANGE, 0.0, _SLOW_MOTION),
        (Kind.FAST_SWEEP, fast, _FAST_RANGE, lag / FRAMES_PER_S, _FAST_MOTION),
    ):
        if evidence <= limits[0]:
            continue  # however it moves, the score is 0
        motion = _motion(contour, moves)
        # Agreement without movement does not count: the beginning of any tone has it.
        score = _graded(evidence * motion.share, limits)
        if score > 0 and motion.high - motion.low >= _MIN_RANGE:
            findings.append(
                Finding(
                    kind=kind,
                    start=first_frame,
                    stop=stop,
                    score=score,
                    low_hz=2.0**motion.low,
                    high_hz=2.0**motion.high,
                    cycle_s=cycle_s,
                    upward=motion.upward,
                )
            )
    return findings


_SLOW_RANGE = (0.1, 0.34)
"""Agreement that scores 0 and 1; voices stay below 0.2 (98 %), noises below 0.25."""
_FAST_RANGE = (0.25, 0.55)


@dataclass(frozen=True, slots=True)
class _MotionLimits:
    """What counts as movement: over ``lag`` frames, between two distances in octaves."""

    lag: int
    least: float
    most: float


_SLOW_MOTION = _MotionLimits(lag=_SHORT_LAG, least=0.004, most=0.2)
"""A held note moves less in 125 ms, a slow wail five times as much."""
_FAST_MOTION = _MotionLimits(lag=2, least=0.02, most=0.4)
"""0.6 to 13 octaves a second."""


@dataclass(frozen=True, slots=True)
class _Motion:
    """How the continuous parts of a contour move: their share that does, reach and direction."""

    share: float
    low: float
    high: float
    upward: float


def _motion(contour: NDArray[np.float32], limits: _MotionLimits) -> _Motion:
    now, before = contour[limits.lag :], contour[: -limits.lag]
    follows = (np.abs(now - before) < limits.most) & (now > 0)
    if np.count_nonzero(follows) < 2 * _SHORT_LAG:
        return _Motion(0.0, 0.0, 0.0, 0.5)
    low, high = np.percentile(now[follows], [10, 90])
    moved = (now - before)[follows]
    distance = float(np.sum(np.abs(moved))) + 1e-9
    return _Motion(
        share=float(np.mean(np.abs(moved) > limits.least)),
        low=float(low),
        high=float(high),
        upward=float(np.sum(moved[moved > 0])) / distance,
    )


@part_of_kernel
def _num_same(earlier: NDArray[np.float32], later: NDArray[np.float32]) -> int:
    count = np.int32(0)
    for i in range(len(later)):
        count += np.int32((abs(earlier[i] - later[i]) < _SAME) & (later[i] > 0))
    return int(count)


@jit("boolean(float32[::1], float64[::1])")
def _find_agreement(contour: NDArray[np.float32], agreement: NDArray[np.float64]) -> bool:
    """Write A(lag) for lag 0 to :data:`_LONGEST_LAG`, if the contour is there and holds together.

    Otherwise return False.
    """
    num_frames = len(contour)
    num_there, num_linked = 0, 0
    for i in range(num_frames):
        num_there += contour[i] > 0
    for i in range(1, num_frames):
        is_step = (contour[i] > 0) & (contour[i - 1] > 0)
        num_linked += is_step & (abs(contour[i] - contour[i - 1]) < _LINKED)
    if num_there < 0.5 * num_frames or num_linked < _MIN_CONTINUITY * num_frames:
        return False
    num_later = num_frames - _LONGEST_LAG
    later = contour[_LONGEST_LAG:]
    for lag in range(_LONGEST_LAG + 1):
        agreement[lag] = _num_same(contour[_LONGEST_LAG - lag :], later) / num_later
    return True


def _repetition(agreement: NDArray[np.float64]) -> tuple[float, int]:
    """Return by how much the best repetition stands out, and its lag in frames."""
    has_left = np.minimum.accumulate(agreement) < 0.25
    candidates = np.where(has_left, agreement, 0.0)
    candidates[:_SHORT_LAG] = 0.0
    lag = int(np.argmax(candidates))
    return float(candidates[lag] - np.mean(agreement[_SHORT_LAG:])), lag


def _graded(value: float, limits: tuple[float, float]) -> float:
    """Return ``value`` as a score: 0 and 1 at the limits, straight in between."""
    low, high = limits
    return min(1.0, max(0.0, (value - low) / (high - low)))
