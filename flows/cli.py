"""The command line ``anc``: the core directly, without a server; ``--flow`` runs through Prefect.

Only click is imported here: ``anc --help`` answers at once, each command loads what it needs.
Exit codes: 0 all well, 1 some recordings failed, 2 wrong usage or nothing done, 130 interrupted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from flows.compare_command import compare
from flows.simulate_command import simulate
from flows.training_command import train_suppressor

if TYPE_CHECKING:
    from anc_core.jobs.plan import BatchRequest
    from anc_core.jobs.records import BatchSummary
    from anc_core.settings import Settings
    from anc_core.store import Database

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130

F = TypeVar("F", bound=Callable[..., Any])


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


def _options(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    def apply(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


_shared_options = _options(
    click.option("-p", "--preset", default="default", show_default=True, help="Named numbers."),
    click.option(
        "--mode",
        type=click.Choice(["auto", "suppress", "cancel"]),
        default="auto",
        show_default=True,
    ),
    click.option("--analyse-only", is_flag=True, help="Measure; an output is the input itself."),
    click.option(
        "--overwrite",
        type=click.Choice(["skip", "fail", "replace"]),
        default="skip",
        show_default=True,
        help="What to do where the same was done before.",
    ),
    click.option("--device-id", help="Recorder that it comes from."),
    click.option("--user-id", help="Person it belongs to."),
    click.option("--site", help="Place it was recorded at."),
    click.option("--database-url", help="SQLAlchemy URL; default: ANC_DATABASE_URL."),
    click.option("--flow", "as_flow", is_flag=True, help="Run as a Prefect flow."),
    click.option("--json", "as_json", is_flag=True, help="Print the record as JSON."),
    click.option("-q", "--quiet", is_flag=True, help="No progress bar."),
)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("cleaned"),
    show_default=True,
    help="Folder, or a file name with its suffix.",
)
@click.option("--no-output", is_flag=True, help="Measure and record only.")
@click.option("--reference", type=click.Path(path_type=Path), help="The noise alone, for cancel.")
@click.option("--chunk-size", type=int, help="Samples a chunk, 0.5 to 5 s.")
@click.option("--session-id", help="Name of the session.")
@_shared_options
def process(
    file: Path,
    output: Path,
    no_output: bool,
    reference: Path | None,
    chunk_size: int | None,
    session_id: str | None,
    preset: str,
    mode: str,
    analyse_only: bool,
    overwrite: str,
    device_id: str | None,
    user_id: str | None,
    site: str | None,
    database_url: str | None,
    as_flow: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Remove the noise from one recording."""
    settings, database = _open(database_url)
    sink = None if no_output else _sink(file, output, is_copy=analyse_only)
    parameters: dict[str, Any] = {
        "preset": preset,
        "mode": mode,
        "chunk_size": chunk_size,
        "overwrite": overwrite,
        "session_id": session_id,
        "device_id": device_id,
        "user_id": user_id,
        "site": site,
        "apply_anc": not analyse_only,
    }
    if as_flow:
        from flows.parameters import check_names

        check_names(file, *([sink] if sink else []), *([reference] if reference else []))
        from flows.audio_processing import process_audio_file

        _use_database(settings)
        summary = process_audio_file(
            file_path=file, output_path=sink, reference_path=reference, **parameters
        )
    else:
        from anc_core.jobs.direct import run_one
        from anc_core.jobs.records import RecordingJob
        from anc_core.records import Mode, Overwrite
        from flows.console import recording_bar

        parameters |= {"mode": Mode(mode), "overwrite": Overwrite(overwrite)}
        job = RecordingJob(source=file, sink=sink, reference=reference, **parameters)
        with recording_bar(*_length(file), quiet=quiet or as_json) as show:
            summary = run_one(job, database=database, settings=settings, on_progress=show)
    from flows.console import print_json, print_session

    (print_json if as_json else print_session)(summary)
    sys.exit(EXIT_FAILED if summary.status == "failed" else 0)


@cli.command()
@click.argument("inputs", nargs=-1, type=click.Path(path_type=str))
@click.option(
    "-o",
    "--output-dir",
    type=click.Path(path_type=Path),
    default=Path("cleaned"),
    show_default=True,
    help="Folder that mirrors the inputs' tree.",
)
@click.option("--no-output", is_flag=True, help="Measure and record only.")
@click.option("--recursive/--flat", default=True, show_default=True)
@click.option("--include", multiple=True, help="Pattern of names to take from folders.")
@click.option("--exclude", multiple=True, help="Pattern of names to leave out.")
@click.option(
    "--duplicates",
    type=click.Choice(["link", "skip", "process"]),
    default="link",
    show_default=True,
    help="The same content under several names.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes; default: all cores.")
@click.option("--max-failures", type=click.IntRange(0), help="More failures end with exit code 1.")
@click.option("--dry-run", is_flag=True, help="Show the plan, write nothing.")
@click.option("--require-input", is_flag=True, help="Exit with 2 if nothing was found.")
@_shared_options
def batch(
    inputs: tuple[str, ...],
    output_dir: Path,
    no_output: bool,
    recursive: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    duplicates: str,
    workers: int | None,
    max_failures: int | None,
    dry_run: bool,
    require_input: bool,
    preset: str,
    mode: str,
    analyse_only: bool,
    overwrite: str,
    device_id: str | None,
    user_id: str | None,
    site: str | None,
    database_url: str | None,
    as_flow: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Remove the noise from files, folders, globs and manifests."""
    if not inputs:
        msg = "name at least one file, folder, pattern or manifest"
        raise click.UsageError(msg)
    from anc_core.jobs.plan import BatchRequest

    settings = _settings(database_url, workers=workers)
    request = BatchRequest(
        inputs=inputs,
        output_dir=None if no_output else output_dir,
        apply_anc=not analyse_only,
        mode=mode,
        preset=preset,
        recursive=recursive,
        include=include,
        exclude=exclude,
        overwrite=overwrite,
        duplicates=duplicates,
        device_id=device_id,
        user_id=user_id,
        site=site,
    )
    if as_flow:
        summary = _batch_as_flow(request, settings, max_failures, dry_run=dry_run)
    else:
        summary = _batch_directly(request, settings, dry_run=dry_run, quiet=quiet or as_json)
    from flows.console import print_batch, print_json

    (print_json if as_json else print_batch)(summary)
    if summary.nothing_to_do:
        sys.exit(EXIT_USAGE if require_input else 0)
    sys.exit(EXIT_FAILED if summary.failed > (max_failures or 0) else 0)


def _batch_directly(
    request: BatchRequest, settings: Settings, *, dry_run: bool, quiet: bool
) -> BatchSummary:
    from anc_core.jobs.batch import summarise
    from anc_core.jobs.direct import run_batch
    from anc_core.jobs.plan import plan_batch
    from anc_core.store import open_database, open_existing
    from flows.console import batch_bar, describe_plan, safe

    if dry_run:
        existing = open_existing(settings.resolved_database_url)
        plan = plan_batch(request, database=existing, settings=settings)
        for source, sink in describe_plan(plan):
            click.echo(safe(f"{source} -> {sink}").plain, err=True)
        return summarise(plan, (), dry_run=True)
    database = open_database(settings.resolved_database_url)
    with batch_bar(quiet=quiet) as show:
        return run_batch(request, database=database, settings=settings, on_progress=show)


def _batch_as_flow(
    request: BatchRequest, settings: Settings, max_failures: int | None, *, dry_run: bool
) -> BatchSummary:
    from flows.parameters import check_names

    check_names(*request.inputs, *([request.output_dir] if request.output_dir else []))
    from flows.audio_processing import BatchFailedError, batch_process_files

    _use_database(settings)
    parameters: dict[str, Any] = {
        "file_paths": list(request.inputs),
        "apply_anc": request.apply_anc,
        "output_dir": request.output_dir,
        "recursive": request.recursive,
        "preset": request.preset,
        "max_failures": max_failures,
        "dry_run": dry_run,
        "mode": request.mode,
        "overwrite": request.overwrite,
        "duplicates": request.duplicates,
        "include": list(request.include),
        "exclude": list(request.exclude),
        "device_id": request.device_id,
        "user_id": request.user_id,
        "site": request.site,
    }
    try:
        summary: BatchSummary = batch_process_files(**parameters)
    except BatchFailedError as err:
        return err.summary
    return summary


@cli.command()
@click.argument("name")
@click.option("-p", "--param", "params", multiple=True, metavar="KEY=VALUE", help="JSON or text.")
@click.option("--wait", "wait_s", type=float, default=0.0, help="Seconds to wait for its end.")
def run(name: str, params: tuple[str, ...], wait_s: float) -> None:
    """Trigger the deployment NAME (flow/deployment) on the Prefect server."""
    from anc_core.errors import InputError
    from flows.prefect_defaults import apply_prefect_defaults

    apply_prefect_defaults()
    from prefect.deployments import run_deployment
    from prefect.exceptions import ObjectNotFound

    parameters = dict(_parameter(param) for param in params)
    try:
        flow_run: Any = run_deployment(name, parameters=parameters, timeout=wait_s)
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
@click.option("--database-url", help="SQLAlchemy URL; default: ANC_DATABASE_URL.")
def db_upgrade(database_url: str | None) -> None:
    """Create the database, or bring it to the schema of this version."""
    _, database = _open(database_url)
    click.echo(f"{database.display_url} is at the schema of this version")


@db.command("check")
@click.option("--database-url", help="SQLAlchemy URL; default: ANC_DATABASE_URL.")
def db_check(database_url: str | None) -> None:
    """Check the database's integrity and that every output it points at is there."""
    from anc_core.jobs.audit import missing_outputs
    from anc_core.store import check_integrity

    _, database = _open(database_url)
    problems = [*check_integrity(database), *missing_outputs(database)]
    for problem in problems:
        click.echo(problem)
    if problems:
        sys.exit(EXIT_FAILED)
    click.echo(f"{database.display_url}: ok")


cli.add_command(compare)
cli.add_command(simulate)
cli.add_command(train_suppressor)


def _settings(database_url: str | None, **overrides: Any) -> Settings:  # noqa: ANN401
    from anc_core.settings import Settings

    return Settings.load(database_url=database_url, **overrides)


def _open(database_url: str | None) -> tuple[Settings, Database]:
    from anc_core.store import open_database

    settings = _settings(database_url)
    return settings, open_database(settings.resolved_database_url)


def _use_database(settings: Settings) -> None:
    """Let the flow, which reads the environment itself, find what the options named."""
    import os

    os.environ["ANC_DATABASE_URL"] = settings.resolved_database_url
    os.environ["ANC_WORKERS"] = str(settings.workers)


def _sink(file: Path, output: Path, *, is_copy: bool) -> Path:
    from anc_core.jobs.plan import output_place
    from anc_core.jobs.scan import RECORDING_SUFFIXES

    if output.suffix.lower() in RECORDING_SUFFIXES and not output.is_dir():
        return output
    return output_place(file, output, is_copy=is_copy)


def _length(file: Path) -> tuple[int | None, int]:
    """Return samples and rate by the header; what is wrong with it is said when it is processed."""
    from anc_core.audio import open_reader
    from anc_core.errors import AncError

    try:
        with open_reader(file) as reader:
            return reader.declared_num_samples, reader.sample_rate
    except AncError:
        return None, 1


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
    main()
