"""Request and result of a report."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from pathlib import Path

from pydantic import Field

from anc_core.records import Record
from anc_core.reports.daily_figures import Flag, Late, ReportFigures, Verdict
from anc_core.reports.period import PeriodKind


class ReportFormat(StrEnum):
    """What a report is written as."""

    HTML = "html"
    JSON = "json"
    MARKDOWN = "md"


ALL_FORMATS = tuple(ReportFormat)


class ReportRequest(Record):
    """Which report to make."""

    day: date | None = None
    """Any day of the period; ``None`` = the last period that is over."""
    kind: PeriodKind = PeriodKind.DAY
    timezone: str = "UTC"
    output_dir: Path | None = None
    """By default ``reports`` in the installation's folder."""
    formats: tuple[ReportFormat, ...] = Field(default=ALL_FORMATS, min_length=1)


class Delivery(Record):
    """What became of sending a report."""

    channel: str
    """``webhook`` or ``mail``."""
    delivered: bool
    detail: str
    """In words, without addresses' secrets."""


class ReportResult(Record):
    """A report as its flow returns it."""

    verdict: Verdict
    reasons: tuple[str, ...]
    anomalies: tuple[Flag, ...]
    figures: ReportFigures = Field(repr=False)
    revision: int
    late: Late | None
    created_at: datetime
    html_path: str | None = None
    json_path: str | None = None
    markdown_path: str | None = None
    title: str
    """The report in one line."""
    markdown: str = Field(repr=False)
    deliveries: tuple[Delivery, ...] = ()
