"""Make a report: figures, verdict, files, and the row that the store keeps of it.

The same period again replaces the files, each atomically, and counts the revision up. Files come
first and the row last: the store never points at a file that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from anc_core import store
from anc_core.analysis_records import zone_of
from anc_core.errors import StoreBusyError
from anc_core.files import write_text_atomic
from anc_core.jobs.naming import check_allowed, is_allowed
from anc_core.jobs.report_figures import gather
from anc_core.jobs.report_records import ReportFormat, ReportRequest, ReportResult
from anc_core.periodic_jobs import DAILY_REPORT
from anc_core.reports.daily_charts import Chart, charts
from anc_core.reports.daily_figures import (
    Counts,
    DailyReport,
    Late,
    LateSession,
    MissedRun,
    ReportFigures,
)
from anc_core.reports.daily_flags import judge
from anc_core.reports.daily_markdown import report_markdown, report_title
from anc_core.reports.daily_page import daily_page
from anc_core.reports.event_clips import Clip, event_clips
from anc_core.reports.period import ONE_DAY, PeriodKind, ReportPeriod, period_of
from anc_core.settings import Settings
from anc_core.store import Database, StoredReport
from anc_core.version import __version__

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

MAX_LATE = 20

_TRIES = 5
"""Two reports of one period at once: the slower one counts its revision anew."""


def make_report(
    request: ReportRequest,
    settings: Settings,
    database: Database,
    *,
    actor: str,
    now: datetime,
    missed: Sequence[MissedRun] | None = None,
) -> ReportResult:
    """Make the report and write its files.

    Parameters
    ----------
    request : ReportRequest
    settings : Settings
    database : Database
        Read for the figures; gets the report's row and a line of the audit log.
    actor : str
        Who asked for it.
    now : datetime
        Aware.
    missed : sequence of MissedRun, optional
        What Prefect says that it missed in the period; ``None`` = it was not asked.

    Raises
    ------
    InputError
        If the time zone is unknown.
    SinkError
        If a file cannot be written or its folder is not allowed.
    StoreBusyError
        If others kept making the same report meanwhile.
    """
    period = _period(request, now)
    folder = _folder(request, settings)
    figures = gather(database, settings, period, now)
    if missed is not None:
        figures = figures.model_copy(update={"missed_runs": tuple(missed)})
    pages = _Pages(figures, settings)
    for _ in range(_TRIES):
        with database.read() as db:
            before = _stored(db, period)
            late = None if before is None else _late(db, period, before)
        report = _judged(figures, before, late, now)
        texts = pages.of(report, request)
        with database.begin() as db:
            if _revision(_stored(db, period, lock=True)) != _revision(before):
                continue
            paths = _write(folder, period, texts)
            store.save_report(
                db,
                period.kind,
                period.first,
                period.timezone,
                revision=report.revision,
                verdict=report.verdict,
                figures=_kept(report),
                paths=paths,
                now=now,
            )
            if period.kind is PeriodKind.DAY:
                store.roll_up(db, period.first, period.timezone, now=now)
            if period == _last_day(request.timezone, now):
                # An old day's report by hand is no sign that the clock's one was made.
                detail = {"key": period.key, "revision": report.revision, "verdict": report.verdict}
                store.note_job_run(db, DAILY_REPORT.name, detail, actor, now=now)
        return ReportResult(
            verdict=report.verdict,
            reasons=report.reasons,
            anomalies=report.flags,
            figures=figures,
            revision=report.revision,
            late=report.late,
            created_at=now,
            html_path=paths.get(ReportFormat.HTML),
            json_path=paths.get(ReportFormat.JSON),
            markdown_path=paths.get(ReportFormat.MARKDOWN),
            title=report_title(report),
            markdown=report_markdown(report),
        )
    msg = f"the report of {period.key} was made {_TRIES} times by others meanwhile; try again"
    raise StoreBusyError(msg)


def report_stem(period: ReportPeriod) -> str:
    """Return the name of a report's files without suffix; UTC goes without saying.

    Examples
    --------
    >>> from datetime import date
    >>> report_stem(period_of(date(2026, 11, 3), "Europe/Berlin"))
    'daily-2026-11-03-Europe-Berlin'
    """
    zone = "" if period.timezone == "UTC" else "-" + period.timezone.replace("/", "-")
    return f"{period.kind}-{period.key}{zone}"


def report_period(request: ReportRequest, now: datetime) -> tuple[datetime, datetime]:
    """Return the moments between which the report looks, [start, end).

    Raises
    ------
    InputError
        If the time zone is unknown.
    """
    period = _period(request, now)
    return period.start, period.end


def _period(request: ReportRequest, now: datetime) -> ReportPeriod:
    """Return the period that was asked for: by default the last one that is over."""
    if request.day is not None:
        return period_of(request.day, request.timezone, request.kind)
    current = period_of(_today(request.timezone, now), request.timezone, request.kind)
    return period_of(current.first - ONE_DAY, request.timezone, request.kind)


def _last_day(timezone: str, now: datetime) -> ReportPeriod:
    return period_of(_today(timezone, now) - ONE_DAY, timezone)


def _today(timezone: str, now: datetime) -> date:
    return now.astimezone(zone_of(timezone)).date()


def _folder(request: ReportRequest, settings: Settings) -> Path:
    folder = request.output_dir or settings.reports_dir
    folder = folder.expanduser().absolute()
    if request.output_dir is not None:
        check_allowed(folder, settings.allowed_roots)
    return folder


class _Pages:
    """The texts of a report; drawings and clips are made once, however often it is revised."""

    def __init__(self, figures: ReportFigures, settings: Settings) -> None:
        self._figures = figures
        self._settings = settings
        self._parts: tuple[list[Chart], Mapping[str, Clip], int] | None = None

    def of(self, report: DailyReport, request: ReportRequest) -> dict[ReportFormat, str]:
        """Return the text of each format that was asked for."""
        texts = {}
        if ReportFormat.JSON in request.formats:
            texts[ReportFormat.JSON] = report.to_json(indent=2) + "\n"
        if ReportFormat.MARKDOWN in request.formats:
            texts[ReportFormat.MARKDOWN] = report_markdown(report)
        if ReportFormat.HTML in request.formats:
            if self._parts is None:
                clips, left_out = event_clips(self._figures.event_lines, self._may_read)
                self._parts = charts(self._figures), clips, left_out
            drawings, clips, left_out = self._parts
            texts[ReportFormat.HTML] = daily_page(report, drawings, clips, clips_left_out=left_out)
        return texts

    def _may_read(self, path: str) -> bool:
        return is_allowed(Path(path), self._settings.allowed_roots)


def _write(folder: Path, period: ReportPeriod, texts: Mapping[ReportFormat, str]) -> dict[str, str]:
    paths = {}
    for kind, text in texts.items():
        path = folder / f"{report_stem(period)}.{kind}"
        write_text_atomic(path, text)
        paths[kind.value] = str(path)
    return paths


# --------------------------------------------------------------------------- revisions


def _stored(db: Session, period: ReportPeriod, *, lock: bool = False) -> StoredReport | None:
    return store.stored_report(db, period.kind, period.first, period.timezone, lock=lock)


def _revision(report: StoredReport | None) -> int:
    return 0 if report is None else report.revision


def _late(db: Session, period: ReportPeriod, before: StoredReport) -> Late:
    count, facts = store.late_facts(db, period.start, period.end, before.created_at, MAX_LATE)
    return Late(
        since=before.created_at,
        before=Counts(**before.figures["sessions"]),
        count=count,
        sessions=tuple(
            LateSession(
                session_id=fact.session_id,
                source_path=fact.source_path,
                device=fact.device_id,
                status=fact.status,
                recorded_at=fact.recorded_at,
                finished_at=fact.finished_at,
            )
            for fact in facts
        ),
    )


def _judged(
    figures: ReportFigures, before: StoredReport | None, late: Late | None, now: datetime
) -> DailyReport:
    verdict, reasons, flags = judge(figures)
    return DailyReport(
        verdict=verdict,
        reasons=reasons,
        flags=flags,
        figures=figures,
        revision=_revision(before) + 1,
        late=late,
        created_at=now,
        core_version=__version__,
    )


def _kept(report: DailyReport) -> dict[str, object]:
    """Return what the row keeps: sums and rules, nothing that names a person or a file."""
    kept = report.figures.model_dump(
        mode="json",
        include={"sessions", "audio_s", "speed_x", "events", "negative"},
    )
    disk = report.figures.disk
    kept["disk"] = None if disk is None else disk.model_dump(mode="json", exclude={"path"})
    return kept | {"flags": [flag.rule for flag in report.flags]}
