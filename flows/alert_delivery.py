"""Deliver emergency alerts as a Prefect flow: patient with a receiver that is away.

An automation starts it for every ``anc.emergency.detected``; started by hand it sends what is
outstanding. The deployment lets one run at a time (the others queue), so a receiver that comes back
gets its alerts one after the other.
"""

from __future__ import annotations

from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from anc_core.alerts import EmergencyAlert
from anc_core.errors import TransientError
from anc_core.settings import Settings
from anc_core.store import open_database
from flows.alert_sending import SendReport, send_outstanding
from flows.common import is_transient, logged, logger
from flows.forms import form

_FIRST_DELAY_S = 1.0
_LONGEST_DELAY_S = 60.0
"""An alert that comes while the receiver is away waits no longer than this once it is back."""


class AlertsWaitingError(TransientError):
    """Some alerts could not be sent yet."""


def _run_name() -> str:
    alert: Any = flow_run.get_parameters().get("alert")
    if alert is None:
        return "deliver outstanding alerts"
    known = alert if isinstance(alert, dict) else alert.model_dump()
    return f"alert {known.get('event_type')} in {known.get('session_id')}"


@flow(name="deliver-emergency-alert", flow_run_name=_run_name, validate_parameters=True)
@form()
def deliver_emergency_alert(alert: EmergencyAlert | None = None) -> SendReport:
    """Post emergency alerts to the webhook, signed, each once, until the receiver has them.

    Args:
        alert: The alert of the event that started this run; empty sends all that is outstanding.

    Returns
    -------
    How many alerts were delivered, suppressed by the cooldown, refused, and still wait.
    """
    settings = Settings.load()
    return send_alerts.with_options(
        **patience(settings.alert_retry_for_s),
        retry_jitter_factor=0.2,
        retry_condition_fn=is_transient,
    )(alert)


@task(
    name="send-alerts", task_run_name="send the alerts", cache_policy=NO_CACHE, persist_result=False
)
@logged
def send_alerts(alert: EmergencyAlert | None) -> SendReport:
    """Send all that is outstanding; raise if some must wait, so that Prefect tries again."""
    settings = Settings.load()
    database = open_database(settings.resolved_database_url)
    try:
        report = send_outstanding(settings, database, alert=alert)
    finally:
        database.dispose()
    if report.problem is not None and settings.alert_webhook_url is None:
        logger().warning("%s: %d alerts wait", report.problem, report.waiting)
    elif report.waiting:
        msg = f"{report.waiting} alerts wait: {report.problem or 'another sender has them'}"
        raise AlertsWaitingError(msg)
    return report


def patience(retry_for_s: float) -> dict[str, Any]:
    """Return how often to try, and the delays: each twice the one before, then every minute."""
    delays = [_FIRST_DELAY_S]
    while delays[-1] < _LONGEST_DELAY_S:
        delays.append(min(2 * delays[-1], _LONGEST_DELAY_S))
    # Prefect repeats the last delay for all further retries.
    retries, waited_s = 0, 0.0
    while waited_s < retry_for_s:
        waited_s += delays[min(retries, len(delays) - 1)]
        retries += 1
    return {"retries": retries, "retry_delay_seconds": delays}
