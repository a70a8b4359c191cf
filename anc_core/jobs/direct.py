"""Run a recording or a batch without Prefect: the same plan, the same rows, the same summary.

For one-off use: no server, no start-up cost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from contextvars import copy_context

from anc_core.errors import TransientError
from anc_core.jobs.attempts import attempts
from anc_core.jobs.batch import (
    abandon,
    begin,
    conclude,
    held_by_others,
    results_of_lost_shard,
    run_shard,
    with_renewed,
)
from anc_core.jobs.dask_pool import DaskPool
from anc_core.jobs.plan import BatchRequest, plan_batch
from anc_core.jobs.pool import WorkerPool
from anc_core.jobs.pools import fit, open_pool
from anc_core.jobs.records import BatchPlan, BatchSummary, RecordingJob, RecordingResult
from anc_core.jobs.run import run_recording
from anc_core.jobs.shards import MAX_SHARDS, cut_shards
from anc_core.logs import log_ids
from anc_core.pipeline.stream import OnProgress
from anc_core.records import SessionSummary
from anc_core.settings import Settings
from anc_core.store import BatchProgress, Database, batch_progress

OnBatchProgress = Callable[[BatchPlan, BatchProgress], None]
"""Gets the plan and what is done of it, a few times a second."""

_POLL_S = 0.25


def run_one(
    job: RecordingJob,
    *,
    database: Database,
    settings: Settings,
    on_progress: OnProgress | None = None,
) -> SessionSummary:
    """Process one recording; what may pass is tried again, ever more patiently.

    Parameters, result and errors are those of :func:`anc_core.jobs.run.run_recording`.
    """
    return attempts(settings)(
        run_recording, job, database=database, settings=settings, on_progress=on_progress
    )


def run_batch(
    request: BatchRequest,
    *,
    database: Database,
    settings: Settings,
    on_progress: OnBatchProgress | None = None,
) -> BatchSummary:
    """Plan and run a batch on the cores of this machine, or on those of a cluster.

    Parameters
    ----------
    request : BatchRequest
        What to process.
    database, settings
        Where sessions are kept; limits, workers, retries.
    on_progress : callable, optional
        See :data:`OnBatchProgress`.

    Raises
    ------
    InputError, SinkError
        As :func:`anc_core.jobs.plan.plan_batch`: nothing was begun.
    """
    started = time.monotonic()
    # The workers open the database by the settings: it must be this one.
    settings = settings.model_copy(update={"database_url": database.url})
    plan = attempts(settings)(plan_batch, request, database=database, settings=settings)
    attempts(settings)(begin, plan, database)
    try:
        with log_ids(batch_id=plan.batch_id):
            pool = open_pool(settings, plan.batch_id)
            workers = fit(pool, plan, settings)
            shards = cut_shards(plan.jobs, shard_s=settings.shard_s, workers=workers)
            parts = _run_shards(plan, shards, pool, database, settings, on_progress)
            results = [line for part in parts for line in part]
            results = _finish_twins(plan, results, settings)
    except BaseException:
        # Ctrl-C or a crash: the workers are gone, their claims are not.
        abandon(plan, database)
        raise
    return attempts(settings)(
        conclude,
        plan,
        results,
        database=database,
        shards=len(shards),
        wall_s=time.monotonic() - started,
    )


def _finish_twins(
    plan: BatchPlan, results: list[RecordingResult], settings: Settings
) -> list[RecordingResult]:
    """Do again what was left out because another worker was at the same content under another name.

    Of objects the plan does not know which are the same. By now the other has ended, and its output
    is copied; what another batch is at stays left out.
    """
    held = held_by_others(plan.jobs, results)
    if not held:
        return results
    return with_renewed(results, run_shard(held, settings, final=True))


def _run_shards(
    plan: BatchPlan,
    shards: list[tuple[RecordingJob, ...]],
    pool: WorkerPool | DaskPool,
    database: Database,
    settings: Settings,
    on_progress: OnBatchProgress | None,
) -> Iterator[tuple[RecordingResult, ...]]:
    # The pool is stopped first, so that no thread is left waiting for a worker.
    with ThreadPoolExecutor(min(pool.size, MAX_SHARDS)) as threads, pool:
        waiting: set[Future[tuple[RecordingResult, ...]]] = {
            # A context of its own for each: threads inherit none, and with it no ids for the log.
            threads.submit(copy_context().run, _run_shard_on, pool, shard, database, settings)
            for shard in shards
        }
        while waiting:
            done, waiting = wait(waiting, timeout=_POLL_S, return_when=FIRST_COMPLETED)
            _report(plan, database, on_progress)
            for future in done:
                yield future.result()


def _run_shard_on(
    pool: WorkerPool | DaskPool,
    shard: tuple[RecordingJob, ...],
    database: Database,
    settings: Settings,
) -> tuple[RecordingResult, ...]:
    try:
        for attempt in attempts(settings):
            with attempt:
                final = attempt.retry_state.attempt_number > settings.retries
                return pool.run(run_shard, shard, settings, final)
    except TransientError as err:
        return results_of_lost_shard(shard, database, err)
    raise AssertionError  # tenacity returns or raises


def _report(plan: BatchPlan, database: Database, on_progress: OnBatchProgress | None) -> None:
    if on_progress is None:
        return
    # A bar that stands still for a moment is no reason to stop the work.
    with suppress(TransientError):
        with database.read() as db:
            progress = batch_progress(db, plan.batch_id)
        on_progress(plan, progress)
