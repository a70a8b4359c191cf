"""Retention: which sessions go, and how their rows go without holding anybody up.

Two phases. A session is *marked* ``deleting`` by one update that repeats every condition (age,
status, hold), so a hold that comes in between wins; from then on nobody else works on it or sees
it. Its rows are *removed* after its files. Whatever was marked and not removed, because the process
was killed, is found again by :func:`marked`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, delete, func, literal, or_, select, update

from anc_core.errors import InputError, SessionNotFoundError
from anc_core.records import Status
from anc_core.store.rows import pages
from anc_core.store.tables import (
    CHILDREN,
    DELETING,
    RUNNING,
    AudioSession,
    NoiseDetection,
    NoiseEvent,
    ProcessingMetric,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Which sessions may go. A session's age counts from its end, else from its creation."""

    statuses: tuple[Status, ...]
    """Of sessions that may go; never ``running``."""
    before: datetime
    """Those that ended before this moment go."""
    emergency_before: datetime
    """The same for sessions with an emergency event; not later than ``before``."""
    min_keep: int = 0
    """So many of the newest stay, whatever their age."""

    def __post_init__(self) -> None:
        if Status.RUNNING in self.statuses or not self.statuses:
            known = ", ".join(status for status in Status if status is not Status.RUNNING)
            msg = f"statuses are {[*map(str, self.statuses)]}; choose one or more of {known}"
            raise InputError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """A session that is on its way out: what its files are known by."""

    session_id: str
    fingerprint: str
    source_path: str
    reference_path: str | None
    output_path: str | None
    output_bytes: int | None
    output_digest: str | None
    """Null where nothing was delivered: a file that lies there is somebody else's."""
    sidecar_path: str | None
    temp_path: str | None
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionCounts:
    """What a retention comes to at this moment."""

    sessions: int
    """May go."""
    output_bytes: int
    """Of their outputs, by the store."""
    rows: dict[str, int]
    """By table, ``audio_sessions`` included."""
    skipped: dict[str, int]
    """Old enough, and staying all the same, by reason."""


# Of the others a session has no more than some hundred rows.
_LONG_CHILDREN = (NoiseDetection, NoiseEvent, ProcessingMetric)

_BEGINNING = datetime.min.replace(tzinfo=UTC)

_COLUMNS = (
    AudioSession.id.label("session_id"),
    AudioSession.fingerprint,
    AudioSession.source_path,
    AudioSession.reference_path,
    AudioSession.output_path,
    AudioSession.output_bytes,
    AudioSession.output_digest,
    AudioSession.sidecar_path,
    AudioSession.temp_path,
    AudioSession.started_at,
    AudioSession.finished_at,
)


def count_retention(db: Session, retention: Retention) -> RetentionCounts:
    """Return what ``retention`` comes to, without changing anything."""
    kept = _kept_from(db, retention)
    going = _going(retention, kept)
    sessions, output_bytes = db.execute(
        select(func.count(), func.coalesce(func.sum(AudioSession.output_bytes), 0)).where(going)
    ).one()
    rows = {AudioSession.__tablename__: sessions}
    for table in CHILDREN:
        rows[table.__tablename__] = _count(
            db, select(func.count()).select_from(table).join(AudioSession).where(going)
        )
    old = _old(retention.before)
    of_interest = AudioSession.status.in_([str(status) for status in retention.statuses])
    free = and_(old, of_interest, ~AudioSession.on_hold)
    skipped = {
        "running": and_(AudioSession.status == RUNNING, AudioSession.created_at < retention.before),
        "on hold": and_(old, of_interest, AudioSession.on_hold),
        "emergency": and_(free, _has_emergency(), ~_old(retention.emergency_before)),
        "among the newest": and_(_going(retention, None), ~_going(retention, kept)),
    }
    counts = {reason: _count_sessions(db, which) for reason, which in skipped.items()}
    return RetentionCounts(
        sessions=sessions,
        output_bytes=int(output_bytes or 0),
        rows=rows,
        skipped={reason: count for reason, count in counts.items() if count},
    )


def candidates(
    db: Session, retention: Retention, limit: int, since: datetime | None = None
) -> list[tuple[str, datetime | None]]:
    """Return id and end of up to ``limit`` sessions that may go, the oldest first.

    A reading transaction is enough: it is :func:`mark` that decides. ``since`` spares looking once
    more at what is older and stays.
    """
    going = _going(retention, _kept_from(db, retention))
    columns = select(AudioSession.id, AudioSession.finished_at).where(going)
    # Two queries, so that the first walks along its index and stops after ``limit`` rows.
    ended = (
        columns.where(AudioSession.finished_at >= (since or _BEGINNING))
        .order_by(AudioSession.finished_at)
        .limit(limit)
    )
    found = [(row[0], row[1]) for row in db.execute(ended)]
    unended = columns.where(AudioSession.finished_at.is_(None)).limit(limit - len(found))
    return found + [(row[0], row[1]) for row in db.execute(unended)]


def mark(db: Session, retention: Retention, session_ids: Sequence[str]) -> list[Doomed]:
    """Mark those of ``session_ids`` that may go still; they are the caller's to remove."""
    going = _going(retention, _kept_from(db, retention))
    return [one for page in pages(session_ids) for one in _mark(db, page, going)]


def mark_sessions(db: Session, session_ids: Sequence[str]) -> list[Doomed]:
    """Mark these sessions, save those that run or are on hold: for the erasure of a person."""
    may_go = and_(AudioSession.status != RUNNING, ~AudioSession.on_hold)
    return [one for page in pages(session_ids) for one in _mark(db, page, may_go)]


def marked(db: Session, limit: int, after: str = "") -> list[Doomed]:
    """Return sessions that were marked and are still here, by id, those after ``after``."""
    rows = db.execute(
        select(*_COLUMNS)
        .where(AudioSession.status == DELETING, AudioSession.id > after)
        .order_by(AudioSession.id)
        .limit(limit)
    )
    return [Doomed(**row) for row in rows.mappings()]


def claimed_paths(db: Session, paths: Sequence[str]) -> set[str]:
    """Return which of ``paths`` are in use: the output of a session that stays, or any input."""
    in_use: set[str] = set()
    for page in pages(paths):
        in_use.update(
            path
            for path in db.scalars(
                select(AudioSession.output_path).where(
                    AudioSession.output_path.in_(page), AudioSession.status != DELETING
                )
            )
            if path is not None
        )
        in_use.update(
            db.scalars(select(AudioSession.source_path).where(AudioSession.source_path.in_(page)))
        )
    return in_use


def child_counts(db: Session, session_ids: Sequence[str]) -> dict[str, int]:
    """Return how many child rows each session has, all tables together."""
    counts = dict.fromkeys(session_ids, 0)
    for page in pages(session_ids):
        for table in CHILDREN:
            rows = db.execute(
                select(table.session_id, func.count())
                .where(table.session_id.in_(page))
                .group_by(table.session_id)
            )
            for session_id, count in rows:
                counts[session_id] += count
    return counts


def count_rows(db: Session, session_ids: Sequence[str]) -> dict[str, int]:
    """Return how many rows these sessions have, by table."""
    rows = {AudioSession.__tablename__: len(session_ids)}
    for table in CHILDREN:
        rows[table.__tablename__] = sum(
            _count(db, select(func.count()).select_from(table).where(table.session_id.in_(page)))
            for page in pages(session_ids)
        )
    return rows


def thin_out(db: Session, session_id: str, num_rows: int) -> dict[str, int]:
    """Remove up to ``num_rows`` windows, events and intervals of a marked session, of each; count.

    A day's recording has a hundred thousand of them: removed at once they would hold up writers.
    """
    gone = {}
    for table in _LONG_CHILDREN:
        upper = db.scalar(select(func.min(table.position)).where(table.session_id == session_id))
        if upper is None:
            continue
        result = db.execute(
            delete(table).where(
                table.session_id == session_id, table.position < literal(upper + num_rows)
            ),
            execution_options={"synchronize_session": False},
        )
        gone[table.__tablename__] = _rowcount(result)
    return gone


def remove_marked(db: Session, session_ids: Sequence[str]) -> dict[str, int]:
    """Remove marked sessions with all their rows; return the rows removed by table."""
    gone: dict[str, int] = {}
    for page in pages(session_ids):
        ours = db.scalars(
            select(AudioSession.id).where(
                AudioSession.id.in_(page), AudioSession.status == DELETING
            )
        ).all()
        for table in CHILDREN:
            # Not left to the cascade, which would not tell how many.
            result = db.execute(
                delete(table).where(table.session_id.in_(ours)),
                execution_options={"synchronize_session": False},
            )
            _add(gone, table.__tablename__, _rowcount(result))
        result = db.execute(
            delete(AudioSession).where(AudioSession.id.in_(ours), AudioSession.status == DELETING),
            execution_options={"synchronize_session": False},
        )
        _add(gone, AudioSession.__tablename__, _rowcount(result))
    return gone


def set_hold(db: Session, session_id: str, *, on_hold: bool) -> None:
    """Keep a session from every deletion, or give it free again.

    Raises
    ------
    SessionNotFoundError
        If there is none of that id, or it is being deleted: too late.
    """
    changed = db.execute(
        update(AudioSession)
        .where(AudioSession.id == session_id, AudioSession.status != DELETING)
        .values(on_hold=on_hold)
        .returning(AudioSession.id),
        execution_options={"synchronize_session": False},
    )
    if changed.first() is None:
        msg = f"session {session_id!r} is not in the store, or is being deleted"
        raise SessionNotFoundError(msg)


def held_sessions(db: Session) -> Iterator[str]:
    """Yield the ids of the sessions on hold."""
    yield from db.scalars(
        select(AudioSession.id).where(AudioSession.on_hold).order_by(AudioSession.id)
    )


def _mark(db: Session, ids: Sequence[str], may_go: ColumnElement[bool]) -> list[Doomed]:
    if not ids:
        return []
    done = db.execute(
        update(AudioSession)
        .where(AudioSession.id.in_(ids), may_go, AudioSession.status != DELETING)
        .values(status=DELETING)
        .returning(*_COLUMNS),
        execution_options={"synchronize_session": False},
    )
    return [Doomed(**row) for row in done.mappings()]


def _going(retention: Retention, kept_from: tuple[datetime, str] | None) -> ColumnElement[bool]:
    conditions = [
        AudioSession.status.in_([str(status) for status in retention.statuses]),
        ~AudioSession.on_hold,
        _old(retention.before),
    ]
    if retention.emergency_before < retention.before:
        conditions.append(or_(_old(retention.emergency_before), ~_has_emergency()))
    if kept_from is not None:
        moment, session_id = kept_from
        conditions.append(
            or_(
                AudioSession.finished_at.is_(None),
                AudioSession.finished_at < moment,
                and_(AudioSession.finished_at == moment, AudioSession.id < session_id),
            )
        )
    return and_(*conditions)


def _kept_from(db: Session, retention: Retention) -> tuple[datetime, str] | None:
    """Return where the newest begin that stay whatever their age."""
    if not retention.min_keep:
        return None
    row = db.execute(
        select(AudioSession.finished_at, AudioSession.id)
        .where(
            AudioSession.status.in_([str(status) for status in retention.statuses]),
            AudioSession.finished_at.is_not(None),
        )
        .order_by(AudioSession.finished_at.desc(), AudioSession.id.desc())
        .offset(retention.min_keep - 1)
        .limit(1)
    ).first()
    if row is None or row[0] is None:  # fewer than that: all of them stay
        return _BEGINNING, ""
    return row[0], row[1]


def _old(before: datetime) -> ColumnElement[bool]:
    # Not coalesce(): each half can use its index.
    return or_(
        AudioSession.finished_at < before,
        and_(AudioSession.finished_at.is_(None), AudioSession.created_at < before),
    )


def _has_emergency() -> ColumnElement[bool]:
    return (
        select(NoiseEvent.session_id)
        .where(NoiseEvent.session_id == AudioSession.id, NoiseEvent.is_emergency)
        .correlate(AudioSession)
        .exists()
    )


def _count_sessions(db: Session, which: ColumnElement[bool]) -> int:
    return _count(db, select(func.count()).select_from(AudioSession).where(which))


def _count(db: Session, query: Any) -> int:  # noqa: ANN401 - a select of one number
    return int(db.scalar(query) or 0)


def _rowcount(result: Any) -> int:  # noqa: ANN401 - a CursorResult
    return int(result.rowcount)


def _add(counts: dict[str, int], name: str, count: int) -> None:
    counts[name] = counts.get(name, 0) + count
