"""Which workers a batch has: the cores of this machine, or a cluster."""

from __future__ import annotations

from functools import partial

from anc_core.jobs.batch import reconcile
from anc_core.jobs.dask_pool import DaskPool
from anc_core.jobs.pool import WorkerPool, available_workers, workers_for
from anc_core.jobs.readiness import get_ready
from anc_core.jobs.records import BatchPlan
from anc_core.settings import Settings
from anc_core.store import open_database


def open_pool(settings: Settings, batch_id: str | None) -> WorkerPool | DaskPool:
    """Return the workers of a batch, to be used in a ``with`` block.

    Raises
    ------
    InputError
        If ``dask_scheduler`` is set and there is none.
    """
    if settings.dask_scheduler is not None:
        release = partial(_release_here, settings.resolved_database_url, batch_id)
        return DaskPool(settings.dask_scheduler, on_stopped=release)
    return WorkerPool(available_workers(settings.workers))


def get_one_ready(pool: WorkerPool | DaskPool) -> None:
    """Let a worker of this machine load its code while the batch is planned."""
    if isinstance(pool, WorkerPool):
        pool.prepare(get_ready)


def fit(pool: WorkerPool | DaskPool, plan: BatchPlan, settings: Settings) -> int:
    """Return how many workers the batch deserves, and let it have no more of this machine."""
    if isinstance(pool, DaskPool):
        return pool.size
    workers = workers_for(plan, settings)
    pool.limit(workers)
    return workers


def _release_here(database_url: str, batch_id: str | None) -> None:
    """Free what dead processes of this machine hold of a batch that was stopped."""
    database = open_database(database_url)
    try:
        reconcile(database, batch_id=batch_id, deliberate=True)
    finally:
        database.dispose()
