"""Claims: each recording is processed by one worker at a time, and once.

A claim is a compare-and-swap on the session's row. Two processes may race for one fingerprint: the
unique index lets one insert, the condition on status and attempt lets one take over; the other
reads again and finds the row taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, insert, select, update
from sqlalchemy.exc import IntegrityError

from anc_core.errors import ErrorCode, InputError, StoreBusyError
from anc_core.records import Mode, SessionSummary
from anc_core.store.identifiers import new_session_id, validate_session_id
from anc_core.store.owner import STALE_AFTER_S, Owner
from anc_core.store.rows import (
    delete_children,
    load_events,
    summary_of,
    unfinished_values,
)
from anc_core.store.tables import DELETING, DONE, FAILED, RUNNING, AudioSession, Batch

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_MAX_TRIES = 20
"""Lost races before giving up; a second is already rare."""


class Outcome(StrEnum):
    """What a claim came to."""

    CLAIMED = "claimed"
    """The session is the caller's: process it, send heartbeats, finish it."""
    DONE = "done"
    """Processed before; ``previous`` tells the result."""
    BUSY = "busy"
    """A live worker has it, or it is being deleted."""
    EXHAUSTED = "exhausted"
    """Its worker died too often; marked failed. Only ``redo`` tries again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRequest:
    """What a worker is about to process. Names as in :class:`~anc_core.records.SessionSummary`."""

    fingerprint: str
    source_path: str
    session_id: str | None = None
    """Wished for; the id of an existing session of this fingerprint stands."""
    source_digest: str | None = None
    source_bytes: int | None = None
    source_mtime_ns: int | None = None
    output_path: str | None = None
    temp_path: str | None = None
    """Where the output grows: removed by whoever finds its worker dead."""
    mode: Mode = Mode.AUTO
    preset: str = "default"
    parameters: dict[str, Any] = field(default_factory=dict)
    batch_id: str | None = None
    device_id: str | None = None
    gain_setting: str | None = None
    user_id: str | None = None
    site: str | None = None
    recorded_at: datetime | None = None
    max_attempts: int = 3
    """How many workers may die on it before it counts as failed."""
    redo: bool = False
    """Process again what is done; a deliberate wish, so attempts count from 1 again."""

    def __post_init__(self) -> None:
        if self.session_id is not None:
            validate_session_id(self.session_id)
        if self.max_attempts < 1:
            msg = f"max_attempts is {self.max_attempts}; it must be at least 1"
            raise InputError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The answer to a :class:`ClaimRequest`."""

    outcome: Outcome
    session_id: str
    attempt: int
    previous: SessionSummary | None = None
    """The session as it was before, with its events, without windows and intervals."""
    stale_temp_path: str | None = None
    """Left behind by a worker that died: the caller removes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A session that was taken from a dead worker."""

    session_id: str
    source_path: str
    output_path: str | None
    temp_path: str | None
    """The caller removes it."""
    attempt: int


def claim(
    db: Session,
    request: ClaimRequest,
    owner: Owner,
    *,
    now: datetime | None = None,
    stale_after_s: float = STALE_AFTER_S,
) -> Claim:
    """Take a recording, or learn why it cannot be had.

    Parameters
    ----------
    db : Session
        From :meth:`Database.begin`; the claim holds once that commits.
    request : ClaimRequest
        What is to be processed.
    owner : Owner
        The worker that will do it.
    now : datetime, optional
        The present, aware; by default the clock's.
    stale_after_s : float
        Seconds without a heartbeat after which a worker on another host counts as dead.

    Raises
    ------
    InputError
        If ``request.session_id`` belongs to another fingerprint, or its batch was never opened.
    StoreBusyError
        If the race was lost again and again.
    """
    now = now or datetime.now(UTC)
    _check_session_id(db, request)
    for _ in range(_MAX_TRIES):
        row = _row_of(db, request.fingerprint)
        if row is None:
            answer = _insert(db, request, owner, now)
        else:
            answer = _claim_existing(db, row, request, owner, now, stale_after_s)
        if answer is not None:
            return answer
    msg = f"{request.source_path}: lost {_MAX_TRIES} races for its session"
    raise StoreBusyError(msg)


def heartbeat(db: Session, session_id: str, owner: Owner, *, now: datetime | None = None) -> bool:
    """Say that ``owner`` still works on ``session_id``.

    Returns
    -------
    bool
        False if the session is no longer the owner's: stop, and leave the output alone.
    """
    return _swap(
        db,
        and_(AudioSession.id == session_id, AudioSession.status == RUNNING, owned_by(owner)),
        {"heartbeat_at": now or datetime.now(UTC)},
    )


def release(
    db: Session,
    *,
    now: datetime,
    stale_after_s: float = STALE_AFTER_S,
    batch_id: str | None = None,
    owner: Owner | None = None,
    deliberate: bool = False,
) -> list[Released]:
    """Mark running sessions whose worker is dead as failed (INTERRUPTED).

    Parameters
    ----------
    db : Session
        From :meth:`Database.begin`.
    now : datetime
        The present, aware.
    stale_after_s : float
        Seconds without a heartbeat after which a worker on another host counts as dead.
    batch_id : str, optional
        Look at the sessions of this batch only.
    owner : Owner, optional
        Also release what this worker holds, alive or not: it gives up.
    deliberate : bool
        The workers were stopped on purpose (Ctrl-C): that is no sign against their recordings and
        does not count as an attempt.

    Returns
    -------
    list of Released
        What was released; the caller removes the temporary files.
    """
    running = select(AudioSession).where(AudioSession.status == RUNNING)
    if batch_id is not None:
        running = running.where(AudioSession.batch_id == batch_id)
    released = []
    for row in db.scalars(running, execution_options={"populate_existing": True}):
        if _owner_of(row) != owner and is_live(row, now, stale_after_s):
            continue
        if _swap(db, _unchanged(row), _interrupted(row, now, deliberate=deliberate)):
            released.append(
                Released(
                    session_id=row.id,
                    source_path=row.source_path,
                    output_path=row.output_path,
                    temp_path=row.temp_path,
                    attempt=row.attempt,
                )
            )
    return released


def is_live(row: AudioSession, now: datetime, stale_after_s: float) -> bool:
    """Return whether the worker of a running session lives."""
    owner = _owner_of(row)
    return owner is not None and owner.is_alive(row.heartbeat_at, now, stale_after_s)


def owned_by(owner: Owner) -> ColumnElement[bool]:
    """Return the condition that a session is ``owner``'s."""
    return and_(
        AudioSession.owner_host == owner.host,
        AudioSession.owner_pid == owner.pid,
        AudioSession.owner_started_at == owner.started_at,
    )


def _claim_existing(
    db: Session,
    row: AudioSession,
    request: ClaimRequest,
    owner: Owner,
    now: datetime,
    stale_after_s: float,
) -> Claim | None:
    """Decide by the state of the row; ``None`` = it changed meanwhile, look again."""
    if row.status == DELETING or (row.status == RUNNING and is_live(row, now, stale_after_s)):
        return _answer(Outcome.BUSY, row)
    # What was imported was done elsewhere: here there is no output of it.
    if row.status in DONE and not request.redo and row.imported_at is None:
        return _answer(Outcome.DONE, row, _before(db, row))
    if row.status == RUNNING and row.attempt >= request.max_attempts:
        if not _swap(db, _unchanged(row), _interrupted(row, now)):
            return None
        return _answer(Outcome.EXHAUSTED, row, _before(db, row), row.temp_path)
    if _was_given_up(row, request):
        return _answer(Outcome.EXHAUSTED, row, _before(db, row))
    return _take_over(db, row, request, owner, now)


def _was_given_up(row: AudioSession, request: ClaimRequest) -> bool:
    # Without this a recording that kills its worker would be tried for ever: a supervisor releases
    # the dead worker's sessions, and the next claim finds them merely failed.
    return (
        row.status == FAILED
        and row.error_code == ErrorCode.INTERRUPTED
        and row.attempt >= request.max_attempts
        and not request.redo
    )


def _insert(db: Session, request: ClaimRequest, owner: Owner, now: datetime) -> Claim | None:
    session_id = request.session_id or new_session_id(now)
    values = _claimed_values(request, owner, now) | {
        "id": session_id,
        "attempt": 1,
        "created_at": now,
        "on_hold": False,
    }
    try:
        with db.begin_nested():
            db.execute(insert(AudioSession), [values])
    except IntegrityError:
        # Another process was faster with this fingerprint (look again), or the caller is wrong.
        _check_session_id(db, request)
        _check_batch(db, request)
        return None
    return Claim(outcome=Outcome.CLAIMED, session_id=session_id, attempt=1)


def _take_over(
    db: Session, row: AudioSession, request: ClaimRequest, owner: Owner, now: datetime
) -> Claim | None:
    _check_batch(db, request)
    previous = _before(db, row)
    afresh = (request.redo or row.imported_at is not None) and row.status != RUNNING
    attempt = 1 if afresh else row.attempt + 1
    values = _claimed_values(request, owner, now) | {"attempt": attempt}
    if not _swap(db, _unchanged(row), values):
        return None
    delete_children(db, row.id)
    return Claim(
        outcome=Outcome.CLAIMED,
        session_id=row.id,
        attempt=attempt,
        previous=previous,
        stale_temp_path=row.temp_path,
    )


def _claimed_values(request: ClaimRequest, owner: Owner, now: datetime) -> dict[str, Any]:
    return unfinished_values() | {
        "status": RUNNING,
        "fingerprint": request.fingerprint,
        "source_path": request.source_path,
        "source_digest": request.source_digest,
        "source_bytes": request.source_bytes,
        "source_mtime_ns": request.source_mtime_ns,
        "output_path": request.output_path,
        "output_bytes": None,
        "temp_path": request.temp_path,
        "mode": request.mode.value,
        "preset": request.preset,
        "parameters": request.parameters,
        "batch_id": request.batch_id,
        "device_id": request.device_id,
        "gain_setting": request.gain_setting,
        "user_id": request.user_id,
        "site": request.site,
        "recorded_at": request.recorded_at,
        "owner_host": owner.host,
        "owner_pid": owner.pid,
        "owner_started_at": owner.started_at,
        "heartbeat_at": now,
        "started_at": now,
        "imported_at": None,
    }


def _interrupted(row: AudioSession, now: datetime, *, deliberate: bool = False) -> dict[str, Any]:
    times = "once" if row.attempt == 1 else f"{row.attempt} times"
    how = "the run was stopped" if deliberate else f"its worker died {times}"
    return {
        "status": FAILED,
        "attempt": row.attempt - 1 if deliberate else row.attempt,
        "error_code": ErrorCode.INTERRUPTED.value,
        "error_message": f"{row.source_path}: {how}",
        "finished_at": now,
        # Nobody's any more: should the worker live after all, its heartbeat tells it so.
        "owner_host": None,
        "owner_pid": None,
        "owner_started_at": None,
    }


def _row_of(db: Session, fingerprint: str) -> AudioSession | None:
    # populate_existing: after a lost race the row must be read anew, not from the session's memory.
    return db.scalars(
        select(AudioSession).where(AudioSession.fingerprint == fingerprint),
        execution_options={"populate_existing": True},
    ).one_or_none()


def _unchanged(row: AudioSession) -> ColumnElement[bool]:
    # Status besides attempt: a redo sets attempt back to 1, where it may have been all along.
    return and_(
        AudioSession.id == row.id,
        AudioSession.attempt == row.attempt,
        AudioSession.status == row.status,
    )


def _swap(db: Session, condition: ColumnElement[bool], values: dict[str, Any]) -> bool:
    changed = db.execute(
        update(AudioSession).where(condition).values(values).returning(AudioSession.id),
        execution_options={"synchronize_session": False},
    )
    return changed.first() is not None


def _owner_of(row: AudioSession) -> Owner | None:
    if row.owner_host is None or row.owner_pid is None or row.owner_started_at is None:
        return None
    return Owner(row.owner_host, row.owner_pid, row.owner_started_at)


def _before(db: Session, row: AudioSession) -> SessionSummary:
    return summary_of(row, events=load_events(db, row.id))


def _answer(
    outcome: Outcome,
    row: AudioSession,
    previous: SessionSummary | None = None,
    stale_temp_path: str | None = None,
) -> Claim:
    return Claim(
        outcome=outcome,
        session_id=row.id,
        attempt=row.attempt,
        previous=previous,
        stale_temp_path=stale_temp_path,
    )


def _check_session_id(db: Session, request: ClaimRequest) -> None:
    if request.session_id is None:
        return
    other = db.get(AudioSession, request.session_id, populate_existing=True)
    if other is None or other.fingerprint == request.fingerprint:
        return
    if other.status == FAILED and not other.on_hold and other.source_path == request.source_path:
        # The file was mended or completed since: its failure is over and gives the id up.
        db.delete(other)
        db.flush()
    else:
        msg = (
            f"session_id {request.session_id!r} belongs to another recording or other settings; "
            "choose another id or leave it out"
        )
        raise InputError(msg)


def _check_batch(db: Session, request: ClaimRequest) -> None:
    if request.batch_id is None:
        return
    if db.scalar(select(Batch.id).where(Batch.id == request.batch_id)) is None:
        msg = f"batch_id {request.batch_id!r} is unknown; open the batch before its sessions"
        raise InputError(msg)
