"""How many emergency sounds were heard, and how many of them lost too much, by day and kind."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import case, func, select

from anc_core.store.safety import VIOLATED
from anc_core.store.scopes import Scope, day_of
from anc_core.store.tables import AudioSession, NoiseEvent

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class EmergencyCount(NamedTuple):
    """Emergency events of one kind."""

    events: int
    violations: int
    """Of them, those that lost more than 1 dB."""


def emergencies_between(
    db: Session, start: datetime, end: datetime
) -> dict[date, dict[str, EmergencyCount]]:
    """Return the emergency events of sessions that finished in [start, end), by day (UTC)."""
    day = day_of(AudioSession.finished_at).label("day")
    rows = db.execute(
        select(day, NoiseEvent.noise_type, func.count(), func.sum(case((VIOLATED, 1), else_=0)))
        .join(AudioSession, AudioSession.id == NoiseEvent.session_id)
        .where(*Scope(start=start, end=end, view="finished").conditions, NoiseEvent.is_emergency)
        .group_by(day, NoiseEvent.noise_type)
    )
    found: defaultdict[date, dict[str, EmergencyCount]] = defaultdict(dict)
    for moment, noise_type, events, violations in rows:
        found[date.fromisoformat(moment)][noise_type] = EmergencyCount(int(events), int(violations))
    return dict(found)
