"""Events: windows of one alarm merged by the table, with the evidence in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from anc_core.emergency.counting import (
    count_onsets,
    is_co_alarm,
    is_lasting_beeper,
    is_siren,
    is_smoke_alarm,
)
from anc_core.emergency.decisions import CELLS_PER_S, EVENT_THRESHOLD, Decision
from anc_core.emergency.figure_names import FRAMES_PER_S
from anc_core.emergency.findings import (
    GROUP_OF,
    GROUPS,
    MAX_EVENT_S,
    SOUNDER_HZ,
    Finding,
    Group,
    Kind,
)
from anc_core.records import Event, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

_ONE_WAY = 0.15
"""A sweep whose movement is at least 85 % in one direction is no wail ..."""
_ONE_WAY_S = 5.0
"""... once it has lasted longer than half a slow wail, ..."""
_ONE_WAY_OCTAVES = 0.6
"""... and wide enough: NEN 2575 and DIN 33404-3 span 1.26 octaves."""
_AFNOR_HZ = ((425.0, 455.0), (538.0, 570.0))
"""NF S 32-001: 440 Hz and 554 (560) Hz in turn ..."""
_AFNOR_CYCLE_S = 0.8
"""... 0.4 s and 0.1 s; the fire engine's fourth (DIN 14610) takes twice as long."""


@dataclass(slots=True)
class _OpenEvent:
    start: int
    stop: int
    peak: float = 0.0
    total: float = 0.0
    num_cells: int = 0
    channels: set[int] = field(default_factory=set)


class EventLog:
    """Collects decisions and findings into events.

    Parameters
    ----------
    threshold : float
        Score at which an event goes on; it counts if it reaches :data:`EVENT_THRESHOLD`.
    start_s : float
        Added to all times.
    """

    def __init__(self, threshold: float, start_s: float) -> None:
        self._threshold = max(threshold, 1e-6)
        self._start_s = start_s
        self._open: dict[int, _OpenEvent] = {}
        self._findings: list[list[Finding]] = [[] for _ in GROUPS]
        self._closed: list[Event] = []

    def note(self, finding: Finding) -> None:
        """Remember ``finding`` as evidence."""
        if finding.score >= self._threshold:
            self._findings[GROUPS.index(GROUP_OF[finding.kind])].append(finding)

    def add(self, decision: Decision, end_s: float) -> None:
        """Take one decision; close the events that it leaves behind."""
        merged = decision.scores.max(axis=0)
        for index, group in enumerate(GROUPS):
            event = self._open.get(index)
            if event is not None and _is_over(event, group, decision.cell):
                self._close(index, end_s)
                event = None
            if merged[index] < self._threshold:
                continue
            if event is None:
                event = self._open[index] = _OpenEvent(decision.cell, decision.cell)
            event.stop = decision.cell + 1
            event.peak = max(event.peak, float(merged[index]))
            event.total += float(merged[index])
            event.num_cells += 1
            heard = np.flatnonzero(decision.scores[:, index] >= self._threshold)
            event.channels.update(int(channel) for channel in heard)
        self._forget(decision.cell)

    def flush(self, end_s: float) -> None:
        """Close what is open."""
        for index in list(self._open):
            self._close(index, end_s)

    def events(self, windows: Sequence[Window]) -> tuple[Event, ...]:
        """Return the closed events in order of time, each with the number of its ``windows``."""
        chosen = sorted(self._closed, key=lambda event: (event.start_s, event.end_s))
        return tuple(_counted(e, windows) for e in chosen if not _is_shadow(e, chosen))

    def _forget(self, cell: int) -> None:
        for index, findings in enumerate(self._findings):
            if findings and index not in self._open:
                stop = cell * FRAMES_PER_S // CELLS_PER_S
                self._findings[index] = [f for f in findings if f.stop > stop]

    def _close(self, index: int, end_s: float) -> None:
        event = self._open.pop(index)
        group = GROUPS[index]
        start_s, stop_s = event.start / CELLS_PER_S, min(event.stop / CELLS_PER_S, end_s)
        evidence = [
            f
            for f in self._findings[index]
            if f.start < stop_s * FRAMES_PER_S and f.stop > start_s * FRAMES_PER_S
        ]
        if event.peak < max(EVENT_THRESHOLD, self._threshold):
            return
        if stop_s - start_s < group.min_event_s or not evidence:
            return
        noise_type = _noise_type(group, evidence, stop_s - start_s, heard_s=end_s)
        self._closed.append(
            Event(
                noise_type=noise_type,
                start_s=self._start_s + start_s,
                end_s=self._start_s + stop_s,
                is_emergency=_is_emergency(noise_type, evidence),
                channels=tuple(sorted(event.channels)),
                peak_confidence=event.peak,
                mean_confidence=event.total / event.num_cells,
                window_count=0,
                evidence=describe(evidence),
            )
        )


def _is_over(event: _OpenEvent, group: Group, cell: int) -> bool:
    has_paused = cell - event.stop > group.merge_gap_s * CELLS_PER_S
    return has_paused or cell - event.start >= MAX_EVENT_S * CELLS_PER_S


_RANK = {"smoke_alarm": 0, "co_alarm": 0, "evacuation_tone": 1, "siren": 1, "alarm_tone": 2}
"""A rhythm to the standard is surer than a sweep, a sweep surer than a tone."""
_SHADOW_S = 4.0


def _is_shadow(event: Event, others: Sequence[Event]) -> bool:
    """Return whether an event is only a part of a surer one that was heard as something else."""
    rank = _RANK[event.noise_type]
    duration_s = event.end_s - event.start_s
    shared = sum(
        max(0.0, min(event.end_s, other.end_s) - max(event.start_s, other.start_s))
        for other in others
        if _RANK[other.noise_type] < rank
    )
    return shared > 0.5 * duration_s and (rank == 2 or duration_s < _SHADOW_S)


def _counted(event: Event, windows: Sequence[Window]) -> Event:
    count = sum(w.start_s < event.end_s and w.end_s > event.start_s for w in windows)
    return event.model_copy(update={"window_count": count})


def _noise_type(
    group: Group, findings: Sequence[Finding], duration_s: float, *, heard_s: float
) -> str:
    is_named = {
        "smoke_alarm": lambda: is_smoke_alarm(findings, heard_s),
        "co_alarm": lambda: is_co_alarm(findings, heard_s),
        "siren": lambda: is_siren(findings),
    }
    if group.noise_type in is_named and not is_named[group.noise_type]():
        return "alarm_tone"
    if group.noise_type == "siren" and _is_evacuation_sweep(findings, duration_s):
        return "evacuation_tone"
    best = max(findings, key=lambda finding: finding.score)
    is_afnor = (
        best.kind is Kind.TWO_TONE
        and best.cycle_s < _AFNOR_CYCLE_S
        and all(
            low <= hertz <= high
            for hertz, (low, high) in zip((best.low_hz, best.high_hz), _AFNOR_HZ, strict=True)
        )
    )
    is_sounder = best.kind is Kind.STEADY and SOUNDER_HZ[0] <= best.low_hz <= SOUNDER_HZ[1]
    return "evacuation_tone" if is_afnor or is_sounder else group.noise_type


def _is_evacuation_sweep(findings: Sequence[Finding], duration_s: float) -> bool:
    """Return whether all sweeps run one way: slow whoop (up), DIN 33404-3 (down)."""
    wide = [
        f
        for f in findings
        if f.kind in {Kind.SWEEP, Kind.FAST_SWEEP}
        and np.log2(f.high_hz / f.low_hz) >= _ONE_WAY_OCTAVES
    ]
    has_notes = any(f.kind is Kind.TWO_TONE for f in findings)
    if duration_s < _ONE_WAY_S or not wide or has_notes:
        return False
    upward = float(np.median([f.upward for f in wide]))
    return not _ONE_WAY < upward < 1.0 - _ONE_WAY


def _is_emergency(noise_type: str, findings: Sequence[Finding]) -> bool:
    return noise_type != "alarm_tone" or is_lasting_beeper(findings)


def describe(findings: Sequence[Finding]) -> str:
    """Return the evidence in words, the strongest kind first.

    Examples
    --------
    >>> beep = Finding(kind=Kind.TEMPORAL_THREE, start=0, stop=416, score=0.95, low_hz=3105.2,
    ...     high_hz=3105.2, on_s=0.5, cycle_s=4.0, onsets=(0, 256))
    >>> describe([beep])
    'T3 rhythm: 3 pulses of 0.50 s every 4.0 s at 3105 Hz, 2 cycles'
    """
    kinds = {f.kind for f in findings}
    strength = {kind: sum(f.score for f in findings if f.kind is kind) for kind in kinds}
    ordered = sorted(kinds, key=lambda kind: (-strength[kind], kind.value))
    return "; ".join(_words(kind, [f for f in findings if f.kind is kind]) for kind in ordered)


def _words(kind: Kind, findings: Sequence[Finding]) -> str:
    best = max(findings, key=lambda f: (f.score, -f.low_hz, f.stop))
    low, high = round(best.low_hz), round(best.high_hz)
    num_onsets = count_onsets(findings)
    cycles = f"{num_onsets} cycle{'s' if num_onsets != 1 else ''}"
    every = f" every {best.cycle_s:.1f} s" if best.cycle_s else ""
    seconds = (max(f.stop for f in findings) - min(f.start for f in findings)) / FRAMES_PER_S
    words = {
        Kind.TEMPORAL_THREE: f": 3 pulses of {best.on_s:.2f} s{every} at {low} Hz, {cycles}",
        Kind.TEMPORAL_FOUR: f": 4 pulses of {best.on_s:.2f} s{every} at {low} Hz, {cycles}",
        Kind.PULSES: f" of {best.on_s:.2f} s{every} at {low} Hz, {num_onsets} pulses",
        Kind.TWO_TONE: f", {low} and {high} Hz{every}, {cycles}",
        Kind.STEADY: f" at {low} Hz for {seconds:.1f} s",
    }
    return kind.value + (words[kind] if kind in words else _sweep_words(kind, findings, best))


def _sweep_words(kind: Kind, findings: Sequence[Finding], best: Finding) -> str:
    low = round(float(np.median([f.low_hz for f in findings])))
    high = round(float(np.median([f.high_hz for f in findings])))
    if kind is Kind.FAST_SWEEP:
        return f" {low}-{high} Hz, {60 / best.cycle_s:.0f} cycles a minute"
    upward = float(np.median([f.upward for f in findings]))
    way = "upward" if upward > 1 - _ONE_WAY else "downward" if upward < _ONE_WAY else "up and down"
    return f" {low}-{high} Hz, {way}"
