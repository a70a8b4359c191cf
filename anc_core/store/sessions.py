"""Sessions: finish one, read them back."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import ColumnElement, and_, delete, select, update

from anc_core.errors import ErrorCode, InputError, SessionNotFoundError, StoreError
from anc_core.records import SessionSummary, Status
from anc_core.store.claims import owned_by
from anc_core.store.column_types import utc_period
from anc_core.store.owner import Owner
from anc_core.store.rows import (
    load_events,
    load_intervals,
    load_level_spans,
    load_windows,
    pages,
    replace_children,
    session_values,
    summary_of,
)
from anc_core.store.tables import DELETING, DONE, FAILED, AudioSession

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_PAGE = 500
"""Rows fetched at a time: listing a million sessions takes no more memory than these."""

# The claim knew these; a summary that does not repeat them must not erase them.
_KEPT = (
    "source_digest",
    "source_bytes",
    "batch_id",
    "device_id",
    "gain_setting",
    "user_id",
    "site",
    "recorded_at",
    "started_at",
)


def finish(
    db: Session,
    summary: SessionSummary,
    owner: Owner,
    *,
    output_bytes: int | None = None,
    now: datetime | None = None,
) -> None:
    """Write the result of a claimed session: its row and, in their place, all its children.

    May be repeated with the same summary. What the claim knew and the summary leaves out (batch,
    device, digest ...) stays.

    Parameters
    ----------
    db : Session
        From :meth:`Database.begin`; row and children are written together or not at all.
    summary : SessionSummary
        The result, good or bad; ``status`` is anything but ``running``.
    owner : Owner
        Who claimed it.
    output_bytes : int, optional
        Size of the output file.
    now : datetime, optional
        Taken for ``finished_at`` where the summary has none; by default the clock's.

    Raises
    ------
    InputError
        If the status is ``running``, or a value cannot be stored (a naive datetime, NaN).
    StoreError
        If the session is not the owner's any more: it was taken over, released or deleted.
    """
    if summary.status is Status.RUNNING:
        msg = f"session {summary.session_id}: a session cannot finish as 'running'"
        raise InputError(msg)
    values = session_values(summary)
    del values["fingerprint"]  # the identity is the claim's
    for name in _KEPT:
        if values[name] is None:
            del values[name]
    values["finished_at"] = summary.finished_at or now or datetime.now(UTC)
    values |= {"output_bytes": output_bytes, "temp_path": None}
    if summary.error_code is ErrorCode.INTERRUPTED:
        # Who can say that it was stopped did not die of the recording: no attempt was used up.
        values["attempt"] = AudioSession.attempt - 1
    changed = db.execute(
        update(AudioSession)
        .where(
            AudioSession.id == summary.session_id,
            AudioSession.status != DELETING,
            owned_by(owner),
        )
        .values(values)
        .returning(AudioSession.recorded_at),
        execution_options={"synchronize_session": False},
    ).first()
    if changed is None:
        msg = f"session {summary.session_id} does not belong to {owner}: its result is not stored"
        raise StoreError(msg)
    replace_children(db, summary, recorded_at=changed.recorded_at)
    if summary.status in DONE:
        _forget_restless(db, summary)


def _forget_restless(db: Session, summary: SessionSummary) -> None:
    """Remove the failures of tries that found the file still being written: they are over.

    Each found another content, so each has a session of its own.
    """
    db.execute(
        delete(AudioSession).where(
            AudioSession.source_path == summary.source_path,
            AudioSession.status == FAILED,
            AudioSession.error_code == ErrorCode.CHANGED_DURING_READ,
            AudioSession.on_hold.is_(False),
            AudioSession.id != summary.session_id,
        ),
        execution_options={"synchronize_session": False},
    )


def get_session(db: Session, session_id: str) -> SessionSummary:
    """Return a session with its intervals, levels, windows and events.

    Raises
    ------
    SessionNotFoundError
        If there is none of that id, or it is being deleted.
    """
    return _complete(db, AudioSession.id == session_id, f"session {session_id!r}")


def find_by_fingerprint(db: Session, fingerprint: str) -> SessionSummary | None:
    """Return the session of ``fingerprint``, complete, or ``None``."""
    try:
        return _complete(db, AudioSession.fingerprint == fingerprint, fingerprint)
    except SessionNotFoundError:
        return None


def list_sessions(
    db: Session,
    *,
    session_ids: Collection[str] | None = None,
    statuses: Collection[Status | str] | None = None,
    batch_id: str | None = None,
    device_id: str | None = None,
    user_id: str | None = None,
    site: str | None = None,
    preset: str | None = None,
    model_id: str | None = None,
    error_code: ErrorCode | str | None = None,
    finished_from: datetime | None = None,
    finished_before: datetime | None = None,
    recorded_from: datetime | None = None,
    recorded_before: datetime | None = None,
    limit: int | None = None,
) -> Iterator[SessionSummary]:
    """Yield the sessions that match every filter given, without their children, by finish time.

    Periods are half open, [from, before). Memory is constant; the transaction must stay open while
    the iterator is in use: take :meth:`Database.read`, which holds up nobody. Any number of
    ``session_ids`` may be asked for; they come by finish time within every few hundred.
    """
    equal: dict[str, Any] = {
        "batch_id": batch_id,
        "device_id": device_id,
        "user_id": user_id,
        "site": site,
        "preset": preset,
        "model_id": model_id,
        "error_code": None if error_code is None else str(error_code),
    }
    conditions: list[ColumnElement[bool]] = [
        getattr(AudioSession, name) == value for name, value in equal.items() if value is not None
    ]
    if statuses is not None:
        conditions.append(AudioSession.status.in_([str(status) for status in statuses]))
    conditions += _period(AudioSession.finished_at, finished_from, finished_before)
    conditions += _period(AudioSession.recorded_at, recorded_from, recorded_before)
    if session_ids is None:
        rows = _rows(db, conditions, limit)
    else:
        some = (AudioSession.id.in_(page) for page in pages(session_ids))
        rows = islice(
            chain.from_iterable(_rows(db, [*conditions, among], limit) for among in some), limit
        )
    return map(summary_of, rows)


def sessions_between(
    db: Session,
    start: datetime,
    end: datetime,
    *,
    by: Literal["finished", "recorded"] = "finished",
) -> list[SessionSummary]:
    """Return the sessions of [start, end), without children.

    A session belongs to the day it was finished (the processing view) or to the day it was recorded
    (the noise view); the two are never mixed.

    Raises
    ------
    InputError
        If a bound is naive or ``end`` lies before ``start``.
    """
    start, end = utc_period(start, end)
    if by == "recorded":
        return list(list_sessions(db, recorded_from=start, recorded_before=end))
    return list(list_sessions(db, finished_from=start, finished_before=end))


def _rows(
    db: Session, conditions: list[ColumnElement[bool]], limit: int | None
) -> Iterator[AudioSession]:
    rows = db.scalars(
        select(AudioSession)
        .where(AudioSession.status != DELETING, *conditions)
        .order_by(AudioSession.finished_at, AudioSession.id)
        .limit(limit),
        execution_options={"yield_per": _PAGE, "populate_existing": True},
    )
    try:
        yield from rows
    finally:  # PostgreSQL keeps a cursor open on the server for a reader that stopped half way
        rows.close()


def _period(
    column: Any,  # noqa: ANN401 - an instrumented attribute
    start: datetime | None,
    end: datetime | None,
) -> list[ColumnElement[bool]]:
    return ([] if start is None else [column >= start]) + ([] if end is None else [column < end])


def _complete(db: Session, condition: ColumnElement[bool], what: str) -> SessionSummary:
    row = db.scalars(
        select(AudioSession).where(and_(condition, AudioSession.status != DELETING)),
        execution_options={"populate_existing": True},
    ).one_or_none()
    if row is None:
        msg = f"{what} is not in the store"
        raise SessionNotFoundError(msg)
    return summary_of(
        row,
        intervals=load_intervals(db, row.id),
        level_spans=load_level_spans(db, row.id),
        windows=load_windows(db, row.id),
        events=load_events(db, row.id),
    )
