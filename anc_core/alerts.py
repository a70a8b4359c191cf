"""Alerts: what is told of an emergency event, and what makes it the same alert for ever.

Context: an event may be told again after a crash, a retry, or by two processes at once.
Decision: the id of an alert is made of its session, sound and start, never drawn.
Consequence: whoever keeps ids (the store, Prefect, the receiver) can drop a repetition.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid5

from pydantic import Field

from anc_core.records import Event, Record, SessionSummary

ALERT_EVENT = "anc.emergency.detected"
"""Name of the Prefect event."""
ALERT_VERSION = 1
"""Of the payload; a change that a receiver would notice counts it up."""

_NAMESPACE = UUID("a5f1b6f4-6a3e-5c0d-9a4e-7d1c1e0f3b21")


class EmergencyAlert(Record):
    """One emergency event of a recorded session, as receivers are told of it."""

    version: int = ALERT_VERSION
    kind: Literal["emergency"] = "emergency"
    alert_id: UUID
    """The same for every repetition: the idempotency key."""
    session_id: str
    source_path: str
    event_type: str
    start_s: float
    """From the beginning of the recording."""
    end_s: float
    start_at: datetime | None = None
    """UTC, where it is known when the recording began."""
    end_at: datetime | None = None
    peak_confidence: float = Field(ge=0, le=1)
    evidence: str = ""
    channels: tuple[int, ...] = ()
    max_attenuation_db: float | None = None
    """Largest loss in any 100 ms of the event; above 1 dB is a safety violation."""
    device_id: str | None = None
    site: str | None = None
    batch_id: str | None = None
    flow_run_id: str | None = None
    """Prefect's run that heard it; none where it was heard without Prefect."""
    is_test: bool = False

    @property
    def place(self) -> str:
        """Where it was heard; two recordings of nobody knows where are two places."""
        if self.device_id is not None:
            return f"device {self.device_id}"
        return f"site {self.site}" if self.site is not None else f"file {self.source_path}"


def alerts_of(summary: SessionSummary) -> tuple[EmergencyAlert, ...]:
    """Return an alert for every emergency event of a session, in the order of its events."""
    seen: Counter[str] = Counter()
    alerts = []
    for event in summary.events:
        if event.is_emergency:
            name = f"{summary.session_id}/{event.noise_type}/{event.start_s:.3f}"
            alerts.append(_alert(summary, event, uuid5(_NAMESPACE, f"{name}/{seen[name]}")))
            seen[name] += 1
    return tuple(alerts)


def _alert(summary: SessionSummary, event: Event, alert_id: UUID) -> EmergencyAlert:
    began = summary.recorded_at
    return EmergencyAlert(
        alert_id=alert_id,
        session_id=summary.session_id,
        # A name that is no text: receivers and Prefect take only text.
        source_path=summary.source_path.encode(errors="backslashreplace").decode(),
        event_type=event.noise_type,
        start_s=event.start_s,
        end_s=event.end_s,
        start_at=None if began is None else began + timedelta(seconds=event.start_s),
        end_at=None if began is None else began + timedelta(seconds=event.end_s),
        peak_confidence=event.peak_confidence,
        evidence=event.evidence,
        channels=event.channels,
        max_attenuation_db=event.max_attenuation_db,
        device_id=summary.device_id,
        site=summary.site,
        batch_id=summary.batch_id,
    )
