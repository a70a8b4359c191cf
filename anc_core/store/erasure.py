"""What the store knows of a person, and the ledger of those whose data was erased."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Text, cast, delete, func, insert, or_, select, update

from anc_core.store.rows import pages
from anc_core.store.tables import (
    ApiRequest,
    AudioSession,
    AuditEntry,
    Batch,
    EraseEntry,
    Report,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

EXPORT = "export"
"""Action of the audit log that notes an export: ``path``, and whom it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """An entry of the ledger."""

    subject: str
    """Keyed hash of the user id, in hexadecimal."""
    key_id: str
    """Tells which key that was."""
    erased_at: datetime
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSession:
    """A session of the person."""

    session_id: str
    status: str
    on_hold: bool
    source_path: str
    output_path: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotedExport:
    """An export that may hold data of the person."""

    audit_id: int
    path: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NotedReport:
    """A report, which may mention the person."""

    report_id: int
    figures: str
    """As JSON text."""
    paths: tuple[str, ...]


def person_sessions(db: Session, user_id: str, created_until: datetime) -> list[PersonSession]:
    """Return the sessions of a person that were there at a moment, those being deleted included."""
    rows = db.execute(
        select(
            AudioSession.id.label("session_id"),
            AudioSession.status,
            AudioSession.on_hold,
            AudioSession.source_path,
            AudioSession.output_path,
        )
        .where(AudioSession.user_id == user_id, AudioSession.created_at <= created_until)
        .order_by(AudioSession.id)
    )
    return [PersonSession(**row) for row in rows.mappings()]


def user_ids(db: Session) -> Iterator[str]:
    """Yield every user id that sessions bear."""
    found = db.scalars(
        select(AudioSession.user_id).where(AudioSession.user_id.is_not(None)).distinct()
    )
    yield from (user_id for user_id in found if user_id is not None)


def exports_of(
    db: Session, user_id: str, session_ids: Collection[str], until: datetime
) -> list[NotedExport]:
    """Return the exports that hold, or may hold, data of the person.

    An export of too many people to be listed notes ``null``: it may hold anybody.
    """
    rows = db.execute(
        select(AuditEntry.id, AuditEntry.at, AuditEntry.detail).where(
            AuditEntry.action == EXPORT, AuditEntry.at <= until
        )
    )
    ids = set(session_ids)
    return [
        NotedExport(audit_id=number, path=str(detail["path"]), at=at)
        for number, at, detail in rows
        if "path" in detail and _may_hold(detail, user_id, ids)
    ]


def reports_until(db: Session, until: datetime) -> list[NotedReport]:
    """Return the reports that were made until a moment."""
    rows = db.execute(
        select(Report.id, Report.figures, Report.paths).where(Report.created_at <= until)
    )
    return [
        NotedReport(
            report_id=number,
            figures=json.dumps(figures, ensure_ascii=False),
            paths=tuple(str(path) for path in paths.values()),
        )
        for number, figures, paths in rows
    ]


def delete_report(db: Session, report_id: int) -> None:
    """Remove the row of a report."""
    db.execute(delete(Report).where(Report.id == report_id))


def delete_requests(db: Session, session_ids: Sequence[str]) -> int:
    """Remove the requests that asked for these sessions; return how many there were."""
    return sum(
        _rowcount(db.execute(delete(ApiRequest).where(ApiRequest.session_id.in_(page))))
        for page in pages(session_ids)
    )


def delete_empty_batches(db: Session, batch_ids: Sequence[str]) -> int:
    """Remove those of ``batch_ids`` that have no session left: their parameters name paths."""
    has_session = select(AudioSession.id).where(AudioSession.batch_id == Batch.id).exists()
    return sum(
        _rowcount(db.execute(delete(Batch).where(Batch.id.in_(page), ~has_session)))
        for page in pages(batch_ids)
    )


def batches_of(db: Session, session_ids: Sequence[str]) -> list[str]:
    """Return the batches that these sessions belong to."""
    found: set[str] = set()
    for page in pages(session_ids):
        found.update(
            batch_id
            for batch_id in db.scalars(
                select(AudioSession.batch_id).where(AudioSession.id.in_(page)).distinct()
            )
            if batch_id is not None
        )
    return sorted(found)


def scrub_audit_log(
    db: Session, user_id: str, session_ids: Sequence[str], subject: str, until: datetime
) -> int:
    """Take the person's names out of the audit log; return how many lines changed.

    The lines stay, so that it is still known what was done and when; whom they were about is
    replaced by the hash.
    """
    said = json.dumps(user_id)  # as it stands in the JSON, quotes included
    mentions: ColumnElement[bool] = or_(
        AuditEntry.subject == user_id,
        AuditEntry.actor == user_id,
        cast(AuditEntry.detail, Text).contains(said, autoescape=True),
    )
    values = {"subject": f"erased {subject[:12]}", "detail": {"erased": subject[:12]}}
    changed = 0
    conditions = [mentions, *(AuditEntry.subject.in_(page) for page in pages(session_ids))]
    for condition in conditions:
        done = db.execute(
            update(AuditEntry).where(condition, AuditEntry.at <= until).values(values),
            execution_options={"synchronize_session": False},
        )
        changed += _rowcount(done)
    return changed


def scrub_audit_entries(db: Session, numbers: Sequence[int], subject: str) -> None:
    """Take the names out of these lines of the audit log."""
    for number in numbers:
        db.execute(
            update(AuditEntry)
            .where(AuditEntry.id == number)
            .values(subject=f"erased {subject[:12]}", detail={"erased": subject[:12]})
        )


def erasures(db: Session) -> list[Erasure]:
    """Return the ledger, oldest first."""
    rows = db.execute(
        select(
            EraseEntry.subject, EraseEntry.key_id, EraseEntry.erased_at, EraseEntry.actor
        ).order_by(EraseEntry.erased_at)
    )
    return [Erasure(**row) for row in rows.mappings()]


def add_erasures(db: Session, entries: Iterable[Erasure]) -> int:
    """Add the entries that the ledger does not have; return how many that were."""
    known = {(one.subject, one.erased_at) for one in erasures(db)}
    new = {(one.subject, one.erased_at): one for one in entries}
    for identity, one in new.items():
        if identity not in known:
            db.execute(insert(EraseEntry), [asdict(one)])
    return len(new.keys() - known)


def count_sessions(db: Session) -> int:
    """Return how many sessions there are, of whatever status."""
    return int(db.scalar(select(func.count()).select_from(AudioSession)) or 0)


def _may_hold(detail: dict[str, Any], user_id: str, session_ids: set[str]) -> bool:
    if "erased" in detail:
        return False
    users, sessions = detail.get("user_ids"), detail.get("session_ids")
    if sessions is not None:
        return bool(session_ids & set(sessions))
    return users is None or user_id in users


def _rowcount(result: Any) -> int:  # noqa: ANN401 - a CursorResult
    return int(result.rowcount)
