"""``anc export`` and ``anc db import``: sessions to a file, and from a file."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.options import database_option, load_settings, use_database

if TYPE_CHECKING:
    from anc_core.exchange.records import ExportRequest, ExportResult, ImportResult
    from anc_core.settings import Settings

_json_option = click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
_quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress bar.")


@click.command()
@click.argument("session_ids", nargs=-1)
@click.option(
    "-f",
    "--format",
    type=click.Choice(["json", "jsonl", "csv", "parquet"]),
    default="json",
    show_default=True,
    help="csv and parquet are a zip with a file for each table.",
)
@click.option(
    "-o",
    "--output",
    "output_path",
    type=click.Path(path_type=Path),
    help="File; default: anc-export-<time> in the working directory.",
)
@click.option("--from", "start", metavar="WHEN", help="A day (UTC), or an ISO 8601 time with zone.")
@click.option("--to", "end", metavar="WHEN", help="End of the period, which is not part of it.")
@click.option(
    "--by",
    type=click.Choice(["finished", "recorded"]),
    default="finished",
    show_default=True,
    help="What the period is of.",
)
@click.option("--status", multiple=True, type=click.Choice(["ok", "degraded", "skipped", "failed"]))
@click.option("--batch-id", help="Batch that they belong to.")
@click.option("--device-id", help="Recorder that they come from.")
@click.option("--user-id", help="Person they belong to.")
@click.option("--site", help="Place they were recorded at.")
@click.option("--preset", help="Preset that was asked for.")
@click.option("--include", multiple=True, metavar="TABLE", help="Only these besides the sessions.")
@click.option(
    "--csv-safe/--csv-raw",
    default=True,
    show_default=True,
    help="Mark text that a spreadsheet would take for a formula; raw is for machines.",
)
@click.option("--bom", is_flag=True, help="Begin CSV with a byte order mark, for Excel.")
@click.option("--redact", is_flag=True, help="Pseudonyms for users, devices, sites and paths.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@database_option
@click.option("--flow", "as_flow", is_flag=True, help="Run as a Prefect flow.")
@_json_option
@_quiet_option
def export(
    session_ids: tuple[str, ...],
    database_url: str | None,
    as_flow: bool,
    as_json: bool,
    quiet: bool,
    **words: Any,  # noqa: ANN401 - the words of export_request
) -> None:
    """Write sessions, with all that belongs to them, to a file that can be imported again."""
    from anc_core.exchange.requests import export_request

    words["session_id"] = session_ids or None
    words["status"] = words["status"] or None
    words["include"] = words["include"] or None
    request = export_request(**words)
    settings = load_settings(database_url)
    if as_flow:
        result = _as_flow(settings, request, words)
    else:
        result = _directly(settings, request, quiet=quiet or as_json)
    if as_json:
        from flows.console import print_json

        print_json(result)
    else:
        _print_export(result)


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--replace", is_flag=True, help="Sessions of the file in place of different ones here."
)
@database_option
@_json_option
@_quiet_option
def db_import(
    file: Path, replace: bool, database_url: str | None, as_json: bool, quiet: bool
) -> None:
    """Bring the sessions of an export back: all of them, or nothing."""
    from anc_core.exchange.load import import_sessions
    from flows.console import counting_bar, print_json

    settings = load_settings(database_url)
    with counting_bar("importing", quiet=quiet or as_json) as show:
        result = import_sessions(
            settings, file, replace=replace, actor="anc db import", progress=partial(_rows, show)
        )
    if as_json:
        print_json(result)
    else:
        _print_import(result)


def _directly(settings: Settings, request: ExportRequest, *, quiet: bool) -> ExportResult:
    from anc_core.exchange.export import export_sessions
    from flows.console import counting_bar

    with counting_bar("exporting", quiet=quiet) as show:
        return export_sessions(settings, request, actor="anc export", progress=partial(_rows, show))


def _as_flow(settings: Settings, request: ExportRequest, words: dict[str, Any]) -> ExportResult:
    from flows.data_export import export_session_data
    from flows.parameters import check_names

    check_names(request.output_path)
    use_database(settings)
    lists = {name: list(words[name]) for name in ("session_id", "status", "include") if words[name]}
    result: ExportResult = export_session_data(
        **{**words, **lists, "output_path": request.output_path}
    )
    return result


def _rows(show: Any, done: int) -> None:  # noqa: ANN401 - of counting_bar
    show(done, None)


def _print_export(result: ExportResult) -> None:
    from flows.console import safe, stdout

    out = stdout()
    for name, rows in result.rows.items():
        out.print(safe(f"{rows:>12,} {name}"))
    for warning in result.warnings:
        out.print(safe(f"warning: {warning}"))
    out.print(safe(f"content digest {result.digest}"))
    out.print(safe(result.output_path), soft_wrap=True)


def _print_import(result: ImportResult) -> None:
    from flows.console import safe, stdout

    out = stdout()
    for warning in result.warnings:
        out.print(safe(f"warning: {warning}"))
    out.print(
        safe(
            f"{result.sessions} sessions: {result.added} added, {result.replaced} replaced, "
            f"{result.skipped} were here already"
        )
    )
