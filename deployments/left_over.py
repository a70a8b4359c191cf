"""Runs that nobody works on any more, because their process on this machine is gone.

A run that is killed while it starts, or together with its worker, can't say so: it would stay
``Pending`` or ``Running`` and hold the only slot of its deployment. The zombie automation finds the
running ones after minutes; at the start and the end of ``anc serve`` it is known at once, as long
as no other machine works for the pool: a run knows the number of its process, not its machine.

What a server or machine that went down took with it is no fault of a run: a job that continues
where it was (``Job.resumes``) is put back in its queue at the next start, a few times.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psutil
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType, WorkerStatus
from prefect.states import AwaitingRetry, Crashed

from deployments.register import WORKER_NAME
from deployments.schedules import JOBS, POOL

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

_MOST_STARTS = 3
"""Then it is the run that brings the machine down."""
_END_PATIENCE_S = 5.0
_AT_WORK = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


def crash_left_over_runs(*, go_on: bool) -> int:
    """Mark them as crashed; return how many there were. The worker of this machine must be gone.

    Parameters
    ----------
    go_on : bool
        Put those of jobs that resume back in their queue instead.
    """
    if _others_work():
        return 0
    with get_client(sync_client=True) as client:
        left_over = [run for run in _runs_at_work(client) if _is_left_over(run.infrastructure_pid)]
        resuming = _resuming_deployments(client) if go_on and left_over else set()
        for run in left_over:
            again = run.deployment_id in resuming and run.run_count < _MOST_STARTS
            client.set_flow_run_state(run.id, _back_in_queue() if again else _gone(), force=True)
    return len(left_over)


def end_orphaned_runs() -> int:
    """Kill the processes of runs whose worker, that of this machine, was killed; return how many.

    They live on, but the server goes down as well and would never hear how they end.
    """
    if _others_work():
        return 0
    with get_client(sync_client=True) as client:
        pids = [run.infrastructure_pid for run in _runs_at_work(client)]
    orphans = [int(pid) for pid in pids if pid and pid.isdigit() and not _is_left_over(pid)]
    return sum(_end_family(pid) for pid in orphans)


def _end_family(pid: int) -> bool:
    try:
        family = [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]
    except psutil.NoSuchProcess:
        return False
    for process in family:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(family, timeout=_END_PATIENCE_S)
    return True


def _runs_at_work(client: SyncPrefectClient) -> list[FlowRun]:
    state = FlowRunFilterState(type=FlowRunFilterStateType(any_=_AT_WORK))
    return client.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=state),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL])),
    )


def _gone() -> State[Any]:
    return Crashed(message="anc serve was stopped while it ran")


def _back_in_queue() -> State[Any]:
    return AwaitingRetry(message="anc serve went down while it ran; it goes on where it was")


def _resuming_deployments(client: SyncPrefectClient) -> set[UUID | None]:
    names = DeploymentFilterName(any_=[job.slug for job in JOBS if job.resumes])
    return {
        one.id for one in client.read_deployments(deployment_filter=DeploymentFilter(name=names))
    }


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
