"""``anc vacuum``: give the space of removed rows back to the disk."""

from __future__ import annotations

import click

from flows.options import database_option, open_store, use_database


@click.command()
@click.option("--wait", is_flag=True, help="Wait for running sessions to end, up to 6 h.")
@database_option
@click.option("--flow", "as_flow", is_flag=True, help="Run as a Prefect flow.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
def vacuum(wait: bool, database_url: str | None, as_flow: bool, as_json: bool) -> None:
    """Compact the database, unless less than a fifth of it is unused."""
    settings, database = open_store(database_url)
    if as_flow:
        from flows.maintenance import vacuum_database

        use_database(settings)
        result = vacuum_database(wait=wait)
    else:
        from anc_core.maintenance.jobs import current_actor
        from anc_core.maintenance.vacuum import vacuum_store
        from flows.prefect_database import prefect_database

        result = vacuum_store(database, settings, actor=current_actor("anc vacuum"), wait=wait)
        result = result.model_copy(update=prefect_database())
    if as_json:
        from flows.console import print_json

        print_json(result)
        return
    from flows.maintenance_console import print_rows
    from flows.maintenance_tables import describe_vacuum, vacuum_rows

    print_rows(vacuum_rows(result))
    click.echo(describe_vacuum(result))
