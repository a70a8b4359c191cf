"""Run a planned batch: the steps that the command line and the flow share.

``begin`` -> a shard at a time with :func:`run_shard`, wherever it runs -> ``conclude``. What is
true of a recording stands in its session row; the lines of the summary are only its copy.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from anc_core.errors import (
    AncError,
    ErrorCode,
    InputError,
    RecordingError,
    TransientError,
)
from anc_core.files import digest_file, link_or_copy, sink_error, temp_path
from anc_core.jobs.naming import Where
from anc_core.jobs.records import (
    BatchPlan,
    BatchSummary,
    Duplicate,
    RecordingJob,
    RecordingResult,
)
from anc_core.jobs.run import BUSY_REASON, run_recording
from anc_core.pipeline.sidecar import remove_leftovers, sidecar_path
from anc_core.records import ENDED, Status
from anc_core.remote import objects
from anc_core.remote.address import RemotePath, place
from anc_core.settings import Settings
from anc_core.store import (
    Database,
    close_batch,
    finished_sources,
    get_session,
    list_sessions,
    open_batch,
    open_database,
    release,
)
from anc_core.temporaries import own_token, remove_abandoned

_log = logging.getLogger(__name__)


def begin(plan: BatchPlan, database: Database) -> None:
    """Record that the batch has begun, and free what dead processes hold.

    Raises
    ------
    SinkError
        NOT_WRITABLE or NO_SPACE: no output could be written; nothing was begun.
    """
    if plan.output_dir is not None and plan.jobs:
        _probe(plan.output_dir)
    reconcile(database)
    for folder in _folders_of(plan):
        remove_abandoned(folder)
    with database.begin() as db:
        open_batch(db, plan.batch_id, parameters=plan.parameters, planned=plan.planned)


def _probe(output_dir: Where) -> None:
    """Make ``output_dir`` and write a file there: better to fail now than after hours of work."""
    if isinstance(output_dir, RemotePath):
        objects.probe(output_dir)
        return
    probe = temp_path(output_dir / "probe", own_token())
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"\0")
    except OSError as err:
        raise sink_error(output_dir, err) from err
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


def _folders_of(plan: BatchPlan) -> set[Path]:
    """Return the folders where outputs of the batch lie or will lie, and where it tried to write.

    Buckets have no temporary files.
    """
    sinks = [*(job.sink for job in plan.jobs), *(twin.sink for twin in plan.duplicates)]
    sinks += [place(line.output_path) for line in plan.settled if line.output_path is not None]
    folders = {sink.parent for sink in sinks if isinstance(sink, Path)}
    return folders | {plan.output_dir} if isinstance(plan.output_dir, Path) else folders


def reconcile(database: Database, *, batch_id: str | None = None, deliberate: bool = False) -> int:
    """Mark sessions whose process died as interrupted, remove their temporary files.

    Parameters
    ----------
    database : Database
        The store.
    batch_id : str, optional
        Look at this batch only.
    deliberate : bool
        The workers were stopped on purpose, which does not count against their recordings.

    Returns
    -------
    int
        How many there were.
    """
    with database.begin() as db:
        released = release(db, now=datetime.now(UTC), batch_id=batch_id, deliberate=deliberate)
    for session in released:
        if session.temp_path is not None:
            remove_leftovers(Path(session.temp_path))
    return len(released)


def abandon(plan: BatchPlan, database: Database) -> None:
    """Record that the batch was stopped, and free what its workers held; they must be dead."""
    reconcile(database, batch_id=plan.batch_id, deliberate=True)
    with database.begin() as db:
        close_batch(db, plan.batch_id, counts={"stopped": True}, status=Status.FAILED)


def run_shard(
    jobs: Sequence[RecordingJob], settings: Settings, final: bool
) -> tuple[RecordingResult, ...]:
    """Process ``jobs`` one after the other; one that fails does not touch the others.

    Parameters
    ----------
    jobs : sequence of RecordingJob
        The shard.
    settings : Settings
        Where the database is, and limits.
    final : bool
        Report what failed for a passing reason as failed. Otherwise raise at the end, so that the
        shard is tried again; what is finished is then not done again.

    Raises
    ------
    TransientError
        If ``final`` is false and some recordings may work in a moment.
    """
    database = _database(settings.resolved_database_url)
    results: list[RecordingResult] = []
    passing: list[TransientError] = []
    for job in jobs:
        try:
            summary = run_recording(job, database=database, settings=settings)
        except TransientError as err:
            passing.append(err)
            results.append(_failure(job, err.code, str(err)))
        except InputError as err:
            results.append(_failure(job, ErrorCode.BAD_PARAMETER, str(err)))
        except Exception as err:  # noqa: BLE001 - logged with its trace where it was caught first
            results.append(_failure(job, ErrorCode.INTERNAL, f"{type(err).__name__}: {err}"))
        else:
            results.append(RecordingResult.of(summary))
    if passing and not final:
        msg = f"{len(passing)} of {len(jobs)} recordings may work in a moment; first: {passing[0]}"
        raise type(passing[0])(msg)
    return tuple(results)


def results_of_lost_shard(
    jobs: Sequence[RecordingJob], database: Database, err: TransientError
) -> tuple[RecordingResult, ...]:
    """Return what the store knows of a shard that gave no answer; the rest failed with ``err``."""
    known = done_in_batch(jobs, database)
    return tuple(
        known.get(str(job.source.absolute())) or _failure(job, err.code, str(err)) for job in jobs
    )


def done_in_batch(
    jobs: Sequence[RecordingJob], database: Database, *, since: datetime | None = None
) -> dict[str, RecordingResult]:
    """Return the lines, by source, of those ``jobs`` that their batch has done.

    Parameters
    ----------
    jobs : sequence of RecordingJob
        Of one batch.
    database : Database
        The store.
    since : datetime, optional
        Only what was finished then or later: before, somebody may have taken the output away.
    """
    paths = [str(job.source.absolute()) for job in jobs]
    with database.read() as db:
        sources = finished_sources(db, paths)
        ids = [entry.session_id for entries in sources.values() for entry in entries]
        batch_ids = {job.batch_id for job in jobs}
        known = [
            session.session_id
            for session in list_sessions(db, session_ids=ids, finished_from=since)
            if session.batch_id in batch_ids
        ]
        # Complete: a line counts the emergencies, which a list leaves out.
        complete = [get_session(db, session_id) for session_id in known]
    return {session.source_path: RecordingResult.of(session) for session in complete}


def held_by_others(
    jobs: Sequence[RecordingJob], results: Sequence[RecordingResult]
) -> list[RecordingJob]:
    """Return those ``jobs`` whose result is that another process was at work on them."""
    held = {line.source_path for line in results if line.reason == BUSY_REASON}
    return [job for job in jobs if str(job.source.absolute()) in held]


def with_renewed(
    results: Sequence[RecordingResult], lines: Sequence[RecordingResult]
) -> list[RecordingResult]:
    """Return ``results`` with ``lines`` in the place of what they say anew of the same sources."""
    renewed = {line.source_path for line in lines}
    return [*(line for line in results if line.source_path not in renewed), *lines]


def conclude(
    plan: BatchPlan,
    results: Iterable[RecordingResult],
    *,
    database: Database,
    shards: int,
    wall_s: float,
) -> BatchSummary:
    """Link the duplicates, count, record the batch's end, and return its summary."""
    reconcile(database, batch_id=plan.batch_id)
    worked = sorted(results, key=lambda result: result.source_path)
    duplicates = _settle_duplicates(plan.duplicates, [*worked, *plan.settled])
    summary = summarise(plan, worked, duplicates, shards=shards, wall_s=wall_s)
    counts = summary.model_dump(mode="json", exclude={"results", "failures"})
    with database.begin() as db:
        close_batch(db, plan.batch_id, counts=counts, status=_ending(summary))
    return summary


def summarise(
    plan: BatchPlan,
    worked: Sequence[RecordingResult],
    duplicates: Sequence[RecordingResult] = (),
    *,
    shards: int = 0,
    wall_s: float = 0.0,
    dry_run: bool = False,
) -> BatchSummary:
    """Return the summary; counts come from the lines, so they always add up."""
    results = [*worked, *plan.settled]
    count = {status: sum(r.status is status for r in results) for status in ENDED}
    done = [r for r in worked if r.status in {Status.OK, Status.DEGRADED}]
    audio_s = sum(r.duration_s or 0.0 for r in done)
    return BatchSummary(
        batch_id=plan.batch_id,
        planned=plan.planned,
        ok=count[Status.OK],
        degraded=count[Status.DEGRADED],
        skipped=count[Status.SKIPPED],
        failed=count[Status.FAILED],
        duplicates=len(plan.duplicates),
        ignored=plan.ignored,
        shards=shards,
        audio_s=audio_s,
        wall_s=wall_s,
        speed_x=audio_s / wall_s if wall_s and audio_s else None,
        events=sum(r.emergency_events for r in done),
        dry_run=dry_run,
        nothing_to_do=plan.planned == 0,
        estimated_s=plan.estimated_s,
        estimated_bytes=plan.estimated_bytes,
        output_dir=None if plan.output_dir is None else str(plan.output_dir),
        results=(*results, *duplicates),
        failures=tuple(r for r in results if r.status is Status.FAILED),
    )


def _ending(summary: BatchSummary) -> Status:
    if not summary.failed:
        return Status.OK
    return Status.FAILED if summary.failed == summary.planned else Status.DEGRADED


@functools.lru_cache(maxsize=4)
def _database(url: str) -> Database:
    """Return this process's connection to ``url``; a worker opens it once for all its shards."""
    return open_database(url)


def _failure(job: RecordingJob, code: ErrorCode, message: str) -> RecordingResult:
    return RecordingResult(
        source_path=str(job.source.absolute()),
        status=Status.FAILED,
        error_code=code,
        error_message=message,
    )


def _settle_duplicates(
    duplicates: Sequence[Duplicate], results: Sequence[RecordingResult]
) -> list[RecordingResult]:
    by_source = {result.source_path: result for result in results}
    return [
        _settle_duplicate(twin, by_source.get(str(twin.original.absolute()))) for twin in duplicates
    ]


def _settle_duplicate(twin: Duplicate, original: RecordingResult | None) -> RecordingResult:
    line = RecordingResult(
        source_path=str(twin.source.absolute()),
        status=Status.SKIPPED,
        duplicate_of=str(twin.original),
        reason=f"the same recording as {twin.original}",
    )
    if twin.sink is None or original is None or original.output_path is None:
        return line
    try:
        linked = _link(place(original.output_path), twin.sink)
    except (RecordingError, AncError) as err:
        _log.warning("%s: the output of its twin could not be linked: %s", twin.source, err)
        return line.model_copy(update={"reason": f"{line.reason}; not linked: {err}"})
    output = str(twin.sink) if linked else None
    return line.model_copy(update={"output_path": output, "session_id": original.session_id})


def _link(output: Where, sink: Where) -> bool:
    """Give ``output`` the second name ``sink``; never over a file that is not ours."""
    if isinstance(output, RemotePath) and isinstance(sink, RemotePath):
        return _copy_object(output, sink)
    if isinstance(output, RemotePath) or isinstance(sink, RemotePath):
        return False  # one batch has one output folder
    if not output.is_file():
        return False
    if sink.exists():
        if sink.samefile(output) or digest_file(sink) == digest_file(output):
            return True
        if not sidecar_path(sink).exists():
            return False
    # The record first: whoever is killed in between leaves no output without one.
    link_or_copy(sidecar_path(output), sidecar_path(sink))
    link_or_copy(output, sink)
    return True


def _copy_object(output: RemotePath, sink: RemotePath) -> bool:
    there, ours = objects.find(sink), objects.find(output)
    if ours is None:
        return False
    if there is not None and there.size and objects.find(sidecar_path(sink)) is None:
        return False
    objects.copy(sidecar_path(output), sidecar_path(sink))
    objects.copy(output, sink)
    return True
