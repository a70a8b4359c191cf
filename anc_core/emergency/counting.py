"""Which events count as an emergency: what an alarm does and a bell, an oven or a horn does not.

Context: three equal strokes or beeps fit a cycle of T3 within the tolerances of ISO 8201, so that
one group alone tells a smoke alarm from nothing. Decision: an event counts by what only an alarm
does. It **holds its level** (a struck bell loses 10 dB and more in half a second), and it **goes
on**: the second group follows the first one cycle later. What falls must follow twice, as a room
can wear a tone down. Only where the recording ends before a second group could be heard does one
exact cycle count, its silence included. Consequence: no delay, as an event is closed seconds after
its last sound anyway; and protection, which asks for less, is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anc_core.emergency.decisions import EVENT_THRESHOLD
from anc_core.emergency.figure_names import FRAMES_PER_S
from anc_core.emergency.findings import Finding, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

SAME_ONSET_FRAMES = 12
"""Onsets closer than 0.19 s, as heard on several channels or in several contexts, are one."""
_MIN_GROUPS = 2
_MIN_FALLING_GROUPS = 3
"""In some places of a room reflections wear a steady tone down as a bell decays; but who rings a
bell does not do it three times in step."""
_THREE_CYCLE_S = (3.2, 4.8)
_SINGLE_ON_S = (0.42, 0.65)
"""0.5 s +-10 %; a frame (16 ms) at either end, and 0.1 s of the room's tail."""
_SINGLE_PERIOD_S = (0.89, 1.11)
"""1 s +-10 %; tail and frames are the same at every onset."""
_SINGLE_CYCLE_S = 3.6
"""4 s - 10 %: three pulses and the silence after them."""
_FOUR_SILENCE_S = 2.5
"""Half of the silence of T4: four short notes in a row are common, then nothing is not."""
_A_SEMITONE = 1.06
_SMOKE_ALARM_HZ = 2_000.0
"""Pulses above this come from smoke alarms older than T3; below, from lorries in reverse."""
_MIN_PULSES = 8
"""Of such an alarm, which beeps as long as there is smoke; an oven beeps three to six times."""


def is_smoke_alarm(findings: Sequence[Finding], heard_s: float) -> bool:
    """Return whether T3 was heard, and not three strokes or beeps.

    Parameters
    ----------
    findings : sequence of Finding
        T3 rhythms of one event.
    heard_s : float
        Seconds from the start of the stream that were heard by the end of the event.
    """
    onsets = sorted({onset for f in findings for onset in f.onsets})
    is_held = all(f.holds_level for f in findings)
    least = _MIN_GROUPS if is_held else _MIN_FALLING_GROUPS
    if _longest_row(onsets) >= least:
        return True
    return any(f.holds_level and _is_whole_cycle(f, heard_s) for f in findings)


def is_co_alarm(findings: Sequence[Finding], heard_s: float) -> bool:
    """Return whether T4 was heard twice, or once with its silence and not just before the end."""
    onsets = sorted({onset for f in findings for onset in f.onsets})
    is_repeated = bool(onsets) and onsets[-1] - onsets[0] > SAME_ONSET_FRAMES
    return is_repeated or any(heard_s - f.stop / FRAMES_PER_S >= _FOUR_SILENCE_S for f in findings)


def is_siren(findings: Sequence[Finding]) -> bool:
    """Return whether a sweep, or tones that hold, were heard, and not two bells in turn.

    A sweep that stays between the pitches of two bells is these bells, seen as one contour.
    """
    bells = [f for f in findings if not f.holds_level]
    return any(
        f.holds_level
        and f.score >= EVENT_THRESHOLD
        and not any(
            bell.low_hz / _A_SEMITONE <= f.low_hz and f.high_hz <= bell.high_hz * _A_SEMITONE
            for bell in bells
        )
        for f in findings
    )


def _longest_row(onsets: Sequence[int]) -> int:
    """Return how many groups followed each other one cycle apart, or two (noise hides one)."""
    low, high = _THREE_CYCLE_S
    rows: list[int] = []
    for i, onset in enumerate(onsets):
        before_s = [(onset - onsets[j]) / FRAMES_PER_S for j in range(i)]
        follows = [
            rows[j] for j, s in enumerate(before_s) if low <= s <= high or 2 * low <= s <= 2 * high
        ]
        rows.append(1 + max(follows, default=0))
    return max(rows, default=0)


def _is_whole_cycle(finding: Finding, heard_s: float) -> bool:
    """Return whether one exact cycle was heard, and the recording ended before a second."""
    seconds = (finding.stop - finding.start) / FRAMES_PER_S
    after_s = heard_s - finding.start / FRAMES_PER_S
    return (
        _SINGLE_ON_S[0] <= finding.on_s <= _SINGLE_ON_S[1]
        and _SINGLE_PERIOD_S[0] <= (seconds - finding.on_s) / 2.0 <= _SINGLE_PERIOD_S[1]
        and _SINGLE_CYCLE_S <= after_s < _THREE_CYCLE_S[1] + seconds
    )


def is_lasting_beeper(findings: Sequence[Finding]) -> bool:
    """Return whether a bare tone beeps as high, and as often, as a smoke alarm older than T3."""
    high = [f for f in findings if f.kind is Kind.PULSES and f.low_hz >= _SMOKE_ALARM_HZ]
    return count_onsets(high) >= _MIN_PULSES


def count_onsets(findings: Sequence[Finding]) -> int:
    """Return how many cycles began, each counted once."""
    onsets = sorted({onset for f in findings for onset in f.onsets})
    return sum(
        i == 0 or onset - onsets[i - 1] > SAME_ONSET_FRAMES for i, onset in enumerate(onsets)
    )
