"""The ledger: what is finished already, for the planner of the next batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from anc_core.records import Status
from anc_core.store.rows import pages
from anc_core.store.tables import DONE, PROCESSED, RUNNING, AudioSession

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute, Session

_ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedSource:
    """A recording that needs no work, as it was when it was processed.

    Same size and ``source_mtime_ns`` = the same file, unread; where only the time differs the
    digest decides.
    """

    source_path: str
    source_bytes: int | None
    source_mtime_ns: int | None
    source_digest: str | None
    fingerprint: str
    session_id: str
    status: Status
    output_path: str | None
    output_bytes: int | None
    duration_s: float | None


def finished_sources(db: Session, paths: Sequence[str]) -> dict[str, list[FinishedSource]]:
    """Return what is finished of ``paths``; a path may have several sessions (presets, versions).

    Parameters
    ----------
    db : Session
        A reading transaction is enough.
    paths : sequence of str
        As they were given to the claims; any number.

    Returns
    -------
    dict
        Path to its finished sessions (ok, degraded, skipped), oldest first. Other paths are absent,
        and so are imported sessions: nobody here has seen their files.
    """
    found: defaultdict[str, list[FinishedSource]] = defaultdict(list)
    for entry in _finished(db, AudioSession.source_path, paths):
        found[entry.source_path].append(entry)
    return dict(found)


def finished_by_fingerprint(db: Session, fingerprints: Sequence[str]) -> dict[str, FinishedSource]:
    """Return the finished session of each fingerprint that has one."""
    return {
        entry.fingerprint: entry for entry in _finished(db, AudioSession.fingerprint, fingerprints)
    }


def is_known_output(db: Session, output_path: str) -> bool:
    """Return whether a finished session delivered ``output_path``: then it may be replaced.

    The session that is running at the moment does not count; the file is not its work yet. Nor
    does one that was imported: whatever its paths say, it delivered nothing here.
    """
    return (
        db.scalar(
            select(AudioSession.id)
            .where(
                AudioSession.output_path == output_path,
                AudioSession.status.in_(DONE),
                AudioSession.imported_at.is_(None),
            )
            .limit(1)
        )
        is not None
    )


def delivered_outputs(db: Session) -> Iterator[tuple[str, str]]:
    """Yield id and output path of every session that delivered an output here; memory is constant.

    Sessions that were imported delivered theirs elsewhere: their paths say nothing of this disk.
    """
    rows = db.execute(
        select(AudioSession.id, AudioSession.output_path)
        .where(
            AudioSession.status.in_(PROCESSED),
            AudioSession.output_path.is_not(None),
            AudioSession.imported_at.is_(None),
        )
        .order_by(AudioSession.finished_at, AudioSession.id),
        execution_options={"yield_per": _ROWS_AT_ONCE},
    )
    for session_id, output_path in rows:
        yield session_id, output_path or ""


def session_of_file(db: Session, paths: Collection[str]) -> str | None:
    """Return a session that one of ``paths`` belongs to: its recording, output or sidecar."""
    columns = (
        *(AudioSession.source_path, AudioSession.output_path),
        *(AudioSession.reference_path, AudioSession.sidecar_path),
    )
    belongs = or_(*(column.in_(paths) for column in columns))
    return db.scalar(
        select(AudioSession.id).where(belongs, AudioSession.imported_at.is_(None)).limit(1)
    )


def known_outputs(db: Session, paths: Sequence[str]) -> set[str]:
    """Return which of ``paths`` are the output of a session of this place, whatever its status."""
    return _known(db, AudioSession.output_path, paths, AudioSession.imported_at.is_(None))


def known_sessions(db: Session, session_ids: Sequence[str]) -> set[str]:
    """Return which of ``session_ids`` exist, whatever their status."""
    return _known(db, AudioSession.id, session_ids)


def known_temporaries(db: Session, paths: Sequence[str]) -> set[str]:
    """Return which of ``paths`` belong to sessions that run: outputs, or sidecars beside them."""
    running = db.scalars(
        select(AudioSession.temp_path).where(
            AudioSession.status == RUNNING, AudioSession.temp_path.is_not(None)
        )
    )
    in_work = set(running)
    return {path for path in paths if {path, path.replace("-json.part", ".part")} & in_work}


def _known(
    db: Session,
    column: InstrumentedAttribute[str] | InstrumentedAttribute[str | None],
    values: Sequence[str],
    *conditions: ColumnElement[bool],
) -> set[str]:
    found: set[str] = set()
    for page in pages(values):
        rows = db.scalars(select(column).where(column.in_(page), *conditions))
        found.update(one for one in rows if one)
    return found


def _finished(
    db: Session, column: InstrumentedAttribute[str], values: Sequence[str]
) -> Iterator[FinishedSource]:
    columns = (
        AudioSession.source_path,
        AudioSession.source_bytes,
        AudioSession.source_mtime_ns,
        AudioSession.source_digest,
        AudioSession.fingerprint,
        AudioSession.id.label("session_id"),
        AudioSession.status,
        AudioSession.output_path,
        AudioSession.output_bytes,
        AudioSession.duration_s,
    )
    for some in pages(values):
        rows = db.execute(
            select(*columns)
            .where(
                column.in_(some),
                AudioSession.status.in_(DONE),
                AudioSession.imported_at.is_(None),
            )
            .order_by(AudioSession.finished_at)
        )
        for row in rows.mappings():
            yield FinishedSource(**{**row, "status": Status(row["status"])})
