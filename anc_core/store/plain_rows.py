"""Rows as plain values, the same from SQLite and PostgreSQL: what an export writes and reads.

A plain row is a tuple of text, numbers and ``None``: times are ISO 8601 in UTC with six digits of
a second, truth is ``true`` or ``false``, JSON is compact text, and text is as it is stored, with
NUL, SUB and lone surrogates escaped (``column_types``), so that any file can hold it. A float that
is no number is ``None``, minus zero is zero. The database does the converting: a million rows cost
no Python for each cell.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ColumnElement,
    Double,
    String,
    Text,
    case,
    cast,
    collate,
    func,
    select,
    type_coerce,
)

from anc_core.errors import InputError, SessionNotFoundError
from anc_core.store.column_types import UtcDateTime, as_utc, to_json, utc_period
from anc_core.store.rows import pages
from anc_core.store.tables import (
    DELETING,
    RUNNING,
    AudioSession,
    Base,
    Batch,
    Calibration,
    LevelSpan,
    NoiseDetection,
    NoiseEvent,
    ProcessingMetric,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

Cell: TypeAlias = str | int | float | None
PlainRow: TypeAlias = Sequence[Cell]

PAGE_ROWS = 5_000
"""Rows that are in memory at a time."""

# Whose work a session was while it ran, and how it came here: no part of its content.
_LOCAL = {
    *("owner_host", "owner_pid", "owner_started_at", "heartbeat_at", "temp_path", "imported_at"),
}
_SHOWN = 20


class Kind(StrEnum):
    """What a plain cell holds besides ``None``."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    TRUTH = "truth"
    TIME = "time"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class ColumnShape:
    """A column of an exported table."""

    name: str
    kind: Kind
    nullable: bool


@dataclass(frozen=True, slots=True)
class TableShape:
    """An exported table; its rows are ordered by ``key``, ids by their ASCII codes."""

    name: str
    columns: tuple[ColumnShape, ...]
    key: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    def index(self, name: str) -> int:
        """Return where the column ``name`` stands in a row."""
        return self.names.index(name)


def _kind(column_type: Any) -> Kind:  # noqa: ANN401 - a column's type
    kinds = {
        Boolean: Kind.TRUTH,
        UtcDateTime: Kind.TIME,
        JSON: Kind.JSON,
        BigInteger: Kind.INTEGER,
        Double: Kind.NUMBER,
    }
    return next(
        (kind for known, kind in kinds.items() if isinstance(column_type, known)), Kind.TEXT
    )


def _shape(table: type[Base]) -> TableShape:
    columns = tuple(
        ColumnShape(column.name, _kind(column.type), bool(column.nullable))
        for column in table.__table__.columns
        if column.name not in _LOCAL
    )
    return TableShape(
        table.__tablename__, columns, tuple(key.name for key in table.__table__.primary_key)
    )


_TABLES = (
    Batch,
    Calibration,
    AudioSession,
    NoiseDetection,
    NoiseEvent,
    ProcessingMetric,
    LevelSpan,
)
TABLE_OF: dict[str, type[Base]] = {table.__tablename__: table for table in _TABLES}
SHAPES = {name: _shape(table) for name, table in TABLE_OF.items()}
"""The exported tables, parents first."""

SESSIONS, BATCHES = AudioSession.__tablename__, Batch.__tablename__
CALIBRATIONS = Calibration.__tablename__
SHARED_TABLES = (BATCHES, CALIBRATIONS)
"""Tables whose rows belong to several sessions; they are exported with any of them."""
WINDOWS = NoiseDetection.__tablename__
CHILD_TABLES = tuple(name for name in SHAPES if name not in {SESSIONS, *SHARED_TABLES})


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSelection:
    """Which sessions: those that match all that is given; running ones never.

    Raises
    ------
    InputError
        If a bound is naive or the period reversed.
    """

    session_ids: tuple[str, ...] | None = None
    statuses: tuple[str, ...] | None = None
    start: datetime | None = None
    end: datetime | None = None
    """[start, end) of ``by``."""
    by: Literal["finished", "recorded"] = "finished"
    batch_id: str | None = None
    device_id: str | None = None
    user_id: str | None = None
    site: str | None = None
    preset: str | None = None

    def __post_init__(self) -> None:
        bounds = [as_utc(bound) for bound in (self.start, self.end) if bound is not None]
        if len(bounds) == 2:
            utc_period(*bounds)

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return all conditions but ``session_ids``."""
        moment = AudioSession.finished_at if self.by == "finished" else AudioSession.recorded_at
        equal = {
            AudioSession.batch_id: self.batch_id,
            AudioSession.device_id: self.device_id,
            AudioSession.user_id: self.user_id,
            AudioSession.site: self.site,
            AudioSession.preset: self.preset,
        }
        found: list[ColumnElement[bool]] = [AudioSession.status.not_in((RUNNING, DELETING))]
        found += [column == value for column, value in equal.items() if value is not None]
        if self.statuses is not None:
            found.append(AudioSession.status.in_(self.statuses))
        if self.start is not None:
            found.append(moment >= self.start)
        if self.end is not None:
            found.append(moment < self.end)
        return found


def begin_snapshot(db: Session) -> None:
    """Let all that ``db`` reads be of one moment; the first thing to call in its transaction.

    SQLite does so by itself; PostgreSQL would show each statement the newest rows.
    """
    if db.get_bind().dialect.name == "postgresql":
        db.connection(execution_options={"isolation_level": "REPEATABLE READ"})


def refuse_unknown(db: Session, session_ids: Sequence[str]) -> None:
    """Refuse ids that cannot be exported.

    Raises
    ------
    SessionNotFoundError
        Lists those that are not in the store.
    InputError
        Lists those that are still running.
    """
    statuses: dict[str, str] = {}
    for page in pages(session_ids):
        rows = db.execute(
            select(AudioSession.id, AudioSession.status).where(
                AudioSession.id.in_(page), AudioSession.status != DELETING
            )
        )
        statuses.update((row.id, row.status) for row in rows)
    missing = [one for one in dict.fromkeys(session_ids) if one not in statuses]
    if missing:
        msg = f"not in the store: {some_of(missing)}"
        raise SessionNotFoundError(msg)
    running = [one for one, status in statuses.items() if status == RUNNING]
    if running:
        msg = f"still running: {some_of(running)}; wait for their end"
        raise InputError(msg)


def count_running(db: Session) -> int:
    """Return how many sessions are running: what no export holds."""
    return db.scalar(select(func.count()).where(AudioSession.status == RUNNING)) or 0


def stream_plain(
    db: Session, table: str, selection: SessionSelection
) -> Iterator[Sequence[PlainRow]]:
    """Yield the rows of ``table`` that belong to the selected sessions, a page at a time, by key.

    Parameters
    ----------
    db : Session
        Of :meth:`Database.read`, after :func:`begin_snapshot`.
    table : str
        One of :data:`SHAPES`.
    selection : SessionSelection
        For ``batches`` and ``calibrations``: those of the selected sessions and of their devices.
    """
    for condition in _conditions(db, table, selection):
        yield from _stream(db, table, condition)


def stream_shared(db: Session, table: str, row_ids: Iterable[str]) -> Iterator[Sequence[PlainRow]]:
    """Yield the rows of those of ``row_ids`` that are here, of one of :data:`SHARED_TABLES`."""
    for page in pages(sorted(row_ids)):
        yield from _stream(db, table, TABLE_OF[table].__table__.c.id.in_(page))


def some_of(names: Sequence[str]) -> str:
    """Return the first of ``names`` for a message, and how many more there are."""
    shown = ", ".join(map(repr, names[:_SHOWN]))
    more = len(names) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


@lru_cache(maxsize=4_096)
def compact_json(text: str) -> str:
    """Return JSON in its one compact form; order stays, what is no number becomes null."""
    return to_json(json.loads(text, parse_constant=lambda _: None))


def _conditions(
    db: Session, table: str, selection: SessionSelection
) -> Iterator[ColumnElement[bool]]:
    """Yield conditions on rows of ``table`` whose results, one after the other, are in order."""
    shared = selection.conditions()
    ids = selection.session_ids
    some = (
        [shared]
        if ids is None
        else [[*shared, AudioSession.id.in_(page)] for page in pages(sorted(ids))]
    )
    if table == SESSIONS:
        for conditions in some:
            yield _all(conditions)
    elif table in SHARED_TABLES:
        shared_by = AudioSession.batch_id if table == BATCHES else AudioSession.device_id
        names: set[str] = set()
        for conditions in some:
            found = db.scalars(
                select(shared_by).where(*conditions, shared_by.is_not(None)).distinct()
            )
            names.update(one for one in found if one is not None)
        wanted = names if table == BATCHES else _calibrations_of(db, names)
        for page in pages(sorted(wanted)):
            yield TABLE_OF[table].__table__.c.id.in_(page)
    else:
        session_id = TABLE_OF[table].__table__.c.session_id
        for conditions in some:
            yield session_id.in_(select(AudioSession.id).where(*conditions))


def _calibrations_of(db: Session, devices: set[str]) -> set[str]:
    found: set[str] = set()
    for page in pages(sorted(devices)):
        found.update(db.scalars(select(Calibration.id).where(Calibration.device_id.in_(page))))
    return found


def _all(conditions: Sequence[ColumnElement[bool]]) -> ColumnElement[bool]:
    first, *rest = conditions
    for condition in rest:
        first &= condition
    return first


def _stream(
    db: Session, table: str, condition: ColumnElement[bool]
) -> Iterator[Sequence[PlainRow]]:
    shape, dialect = SHAPES[table], db.get_bind().dialect.name
    own = TABLE_OF[table].__table__.c
    rows = db.execute(
        select(*(_plain(own[column.name], column.kind, dialect) for column in shape.columns))
        .where(condition)
        .order_by(*(_in_order(own[name], dialect) for name in shape.key)),
        execution_options={"yield_per": PAGE_ROWS},
    )
    documents = [i for i, column in enumerate(shape.columns) if column.kind is Kind.JSON]
    try:
        for page in rows.partitions():
            yield _with_compact_json(page, documents) if documents else page
    finally:  # PostgreSQL keeps a cursor open on the server for a reader that stopped half way
        rows.close()


def _with_compact_json(page: Sequence[Any], documents: Sequence[int]) -> list[PlainRow]:
    plain: list[PlainRow] = []
    for row in page:
        cells = list(row)
        for i in documents:
            if cells[i] is not None:
                cells[i] = compact_json(cells[i])
        plain.append(tuple(cells))
    return plain


def _in_order(column: ColumnElement[Any], dialect: str) -> ColumnElement[Any]:
    """Order text by its codes, as SQLite does; PostgreSQL's own order depends on its locale."""
    is_text = dialect == "postgresql" and isinstance(column.type, String)
    return collate(column, "C") if is_text else column


def _plain(column: ColumnElement[Any], kind: Kind, dialect: str) -> ColumnElement[Any]:
    postgres = dialect == "postgresql"
    if kind is Kind.TRUTH:
        return case((column.is_(True), "true"), (column.is_(False), "false"))
    if kind is Kind.TIME:
        if postgres:
            utc = func.timezone("UTC", column)
            return func.to_char(utc, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"', type_=Text())
        return func.replace(type_coerce(column, Text()), " ", "T", type_=Text()) + "Z"
    if kind is Kind.JSON:
        return cast(column, Text()) if postgres else type_coerce(column, Text())
    if kind is Kind.NUMBER:
        # x - x is 0 for a number and NaN for an infinity; SQLite makes a NaN null by itself, and
        # -0.0 + 0.0 is 0.0.
        finite = column + (column - column)
        return func.nullif(finite, cast("NaN", Double())) if postgres else finite
    return type_coerce(column, Text()) if kind is Kind.TEXT else column
