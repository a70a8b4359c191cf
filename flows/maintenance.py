"""Maintenance as Prefect flows: sessions that are old or failed go, the database is compacted.

Every task may be run again: what an attempt that failed has done stays done, and is counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import deployment, flow_run

from anc_core.maintenance.cleanup import Cleanup, audit_detail
from anc_core.maintenance.cleanup_records import (
    CleanupRequest,
    CleanupResult,
    failed_sessions,
    old_sessions,
)
from anc_core.maintenance.jobs import noted_job
from anc_core.maintenance.vacuum import VacuumResult, vacuum_store
from anc_core.records import ENDED, Status
from anc_core.settings import Settings
from anc_core.store import Database, open_database
from flows.common import logged, logger, retry_options
from flows.forms import form
from flows.maintenance_tables import (
    cleanup_rows,
    describe_cleanup,
    describe_vacuum,
    vacuum_rows,
)
from flows.prefect_database import prefect_database


@flow(
    name="cleanup-old-sessions",
    flow_run_name="sessions older than {older_than_days} days",
    validate_parameters=True,
)
@form(titles={"dry_run": "Plan only"})
def cleanup_old_sessions(
    older_than_days: float = 30,
    dry_run: bool = False,
    statuses: list[Status] = list(ENDED),  # noqa: B006 - Prefect shows it, nobody changes it
    keep_audio: bool = False,
    min_keep: int = 0,
    max_delete: int | None = None,
    keep_emergency_days: float | None = None,
) -> CleanupResult:
    """Remove sessions that ended long ago, with their rows, outputs and sidecars.

    Sessions that run or are on hold stay, recordings are never touched, and the figures of each
    day are rolled up before its sessions go.

    Args:
        older_than_days: Age in days since the end of the session, above 0.
        dry_run: Count what would go; remove nothing.
        statuses: Statuses of sessions that may go.
        keep_audio: Remove rows only; outputs and sidecars stay.
        min_keep: So many of the newest sessions stay, whatever their age.
        max_delete: Remove no more than so many sessions, the oldest first.
        keep_emergency_days: Keep sessions with an emergency event this long; at least
            older_than_days.

    Returns
    -------
    Rows by table, files, bytes, what stayed and why, orphans.
    """
    request = old_sessions(
        older_than_days=older_than_days,
        statuses=statuses,
        keep_audio=keep_audio,
        min_keep=min_keep,
        max_delete=max_delete,
        keep_emergency_days=keep_emergency_days,
        dry_run=dry_run,
    )
    return _clean_up(request)


@flow(
    name="cleanup-failed-sessions",
    flow_run_name="failed sessions older than {older_than_hours} hours",
    validate_parameters=True,
)
@form(titles={"dry_run": "Plan only"})
def cleanup_failed_sessions(older_than_hours: float = 24, dry_run: bool = False) -> CleanupResult:
    """Mark sessions of dead workers as interrupted, and remove those that failed some time ago.

    Args:
        older_than_hours: Age in hours since the session failed, above 0.
        dry_run: Count what would go; change nothing.

    Returns
    -------
    Rows by table, files, bytes, what stayed and why, orphans.
    """
    return _clean_up(failed_sessions(older_than_hours=older_than_hours, dry_run=dry_run))


@task(
    name="reconcile-interrupted",
    task_run_name="sessions of dead workers",
    cache_policy=NO_CACHE,
    persist_result=False,
)
@logged
def reconcile_sessions(cleanup: Cleanup) -> None:
    """Mark running sessions whose worker is dead as failed (INTERRUPTED)."""
    cleanup.reconcile()


@task(
    name="plan-cleanup",
    task_run_name="what is to go",
    cache_policy=NO_CACHE,
    persist_result=False,
)
@logged
def plan_cleanup(cleanup: Cleanup) -> None:
    """Count what is to go and what stays."""
    cleanup.plan()


@task(
    name="remove-sessions",
    task_run_name="files, then rows",
    cache_policy=NO_CACHE,
    persist_result=False,
)
@logged
def remove_sessions(cleanup: Cleanup) -> None:
    """Remove files, then rows, a few hundred sessions at a time."""
    cleanup.remove()


@task(
    name="find-orphans",
    task_run_name="store against disk",
    cache_policy=NO_CACHE,
    persist_result=False,
)
@logged
def look_for_orphans(cleanup: Cleanup) -> None:
    """Look for sessions without their output, and for files of no session."""
    cleanup.look_for_orphans()


@flow(name="vacuum-database", flow_run_name="compact the database", validate_parameters=True)
@form(titles={"wait": "Wait for running sessions"})
def vacuum_database(wait: bool = False) -> VacuumResult:
    """Give the space of removed rows back to the disk.

    SQLite is written anew, unless less than a fifth of it is unused; PostgreSQL makes the space
    usable again. Prefect's own database is left to Prefect's own vacuum and only reported.

    Args:
        wait: Wait for running sessions to end, up to 6 h, instead of refusing.

    Returns
    -------
    Bytes before and after, seconds, and why nothing was done if so.
    """
    # Who waits has tried again for 6 h.
    options = {} if wait else retry_options(Settings.load())
    result = compact_database.with_options(**options)(wait, flow_actor())
    words = describe_vacuum(result)
    logger().info("%s", words)
    create_table_artifact(vacuum_rows(result), key="vacuum", description=words)
    return result


@task(
    name="compact-database",
    task_run_name="vacuum",
    cache_policy=NO_CACHE,
    persist_result=False,
)
@logged
def compact_database(wait: bool, actor: str) -> VacuumResult:
    """Check, compact, check again."""
    settings = Settings.load()
    with opened(settings) as database:
        result = vacuum_store(database, settings, actor=actor, wait=wait)
    return result.model_copy(update=prefect_database())


def flow_actor() -> str:
    """Return who runs the present flow, for the audit log."""
    name = flow_run.get_flow_name() or "flow"
    return f"{name} (schedule)" if deployment.get_id() else f"{name} (by hand)"


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    """Open the database for the length of a flow."""
    database = open_database(settings.resolved_database_url)
    try:
        yield database
    finally:
        database.dispose()


def _clean_up(request: CleanupRequest) -> CleanupResult:
    settings = Settings.load()
    options = retry_options(settings)
    with opened(settings) as database:
        cleanup = Cleanup(request, database=database, settings=settings)
        if request.dry_run:
            plan_cleanup.with_options(**options)(cleanup)
            return _published(cleanup.result())
        with noted_job(database, request.job, flow_actor()) as note:
            reconcile_sessions.with_options(**options)(cleanup)
            plan_cleanup.with_options(**options)(cleanup)
            remove_sessions.with_options(**options)(cleanup)
            look_for_orphans.with_options(**options)(cleanup)
            result = cleanup.result()
            note.detail = audit_detail(result)
        return _published(result)


def _published(result: CleanupResult) -> CleanupResult:
    words = describe_cleanup(result)
    logger().info("%s", words)
    create_table_artifact(cleanup_rows(result), key=result.job, description=words)
    return result
