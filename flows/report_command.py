"""``anc report``: the report without a server; ``--flow`` makes it through Prefect."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.options import EXIT_FAILED, database_option, load_settings, use_database

if TYPE_CHECKING:
    from anc_core.jobs.report_records import ReportRequest, ReportResult
    from anc_core.settings import Settings

_FORMATS = ("html", "json", "md")
_COLOURS = {"GREEN": "bold green", "AMBER": "bold yellow", "RED": "bold red"}


def _formats(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    """Return the formats of a list with commas."""
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    if not names or any(name not in _FORMATS for name in names):
        msg = f"{value!r}: give some of {', '.join(_FORMATS)}"
        raise click.BadParameter(msg, ctx=ctx, param=param)
    return tuple(dict.fromkeys(names))


@click.command()
@click.option(
    "--date",
    "day",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Day, or any day of the week or month; default: the last that is over.",
)
@click.option("--week", "kind", flag_value="weekly", help="The week, Monday to Sunday.")
@click.option("--month", "kind", flag_value="monthly", help="The month.")
@click.option(
    "--tz", "timezone", default="UTC", show_default=True, help="Zone that days begin and end by."
)
@click.option(
    "-o",
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the files go; default: reports in ANC_HOME.",
)
@click.option(
    "--formats",
    callback=_formats,
    metavar="LIST",
    default=",".join(_FORMATS),
    show_default=True,
    help="What to write.",
)
@click.option("--send", is_flag=True, help="To the webhook and mail addresses of the settings.")
@database_option
@click.option("--flow", "as_flow", is_flag=True, help="Run as a Prefect flow.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
def report(
    day: datetime | None,
    kind: str | None,
    timezone: str,
    output_dir: Path | None,
    formats: tuple[str, ...],
    send: bool,
    database_url: str | None,
    as_flow: bool,
    as_json: bool,
) -> None:
    """Say how the day went: verdict, figures, what is out of the ordinary and why."""
    from anc_core.jobs.report_records import ReportFormat, ReportRequest
    from anc_core.reports.period import PeriodKind
    from flows.console import print_json

    settings = load_settings(database_url)
    request = ReportRequest(
        day=None if day is None else day.date(),
        kind=PeriodKind(kind or "daily"),
        timezone=timezone,
        output_dir=output_dir,
        formats=tuple(map(ReportFormat, formats)),
    )
    make = _as_flow if as_flow else _directly
    result = make(request, settings, send=send)
    if as_json:
        print_json(result)
    else:
        print_report(result)
    if any(not line.delivered for line in result.deliveries):
        sys.exit(EXIT_FAILED)


@click.command()
@click.argument("session_ids", nargs=-1, required=True)
@database_option
def acknowledge(session_ids: tuple[str, ...], database_url: str | None) -> None:
    """Note that somebody has dealt with the emergency events of sessions.

    Reports count events that nobody has dealt with.
    """
    from anc_core.store import ACKNOWLEDGE, get_session, record_audit
    from flows.options import open_store

    _, database = open_store(database_url)
    with database.begin() as db:
        for session_id in session_ids:
            count = sum(event.is_emergency for event in get_session(db, session_id).events)
            record_audit(db, ACKNOWLEDGE, session_id, {"events": count}, "anc acknowledge")
            click.echo(f"{session_id}: {count} emergency events acknowledged")


def _directly(request: ReportRequest, settings: Settings, *, send: bool) -> ReportResult:
    from anc_core.jobs.report import make_report
    from anc_core.store import open_database
    from flows.report_delivery import deliver

    database = open_database(settings.resolved_database_url)
    try:
        result = make_report(request, settings, database, actor="anc report", now=datetime.now(UTC))
    finally:
        database.dispose()
    if send:
        result = result.model_copy(update={"deliveries": deliver(result, settings)})
    return result


def _as_flow(request: ReportRequest, settings: Settings, *, send: bool) -> ReportResult:
    from flows.daily_report import KINDS, generate_daily_report
    from flows.parameters import check_names

    check_names(request.output_dir or "")
    use_database(settings)
    words = {kind: word for word, kind in KINDS.items()}
    parameters: dict[str, Any] = {
        "date": request.day,
        "timezone": request.timezone,
        "formats": [kind.value for kind in request.formats],
        "period": words[request.kind],
        "output_dir": request.output_dir,
        "send": send,
    }
    result: ReportResult = generate_daily_report(**parameters)
    return result


def print_report(result: ReportResult) -> None:
    """Print the verdict with its reasons and causes, and where the files are."""
    from rich.text import Text

    from flows.console import safe, stdout

    console = stdout()
    verdict, _, title = result.title.partition(": ")
    head = Text(verdict, style=_COLOURS[verdict])
    console.print(head.append(f"  {title}, revision {result.revision}", style="default"))
    if not result.anomalies:
        for reason in result.reasons:
            console.print(safe(f"  {reason}"))
    for flag in result.anomalies:
        line = Text(f"  {flag.verdict} ", style=_COLOURS[flag.verdict])
        console.print(line.append_text(safe(flag.title)))
        console.print(safe(f"    {flag.cause}"))
    for path in (result.html_path, result.json_path, result.markdown_path):
        if path is not None:
            console.print(safe(path))
    for delivery in result.deliveries:
        console.print(safe(f"{delivery.channel}: {delivery.detail}"))
