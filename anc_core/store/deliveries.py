"""The delivery log: which emergency event was told to the receiver, by whom, with what result.

An alert is *enlisted* (a row comes into being), *announced* to Prefect at most once, *taken* by one
sender at a time (a lease that ends by itself, should the sender die), and *settled*. The unique key
lets one row in; the conditions of the updates let one caller through.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from anc_core.alerts import EmergencyAlert, alerts_of
from anc_core.records import Record, SessionSummary
from anc_core.store.rows import load_events, pages, summary_of
from anc_core.store.tables import PROCESSED, AlertDelivery, AudioSession, NoiseEvent

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

PENDING, DELIVERED, SUPPRESSED, FAILED = "pending", "delivered", "suppressed", "failed"
DeliveryStatus = Literal["pending", "delivered", "suppressed", "failed"]


class Taken(StrEnum):
    """What taking an alert came to."""

    SEND = "send"
    """It is the caller's for the time of the lease: send it, then settle it."""
    BUSY = "busy"
    """Another sender has it, or one of the same sound and place whose end decides."""
    SUPPRESSED = "suppressed"
    """The same sound at the same place was told a moment ago."""
    SETTLED = "settled"
    """Delivered, suppressed or refused before."""


class Delivery(Record):
    """One line of the delivery log; times are UTC."""

    idempotency_key: str
    session_id: str
    event_type: str
    place: str
    start_s: float
    flow_run_id: str | None
    is_test: bool
    status: DeliveryStatus
    attempts: int
    last_error: str | None
    response_code: int | None
    created_at: datetime
    attempted_at: datetime | None
    delivered_at: datetime | None


class DeliveryLog(Record):
    """Lines of the delivery log."""

    deliveries: tuple[Delivery, ...]


def enlist(db: Session, alerts: Iterable[EmergencyAlert], *, now: datetime) -> None:
    """Add a pending row for each alert that has none."""
    for alert in alerts:
        _insert(db, alert, now)


def announce(
    db: Session, session_ids: Collection[str], *, flow_run_id: str | None, now: datetime
) -> list[EmergencyAlert]:
    """Enlist the alerts of these sessions and return those that nobody announced before.

    Whoever gets an alert back is the only one who ever does: he emits its event.
    """
    fresh = []
    for summary in _heard(db, session_ids=session_ids):
        for alert in alerts_of(summary):
            named = alert.model_copy(update={"flow_run_id": flow_run_id})
            _insert(db, named, now)
            unknown = and_(
                AlertDelivery.idempotency_key == str(alert.alert_id),
                AlertDelivery.announced_at.is_(None),
            )
            if _update(db, unknown, {"announced_at": now, "flow_run_id": flow_run_id}):
                fresh.append(named)
    return fresh


def unsent_alerts(
    db: Session,
    *,
    since: datetime,
    retry_failed: bool = False,
) -> list[EmergencyAlert]:
    """Return the alerts that are still to be told, by the time their sessions finished.

    Parameters
    ----------
    db : Session
        A reading transaction is enough.
    since : datetime
        Sessions that finished earlier are left out.
    retry_failed : bool
        Count those in that were refused.
    """
    alerts = [alert for summary in _heard(db, since=since) for alert in alerts_of(summary)]
    rows = _rows_of(db, alerts)
    wanted = {PENDING, FAILED} if retry_failed else {PENDING}
    unsent = []
    for alert in alerts:
        row = rows.get(str(alert.alert_id))
        if row is None:
            unsent.append(alert)
        elif row.status in wanted:
            unsent.append(alert.model_copy(update={"flow_run_id": row.flow_run_id}))
    return unsent


def take(
    db: Session,
    alert: EmergencyAlert,
    *,
    now: datetime,
    lease_s: float,
    cooldown_s: float,
    retry_failed: bool = False,
) -> Taken:
    """Take an announced alert for sending.

    Parameters
    ----------
    db : Session
        From :meth:`Database.begin`; commit before anything is sent.
    alert : EmergencyAlert
        Enlisted before.
    now : datetime
        The clock.
    lease_s : float
        For how long it is the caller's.
    cooldown_s : float
        See :class:`anc_core.settings.Settings`; 0 suppresses nothing.
    retry_failed : bool
        Take it even if the receiver refused it before.
    """
    key = str(alert.alert_id)
    allowed = (PENDING, FAILED) if retry_failed else (PENDING,)
    is_free = or_(AlertDelivery.leased_until.is_(None), AlertDelivery.leased_until < now)
    mine = and_(AlertDelivery.idempotency_key == key, AlertDelivery.status.in_(allowed), is_free)
    if cooldown_s and not alert.is_test:
        same = _same_sound(alert)
        if _exists(db, same, AlertDelivery.leased_until >= now):
            return _state_of(db, key, allowed)
        if _exists(db, same, AlertDelivery.delivered_at > now - timedelta(seconds=cooldown_s)):
            reason = f"{alert.event_type} at {alert.place} was told less than {cooldown_s:g} s ago"
            done = _update(db, mine, {"status": SUPPRESSED, "last_error": reason})
            return Taken.SUPPRESSED if done else _state_of(db, key, allowed)
    values = {
        "status": PENDING,
        "attempts": AlertDelivery.attempts + 1,
        "attempted_at": now,
        "leased_until": now + timedelta(seconds=lease_s),
    }
    return Taken.SEND if _update(db, mine, values) else _state_of(db, key, allowed)


def settle(
    db: Session,
    alert: EmergencyAlert,
    status: DeliveryStatus,
    *,
    now: datetime,
    response_code: int | None = None,
    error: str | None = None,
) -> None:
    """Write what came of sending; ``pending`` gives the alert back for another try."""
    values = {
        "status": status,
        "response_code": response_code,
        "last_error": error,
        "delivered_at": now if status == DELIVERED else None,
        "leased_until": None,
    }
    _update(db, AlertDelivery.idempotency_key == str(alert.alert_id), values)


def expire_alerts(db: Session, *, before: datetime) -> int:
    """Give up the pending alerts that were enlisted ``before``; return how many there were."""
    old = and_(AlertDelivery.status == PENDING, AlertDelivery.created_at < before)
    values = {"status": FAILED, "last_error": "not delivered in time: ANC_ALERT_MAX_AGE_S"}
    return _update(db, old, values)


def delete_deliveries(db: Session, session_ids: Collection[str]) -> int:
    """Remove the lines of these sessions, for the erasure of a person; return how many."""
    return sum(
        len(
            db.execute(
                delete(AlertDelivery)
                .where(AlertDelivery.session_id.in_(page))
                .returning(AlertDelivery.id),
                execution_options={"synchronize_session": False},
            ).all()
        )
        for page in pages(session_ids)
    )


def list_deliveries(
    db: Session, *, statuses: Collection[str] | None = None, limit: int | None = None
) -> DeliveryLog:
    """Return the log, newest first."""
    columns = [AlertDelivery.__table__.c[name] for name in Delivery.model_fields]
    query = select(*columns).order_by(AlertDelivery.created_at.desc(), AlertDelivery.id.desc())
    if statuses is not None:
        query = query.where(AlertDelivery.status.in_(statuses))
    rows = db.execute(query.limit(limit)).mappings()
    return DeliveryLog(deliveries=tuple(Delivery(**row) for row in rows))


def last_delivery(db: Session) -> datetime | None:
    """Return when the receiver last took an alert, a test included; None if it never did."""
    return db.scalar(select(func.max(AlertDelivery.delivered_at)))


def find_delivery(db: Session, idempotency_key: str) -> Delivery:
    """Return one line of the log, which must be there."""
    columns = [AlertDelivery.__table__.c[name] for name in Delivery.model_fields]
    found = select(*columns).where(AlertDelivery.idempotency_key == idempotency_key)
    return Delivery(**db.execute(found).mappings().one())


def _heard(
    db: Session, *, since: datetime | None = None, session_ids: Collection[str] | None = None
) -> Iterator[SessionSummary]:
    """Yield the sessions that heard an emergency, with their events."""
    heard = select(NoiseEvent.session_id).where(NoiseEvent.is_emergency)
    query = select(AudioSession).where(
        AudioSession.id.in_(heard), AudioSession.status.in_(PROCESSED)
    )
    if since is not None:
        query = query.where(AudioSession.finished_at >= since)
    queries = [query]
    if session_ids is not None:
        queries = [query.where(AudioSession.id.in_(page)) for page in pages(session_ids)]
    for one in queries:
        for row in db.scalars(one.order_by(AudioSession.finished_at, AudioSession.id)).all():
            yield summary_of(row, events=load_events(db, row.id))


def _rows_of(db: Session, alerts: Iterable[EmergencyAlert]) -> dict[str, AlertDelivery]:
    rows: dict[str, AlertDelivery] = {}
    for keys in pages(str(alert.alert_id) for alert in alerts):
        found = db.scalars(select(AlertDelivery).where(AlertDelivery.idempotency_key.in_(keys)))
        rows |= {row.idempotency_key: row for row in found}
    return rows


def _insert(db: Session, alert: EmergencyAlert, now: datetime) -> None:
    values = {
        "idempotency_key": str(alert.alert_id),
        "session_id": alert.session_id,
        "event_type": alert.event_type,
        "place": alert.place,
        "start_s": alert.start_s,
        "flow_run_id": alert.flow_run_id,
        "is_test": alert.is_test,
        "status": PENDING,
        "attempts": 0,
        "created_at": now,
    }
    # Enlisted before, or by another process at this moment.
    with suppress(IntegrityError), db.begin_nested():
        db.execute(insert(AlertDelivery), [values])


def _same_sound(alert: EmergencyAlert) -> ColumnElement[bool]:
    """Return the condition of other alerts of the same sound and place."""
    return and_(
        AlertDelivery.event_type == alert.event_type,
        AlertDelivery.place == alert.place,
        AlertDelivery.idempotency_key != str(alert.alert_id),
        AlertDelivery.is_test.is_(False),
    )


def _state_of(db: Session, key: str, allowed: Collection[str]) -> Taken:
    status = db.scalar(select(AlertDelivery.status).where(AlertDelivery.idempotency_key == key))
    return Taken.BUSY if status in allowed else Taken.SETTLED


def _exists(db: Session, *conditions: ColumnElement[bool]) -> bool:
    return db.scalar(select(AlertDelivery.id).where(*conditions).limit(1)) is not None


def _update(db: Session, condition: ColumnElement[bool], values: dict[str, Any]) -> int:
    changed = db.execute(
        update(AlertDelivery).where(condition).values(values).returning(AlertDelivery.id),
        execution_options={"synchronize_session": False},
    )
    return len(changed.all())
