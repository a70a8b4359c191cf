"""``anc alert``: test the receiver, read the delivery log, send what is outstanding."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from flows.options import EXIT_FAILED, database_option, open_store

if TYPE_CHECKING:
    from flows.alert_sending import SendReport

_json_option = click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")


@click.group()
def alert() -> None:
    """Look after the alerts for emergency events."""


@alert.command()
@database_option
@_json_option
def test(database_url: str | None, as_json: bool) -> None:
    """Send one signed test alert; exit code 1 if it does not arrive."""
    from flows.alert_sending import send_test

    settings, database = open_store(database_url)
    delivery = send_test(settings, database)
    if as_json:
        from flows.console import print_json

        print_json(delivery)
    else:
        words = f"HTTP {delivery.response_code}" if delivery.response_code else "no answer"
        click.echo(f"{delivery.status}: {delivery.last_error or words}")
    if delivery.status != "delivered":
        sys.exit(EXIT_FAILED)


@alert.command("list")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(["pending", "delivered", "suppressed", "failed"]),
    help="Only these.",
)
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@database_option
@_json_option
def list_(statuses: tuple[str, ...], limit: int, database_url: str | None, as_json: bool) -> None:
    """Show what became of every alert, newest first."""
    from anc_core.store import list_deliveries
    from flows.console import print_json, print_table

    _, database = open_store(database_url)
    with database.read() as db:
        log = list_deliveries(db, statuses=statuses or None, limit=limit)
    if as_json:
        print_json(log)
        return
    print_table(
        ("at (UTC)", "status", "event", "place", "session", "tries", "answer"),
        [
            (
                f"{d.created_at:%Y-%m-%d %H:%M:%S}",
                d.status,
                "test" if d.is_test else f"{d.event_type} at {d.start_s:.1f} s",
                d.place,
                d.session_id,
                str(d.attempts),
                d.last_error or ("" if d.response_code is None else f"HTTP {d.response_code}"),
            )
            for d in log.deliveries
        ],
    )


@alert.command("send-pending")
@click.option("--failed", "retry_failed", is_flag=True, help="Also those that were refused.")
@database_option
@_json_option
def send_pending(retry_failed: bool, database_url: str | None, as_json: bool) -> None:
    """Send every alert that was not told yet; exit code 1 if some still wait or were refused."""
    from flows.alert_sending import send_outstanding

    settings, database = open_store(database_url)
    report = send_outstanding(settings, database, retry_failed=retry_failed)
    if as_json:
        from flows.console import print_json

        print_json(report)
    else:
        click.echo(_in_words(report))
    if report.waiting or report.refused:
        sys.exit(EXIT_FAILED)


def _in_words(report: SendReport) -> str:
    counts = report.model_dump(exclude={"problem"})
    words = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{words or 'nothing to send'}" + (f" ({report.problem})" if report.problem else "")
