"""Which workers a batch has: the cores of this machine, or a cluster."""

from __future__ import annotations

from functools import partial

from anc_core.jobs.batch import reconcile
from anc_core.jobs.dask_pool import DaskPool
from anc_core.jobs.pool import WorkerPool, workers_for
from anc_core.jobs.records import BatchPlan
from anc_core.settings import Settings
from anc_core.store import open_database


def open_pool(plan: BatchPlan, settings: Settings) -> WorkerPool | DaskPool:
    """Return the workers of ``plan``, to be used in a ``with`` block.

    Raises
    ------
    InputError
        If ``dask_scheduler`` is set and there is none.
    """
    if settings.dask_scheduler is None:
        return WorkerPool(workers_for(plan, settings))
    release = partial(_release_here, settings.resolved_database_url, plan.batch_id)
    return DaskPool(settings.dask_scheduler, on_stopped=release)


def _release_here(database_url: str, batch_id: str) -> None:
    """Free what dead processes of this machine hold of a batch that was stopped."""
    database = open_database(database_url)
    try:
        reconcile(database, batch_id=batch_id, deliberate=True)
    finally:
        database.dispose()
