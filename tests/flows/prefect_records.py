"""What Prefect's server recorded of a run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect.states import State

_PATIENCE_S = 60.0


def _of_run(kind: str, state: State[Any]) -> list[dict[str, Any]]:
    from prefect.client.orchestration import get_client

    # One server for all tests of a worker: other runs leave artifacts of the same keys.
    this_run = {"flow_runs": {"id": {"any_": [str(state.state_details.flow_run_id)]}}}
    with get_client(sync_client=True) as client:
        found: list[dict[str, Any]] = client.request(
            "POST", f"/{kind}/filter", json=this_run
        ).json()
    return found


def artifacts_of(state: State[Any]) -> dict[str, dict[str, Any]]:
    """Return the artifacts of the run that ended in ``state``, by key."""
    return {artifact["key"]: artifact for artifact in _of_run("artifacts", state)}


def task_names_of(state: State[Any], last: str) -> list[str]:
    """Return the names of the run's tasks, once the one named ``last`` is among them.

    The server writes task runs from a queue of events, so some come after the flow has ended.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        names = [task["name"] for task in _of_run("task_runs", state)]
        if last in names or time.monotonic() > deadline:
            return names
        time.sleep(0.2)
