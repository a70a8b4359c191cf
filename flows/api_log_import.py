"""Import access logs as a Prefect flow: requests of the service, for the report's latencies."""

from __future__ import annotations

from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from anc_core.jobs.access_logs import ApiLogImport, import_access_logs
from anc_core.reports.wording import inert
from anc_core.settings import Settings
from flows.artifacts import MAX_TABLE_ROWS
from flows.common import logged, logger, retry_options
from flows.forms import form


@flow(name="import-api-requests", flow_run_name="import access logs", validate_parameters=True)
@form(titles={"paths": "Logs"})
def import_api_requests(paths: Path | list[Path], keep_client: bool = False) -> ApiLogImport:
    """Read what is new in access logs of the service, plain or gz; each line once.

    Args:
        paths: Logs in the common, combined (nginx, Apache) or JSON lines format.
        keep_client: Store addresses of clients, which are personal data.

    Returns
    -------
    Lines, requests and bad lines of each log; a log that could not be read says why.
    """
    logs = [paths] if isinstance(paths, Path) else list(paths)
    return read_logs.with_options(**retry_options(Settings.load()))(logs, keep_client)


@task(
    name="read-access-logs",
    task_run_name="read access logs",
    cache_policy=NO_CACHE,
    persist_result=False,
)
@logged
def read_logs(paths: list[Path], keep_client: bool) -> ApiLogImport:
    """Read and write, and show what became of each log."""
    result = import_access_logs(Settings.load(), paths, keep_client=keep_client)
    for one in result.files:
        if one.error is not None:
            logger().error("%s: %s", one.path, one.error)
    create_table_artifact(
        [
            {
                "log": inert(one.path),
                "lines": one.lines,
                "requests": one.requests,
                "bad lines": one.bad_lines,
                "error": inert(one.error or ""),
            }
            for one in result.files[:MAX_TABLE_ROWS]
        ],
        key="access-logs",
        description=f"{result.requests} requests, {result.bad_lines} bad lines",
    )
    return result
