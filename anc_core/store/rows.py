"""Records to rows and back: column names are field names, so this is nearly a copy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from sqlalchemy import delete, insert, select

from anc_core.records import (
    Event,
    IntervalMetrics,
    LevelSpan,
    Metrics,
    Record,
    SessionSummary,
    Status,
    Window,
    WindowTable,
)
from anc_core.store.noise_totals import totals_of
from anc_core.store.tables import (
    CHILDREN,
    AudioSession,
    NoiseDetection,
    NoiseEvent,
    NoiseTotal,
    ProcessingMetric,
)
from anc_core.store.tables import LevelSpan as LevelSpanRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_R = TypeVar("_R", bound=Record)
_Child: TypeAlias = NoiseDetection | NoiseEvent | ProcessingMetric | LevelSpanRow

METRIC_COLUMNS = tuple(
    name for name in Metrics.model_fields if name in AudioSession.__table__.columns
)
"""Figures that are columns of their own besides standing in ``metrics``."""

_PARAMETERS_AT_ONCE = 500
"""SQLite builds may be limited to 999 bound parameters a statement."""

_ROWS_AT_ONCE = 2_000

_CHILD_FIELDS = {"intervals", "level_spans", "windows", "events"}
_JSON_FIELDS = {"parameters", "metrics", "protected", "warnings"}
_PLAIN_FIELDS = tuple(
    name
    for name in SessionSummary.model_fields
    if name not in _CHILD_FIELDS | _JSON_FIELDS | {"session_id"}
)


def session_values(summary: SessionSummary) -> dict[str, Any]:
    """Return the column values of ``audio_sessions`` that ``summary`` knows."""
    values: dict[str, Any] = {name: getattr(summary, name) for name in _PLAIN_FIELDS}
    values |= {"status": summary.status.value, "mode": summary.mode.value}
    values["error_code"] = None if summary.error_code is None else summary.error_code.value
    # Not mode="json": that replaces undecodable bytes of a file name where they stand in a key.
    values |= summary.model_dump(include=_JSON_FIELDS - {"parameters"})
    # Not dumped: pydantic would make NaN null without a word; the column refuses it.
    values["parameters"] = summary.parameters
    return values | {name: getattr(summary.metrics, name) for name in METRIC_COLUMNS}


def unfinished_values() -> dict[str, Any]:
    """Return the values of the columns before there is a result; a claim puts its own on top."""
    return session_values(SessionSummary(status=Status.RUNNING, session_id="", source_path=""))


def summary_of(
    row: AudioSession,
    *,
    intervals: Sequence[IntervalMetrics] = (),
    level_spans: Sequence[LevelSpan] = (),
    windows: Sequence[Window] = (),
    events: Sequence[Event] = (),
) -> SessionSummary:
    """Return the record that ``row`` and its children hold."""
    fields = {name: getattr(row, name) for name in (*_PLAIN_FIELDS, *_JSON_FIELDS)}
    return SessionSummary(
        session_id=row.id,
        intervals=tuple(intervals),
        level_spans=tuple(level_spans),
        windows=windows,
        events=tuple(events),
        **fields,
    )


def pages(values: Iterable[str]) -> Iterator[list[str]]:
    """Yield the different ``values`` a few hundred at a time: so many a statement may bind."""
    unique = list(dict.fromkeys(values))
    for start in range(0, len(unique), _PARAMETERS_AT_ONCE):
        yield unique[start : start + _PARAMETERS_AT_ONCE]


def replace_children(db: Session, summary: SessionSummary, *, recorded_at: datetime | None) -> None:
    """Write intervals, levels, windows and events of ``summary`` in place of those that were there.

    ``recorded_at`` is the row's, which may know more than the summary.
    """
    delete_children(db, summary.session_id)
    _insert(db, ProcessingMetric, summary.session_id, summary.intervals)
    _insert(db, LevelSpanRow, summary.session_id, summary.level_spans)
    _insert(db, NoiseDetection, summary.session_id, summary.windows)
    _insert(db, NoiseEvent, summary.session_id, summary.events)
    totals = totals_of(summary.windows, recorded_at)
    if totals:
        rows = [{"session_id": summary.session_id} | total for total in totals]
        db.execute(insert(NoiseTotal.__table__), rows)  # type: ignore[arg-type]


def delete_children(db: Session, session_id: str) -> None:
    """Remove all rows that belong to a session, not the session."""
    for table in CHILDREN:
        db.execute(
            delete(table).where(table.session_id == session_id),
            execution_options={"synchronize_session": False},
        )


def load_intervals(db: Session, session_id: str) -> tuple[IntervalMetrics, ...]:
    """Return the intervals of a session in the order they were given."""
    return _load(db, ProcessingMetric, session_id, IntervalMetrics)


def load_level_spans(db: Session, session_id: str) -> tuple[LevelSpan, ...]:
    """Return the levels of a session by channel and time."""
    return _load(db, LevelSpanRow, session_id, LevelSpan)


def load_windows(db: Session, session_id: str) -> WindowTable:
    """Return the windows of a session in the order they were given."""
    return WindowTable(_loaded(db, NoiseDetection, session_id, Window))


def load_events(db: Session, session_id: str) -> tuple[Event, ...]:
    """Return the events of a session in the order they were given."""
    return _load(db, NoiseEvent, session_id, Event)


def _insert(db: Session, table: type[_Child], session_id: str, records: Sequence[Record]) -> None:
    rows = (
        {"session_id": session_id, "position": position} | vars(record)
        for position, record in enumerate(records)
    )
    # The table, not the class: an executemany without the ORM's bookkeeping for each row, and not
    # all at once: a day has 172 800 windows a channel.
    while some := list(islice(rows, _ROWS_AT_ONCE)):
        db.execute(insert(table.__table__), some)  # type: ignore[arg-type]


def _load(db: Session, table: type[_Child], session_id: str, record: type[_R]) -> tuple[_R, ...]:
    return tuple(_loaded(db, table, session_id, record))


def _loaded(db: Session, table: type[_Child], session_id: str, record: type[_R]) -> Iterator[_R]:
    columns = [table.__table__.c[name] for name in record.model_fields]
    rows = db.execute(
        select(*columns).where(table.session_id == session_id).order_by(table.position),
        execution_options={"yield_per": _ROWS_AT_ONCE},
    )
    return (record(**row) for row in rows.mappings())
