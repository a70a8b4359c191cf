"""The main job as Prefect flows: one recording, or thousands.

``batch_process_files`` reads: plan the recordings -> process each -> record the sessions ->
publish the result. Prefect sees shards of 10 to 30 s of work, not files: a task run costs about as
much as a short recording. Shards run on threads that hand the work to the same worker processes as
``anc batch``, so a worker needs no Prefect and Ctrl-C can end it at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from logging import CRITICAL, ERROR
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast
from uuid import UUID

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import Pause
from prefect.futures import PrefectFuture, wait
from prefect.runtime import flow_run
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import AwareDatetime, Field

from anc_core.errors import AncError, ErrorCode, TransientError
from anc_core.jobs.attempts import attempts
from anc_core.jobs.batch import (
    abandon,
    begin,
    conclude,
    done_in_batch,
    held_by_others,
    reconcile,
    results_of_lost_shard,
    run_shard,
    summarise,
    with_renewed,
)
from anc_core.jobs.dask_pool import DaskPool
from anc_core.jobs.plan import BatchRequest, plan_batch
from anc_core.jobs.pool import PoolStoppedError, WorkerPool, available_workers
from anc_core.jobs.pools import fit, get_one_ready, open_pool
from anc_core.jobs.records import BatchPlan, BatchSummary, RecordingJob, RecordingResult
from anc_core.jobs.run import run_recording
from anc_core.jobs.shards import MAX_SHARDS, cut_shards
from anc_core.logs import log_ids
from anc_core.presets import PRESETS, CancellationParameters, SuppressionOverrides
from anc_core.records import Mode, Overwrite, SessionSummary, Status
from anc_core.remote.address import place
from anc_core.settings import Settings
from anc_core.store import Database, batch_progress, open_database, open_existing
from flows.alerting import announce_emergencies
from flows.artifacts import UPDATE_EVERY_S, ProgressArtifact, describe_counts, publish_summary
from flows.batch_helpers import helpers
from flows.common import (
    configure_run_logs,
    is_last_attempt,
    logged,
    logger,
    retry_options,
    tell_of_suspension,
)
from flows.forms import PlaceName, form

R = TypeVar("R")

_PASSING_CODES = frozenset(
    {
        ErrorCode.CHANGED_DURING_READ,
        ErrorCode.DB_UNAVAILABLE,
        ErrorCode.INTERRUPTED,
        ErrorCode.OUT_OF_MEMORY,
        ErrorCode.TIMEOUT,
    }
)
"""What a retry might have cured."""

_ROUNDS = 10
"""So often a batch looks again at what others of it held."""

_POLL_S = 0.5
"""So often whether they are still at it: a batch that is over waits for no more than that."""

ModeName = Literal["auto", "suppress", "cancel"]
OverwriteName = Literal["skip", "fail", "replace"]


class BatchFailedError(AncError):
    """More recordings failed than ``max_failures`` allows; ``summary`` tells which."""

    def __init__(self, summary: BatchSummary, max_failures: int) -> None:
        super().__init__(
            f"{summary.failed} recordings failed, {max_failures} are allowed "
            f"({describe_counts(summary)})"
        )
        self.summary = summary


# --------------------------------------------------------------------------- one recording


def _file_name() -> str:
    return Path(str(flow_run.get_parameters().get("file_path", "?"))).name


@flow(
    name="process-audio-file",
    flow_run_name=lambda: f"process {_file_name()}",
    validate_parameters=True,
)
@form(
    titles={
        "file_path": "Recording",
        "output_path": "Output",
        "chunk_size": "Chunk size (samples)",
    },
    choices={"preset": tuple(PRESETS)},
)
def process_audio_file(
    file_path: PlaceName,
    session_id: str | None = None,
    apply_anc: bool = True,
    output_path: PlaceName | None = None,
    mode: ModeName = "auto",
    preset: str = "default",
    reference_path: PlaceName | None = None,
    chunk_size: int | None = None,
    overwrite: OverwriteName = "skip",
    device_id: str | None = None,
    gain_setting: str | None = None,
    user_id: str | None = None,
    site: str | None = None,
    recorded_at: AwareDatetime | None = None,
    suppression: SuppressionOverrides | None = None,
    cancellation: CancellationParameters | None = None,
) -> SessionSummary:
    """Remove the noise from one recording, leave every emergency sound untouched, record a session.

    Args:
        file_path: The recording, a file or the URL of an object; never modified.
        session_id: Name of the session (A-Z a-z 0-9 . _ -); generated if empty.
        apply_anc: False analyses only: the output, if asked for, is the input bit for bit.
        output_path: Where the result goes, path or URL; empty measures without writing.
        mode: auto cancels where there is a reference and suppresses otherwise.
        preset: default, gentle, strong, call-centre, field or analyse-only.
        reference_path: Recording of the noise, picked up elsewhere, for mode cancel.
        chunk_size: Samples a chunk, 0.5 s to 5 s and never longer than the recording.
        overwrite: skip does nothing where the same was done before; replace does it again.
        device_id: Recorder that it comes from.
        gain_setting: Gain that it was recorded with, in the words of its calibration.
        user_id: Person it belongs to.
        site: Place it was recorded at.
        recorded_at: When the recording began, with its time zone.
        suppression: What is wanted otherwise than the preset has it: method, strength,
            max_attenuation_db, link_channels.
        cancellation: How to cancel; its reference_channel is the channel of the recording that
            heard the noise, where there is no reference_path.

    Returns
    -------
    The session's summary. Bad input is a summary with status failed and its error_code, and the
    run ends as Completed with the name RecordingFailed; only what a retry did not cure raises.
    """
    settings = Settings.load()
    configure_run_logs(settings)
    job = RecordingJob(
        source=place(file_path),
        sink=None if output_path is None else place(output_path),
        mode=Mode(mode),
        preset=preset,
        apply_anc=apply_anc,
        reference=None if reference_path is None else place(reference_path),
        suppression=suppression,
        cancellation=cancellation,
        chunk_size=chunk_size,
        overwrite=Overwrite(overwrite),
        session_id=session_id,
        device_id=device_id,
        gain_setting=gain_setting,
        user_id=user_id,
        site=site,
        recorded_at=recorded_at,
    )
    summary = process_recording_task.with_options(**retry_options(settings))(job)
    logger().info(
        "%s: %s %s",
        job.source.name,
        summary.status,
        summary.error_message or "",
        extra={"session_id": summary.session_id},
    )
    if summary.status is Status.FAILED:
        message = f"{summary.error_code}: {summary.error_message}"
        return _ended_as("RecordingFailed", message, summary)
    return summary


@task(name="process-recording", cache_policy=NO_CACHE, persist_result=False)
@logged
def process_recording_task(job: RecordingJob) -> SessionSummary:
    """Process one recording and record its session; safe to repeat."""
    settings = Settings.load()
    with _opened(settings) as database:
        summary = run_recording(job, database=database, settings=settings)
        if any(event.is_emergency for event in summary.events):
            announce_emergencies(database, [summary.session_id])
    return summary


# --------------------------------------------------------------------------- many recordings


class _ShardRunner(ThreadPoolTaskRunner[Any]):
    """A thread for every worker process; the number is read when the flow starts.

    Of a cluster there are as many as there may be shards: they only wait.
    """

    def duplicate(self) -> _ShardRunner:
        settings = Settings.load()
        if settings.dask_scheduler is not None:
            return _ShardRunner(max_workers=MAX_SHARDS)
        return _ShardRunner(max_workers=available_workers(settings.workers))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Running:
    """A batch at work in this process; tasks find it by its id, so no task carries it."""

    plan: BatchPlan
    shards: list[tuple[RecordingJob, ...]]
    pool: WorkerPool | DaskPool
    database: Database
    settings: Settings
    since: datetime
    """What the batch has finished since then, here or in a helper, is not looked at again."""


_RUNNING: dict[str, _Running] = {}


def _batch_name() -> str:
    parameters = flow_run.get_parameters()
    paths = parameters.get("file_paths") or []
    first = Path(str(paths[0])).name if paths else "nothing"
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"clean {first}{more} ({parameters.get('preset', 'default')})"


@flow(
    name="batch-process-files",
    flow_run_name=_batch_name,
    task_runner=cast("Any", _ShardRunner()),
    validate_parameters=True,
)
@form(
    titles={"file_paths": "Recordings", "dry_run": "Plan only", "pair": "Pair by name"},
    choices={"preset": tuple(PRESETS)},
)
def batch_process_files(
    file_paths: list[str | Path],
    apply_anc: bool = True,
    output_dir: PlaceName | None = None,
    recursive: bool = True,
    preset: str = "default",
    max_failures: int | None = None,
    dry_run: bool = False,
    mode: ModeName = "auto",
    overwrite: OverwriteName = "skip",
    duplicates: Literal["link", "skip", "process"] = "link",
    include: list[str] | None = None,
    exclude: list[str] | None = None,
    device_id: str | None = None,
    gain_setting: str | None = None,
    user_id: str | None = None,
    site: str | None = None,
    batch_id: str | None = None,
    pair: str | None = None,
    suppression: SuppressionOverrides | None = None,
    cancellation: CancellationParameters | None = None,
    spread: Annotated[int, Field(ge=1, le=100)] = 1,
) -> BatchSummary:
    """Remove the noise from many recordings; one bad file never stops the rest.

    Args:
        file_paths: Files, folders, glob patterns and manifests (.csv, .jsonl), or URLs of such.
        apply_anc: False analyses only.
        output_dir: Where the tree of outputs goes, path or URL; empty measures without writing.
        recursive: Search the subfolders of folders.
        preset: default, gentle, strong, call-centre, field or analyse-only.
        max_failures: The run fails if more recordings fail; empty allows any number.
        dry_run: Show the plan and write nothing.
        mode: auto, suppress or cancel.
        overwrite: skip leaves out what was done with the same parameters; replace does it again.
        duplicates: link processes the same content once and gives every name its output.
        include: Patterns of names to take from folders.
        exclude: Patterns of names to leave out.
        device_id: Recorder that they come from.
        gain_setting: Gain that they were recorded with, in the words of their calibration.
        user_id: Person they belong to.
        site: Place they were recorded at.
        batch_id: Name of the batch; made of the run's id if empty, so a run that is resumed goes on
            with its own.
        pair: Which file is whose reference, by name: ``*_primary.*=*_reference.*``
        suppression: What is wanted otherwise than the preset has it: method, strength,
            max_attenuation_db, link_channels.
        cancellation: How to cancel; its reference_channel is the channel of every recording that
            heard the noise, where it has no reference of its own.
        spread: Runs that share the work, each on a worker of its own that sees the same files and
            the same database; what no helper does this run does itself.

    Returns
    -------
    The counts, which always add up, and a line for every recording.

    Raises
    ------
    BatchFailedError
        If more than max_failures recordings failed; all others are done.
    """
    started, since = time.monotonic(), datetime.now(UTC)
    settings = Settings.load()
    request = BatchRequest(
        inputs=file_paths,
        output_dir=None if output_dir is None else place(output_dir),
        apply_anc=apply_anc,
        mode=mode,
        preset=preset,
        recursive=recursive,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        overwrite=overwrite,
        duplicates=duplicates,
        device_id=device_id,
        gain_setting=gain_setting,
        user_id=user_id,
        site=site,
        batch_id=batch_id or _own_batch_id(),
        pair=pair,
        suppression=suppression or SuppressionOverrides(),
        cancellation=cancellation or CancellationParameters(),
    )
    plan_them = plan_recordings.with_options(**retry_options(settings))
    if dry_run:
        summary = summarise(plan_them(request, True), (), dry_run=True)
        publish_summary(summary)
        return summary
    with open_pool(settings, request.batch_id) as pool:
        get_one_ready(pool)
        plan = plan_them(request, False)
        with _opened(settings, patiently=True) as database:
            attempts(settings)(begin, plan, database)
            with (
                helpers(request, plan, since=since, spread=spread),
                _at_work(plan, pool, database, settings, since=since) as running,
            ):
                results = _finish_what_others_left(running, _process(running))
            shards = len(running.shards)
    wall_s = time.monotonic() - started
    summary = record_sessions.with_options(**retry_options(settings))(plan, results, shards, wall_s)
    return _verdict(summary, max_failures)


def _own_batch_id() -> str | None:
    """Return the name of the batch that belongs to this run, however often it is resumed."""
    run_id = flow_run.get_id()
    # The end of the id: its beginning is the time, which two runs may share.
    return None if run_id is None else f"batch-{UUID(run_id).hex[-12:]}"


@flow(
    name="help-batch",
    flow_run_name="help {request.batch_id} ({turn} of {of})",
    task_runner=cast("Any", _ShardRunner()),
    validate_parameters=True,
)
@form(titles={"of": "Of how many"})
def help_batch(request: BatchRequest, since: datetime, turn: int, of: int) -> BatchSummary:
    """Do a share of another run's batch; which recordings are left, the store tells both.

    Args:
        request: What the other run was asked for, with its batch_id.
        since: When that run began.
        turn: Which of the runs that share the batch this is; the other is 0.
        of: How many they are.

    Returns
    -------
    The counts of this helper; what others were at counts as skipped.
    """
    started = time.monotonic()
    settings = Settings.load()
    with open_pool(settings, request.batch_id) as pool:
        get_one_ready(pool)
        plan = plan_recordings.with_options(**retry_options(settings))(request, False)
        with (
            _opened(settings, patiently=True) as database,
            _at_work(plan, pool, database, settings, since=since, share=turn / of) as running,
        ):
            results = _process(running)
            shards = len(running.shards)
    return summarise(plan, results, shards=shards, wall_s=time.monotonic() - started)


@task(
    name="plan-recordings",
    task_run_name="plan the recordings",
    cache_policy=NO_CACHE,
    persist_result=False,
)
@logged
def plan_recordings(request: BatchRequest, dry_run: bool) -> BatchPlan:
    """Find the recordings, set apart what is done, the same or impossible; write nothing."""
    settings = Settings.load()
    open_ = open_existing if dry_run else open_database
    database = open_(settings.resolved_database_url)
    try:
        return plan_batch(request, database=database, settings=settings)
    finally:
        if database is not None:
            database.dispose()


def _shard_name() -> str:
    from prefect.runtime import task_run

    parameters = task_run.get_parameters()
    running = _RUNNING.get(parameters.get("batch_id", ""))
    index = int(parameters.get("index", 0))
    if running is None:
        return f"shard {index + 1}"
    shard = running.shards[index]
    minutes = sum(job.duration_s or 0.0 for job in shard) / 60
    return f"shard {index + 1} of {len(running.shards)}: {len(shard)} files, {minutes:.1f} min"


@task(
    name="process-shard",
    task_run_name=_shard_name,
    cache_policy=NO_CACHE,
    persist_result=False,
)
@logged
def process_shard(batch_id: str, index: int) -> tuple[RecordingResult, ...]:
    """Process one shard in a worker process; a repetition does only what is missing."""
    running = _RUNNING.get(batch_id)
    if running is None:
        msg = f"{batch_id} was stopped before this shard began"
        raise PoolStoppedError(msg)
    shard, settings = running.shards[index], running.settings
    final = is_last_attempt(settings.retries)
    done = done_in_batch(shard, running.database, since=running.since)
    left = tuple(job for job in shard if str(job.source.absolute()) not in done)
    try:
        results = running.pool.run(run_shard, left, settings, final) if left else ()
    except TransientError as err:
        if not final:
            raise
        logger().critical(
            "%s after %d retries: %s", type(err).__name__, settings.retries, err, exc_info=True
        )
        results = results_of_lost_shard(left, running.database, err)
    _log_results(results, retries=settings.retries if final else 0)
    lines = (*done.values(), *results)
    heard = [r.session_id for r in lines if r.emergency_events and r.session_id is not None]
    if heard:
        announce_emergencies(running.database, heard)
    return lines


@task(
    name="record-sessions",
    task_run_name="record the sessions",
    cache_policy=NO_CACHE,
    persist_result=False,
)
@logged
def record_sessions(
    plan: BatchPlan, results: list[RecordingResult], shards: int, wall_s: float
) -> BatchSummary:
    """Link the duplicates, count, close the batch and publish what became of it."""
    with _opened(Settings.load()) as database:
        summary = conclude(plan, results, database=database, shards=shards, wall_s=wall_s)
    publish_summary(summary)
    return summary


def _process(running: _Running) -> list[RecordingResult]:
    """Run the shards and show their progress; return a line for every recording."""
    if not running.shards:
        return []
    progress = ProgressArtifact(running.plan)
    futures = [_submit(running, index) for index in range(len(running.shards))]
    pending = set(futures)
    while pending:
        pending = set(wait(list(pending), timeout=UPDATE_EVERY_S).not_done)
        # A page that is old for a moment is no reason to stop the work.
        with suppress(TransientError):
            with running.database.read() as db:
                done = batch_progress(db, running.plan.batch_id)
            progress.update(done)
    results = [line for future in futures for line in future.result()]
    progress.finish()
    return results


def _submit(running: _Running, index: int) -> PrefectFuture[tuple[RecordingResult, ...]]:
    shard_task = process_shard.with_options(**retry_options(running.settings))
    future: PrefectFuture[tuple[RecordingResult, ...]] = shard_task.submit(
        running.plan.batch_id, index
    )
    return future


def _finish_what_others_left(
    running: _Running, results: list[RecordingResult]
) -> list[RecordingResult]:
    """Wait for the recordings that others of this batch are still at, do those of who died.

    Others are helpers, and a process of this very run that Prefect took for dead and started again.
    What another batch is at stays skipped.
    """
    jobs, were_there = running.plan.jobs, True
    for _ in range(_ROUNDS):
        held = held_by_others(jobs, results)
        if not held or not were_there:
            break
        were_there = _await_others(running)
        running.shards.append(tuple(held))
        results = with_renewed(results, _submit(running, len(running.shards) - 1).result())
    return results


def _await_others(running: _Running) -> bool:
    """Return once nobody works at the batch, and whether somebody did.

    A process of another host that says nothing any more is dead.
    """
    batch_id, database, were_there = running.plan.batch_id, running.database, False
    while True:
        reconcile(database, batch_id=batch_id)
        with database.read() as db:
            if not batch_progress(db, batch_id).running:
                return were_there
        were_there = True
        time.sleep(_POLL_S)


@contextmanager
def _opened(settings: Settings, *, patiently: bool = False) -> Iterator[Database]:
    """Open the store for one task: tasks may run in other threads, at other times.

    Outside of a task it is done ``patiently``: there Prefect would not try again.
    """
    url = settings.resolved_database_url
    database = attempts(settings)(open_database, url) if patiently else open_database(url)
    try:
        yield database
    finally:
        database.dispose()


@contextmanager
def _at_work(
    plan: BatchPlan,
    pool: WorkerPool | DaskPool,
    database: Database,
    settings: Settings,
    *,
    since: datetime,
    share: float = 0.0,
) -> Iterator[_Running]:
    """Let the workers at ``plan``; a helper (``share`` above 0) begins further down the list."""
    shards = cut_shards(plan.jobs, shard_s=settings.shard_s, workers=fit(pool, plan, settings))
    first = int(share * len(shards))
    running = _Running(
        plan=plan,
        shards=[*shards[first:], *shards[:first]],
        pool=pool,
        database=database,
        settings=settings,
        since=since,
    )
    _RUNNING[plan.batch_id] = running
    try:
        with log_ids(batch_id=plan.batch_id):
            yield running
    except BaseException as err:
        # Ctrl-C or a crash: end the workers first, then free what they held.
        pool.stop()
        if isinstance(err, Pause):
            tell_of_suspension()
        if share:
            reconcile(database, batch_id=plan.batch_id, deliberate=True)
        else:
            abandon(plan, database)
        raise
    finally:
        del _RUNNING[plan.batch_id]


def _log_results(results: Sequence[RecordingResult], *, retries: int) -> None:
    """Log what became of each recording; what no retry cured is CRITICAL."""
    log = logger()
    for line in results:
        with log_ids(session_id=line.session_id):
            if line.status is Status.FAILED:
                given_up = retries > 0 and line.error_code in _PASSING_CODES
                level, how = (CRITICAL, f" after {retries} retries") if given_up else (ERROR, "")
                log.log(level, "%s%s: %s", line.error_code, how, line.error_message)
            elif line.status is Status.DEGRADED:
                log.warning("%s: degraded, %s", line.source_path, line.reason)
            else:
                log.debug("%s: %s", line.source_path, line.status)


def _verdict(summary: BatchSummary, max_failures: int | None) -> BatchSummary:
    if summary.failed == 0:
        return summary
    if max_failures is not None and summary.failed > max_failures:
        raise BatchFailedError(summary, max_failures)
    return _ended_as("CompletedWithErrors", describe_counts(summary), summary)


def _ended_as(name: str, message: str, data: R) -> R:
    """Return a state that tells more than "Completed"; Prefect hands ``data`` to the caller."""
    return cast("R", Completed(name=name, message=message, data=data))
