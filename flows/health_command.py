"""``anc health``: exit code 0 all well, 1 degraded, 2 critical."""

from __future__ import annotations

import sys

import click

from flows.options import database_option, load_settings, use_database

_STYLES = {"ok": "green", "degraded": "yellow", "critical": "bold red"}


@click.command()
@click.option("--reconcile", is_flag=True, help="Mark sessions of dead workers failed.")
@database_option
@click.option("--flow", "as_flow", is_flag=True, help="Run as a Prefect flow.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
def health(reconcile: bool, database_url: str | None, as_flow: bool, as_json: bool) -> None:
    """Ask whether all is well; takes less than ten seconds, whatever hangs.

    Exit code 0: ok. 1: degraded, somebody should look. 2: critical, recordings cannot be processed,
    or not safely.
    """
    from flows.standing_server import use_standing_server

    settings = load_settings(database_url)
    use_standing_server(settings)
    if as_flow:
        from flows.health import health_check

        use_database(settings)
        report = health_check(reconcile=reconcile)
    else:
        from flows.prefect_health import installation_health

        report = installation_health(settings, reconcile=reconcile)
    if as_json:
        from flows.console import print_json

        print_json(report)
    else:
        from flows.maintenance_console import print_rows
        from flows.maintenance_tables import describe_health, health_rows

        print_rows(health_rows(report), style_of=lambda row: _STYLES[row["status"]])
        click.echo(describe_health(report))
    sys.exit(report.status.exit_code)
