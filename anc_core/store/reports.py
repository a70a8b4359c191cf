"""Reports as rows: one for each period and time zone, with a revision that counts up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from anc_core.errors import StoreBusyError
from anc_core.store.tables import Report

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class StoredReport(NamedTuple):
    """What is kept of a report."""

    revision: int
    verdict: str
    figures: dict[str, Any]
    paths: dict[str, Any]
    created_at: datetime


def stored_report(
    db: Session, kind: str, report_date: date, timezone: str, *, lock: bool = False
) -> StoredReport | None:
    """Return the latest revision of a report, or ``None``.

    Parameters
    ----------
    db : Session
    kind : str
        ``daily``, ``weekly`` or ``monthly``.
    report_date : date
        First day of the period.
    timezone : str
        IANA name.
    lock : bool
        Nobody else writes this report until the transaction ends (PostgreSQL; SQLite has one
        writer anyway).
    """
    query = _of(kind, report_date, timezone)
    row = db.scalars(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        return None
    return StoredReport(row.revision, row.verdict, row.figures, row.paths, row.created_at)


def save_report(
    db: Session,
    kind: str,
    report_date: date,
    timezone: str,
    *,
    revision: int,
    verdict: str,
    figures: Mapping[str, Any],
    paths: Mapping[str, Any],
    now: datetime,
) -> None:
    """Write the row of a report in place of the revision before.

    Raises
    ------
    StoreBusyError
        If somebody else made the first report of this period at the same moment (PostgreSQL).
    """
    values = {
        "revision": revision,
        "verdict": verdict,
        "figures": dict(figures),
        "paths": dict(paths),
        "created_at": now,
    }
    row = db.scalars(_of(kind, report_date, timezone)).one_or_none()
    if row is not None:
        for name, value in values.items():
            setattr(row, name, value)
        db.flush()
        return
    try:
        with db.begin_nested():
            db.add(Report(kind=kind, report_date=report_date, timezone=timezone, **values))
    except IntegrityError:
        msg = f"the {kind} report of {report_date} is being made by somebody else; try again"
        raise StoreBusyError(msg) from None


def report_sizes(db: Session, first: date, last: date) -> list[tuple[date, dict[str, Any]]]:
    """Return what the daily reports of [first, last] saw of the disk, oldest first."""
    rows = db.execute(
        select(Report.report_date, Report.figures)
        .where(Report.kind == "daily", Report.report_date >= first, Report.report_date <= last)
        .order_by(Report.report_date, Report.timezone)
    )
    found = {day: figures["disk"] for day, figures in rows if figures.get("disk")}
    return list(found.items())


def _of(kind: str, report_date: date, timezone: str) -> Any:  # noqa: ANN401 - a select
    return select(Report).where(
        Report.kind == kind, Report.report_date == report_date, Report.timezone == timezone
    )
