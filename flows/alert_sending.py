"""Send what is to be told: the same work for the flow, the command line and a run without Prefect.

One pass over all that is outstanding, not only what one run heard: an alert that was left by a
crash or an outage goes out with the next.
"""

from __future__ import annotations

import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from anc_core.alerts import EmergencyAlert
from anc_core.errors import AncError, SettingsError
from anc_core.records import Record
from anc_core.settings import Settings
from anc_core.store import (
    Database,
    Delivery,
    Taken,
    enlist,
    expire_alerts,
    find_delivery,
    open_database,
    settle,
    take,
    unsent_alerts,
)
from flows.webhook import Receiver, ReceiverAwayError, RefusedError, post

_log = logging.getLogger(__name__)

_LEASE_MARGIN_S = 30.0
"""Beyond the receiver's time to answer; then a sender counts as dead."""

_COUNTED = {Taken.BUSY: ("waiting",), Taken.SUPPRESSED: ("suppressed",), Taken.SETTLED: ()}


class SendReport(Record):
    """What one pass came to; counts of alerts."""

    delivered: int = 0
    suppressed: int = 0
    refused: int = 0
    waiting: int = 0
    """Still to be told: another sender has them, or the receiver is away."""
    expired: int = 0
    problem: str | None = None
    """Why some are waiting, or that no receiver is named."""


def send_outstanding(
    settings: Settings,
    database: Database,
    *,
    alert: EmergencyAlert | None = None,
    retry_failed: bool = False,
) -> SendReport:
    """Send every alert that was not told yet, ``alert`` first; stop where the receiver is away.

    Parameters
    ----------
    settings : Settings
        Receiver, cooldown, greatest age.
    database : Database
        Sessions and delivery log.
    alert : EmergencyAlert, optional
        One that may not be of a session, such as a test.
    retry_failed : bool
        Try those again that the receiver refused.

    Raises
    ------
    SettingsError
        If there is a receiver but no key to sign with.
    """
    receiver = Receiver.of_alerts(settings)
    since = datetime.now(UTC) - timedelta(seconds=settings.alert_max_age_s)
    if receiver is None:
        with database.read() as db:
            waiting = len(unsent_alerts(db, since=since))
        return SendReport(waiting=waiting, problem="ANC_ALERT_WEBHOOK_URL is not set")
    with database.begin() as db:
        expired = expire_alerts(db, before=since)
        outstanding = unsent_alerts(db, since=since, retry_failed=retry_failed)
        if alert is not None:
            others = [other for other in outstanding if other.alert_id != alert.alert_id]
            outstanding = [alert, *others]
        enlist(db, outstanding, now=datetime.now(UTC))
    counts: Counter[str] = Counter()
    problem = None
    for position, one in enumerate(outstanding):
        try:
            counts.update(_send(one, receiver, settings, database, retry_failed=retry_failed))
        except ReceiverAwayError as err:
            problem = str(err)
            counts["waiting"] += len(outstanding) - position
            break
    return SendReport(**counts, expired=expired, problem=problem)


def send_after_run(settings: Settings) -> str | None:
    """Send what is outstanding after a run of the command line; return what the user should know.

    One try, and never an error: the recordings are done.
    """
    try:
        database = open_database(settings.resolved_database_url)
        try:
            report = send_outstanding(settings, database)
        finally:
            database.dispose()
    except AncError as err:
        return f"alerts were not sent: {err}"
    if report.waiting:
        why = report.problem or "another process is sending"
        return f"{report.waiting} alerts wait ({why}); send them with: anc alert send-pending"
    return f"{report.refused} alerts were refused; see: anc alert list" if report.refused else None


def send_test(settings: Settings, database: Database) -> Delivery:
    """Send one alert that says it is a test, and return its line of the log; it is not repeated.

    Raises
    ------
    SettingsError
        If there is no receiver, or no key to sign with.
    """
    receiver = Receiver.of_alerts(settings)
    if receiver is None:
        msg = "ANC_ALERT_WEBHOOK_URL is not set: there is nobody to tell"
        raise SettingsError(msg)
    alert = EmergencyAlert(
        alert_id=uuid4(),
        session_id="test",
        source_path="test.wav",
        event_type="test",
        start_s=0.0,
        end_s=1.0,
        peak_confidence=1.0,
        evidence="anc alert test",
        is_test=True,
    )
    with database.begin() as db:
        enlist(db, [alert], now=datetime.now(UTC))
    try:
        _send(alert, receiver, settings, database, retry_failed=False)
    except ReceiverAwayError as err:
        with database.begin() as db:
            now = datetime.now(UTC)
            settle(db, alert, "failed", now=now, response_code=err.response_code, error=str(err))
    with database.read() as db:
        return find_delivery(db, str(alert.alert_id))


def _send(
    alert: EmergencyAlert,
    receiver: Receiver,
    settings: Settings,
    database: Database,
    *,
    retry_failed: bool,
) -> tuple[str, ...]:
    """Send one alert, if it is ours to send; return what it counts as, if anything."""
    with database.begin() as db:
        taken = take(
            db,
            alert,
            now=datetime.now(UTC),
            lease_s=receiver.timeout_s + _LEASE_MARGIN_S,
            cooldown_s=settings.alert_cooldown_s,
            retry_failed=retry_failed,
        )
    if taken is not Taken.SEND:
        return _COUNTED[taken]
    try:
        code = post(receiver, alert.alert_id, alert.to_json().encode())
    except ReceiverAwayError as err:
        with database.begin() as db:
            now = datetime.now(UTC)
            settle(db, alert, "pending", now=now, response_code=err.response_code, error=str(err))
        raise
    except RefusedError as err:
        with database.begin() as db:
            now = datetime.now(UTC)
            settle(db, alert, "failed", now=now, response_code=err.response_code, error=str(err))
        _log.error("alert %s: %s", alert.alert_id, err)
        return ("refused",)
    with database.begin() as db:
        settle(db, alert, "delivered", now=datetime.now(UTC), response_code=code)
    return ("delivered",)
