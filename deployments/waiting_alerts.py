"""Alerts whose event was lost: Prefect on SQLite may drop one when its database is locked.

``anc serve`` looks every minute, and when it starts, whether an alert waits that no run is sending.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.deployments import run_deployment

from anc_core.settings import Settings
from anc_core.store import open_database, unsent_alerts
from deployments.register import deployment_of
from deployments.schedules import job

_UNFINISHED = [
    StateType.SCHEDULED,
    StateType.PENDING,
    StateType.RUNNING,
    StateType.PAUSED,
    StateType.CANCELLING,
]


def send_waiting_alerts(settings: Settings) -> bool:
    """Start a delivery if alerts wait, somebody wants them, and none is under way."""
    if settings.alert_webhook_url is None or not _alerts_wait(settings) or _is_under_way():
        return False
    run_deployment(deployment_of(job("alert"), in_pool=True).full_name, timeout=0)
    return True


def _alerts_wait(settings: Settings) -> bool:
    since = datetime.now(UTC) - timedelta(seconds=settings.alert_max_age_s)
    database = open_database(settings.resolved_database_url)
    try:
        with database.read() as db:
            return bool(unsent_alerts(db, since=since))
    finally:
        database.dispose()


def _is_under_way() -> bool:
    state = FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNFINISHED))
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=state),
            deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[job("alert").slug])),
            limit=1,
        )
    return bool(runs)
