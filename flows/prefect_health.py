"""Questions to Prefect: is the server there, does a worker live, do runs start on time.

Prefect is imported only where a server is configured: the check of a plain installation is quick.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from anc_core.maintenance.health.questions import (
    IMPORTING,
    Answer,
    HealthReport,
    HealthStatus,
    Question,
)
from anc_core.settings import Settings

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import Worker

_PATIENCE_S = 3.0
_MAX_LATE = 0
_HEARTBEAT_S, _MISSED = 30, 3
"""Prefect's own: a worker that missed three heartbeats is offline."""


def server_is_configured() -> bool:
    """Return whether this installation has a standing server, by environment or profile."""
    if "prefect" not in sys.modules and not _may_be_configured():
        return False
    from prefect.settings import get_current_settings

    return get_current_settings().api.url is not None


def prefect_questions(*, expected: bool) -> list[Question]:
    """Return the questions to Prefect.

    Parameters
    ----------
    expected : bool
        A server should be there; elsewhere its absence is no fault.
    """
    if not expected:
        message = "not configured: no server is expected here"
        return [Question(name="prefect", ask=lambda: Answer.ok(message))]
    return [
        Question(name="prefect api", ask=_api, limit_s=8.0, if_unknown=HealthStatus.CRITICAL),
        Question(name="prefect worker", ask=_worker, limit_s=8.0),
        Question(name="prefect late runs", ask=_late, limit_s=8.0),
    ]


def installation_health(settings: Settings, *, reconcile: bool) -> HealthReport:
    """Ask everything, Prefect included; ``reconcile`` also marks the sessions of dead workers."""
    from anc_core.maintenance.health.check import check_health

    expected = settings.schedules_expected or server_is_configured()
    return check_health(
        settings,
        expected=expected,
        more=prefect_questions(expected=expected),
        reconcile=reconcile,
    )


def _may_be_configured() -> bool:
    home = os.environ.get("PREFECT_HOME")
    folder = Path(home) if home else Path.home() / ".prefect"
    return "PREFECT_API_URL" in os.environ or (folder / "profiles.toml").is_file()


def _api() -> Answer:
    with _client() as client:
        error = client.api_healthcheck()
        url = str(client.api_url)
    if error is not None:
        return Answer.critical(f"{url}: no answer: {type(error).__name__}", value="away")
    return Answer.ok(f"{url} answers", value="up")


def _worker() -> Answer:
    with _client() as client:
        pools = [pool.name for pool in client.read_work_pools()]
        alive = [
            f"{worker.name} ({pool})"
            for pool in pools
            for worker in client.read_workers_for_work_pool(pool)
            if _is_alive(worker)
        ]
    value = f"{len(alive)} online"
    if not alive:
        message = "no worker is online: what is scheduled does not run; start one: anc serve"
        return Answer.degraded(message, value=value, threshold="1")
    return Answer.ok(", ".join(alive), value=value, threshold="1")


def _is_alive(worker: Worker) -> bool:
    """Judge by the last heartbeat: a server without its background services never says offline."""
    last = worker.last_heartbeat_time
    interval_s = worker.heartbeat_interval_seconds or _HEARTBEAT_S
    limit = timedelta(seconds=_MISSED * interval_s + _PATIENCE_S)
    return worker.status == "ONLINE" and last is not None and datetime.now(UTC) - last <= limit


def _late() -> Answer:
    with IMPORTING:
        from prefect.client.schemas.filters import (
            FlowRunFilter,
            FlowRunFilterState,
            FlowRunFilterStateName,
        )

    late = FlowRunFilter(state=FlowRunFilterState(name=FlowRunFilterStateName(any_=["Late"])))
    with _client() as client:
        count = client.count_flow_runs(flow_run_filter=late)
    value, threshold = f"{count} late", str(_MAX_LATE)
    if count > _MAX_LATE:
        message = "scheduled runs wait for a worker"
        return Answer.degraded(message, value=value, threshold=threshold)
    return Answer.ok("runs start on time", value=value, threshold=threshold)


def _client() -> SyncPrefectClient:
    with IMPORTING:
        from prefect.client.orchestration import SyncPrefectClient
        from prefect.settings import get_current_settings

    api = get_current_settings().api
    if api.url is None:
        msg = "schedules are expected here, but PREFECT_API_URL is not set"
        raise ConnectionError(msg)
    return SyncPrefectClient(
        api.url,
        auth_string=None if api.auth_string is None else api.auth_string.get_secret_value(),
        api_key=None if api.key is None else api.key.get_secret_value(),
        httpx_settings={"timeout": _PATIENCE_S},
    )
