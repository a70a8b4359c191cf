"""Runs that nobody works on any more, because their process on this machine is gone.

A run that is killed while it starts, or together with its worker, can't say so: it would stay
``Pending`` or ``Running`` and hold the only slot of its deployment. The zombie automation finds the
running ones after minutes; at the start and the end of ``anc serve`` it is known at once, as long
as no other machine works for the pool: a run knows the number of its process, not its machine.
"""

from __future__ import annotations

from typing import Any

import psutil
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import State, StateType, WorkerStatus
from prefect.states import Crashed

from deployments.register import WORKER_NAME
from deployments.schedules import POOL

_AT_WORK = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


def crash_left_over_runs() -> int:
    """Mark them as crashed; return how many there were. The worker of this machine must be gone."""
    if _others_work():
        return 0
    state = FlowRunFilterState(type=FlowRunFilterStateType(any_=_AT_WORK))
    count = 0
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=state),
            work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL])),
        )
        for run in runs:
            if _is_left_over(run.infrastructure_pid):
                gone: State[Any] = Crashed(message="anc serve was stopped while it ran")
                client.set_flow_run_state(run.id, gone, force=True)
                count += 1
    return count


def _others_work() -> bool:
    """Return whether a worker of another machine is there."""
    with get_client(sync_client=True) as client:
        workers = client.read_workers_for_work_pool(POOL)
    return any(
        worker.status is WorkerStatus.ONLINE and worker.name != WORKER_NAME for worker in workers
    )


def _is_left_over(pid: str | None) -> bool:
    """Return whether the process is gone."""
    if pid is None or not pid.isdigit():
        return False
    try:
        command = psutil.Process(int(pid)).cmdline()
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
    return not any("prefect" in word for word in command)  # the number was used again
