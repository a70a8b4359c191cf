"""``anc cleanup`` and ``anc hold``: what goes, and what must not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from flows.options import (
    EXIT_FAILED,
    EXIT_USAGE,
    database_option,
    open_store,
    options,
    use_database,
)

if TYPE_CHECKING:
    from anc_core.maintenance.cleanup_records import CleanupResult

_cleanup_options = options(
    click.option("--dry-run", is_flag=True, help="Show what would go; remove nothing."),
    click.option("--yes", is_flag=True, help="Remove it; without this the plan is shown."),
    database_option,
    click.option("--flow", "as_flow", is_flag=True, help="Run as a Prefect flow."),
    click.option("--json", "as_json", is_flag=True, help="Print the record as JSON."),
)


@click.group()
def cleanup() -> None:
    """Remove sessions with their outputs; recordings are never touched."""


@cleanup.command()
@click.option("--older-than-days", type=float, default=30.0, show_default=True)
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(["ok", "degraded", "skipped", "failed"]),
    help="May be repeated; default: all of them.",
)
@click.option("--keep-audio", is_flag=True, help="Remove rows only; outputs stay.")
@click.option("--min-keep", type=int, default=0, help="So many of the newest stay.")
@click.option("--max-delete", type=int, help="Remove no more than so many, the oldest first.")
@click.option("--keep-emergency-days", type=float, help="Keep those with emergencies longer.")
@_cleanup_options
def old(statuses: tuple[str, ...], **words: Any) -> None:  # noqa: ANN401
    """Remove sessions that ended long ago; the plan is shown first."""
    from anc_core.records import ENDED

    _run("cleanup_old_sessions", "old_sessions", statuses=statuses or ENDED, **words)


@cleanup.command()
@click.option("--older-than-hours", type=float, default=24.0, show_default=True)
@_cleanup_options
def failed(**words: Any) -> None:  # noqa: ANN401
    """Mark interrupted sessions, remove those that failed; the plan is shown first."""
    _run("cleanup_failed_sessions", "failed_sessions", **words)


@click.command()
@click.argument("session_id", required=False)
@click.option("--release", is_flag=True, help="Give it free again.")
@database_option
def hold(session_id: str | None, release: bool, database_url: str | None) -> None:
    """Keep SESSION_ID from every cleanup and erasure; without one, list what is on hold."""
    from anc_core.maintenance.jobs import current_actor
    from anc_core.store import held_sessions, record_audit, set_hold

    _, database = open_store(database_url)
    if session_id is None:
        with database.read() as db:
            for one in held_sessions(db):
                click.echo(one)
        return
    with database.begin() as db:
        set_hold(db, session_id, on_hold=not release)
        action = "release-hold" if release else "hold"
        record_audit(db, action, session_id, {}, current_actor("anc hold"))
    click.echo(f"{session_id} is {'free again' if release else 'on hold'}")


def _run(
    flow_name: str,
    request_name: str,
    *,
    dry_run: bool,
    yes: bool,
    database_url: str | None,
    as_flow: bool,
    as_json: bool,
    **parameters: Any,  # noqa: ANN401
) -> None:
    from anc_core.maintenance import cleanup_records
    from anc_core.maintenance.cleanup import run_cleanup
    from anc_core.maintenance.jobs import current_actor
    from flows.console import print_json

    settings, database = open_store(database_url)
    make = getattr(cleanup_records, request_name)

    def direct(*, dry_run: bool) -> CleanupResult:
        request = make(dry_run=dry_run, **parameters)
        return run_cleanup(
            request, database=database, settings=settings, actor=current_actor("anc cleanup")
        )

    if dry_run or not yes:
        result = direct(dry_run=True)
    elif as_flow:
        import flows

        use_database(settings)
        result = getattr(flows, flow_name)(**parameters)
    else:
        result = direct(dry_run=False)
    (print_json if as_json else _print)(result)
    if result.problems:
        sys.exit(EXIT_FAILED)
    if not (yes or dry_run):
        click.echo("this is the plan; add --yes to carry it out", err=True)
        sys.exit(EXIT_USAGE if result.sessions else 0)


def _print(result: CleanupResult) -> None:
    from flows.console import safe, stdout
    from flows.maintenance_console import print_rows
    from flows.maintenance_tables import cleanup_rows, describe_cleanup

    print_rows(cleanup_rows(result))
    stdout().print(safe(describe_cleanup(result)))
