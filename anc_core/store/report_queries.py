"""What a daily report asks the store about processing: sessions, failures, events, jobs.

Every query takes a stretch [start, end) in UTC and says which time it means: ``finished_at``, the
processing view. Rows come as plain tuples; numbers are made of them in ``anc_core.reports``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import ColumnElement, String, and_, case, cast, func, or_, select

from anc_core.records import Status
from anc_core.store.job_history import JOB_DONE, JOB_FAILED
from anc_core.store.safety import VIOLATED
from anc_core.store.tables import (
    DELETING,
    FAILED,
    RUNNING,
    AudioSession,
    AuditEntry,
    Batch,
    Model,
    NoiseEvent,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

ACKNOWLEDGE = "acknowledge"
"""Action of the audit log; its subject is a session id."""

_PAGE = 5_000


class SessionFacts(NamedTuple):
    """What a report counts of a session."""

    finished_at: datetime
    status: str
    device_id: str | None
    preset: str
    duration_s: float | None
    wall_s: float | None
    real_time_factor: float | None
    cancellation_db: float | None
    input_rms_dbfs: float | None
    output_bytes: int | None
    clipped: bool


class EventFacts(NamedTuple):
    """An emergency event with what its session knows of place and files."""

    session_id: str
    position: int
    noise_type: str
    start_s: float
    end_s: float
    channels: list[int]
    peak_confidence: float
    evidence: str
    max_attenuation_db: float | None
    device_id: str | None
    site: str | None
    recorded_at: datetime | None
    finished_at: datetime
    source_path: str
    source_bytes: int | None
    output_path: str | None
    output_bytes: int | None
    imported_at: datetime | None


class FailureFacts(NamedTuple):
    """Failures of one code."""

    code: str
    sessions: int
    session_id: str
    source_path: str
    message: str
    devices: tuple[str, ...]


class QualityFacts(NamedTuple):
    """A session that was degraded, became louder or lost voice."""

    session_id: str
    source_path: str
    device_id: str | None
    preset: str
    status: str
    cancellation_db: float | None
    speech_level_change_db: float | None
    reason: str | None


class LateFacts(NamedTuple):
    """A session that came after a report."""

    session_id: str
    source_path: str
    device_id: str | None
    status: str
    recorded_at: datetime | None
    finished_at: datetime


class JobRun(NamedTuple):
    """A run of a job by the clock."""

    job: str
    at: datetime
    failed: bool


def session_facts(db: Session, start: datetime, end: datetime) -> Iterator[SessionFacts]:
    """Yield the sessions that finished in the stretch, a few thousand at a time in memory."""
    clipped = cast(AudioSession.warnings, String).like('%"CLIPPED"%')
    rows = db.execute(
        select(
            AudioSession.finished_at,
            AudioSession.status,
            AudioSession.device_id,
            AudioSession.preset,
            AudioSession.duration_s,
            AudioSession.wall_s,
            AudioSession.real_time_factor,
            AudioSession.cancellation_db,
            AudioSession.input_rms_dbfs,
            AudioSession.output_bytes,
            clipped,
        ).where(_finished(start, end)),
        execution_options={"yield_per": _PAGE},
    )
    for page in rows.partitions():
        yield from map(SessionFacts._make, page)


def failure_facts(db: Session, start: datetime, end: datetime) -> list[FailureFacts]:
    """Return the failures of the stretch by code, the most frequent first, with an example each."""
    code = func.coalesce(AudioSession.error_code, "INTERNAL")
    failed = and_(_finished(start, end), AudioSession.status == FAILED)
    groups = db.execute(
        select(code, AudioSession.device_id, func.count(), func.min(AudioSession.id))
        .where(failed)
        .group_by(code, AudioSession.device_id)
    ).all()
    found: dict[str, list[tuple[int, str | None, str]]] = {}
    for name, device, count, example in groups:
        found.setdefault(name, []).append((count, device, example))
    lines = []
    for name, parts in found.items():
        parts.sort(key=lambda part: (-part[0], part[2]))
        row = db.execute(
            select(AudioSession.id, AudioSession.source_path, AudioSession.error_message).where(
                AudioSession.id == parts[0][2]
            )
        ).one()
        lines.append(
            FailureFacts(
                code=name,
                sessions=sum(count for count, _, _ in parts),
                session_id=row.id,
                source_path=row.source_path,
                message=row.error_message or "",
                devices=tuple(device for _, device, _ in parts if device is not None),
            )
        )
    return sorted(lines, key=lambda line: (-line.sessions, line.code))


def quality_facts(
    db: Session,
    start: datetime,
    end: datetime,
    *,
    louder_below_db: float,
    voice_below_db: float,
    limit: int,
) -> list[QualityFacts]:
    """Return the sessions that deserve a look, the worst first: degraded, then by harm in dB."""
    cancelled, voice = AudioSession.cancellation_db, AudioSession.speech_level_change_db
    louder = func.coalesce(-cancelled, 0.0)
    lost = func.coalesce(-voice, 0.0)
    harm = case((louder > lost, louder), else_=lost)
    degraded = AudioSession.status == Status.DEGRADED.value
    rows = db.execute(
        select(*(getattr(AudioSession, name) for name in _QUALITY_COLUMNS))
        .where(
            _finished(start, end),
            or_(degraded, cancelled < louder_below_db, voice < voice_below_db),
        )
        .order_by(case((degraded, 0), else_=1), harm.desc(), AudioSession.id)
        .limit(limit)
    )
    return [QualityFacts._make(row) for row in rows]


_QUALITY_COLUMNS = ("id", *QualityFacts._fields[1:])


# --------------------------------------------------------------------------- emergency events


def emergency_facts(db: Session, start: datetime, end: datetime, limit: int) -> list[EventFacts]:
    """Return emergency events of sessions that finished in the stretch, violations first."""
    of_event = EventFacts._fields[: EventFacts._fields.index("device_id")]
    rows = db.execute(
        select(
            *(getattr(NoiseEvent, name) for name in of_event),
            *(getattr(AudioSession, name) for name in EventFacts._fields[len(of_event) :]),
        )
        .join(AudioSession, AudioSession.id == NoiseEvent.session_id)
        .where(_finished(start, end), NoiseEvent.is_emergency)
        .order_by(
            case((VIOLATED, 0), else_=1),
            NoiseEvent.peak_confidence.desc(),
            NoiseEvent.session_id,
            NoiseEvent.position,
        )
        .limit(limit)
    )
    return [EventFacts._make(row) for row in rows]


def emergency_counts(db: Session, start: datetime, end: datetime) -> tuple[int, int]:
    """Return how many emergency events there were, and how many of them lost more than 1 dB."""
    row = db.execute(
        select(func.count(), func.coalesce(func.sum(case((VIOLATED, 1), else_=0)), 0))
        .join(AudioSession, AudioSession.id == NoiseEvent.session_id)
        .where(_finished(start, end), NoiseEvent.is_emergency)
    ).one()
    return int(row[0]), int(row[1])


def emergency_kinds(db: Session, start: datetime, end: datetime) -> set[tuple[str | None, str]]:
    """Return which (device, emergency sound) were heard."""
    rows = db.execute(
        select(AudioSession.device_id, NoiseEvent.noise_type)
        .join(AudioSession, AudioSession.id == NoiseEvent.session_id)
        .where(_finished(start, end), NoiseEvent.is_emergency)
        .distinct()
    )
    return {(row[0], row[1]) for row in rows}


def gate_violations(db: Session, start: datetime, end: datetime) -> list[str]:
    """Return the sessions that the quality gate refused for an emergency sound's sake (SAFETY)."""
    return list(
        db.scalars(
            select(AudioSession.id).where(
                _finished(start, end), AudioSession.error_code == "SAFETY"
            )
        )
    )


def acknowledged(db: Session, session_ids: set[str]) -> set[str]:
    """Return those of ``session_ids`` whose events somebody has acknowledged."""
    subjects = db.scalars(
        select(AuditEntry.subject).where(AuditEntry.action == ACKNOWLEDGE).distinct()
    )
    return session_ids.intersection(subjects)


# --------------------------------------------------------------------------- work and jobs


def unfinished(db: Session, at: datetime) -> tuple[int, int, datetime | None]:
    """Return how many sessions and batches were begun and not finished at a moment; the oldest."""
    sessions = db.execute(
        select(func.count(), func.min(AudioSession.created_at)).where(
            AudioSession.created_at < at,
            or_(
                and_(AudioSession.status == RUNNING, AudioSession.finished_at.is_(None)),
                AudioSession.finished_at >= at,
            ),
            AudioSession.status != DELETING,
        )
    ).one()
    batches = db.execute(
        select(func.count(), func.min(Batch.created_at)).where(
            Batch.created_at < at,
            or_(Batch.finished_at.is_(None), Batch.finished_at >= at),
        )
    ).one()
    moments: list[datetime | None] = [sessions[1], batches[1]]
    oldest = min((moment for moment in moments if moment is not None), default=None)
    return int(sessions[0]), int(batches[0]), oldest


def job_runs(db: Session, since: datetime, before: datetime) -> list[JobRun]:
    """Return the runs of jobs by the clock in [since, before), oldest first."""
    rows = db.execute(
        select(AuditEntry.subject, AuditEntry.at, AuditEntry.action)
        .where(
            AuditEntry.at >= since,
            AuditEntry.at < before,
            AuditEntry.action.in_((JOB_DONE, JOB_FAILED)),
        )
        .order_by(AuditEntry.at)
    )
    return [JobRun(job, at, action == JOB_FAILED) for job, at, action in rows]


def model_in_use(db: Session, at: datetime, kind: str) -> str | None:
    """Return the model of a kind that was promoted last before a moment."""
    return db.scalar(
        select(Model.id)
        .where(Model.kind == kind, Model.promoted_at < at)
        .order_by(Model.promoted_at.desc())
        .limit(1)
    )


def latest_output(db: Session, before: datetime | None = None) -> str | None:
    """Return where the last output on a disk was written, at all or before a moment."""
    earlier = () if before is None else (AudioSession.finished_at < before,)
    return db.scalar(
        select(AudioSession.output_path)
        .where(AudioSession.output_path.is_not(None), ~AudioSession.output_path.contains("://"))
        .where(*earlier)
        .order_by(AudioSession.finished_at.desc())
        .limit(1)
    )


def late_facts(
    db: Session, start: datetime, end: datetime, since: datetime, limit: int
) -> tuple[int, list[LateFacts]]:
    """Return sessions of a period that finished after ``since``: how many, and the latest of them.

    Of a period are those that finished in it, and those that were recorded in it, whenever they
    were processed.
    """
    recorded = and_(AudioSession.recorded_at >= start, AudioSession.recorded_at < end)
    late = and_(
        AudioSession.finished_at >= since,
        AudioSession.status.not_in((RUNNING, DELETING)),
        or_(recorded, AudioSession.finished_at < end),
    )
    count = db.scalar(select(func.count()).select_from(AudioSession).where(late)) or 0
    rows = db.execute(
        select(AudioSession.id, *(getattr(AudioSession, name) for name in LateFacts._fields[1:]))
        .where(late)
        .order_by(AudioSession.finished_at.desc(), AudioSession.id)
        .limit(limit)
    )
    return count, [LateFacts._make(row) for row in rows]


def _finished(start: datetime, end: datetime) -> ColumnElement[bool]:
    return and_(
        AudioSession.finished_at >= start,
        AudioSession.finished_at < end,
        AudioSession.status.not_in((RUNNING, DELETING)),
    )
