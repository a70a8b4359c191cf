"""``anc erase-user``, ``anc db backup`` and ``anc db restore``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from flows.options import (
    EXIT_FAILED,
    EXIT_USAGE,
    database_option,
    load_settings,
    open_store,
    use_database,
)

_json_option = click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")


@click.command("erase-user")
@click.argument("user_id")
@click.option("--yes", is_flag=True, help="Erase; without this it is only counted.")
@database_option
@_json_option
def erase_user(user_id: str, yes: bool, database_url: str | None, as_json: bool) -> None:
    """Erase all that is known of USER_ID; it is counted first.

    Sessions, outputs, copies, exports and reports that name the person go; the recordings
    themselves are yours to remove. The ledger of erasures sees that no restore brings it back.
    """
    from anc_core.maintenance.erase import erase_person
    from anc_core.maintenance.jobs import current_actor
    from flows.console import print_json
    from flows.maintenance_console import print_rows
    from flows.maintenance_tables import describe_erasure, erase_rows

    settings, database = open_store(database_url)
    result = erase_person(
        user_id,
        database=database,
        settings=settings,
        actor=current_actor("anc erase-user"),
        dry_run=not yes,
    )
    if as_json:
        print_json(result)
    else:
        print_rows(erase_rows(result))
        click.echo(describe_erasure(result))
    if not yes:
        click.echo("nothing was erased; add --yes to do it", err=True)
        sys.exit(EXIT_USAGE)
    if not result.complete:
        sys.exit(EXIT_FAILED)


@click.command()
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder, better on another disk; default: backups in ANC_HOME.",
)
@database_option
@click.option("--flow", "as_flow", is_flag=True, help="Run as a Prefect flow.")
@_json_option
def backup(folder: Path | None, database_url: str | None, as_flow: bool, as_json: bool) -> None:
    """Copy the database while it is in use; no more than 14 backups stay."""
    settings, database = open_store(database_url)
    if as_flow:
        from flows.parameters import check_names
        from flows.safekeeping import backup_database

        check_names(folder or "")
        use_database(settings)
        result = backup_database(folder=folder)
    else:
        from anc_core.maintenance.backup import back_up
        from anc_core.maintenance.jobs import current_actor

        actor = current_actor("anc db backup")
        result = back_up(database, settings, actor=actor, folder=folder)
    if as_json:
        from flows.console import print_json

        print_json(result)
        return
    from flows.console import safe, stdout
    from flows.maintenance_tables import describe_backup

    stdout().print(safe(describe_backup(result)))


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--yes", is_flag=True, help="Replace the database that is there.")
@database_option
@_json_option
def restore(file: Path, yes: bool, database_url: str | None, as_json: bool) -> None:
    """Put the backup FILE in the place of the database.

    What the ledger says was erased is erased again. The database that was there is kept as a backup
    of its own.
    """
    if not yes:
        msg = f"this replaces the database with {file}; add --yes to do it"
        raise click.UsageError(msg)
    from anc_core.maintenance.backup import restore as put_back
    from anc_core.maintenance.jobs import current_actor

    result = put_back(file, load_settings(database_url), actor=current_actor("anc db restore"))
    if as_json:
        from flows.console import print_json

        print_json(result)
        return
    click.echo(f"{result.sessions} sessions are in the database now")
    if result.erased_again:
        click.echo(f"{result.erased_again} erased people had come back and were erased again")
    if result.previous:
        click.echo(f"the database that was there: {result.previous}")
