"""Export sessions to a file as a Prefect flow."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from anc_core.exchange.export import export_sessions
from anc_core.exchange.records import ExportRequest, ExportResult
from anc_core.exchange.requests import export_request
from anc_core.settings import Settings
from flows.common import logged, logger, retry_options
from flows.forms import form

_ACTOR = "export_session_data"


def _export_name() -> str:
    return f"export sessions as {flow_run.get_parameters().get('format', '?')}"


@flow(name="export-session-data", flow_run_name=_export_name, validate_parameters=True)
@form()
def export_session_data(
    session_id: str | list[str] | None = None,
    output_path: Path | None = None,
    format: str = "json",  # noqa: A002 - the word that users say
    start: str | date | datetime | None = None,
    end: str | date | datetime | None = None,
    by: str = "finished",
    device_id: str | None = None,
    user_id: str | None = None,
    site: str | None = None,
    preset: str | None = None,
    status: str | list[str] | None = None,
    batch_id: str | None = None,
    include: list[str] | None = None,
    csv_safe: bool = True,
    bom: bool = False,
    redact: bool = False,
    overwrite: bool = False,
) -> ExportResult:
    """Export sessions, with windows, events and metrics, to one file that can be imported again.

    Args:
        session_id: One or several; an unknown one is an error. Empty: all that match the rest.
        output_path: File, or a folder for anc-export-<time>; by default the working directory.
        format: json, jsonl, csv (a zip of tables) or parquet (a zip of tables).
        start: Of the period [start, end): a day (UTC) or an ISO 8601 time with its zone.
        end: End of the period.
        by: Period of what finished, or of what was recorded.
        device_id: Recorder that they come from.
        user_id: Person they belong to.
        site: Place they were recorded at.
        preset: Preset that was asked for.
        status: One or several of ok, degraded, skipped, failed.
        batch_id: Batch that they belong to.
        include: Tables besides sessions and batches; empty: all.
        csv_safe: Text that a spreadsheet would take for a formula begins with an apostrophe.
        bom: Begin CSV with a byte order mark, for Excel.
        redact: Pseudonyms instead of users, devices, sites and paths; no sentences.
        overwrite: Replace an existing file.

    Returns
    -------
    Path, row counts, digest of the content, time, and warnings (nothing matched, some still run).
    """
    request = export_request(
        session_id=session_id,
        format=format,
        output_path=output_path,
        start=start,
        end=end,
        by=by,
        status=status,
        batch_id=batch_id,
        device_id=device_id,
        user_id=user_id,
        site=site,
        preset=preset,
        include=include,
        csv_safe=csv_safe,
        bom=bom,
        redact=redact,
        overwrite=overwrite,
    )
    return write_export.with_options(**retry_options(Settings.load()))(request)


@task(
    name="write-export",
    task_run_name="write the export",
    cache_policy=NO_CACHE,
    persist_result=False,
)
@logged
def write_export(request: ExportRequest) -> ExportResult:
    """Write the file and show what is in it."""
    result = export_sessions(Settings.load(), request, actor=_ACTOR)
    for warning in result.warnings:
        logger().warning("%s", warning)
    create_table_artifact(
        [{"table": name, "rows": rows} for name, rows in result.row_counts.items()],
        key="session-export",
        description=f"{Path(result.output_path).name}: content digest {result.digest}",
    )
    return result
