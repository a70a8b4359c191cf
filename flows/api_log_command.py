"""``anc import-api-log``: requests of the service from its access logs."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.options import EXIT_FAILED, database_option, load_settings, use_database

if TYPE_CHECKING:
    from anc_core.jobs.access_logs import ApiLogImport


@click.command("import-api-log")
@click.argument("logs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--keep-client", is_flag=True, help="Store clients' addresses: personal data.")
@database_option
@click.option("--flow", "as_flow", is_flag=True, help="Run as a Prefect flow.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def import_api_log(
    logs: tuple[Path, ...],
    keep_client: bool,
    database_url: str | None,
    as_flow: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Read what is new in access LOGS, plain or gz: each line once, however often."""
    from flows.console import counting_bar, print_json

    settings = load_settings(database_url)
    if as_flow:
        from flows.api_log_import import import_api_requests
        from flows.parameters import check_names

        check_names(*logs)
        use_database(settings)
        result: ApiLogImport = import_api_requests(list(logs), keep_client)
    else:
        from anc_core.jobs.access_logs import import_access_logs

        with counting_bar("reading", quiet=quiet or as_json) as show:
            result = import_access_logs(
                settings, logs, keep_client=keep_client, progress=partial(_lines, show)
            )
    if as_json:
        print_json(result)
    else:
        _print(result)
    if result.failed:
        sys.exit(EXIT_FAILED)


def _lines(show: Any, done: int) -> None:  # noqa: ANN401 - of counting_bar
    show(done, None)


def _print(result: ApiLogImport) -> None:
    from flows.console import safe, stdout

    out = stdout()
    for one in result.files:
        out.print(
            safe(
                f"{one.path}: {one.lines} new lines, {one.requests} requests, "
                f"{one.bad_lines} bad lines" + (f"; {one.error}" if one.error else "")
            )
        )
        for bad in one.examples:
            out.print(safe(f"  line {bad.line}: {bad.reason}: {bad.text}"))
