"""The daily, weekly or monthly report as a Prefect flow.

``generate_daily_report`` reads: ask Prefect what it missed -> make the report -> publish it ->
deliver it. Whatever happens on the way out, the report itself is written first.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Literal, cast

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.states import Completed

from anc_core.jobs.report import make_report, report_period
from anc_core.jobs.report_records import Delivery, ReportFormat, ReportRequest, ReportResult
from anc_core.reports.daily_figures import MissedRun
from anc_core.reports.period import PeriodKind
from anc_core.settings import Settings
from anc_core.store import open_database
from flows.common import logged, logger, retry_options
from flows.forms import form
from flows.report_delivery import deliver

KINDS = {"day": PeriodKind.DAY, "week": PeriodKind.WEEK, "month": PeriodKind.MONTH}
MAX_MISSED_RUNS = 50


def _report_name() -> str:
    parameters = flow_run.get_parameters()
    day = parameters.get("date") or "the last"
    return f"report of {day} {parameters.get('period', 'day')}"


@flow(name="generate-daily-report", flow_run_name=_report_name, validate_parameters=True)
@form()
def generate_daily_report(
    date: dt.date | None = None,
    timezone: str = "UTC",
    formats: list[Literal["html", "json", "md"]] = ["html", "json", "md"],  # noqa: B006 - nobody changes it
    period: Literal["day", "week", "month"] = "day",
    output_dir: Path | None = None,
    send: bool = True,
) -> ReportResult:
    """Make the report of a day: figures, what is out of the ordinary with its cause, a verdict.

    Args:
        date: Any day of the period; empty takes the last period that is over (yesterday).
        timezone: IANA name that days begin and end by.
        formats: html, json, md.
        period: day, week (Monday to Sunday) or month.
        output_dir: By default reports in ANC_HOME.
        send: To the webhook and the mail addresses of the settings, if there are any.

    Returns
    -------
    Verdict, anomalies, figures and the paths of the files. The same day again replaces the files
    and counts the revision up. A report that could not be sent ends as CompletedWithErrors.
    """
    settings = Settings.load()
    options = retry_options(settings)
    request = ReportRequest(
        day=date,
        kind=KINDS[period],
        timezone=timezone,
        output_dir=output_dir,
        formats=tuple(ReportFormat(name) for name in dict.fromkeys(formats)),
    )
    report = make_report_task.with_options(**options)(request)
    publish_report(report)
    if send:
        report = report.model_copy(update={"deliveries": deliver_report(report)})
    return _ended(report)


@task(
    name="make-report",
    task_run_name="make the report",
    cache_policy=NO_CACHE,
    persist_result=False,
)
@logged
def make_report_task(request: ReportRequest) -> ReportResult:
    """Gather, judge and write the report; safe to repeat, it only counts a revision."""
    settings = Settings.load()
    now = dt.datetime.now(dt.UTC)
    missed = missed_runs(report_period(request, now), now)
    database = open_database(settings.resolved_database_url)
    try:
        return make_report(
            request, settings, database, actor="generate-daily-report", now=now, missed=missed
        )
    finally:
        database.dispose()


@task(
    name="publish-report",
    task_run_name="publish the report",
    cache_policy=NO_CACHE,
    persist_result=False,
)
@logged
def publish_report(report: ReportResult) -> None:
    """Show the report in Prefect."""
    text = report.markdown
    if report.html_path is not None:
        text += f"\n[The page]({Path(report.html_path).as_uri()})\n"
    key = f"{report.figures.period.kind}-report"
    create_markdown_artifact(text, key=key, description=report.title)


@task(
    name="deliver-report",
    task_run_name="deliver the report",
    cache_policy=NO_CACHE,
    persist_result=False,
)
@logged
def deliver_report(report: ReportResult) -> tuple[Delivery, ...]:
    """Send the report where the settings say; a failure is a line of the result."""
    deliveries = deliver(report, Settings.load())
    for line in deliveries:
        if not line.delivered:
            logger().error("%s: %s", line.channel, line.detail)
    return deliveries


def missed_runs(
    period: tuple[dt.datetime, dt.datetime], now: dt.datetime
) -> list[MissedRun] | None:
    """Return scheduled runs that Prefect never started or lost; ``None`` if it does not answer."""
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterExpectedStartTime,
        FlowRunFilterState,
        FlowRunFilterStateName,
    )
    from prefect.exceptions import PrefectHTTPStatusError

    start, end = period
    expected = FlowRunFilterExpectedStartTime(after_=start, before_=min(end, now))
    lost = FlowRunFilterState(name=FlowRunFilterStateName(any_=["Late", "Crashed"]))
    try:
        with get_client(sync_client=True) as client:
            runs = client.read_flow_runs(
                flow_run_filter=FlowRunFilter(expected_start_time=expected, state=lost),
                limit=MAX_MISSED_RUNS,
            )
    except (httpx.HTTPError, PrefectHTTPStatusError, RuntimeError) as err:
        logger().warning("Prefect was not asked for missed runs: %s", type(err).__name__)
        return None
    return [
        MissedRun(name=run.name, state=run.state_name or "", expected_at=run.expected_start_time)
        for run in runs
        if run.auto_scheduled and run.expected_start_time is not None
    ]


def _ended(report: ReportResult) -> ReportResult:
    """Return a state that tells more than "Completed" where the report did not get out."""
    failed = [line.channel for line in report.deliveries if not line.delivered]
    if not failed:
        return report
    words = f"{report.title}; not delivered by {' and '.join(failed)}"
    return cast("ReportResult", Completed(name="CompletedWithErrors", message=words, data=report))
