"""Analyse sessions as a Prefect flow: a period, or one session."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from anc_core.analysis_records import Dimension, Filters, PeriodAnalysis, SessionAnalysis
from anc_core.jobs.analysis import AnalysisRequest, analyse
from anc_core.settings import Settings
from anc_core.store import open_database
from flows.analysis_tables import TextTable, headline, remarks, tables_of
from flows.artifacts import inert
from flows.common import logged, retry_options


@flow(name="analyze-session-data", flow_run_name="analyze sessions", validate_parameters=True)
def analyze_session_data(
    session_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    timezone: str = "UTC",
    filters: Filters | None = None,
    group_by: Sequence[Dimension] | Dimension | None = None,
    noise_by: Literal["recorded", "finished"] = "recorded",
    compare: bool = True,
) -> PeriodAnalysis | SessionAnalysis:
    """Say what one session, or the sessions of a period, come to.

    Args:
        session_id: One session; leave out the rest then.
        since: Start of the period, by the clock of timezone if it names none of its own; by default
            seven days before until.
        until: End of the period, not included; by default now.
        timezone: IANA name; where days and hours begin.
        filters: Values of device, user, site, preset, model, noise_type, status, batch.
        group_by: One or more of the same.
        noise_by: Whether the noise view is of sessions recorded or finished in the period.
        compare: Look at the previous equal period and the 28 days before, too.

    Returns
    -------
    Noise distribution, emergency events, performance statistics and more; of one session its
    timeline.
    """
    groups = (group_by,) if isinstance(group_by, str) else tuple(group_by or ())
    request = AnalysisRequest(
        session_id=session_id,
        since=since,
        until=until,
        timezone=timezone,
        filters=filters or Filters(),
        group_by=groups,
        noise_by=noise_by,
        compare=compare,
    )
    options = retry_options(Settings.load())
    analysis = analyze.with_options(**options)(request)
    publish_analysis.with_options(**options)(analysis)
    return analysis


@task(name="analyze", task_run_name="analyze", cache_policy=NO_CACHE, persist_result=False)
@logged
def analyze(request: AnalysisRequest) -> PeriodAnalysis | SessionAnalysis:
    """Ask the store."""
    database = open_database(Settings.load().resolved_database_url)
    try:
        return analyse(database, request)
    finally:
        database.dispose()


@task(
    name="publish-analysis",
    task_run_name="publish the analysis",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def publish_analysis(analysis: PeriodAnalysis | SessionAnalysis) -> None:
    """Show the analysis in Prefect: a page to read, and the noises as a table."""
    title = headline(analysis)
    create_markdown_artifact(
        markdown(analysis), key="session-analysis", description=inert(title)[:200]
    )
    create_table_artifact(
        [one.model_dump() for one in analysis.noise_distribution],
        key="noise-distribution",
        description="seconds and events of each kind of noise",
    )


def markdown(analysis: PeriodAnalysis | SessionAnalysis) -> str:
    """Return the page; text from outside is inert in it."""
    lines = [f"## {inert(headline(analysis))}", ""]
    lines += [f"- {inert(remark)}" for remark in remarks(analysis)]
    for table in tables_of(analysis):
        lines += ["", *_markdown(table)]
    return "\n".join(lines)


def _markdown(table: TextTable) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(inert(cell) for cell in cells)} |"

    rule = f"|{'---|' * len(table.columns)}"
    note = ["", inert(table.note)] if table.note else []
    return [f"### {table.title}", "", line(table.columns), rule, *map(line, table.rows), *note]
