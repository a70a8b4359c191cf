"""The command line ``anc``: the core directly, without a server; ``--flow`` runs through Prefect.

Only click is imported here: ``anc --help`` answers at once, each command loads what it needs.
Exit codes: 0 all well, 1 some recordings failed, 2 wrong usage or nothing done, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import click

from flows.alert_command import alert
from flows.analyze_command import analyze
from flows.api_log_command import import_api_log
from flows.batch_command import batch
from flows.calibrate_command import calibrate
from flows.cleanup_command import cleanup, hold
from flows.compare_command import compare
from flows.doctor_command import doctor
from flows.erase_command import backup, erase_user, restore
from flows.export_command import db_import, export
from flows.health_command import health
from flows.metrics_command import metrics
from flows.model_command import model, validate
from flows.options import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    database_option,
    load_settings,
    open_store,
)
from flows.process_command import cancel, process
from flows.report_command import acknowledge, report
from flows.runs_command import runs
from flows.seed_command import db_seed
from flows.serve_command import serve
from flows.simulate_command import simulate
from flows.train_command import train
from flows.train_emergency_command import train_emergency
from flows.training_command import train_suppressor
from flows.vacuum_command import vacuum


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="anc-platform", prog_name="anc")
def cli() -> None:
    """Remove noise from recorded audio, leave every emergency sound untouched."""


def main() -> None:
    """Run the command line; errors are one line on standard error."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as err:
        sys.exit(err.exit_code)
    except click.ClickException as err:
        err.show()
        sys.exit(EXIT_USAGE)
    except (click.Abort, KeyboardInterrupt):
        click.echo("anc: interrupted; run the same command again to go on", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except Exception as err:
        from anc_core.errors import AncError, TransientError
        from flows.console import safe

        if not isinstance(err, AncError):
            raise
        code = getattr(err, "code", None)
        click.echo(f"anc: {f'{code}: ' if code else ''}{safe(str(err)).plain}", err=True)
        sys.exit(EXIT_FAILED if isinstance(err, TransientError) else EXIT_USAGE)


def program() -> None:
    """Run the command line as a process of its own; the console script calls this.

    A question of ``anc health`` that hangs in native code (kernels are compiled, say) would abort
    the interpreter while it ends, and with it the exit code: it is left without an ending.
    """
    try:
        main()
    except SystemExit as err:
        if any(thread.name.startswith("health: ") for thread in threading.enumerate()):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(err.code if isinstance(err.code, int) else EXIT_FAILED)
        raise


@cli.command()
@click.argument("name")
@click.option("-p", "--param", "params", multiple=True, metavar="KEY=VALUE", help="JSON or text.")
@click.option("--wait", "wait_s", type=float, default=0.0, help="Seconds to wait for its end.")
def run(name: str, params: tuple[str, ...], wait_s: float) -> None:
    """Trigger the deployment NAME, as ``process`` or ``flow/deployment``, on the Prefect server."""
    from anc_core.errors import InputError
    from flows.prefect_defaults import apply_prefect_defaults
    from flows.standing_server import use_standing_server

    use_standing_server(load_settings(None))
    apply_prefect_defaults()
    from prefect.deployments import run_deployment
    from prefect.exceptions import ObjectNotFound

    parameters = dict(_parameter(param) for param in params)
    try:
        flow_run: Any = run_deployment(_full_name(name), parameters=parameters, timeout=wait_s)
    except (ObjectNotFound, ValueError) as err:
        msg = f"deployment {name!r} was not started: {err}"
        raise InputError(msg) from err
    click.echo(f"{flow_run.name} {flow_run.id} {flow_run.state_name or 'Scheduled'}")
    state = flow_run.state
    if state is not None and state.is_final() and not state.is_completed():
        sys.exit(EXIT_FAILED)


@cli.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Where recordings, outputs and database go.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
def demo(folder: Path, as_json: bool) -> None:
    """Synthesise noisy recordings, clean them as a Prefect flow, show what happened."""
    from flows.demo import run_demo

    run_demo(folder, as_json=as_json)


@cli.group()
def db() -> None:
    """Look after the database."""


@db.command("upgrade")
@database_option
def db_upgrade(database_url: str | None) -> None:
    """Create the database, or bring it to the schema of this version."""
    _, database = open_store(database_url)
    click.echo(f"{database.display_url} is at the schema of this version")


@db.command("check")
@database_option
def db_check(database_url: str | None) -> None:
    """Check the database's integrity and that every output it points at is there."""
    from anc_core.jobs.audit import missing_outputs
    from anc_core.store import check_integrity

    _, database = open_store(database_url)
    problems = [*check_integrity(database), *missing_outputs(database)]
    for problem in problems:
        click.echo(problem)
    if problems:
        sys.exit(EXIT_FAILED)
    click.echo(f"{database.display_url}: ok")


db.add_command(db_import)
db.add_command(db_seed)

_COMMANDS = (
    process,
    batch,
    cancel,
    cleanup,
    hold,
    health,
    vacuum,
    erase_user,
    compare,
    export,
    import_api_log,
    simulate,
    train,
    train_suppressor,
    train_emergency,
    validate,
    metrics,
    model,
    alert,
    calibrate,
    serve,
    runs,
    doctor,
    analyze,
    report,
    acknowledge,
)

for command in _COMMANDS:
    cli.add_command(command)
for command in (backup, restore):
    db.add_command(command)


def _full_name(name: str) -> str:
    """Return ``flow/deployment``, where only the deployment is named."""
    if "/" in name:
        return name
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName

    with get_client(sync_client=True) as client:
        named = DeploymentFilter(name=DeploymentFilterName(any_=[name]))
        found = client.read_deployments(deployment_filter=named)
        flows = [client.read_flow(deployment.flow_id).name for deployment in found]
    if len(flows) != 1:
        msg = "there is none of that name" if not flows else "write FLOW/DEPLOYMENT"
        raise ValueError(msg)
    return f"{flows[0]}/{name}"


def _parameter(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator:
        msg = f"-p {text!r} is not KEY=VALUE"
        raise click.UsageError(msg)
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


if __name__ == "__main__":
    program()
