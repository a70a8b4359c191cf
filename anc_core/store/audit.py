"""The audit log: who did what to which subject. Rows are only ever added."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from anc_core.store.tables import AuditEntry

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def record_audit(
    db: Session,
    action: str,
    subject: str,
    detail: Mapping[str, Any],
    actor: str,
    *,
    now: datetime | None = None,
) -> None:
    """Add a line to the audit log.

    Parameters
    ----------
    db : Session
        The transaction of the action itself, so that neither exists without the other.
    action, subject : str
        What was done (``delete``, ``hold``), and to what (a session id, a report).
    detail : mapping
        JSON values: counts, reasons.
    actor : str
        Who asked for it: a user, a schedule.
    now : datetime, optional
        By default the clock's.
    """
    entry = {
        "at": now or datetime.now(UTC),
        "actor": actor,
        "action": action,
        "subject": subject,
        "detail": dict(detail),
    }
    db.execute(insert(AuditEntry), [entry])
