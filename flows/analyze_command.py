"""``anc analyze``: what a session, or the sessions of a period, come to."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from flows.options import database_option, load_settings, options, use_database

if TYPE_CHECKING:
    from anc_core.analysis_records import PeriodAnalysis, SessionAnalysis

_DIMENSIONS = ("device", "user", "site", "preset", "model", "noise_type", "status", "batch")
_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])

_filter_options = options(
    *(
        click.option(
            f"--{name.replace('_', '-')}",
            name,
            multiple=True,
            help=f"Only sessions of this {name.replace('_', ' ')}; may be given several times.",
        )
        for name in _DIMENSIONS
    )
)


@click.command()
@click.argument("session_id", required=False)
@click.option("--since", type=_MOMENT, help="Start; default: seven days before the end.")
@click.option("--until", type=_MOMENT, help="End, not included; default: now.")
@click.option(
    "--tz", "timezone", default="UTC", show_default=True, help="Time zone of days and hours."
)
@click.option(
    "--group-by",
    "group_by",
    multiple=True,
    type=click.Choice([name.replace("_", "-") for name in _DIMENSIONS]),
    help="May be given several times.",
)
@_filter_options
@click.option(
    "--noise-by",
    type=click.Choice(["recorded", "finished"]),
    default="recorded",
    show_default=True,
    help="Whose noises: of sessions recorded, or finished, in the period.",
)
@click.option("--compare/--no-compare", default=True, help="Look at the time before, too.")
@database_option
@click.option("--flow", "as_flow", is_flag=True, help="Run as a Prefect flow.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
def analyze(
    session_id: str | None,
    since: datetime | None,
    until: datetime | None,
    timezone: str,
    group_by: tuple[str, ...],
    noise_by: str,
    compare: bool,
    database_url: str | None,
    as_flow: bool,
    as_json: bool,
    **filters: tuple[str, ...],
) -> None:
    """Say what SESSION_ID, or the sessions of a period, come to.

    Figures of processing are of the sessions that finished in the period, figures of noise of those
    that were recorded in it.
    """
    from anc_core.analysis_records import Dimension, Filters, zone_of

    zone_of(timezone)
    words: dict[str, Any] = {
        "session_id": session_id,
        "since": since,
        "until": until,
        "timezone": timezone,
        "filters": Filters(**filters),
        "group_by": tuple(Dimension(name.replace("-", "_")) for name in group_by),
        "noise_by": noise_by,
        "compare": compare,
    }
    settings = load_settings(database_url)
    analysis: PeriodAnalysis | SessionAnalysis
    if as_flow:
        from flows.analytics import analyze_session_data

        use_database(settings)
        analysis = analyze_session_data(**words)
    else:
        from anc_core.jobs.analysis import AnalysisRequest, analyse
        from anc_core.store import open_database

        database = open_database(settings.resolved_database_url)
        analysis = analyse(database, AnalysisRequest(**words))
    if as_json:
        from flows.console import print_json

        print_json(analysis)
    else:
        _print_analysis(analysis)


def _print_analysis(analysis: PeriodAnalysis | SessionAnalysis) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from flows.analysis_tables import headline, remarks, tables_of
    from flows.console import safe, stdout

    console = stdout()
    console.print(safe(headline(analysis)))
    for made in tables_of(analysis):
        table = Table(
            title=made.title,
            caption=made.note or None,
            title_justify="left",
            caption_justify="left",
            header_style="bold",
            box=SIMPLE_HEAD,
            pad_edge=False,
        )
        for column in made.columns:
            table.add_column(safe(column), overflow="fold")
        for row in made.rows:
            table.add_row(*(safe(cell) for cell in row))
        console.print(table)
    for remark in remarks(analysis):
        console.print(safe(remark))
