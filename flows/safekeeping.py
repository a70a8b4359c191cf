"""Backups and erasure as Prefect flows."""

from __future__ import annotations

from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from anc_core.maintenance.backup import BackupResult, back_up
from anc_core.maintenance.erase import EraseResult, erase_person
from anc_core.settings import Settings
from flows.common import logged, logger, retry_options
from flows.forms import form
from flows.maintenance import flow_actor, opened
from flows.maintenance_tables import backup_rows, describe_backup, describe_erasure, erase_rows


@flow(name="backup-database", flow_run_name="back up the database", validate_parameters=True)
@form()
def backup_database(folder: Path | None = None) -> BackupResult:
    """Copy the database while it is in use; the oldest beyond 14 backups go.

    Args:
        folder: Where to, better on another disk; by default backups in ANC_HOME.

    Returns
    -------
    Path, size, digest, and which older backups went.
    """
    options = retry_options(Settings.load())
    result = copy_database.with_options(**options)(folder, flow_actor())
    words = describe_backup(result)
    logger().info("%s", words)
    create_table_artifact(backup_rows(result), key="backup", description=words)
    return result


# No name of the person in the run's name: Prefect keeps that longer than we keep the person.
@flow(name="erase-user", flow_run_name="erase a person", validate_parameters=True)
@form(titles={"dry_run": "Count only"})
def erase_user(user_id: str, dry_run: bool = True) -> EraseResult:
    """Erase all that is known of a person, and see that no backup brings it back.

    Prefect keeps this flow's parameters: remove the run afterwards, or use the command
    anc erase-user, which leaves no trace of the name.

    Args:
        user_id: The person, as sessions bear it.
        dry_run: Count only; pass false to erase.

    Returns
    -------
    Rows by table, files, exports, reports, and what had to stay.
    """
    options = retry_options(Settings.load())
    result = erase_everything.with_options(**options)(_Person(user_id), dry_run, flow_actor())
    words = describe_erasure(result)
    logger().info("%s", words)
    create_table_artifact(erase_rows(result), key="erasure", description=words)
    return result


@task(name="copy-database", task_run_name="backup", cache_policy=NO_CACHE, persist_result=False)
@logged
def copy_database(folder: Path | None, actor: str) -> BackupResult:
    """Copy, check the copy, note it."""
    settings = Settings.load()
    with opened(settings) as database:
        return back_up(database, settings, actor=actor, folder=folder)


@task(name="erase-everything", task_run_name="erase", cache_policy=NO_CACHE, persist_result=False)
@logged
def erase_everything(person: _Person, dry_run: bool, actor: str) -> EraseResult:
    """Note the erasure in the ledger, then erase."""
    settings = Settings.load()
    with opened(settings) as database:
        return erase_person(
            person.user_id, database=database, settings=settings, actor=actor, dry_run=dry_run
        )


class _Person:
    """A user id that logs show as such: a log that names whom it erased has erased nobody."""

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id

    def __repr__(self) -> str:
        return "a person"
