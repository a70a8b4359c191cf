"""``anc batch``: many recordings, without a server; ``--flow`` runs them through Prefect."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.options import (
    EXIT_FAILED,
    EXIT_USAGE,
    PlaceType,
    cancellation_options,
    cancellation_parameters,
    load_settings,
    mode_option,
    session_options,
    suppression_options,
    suppression_overrides,
    tell_of_alerts,
    use_database,
)
from flows.parameters import check_names

if TYPE_CHECKING:
    from anc_core.jobs.plan import BatchRequest
    from anc_core.jobs.records import BatchSummary
    from anc_core.settings import Settings


_TOO_MUCH = "Flow run parameters must be less than"
"""Prefect's words for a request that is above ``PREFECT_SERVER_API_MAX_PARAMETER_SIZE``."""


@click.command()
@click.argument("inputs", nargs=-1, type=click.Path(path_type=str))
@click.option(
    "-o",
    "--output-dir",
    "--output",
    type=PlaceType(),
    default=Path("cleaned"),
    show_default=True,
    help="Folder that mirrors the inputs' tree, or its URL.",
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
@click.option(
    "--pair",
    metavar="PRIMARY=REFERENCE",
    help="Which file is whose reference: '*_primary.*=*_reference.*'.",
)
@mode_option
@suppression_options
@cancellation_options
@session_options
def batch(
    *,
    inputs: tuple[str, ...],
    no_output: bool,
    workers: int | None,
    max_failures: int | None,
    dry_run: bool,
    require_input: bool,
    analyse_only: bool,
    database_url: str | None,
    as_flow: bool,
    as_json: bool,
    quiet: bool,
    **words: Any,  # noqa: ANN401 - one word for every field of BatchRequest
) -> None:
    """Remove the noise from files, folders, globs and manifests, or URLs of such."""
    if not inputs:
        msg = "name at least one file, folder, pattern or manifest"
        raise click.UsageError(msg)
    from anc_core.jobs.plan import BatchRequest

    settings = load_settings(database_url, workers=workers)
    suppression, cancellation = suppression_overrides(words), cancellation_parameters(words)
    if no_output:
        words["output_dir"] = None
    request = BatchRequest(
        inputs=inputs,
        apply_anc=not analyse_only,
        suppression=suppression,
        cancellation=cancellation,
        **words,
    )
    if as_flow:
        summary = _as_flow(request, settings, max_failures, dry_run=dry_run)
    else:
        summary = _directly(request, settings, dry_run=dry_run, quiet=quiet or as_json)
    from flows.console import print_batch, print_json

    (print_json if as_json else print_batch)(summary)
    if not dry_run:
        tell_of_alerts(settings)
    if summary.nothing_to_do:
        sys.exit(EXIT_USAGE if require_input else 0)
    sys.exit(EXIT_FAILED if summary.failed > (max_failures or 0) else 0)


def _directly(
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


def _as_flow(
    request: BatchRequest, settings: Settings, max_failures: int | None, *, dry_run: bool
) -> BatchSummary:
    from anc_core.remote.address import place

    for word in request.inputs:
        place(word)  # before Prefect is told of it: what may not be a parameter is refused
    output_dir = None if request.output_dir is None else str(request.output_dir)
    check_names(*request.inputs, output_dir)
    from prefect.exceptions import PrefectHTTPStatusError

    from anc_core.errors import InputError
    from flows.audio_processing import BatchFailedError, batch_process_files

    use_database(settings)
    parameters: dict[str, Any] = {
        "file_paths": list(request.inputs),
        "apply_anc": request.apply_anc,
        "output_dir": output_dir,
        "recursive": request.recursive,
        "preset": request.preset,
        "max_failures": max_failures,
        "dry_run": dry_run,
        "mode": request.mode,
        "overwrite": request.overwrite,
        "duplicates": request.duplicates,
        "include": list(request.include),
        "exclude": list(request.exclude),
        "suppression": request.suppression,
        "cancellation": request.cancellation,
        "pair": request.pair,
        "device_id": request.device_id,
        "gain_setting": request.gain_setting,
        "user_id": request.user_id,
        "site": request.site,
    }
    try:
        summary: BatchSummary = batch_process_files(**parameters)
    except BatchFailedError as err:
        return err.summary
    except PrefectHTTPStatusError as err:
        if _TOO_MUCH not in err.response.text:
            raise
        msg = (
            f"{len(request.inputs)} names are more than this Prefect server takes at once; "
            "name their folder, a pattern in quotes, or a manifest"
        )
        raise InputError(msg) from err
    return summary
