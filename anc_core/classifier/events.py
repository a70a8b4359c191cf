"""Windows of one kind of noise merged into events, by the rules of specification 1."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain

from anc_core.records import Event, Window
from anc_core.windows import NOT_NOISE

GO_ON = 0.3
"""Confidence at which an event goes on, ..."""
COUNTS = 0.5
"""... and that it must reach somewhere: as likely as not."""
MERGE_GAP_S = 3.0
"""Stretches no further apart are one event: a dog that barks twice, a fan that a voice covers."""
MAX_EVENT_S = 600.0
"""A longer event is cut, so that a report can count and memory stays bounded."""


@dataclass(slots=True)
class _OpenEvent:
    start_s: float
    end_s: float
    peak: float = 0.0
    total: float = 0.0
    num_windows: int = 0
    channels: set[int] = field(default_factory=set)


class NoiseEvents:
    """Collects windows into events: any channel's, as one.

    Notes
    -----
    Hysteresis: an event goes on with windows of confidence 0.3 and counts if one reaches 0.5.
    Silence and speech are no events. There is no shortest event: a window is long enough.
    """

    def __init__(self) -> None:
        self._open: dict[str, _OpenEvent] = {}
        self._closed: list[Event] = []

    @classmethod
    def of(cls, windows: Iterable[Window]) -> tuple[Event, ...]:
        """Return the events of all windows of a recording, which are in order of time."""
        events = cls()
        events.add(windows)
        return events.flush()

    def add(self, windows: Iterable[Window]) -> None:
        """Take windows in order of time."""
        for window in windows:
            if window.confidence < GO_ON or window.noise_type in NOT_NOISE:
                continue
            event = self._open.get(window.noise_type)
            if event is not None and _is_over(event, window):
                self._close(window.noise_type)
                event = None
            if event is None:
                event = _OpenEvent(window.start_s, window.end_s)
                self._open[window.noise_type] = event
            event.end_s = max(event.end_s, window.end_s)
            event.peak = max(event.peak, window.confidence)
            event.total += window.confidence
            event.num_windows += 1
            event.channels.add(window.channel)

    def flush(self) -> tuple[Event, ...]:
        """Return all events in order of time, and begin anew."""
        for noise_type in list(self._open):
            self._close(noise_type)
        events, self._closed = self._closed, []
        return events_in_order(events)

    def _close(self, noise_type: str) -> None:
        event = self._open.pop(noise_type)
        if event.peak < COUNTS:
            return
        self._closed.append(
            Event(
                noise_type=noise_type,
                start_s=event.start_s,
                end_s=event.end_s,
                is_emergency=False,
                channels=tuple(sorted(event.channels)),
                peak_confidence=event.peak,
                mean_confidence=min(1.0, event.total / event.num_windows),
                window_count=event.num_windows,
            )
        )


def events_in_order(*events: Iterable[Event]) -> tuple[Event, ...]:
    """Return events of several listeners in order of time."""
    return tuple(sorted(chain(*events), key=lambda e: (e.start_s, e.end_s, e.noise_type)))


def _is_over(event: _OpenEvent, window: Window) -> bool:
    has_paused = window.start_s - event.end_s > MERGE_GAP_S
    return has_paused or window.end_s - event.start_s > MAX_EVENT_S
