"""When each maintenance job last ended well: lines of the audit log, judged by ``anc health``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from anc_core.store.audit import record_audit
from anc_core.store.tables import AuditEntry

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

JOB_DONE, JOB_FAILED = "job-done", "job-failed"
"""Actions of the audit log; the subject is the job's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """What is known of a job's latest runs."""

    done_at: datetime | None = None
    failed_at: datetime | None = None


def note_job_run(
    db: Session,
    job: str,
    detail: Mapping[str, Any],
    actor: str,
    *,
    failed: bool = False,
    now: datetime | None = None,
) -> None:
    """Note that a job ended.

    Parameters
    ----------
    db : Session
        From :meth:`Database.begin`.
    job : str
        Its name, as in :data:`anc_core.periodic_jobs.PERIODIC_JOBS`.
    detail : mapping
        JSON values: counts, or the error.
    actor : str
        Who asked for it.
    failed : bool
        It did not reach its end.
    now : datetime, optional
        By default the clock's.
    """
    record_audit(db, JOB_FAILED if failed else JOB_DONE, job, detail, actor, now=now)


def last_runs(db: Session, since: datetime) -> dict[str, LastRun]:
    """Return the latest runs of every job that ran since ``since``."""
    rows = db.execute(
        select(AuditEntry.subject, AuditEntry.action, func.max(AuditEntry.at))
        .where(AuditEntry.at >= since, AuditEntry.action.in_((JOB_DONE, JOB_FAILED)))
        .group_by(AuditEntry.subject, AuditEntry.action)
    )
    found: dict[str, dict[str, datetime]] = {}
    for job, action, at in rows:
        found.setdefault(job, {})["done_at" if action == JOB_DONE else "failed_at"] = at
    return {job: LastRun(**moments) for job, moments in found.items()}


def first_entry(db: Session) -> datetime | None:
    """Return when the audit log begins, ``None`` if it is empty."""
    return db.scalar(select(AuditEntry.at).order_by(AuditEntry.id).limit(1))
