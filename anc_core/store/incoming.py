"""Sessions that come from elsewhere: what of them is here already, and writing the rest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, select, update

from anc_core.errors import StoreError
from anc_core.store.bulk import insert_rows
from anc_core.store.column_types import unescape_text
from anc_core.store.noise_totals import totals_of
from anc_core.store.plain_rows import (
    SESSIONS,
    SHAPES,
    SHARED_TABLES,
    TABLE_OF,
    Cell,
    Kind,
    PlainRow,
    SessionSelection,
    TableShape,
    stream_plain,
    stream_shared,
)
from anc_core.store.rows import pages
from anc_core.store.tables import DELETING, RUNNING, AudioSession, NoiseTotal

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Present:
    """A session that is here already."""

    status: str
    on_hold: bool

    @property
    def may_go(self) -> bool:
        """Whether another may stand in its place: nobody works on it, nobody holds it."""
        return self.status not in {RUNNING, DELETING} and not self.on_hold


class SessionDigests:
    """A digest of each of some sessions with all their rows, taken as the rows pass by."""

    def __init__(self) -> None:
        self._digests: dict[str, bytes] = {}

    def watch(self, session_ids: Collection[str]) -> None:
        """Take the digests of these, too; before their rows."""
        self._digests.update(dict.fromkeys(session_ids, b""))

    def update(self, shape: TableShape, rows: Sequence[PlainRow]) -> None:
        """Take in rows of ``audio_sessions`` or of one of its children, in the order of keys."""
        if not self._digests:
            return
        place = shape.index("id" if shape.name == SESSIONS else "session_id")
        for row in rows:
            session_id = str(row[place])
            before = self._digests.get(session_id)
            if before is not None:
                line = json.dumps([shape.name, *row]).encode()
                self._digests[session_id] = hashlib.sha256(before + line).digest()

    def differing(self, other: SessionDigests) -> list[str]:
        """Return the sessions whose digests are not those of ``other``."""
        theirs = other._digests
        return [one for one, digest in self._digests.items() if theirs.get(one) != digest]


def sessions_present(db: Session, session_ids: Collection[str]) -> dict[str, Present]:
    """Return which of ``session_ids`` are here, in whatever state."""
    found: dict[str, Present] = {}
    for page in pages(session_ids):
        columns = (AudioSession.id, AudioSession.status, AudioSession.on_hold)
        for row in db.execute(select(*columns).where(AudioSession.id.in_(page))):
            found[row.id] = Present(row.status, row.on_hold)
    return found


def digests_present(
    db: Session, session_ids: Collection[str], shapes: Mapping[str, TableShape]
) -> SessionDigests:
    """Return the digests of sessions here, over the columns of ``shapes``."""
    digests = SessionDigests()
    digests.watch(session_ids)
    if session_ids:
        selection = SessionSelection(session_ids=tuple(session_ids))
        for name, shape in shapes.items():
            if name not in SHARED_TABLES:
                for page in stream_plain(db, name, selection):
                    digests.update(shape, _with_columns_of(shape, page))
    return digests


def shared_present(db: Session, rows: Mapping[str, PlainRow], shape: TableShape) -> dict[str, bool]:
    """Return which of ``rows``, by id, are here, and whether they are the same."""
    return {
        str(row[0]): row[1:] == tuple(rows[str(row[0])])[1:]
        for page in stream_shared(db, shape.name, rows)
        for row in _with_columns_of(shape, page)
    }


def same_recordings(db: Session, fingerprints: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return (id here, id given) where a fingerprint is here under another id.

    Parameters
    ----------
    db : Session
        A reading transaction is enough.
    fingerprints : mapping
        Fingerprint to the id of the session that is to come.
    """
    found = []
    for page in pages(fingerprints):
        columns = (AudioSession.id, AudioSession.fingerprint)
        for row in db.execute(select(*columns).where(AudioSession.fingerprint.in_(page))):
            given = fingerprints[row.fingerprint]
            found += [(row.id, given)] if given != row.id else []
    return found


def remove_sessions(db: Session, session_ids: Collection[str]) -> None:
    """Delete sessions with all that belongs to them, to make room for others of the same ids."""
    for page in pages(session_ids):
        db.execute(
            delete(AudioSession).where(AudioSession.id.in_(page)),
            execution_options={"synchronize_session": False},
        )


def write_plain(db: Session, shape: TableShape, rows: Sequence[PlainRow], *, now: datetime) -> None:
    """Add rows of a table; a session is marked as imported at ``now``.

    Raises
    ------
    StoreError
        If a key is taken or a parent missing.
    """
    if not rows:
        return
    columns: tuple[str, ...] = shape.names
    converters = [_VALUE.get(column.kind) for column in shape.columns]
    values = (_converted(row, converters) for row in rows)
    if shape.name == SESSIONS:
        columns = (*columns, "imported_at")
        values = ([*value, now] for value in values)
    _insert(db, shape.name, columns, values)


class TotalsWriter:
    """Adds up windows as they pass by, session after session: they came without their sums."""

    def __init__(self, db: Session, shape: TableShape) -> None:
        self._db = db
        self._window = itemgetter(*(shape.index(name) for name in _WindowCells._fields))
        self._session = shape.index("session_id")
        self._open: str | None = None
        self._windows: list[_WindowCells] = []

    def add(self, rows: Sequence[PlainRow]) -> None:
        """Take in windows in the order of their sessions, which are written already."""
        done: dict[str, list[_WindowCells]] = {}
        for session_id, own in groupby(rows, key=itemgetter(self._session)):
            if session_id != self._open:
                self._close(done)
                self._open = str(session_id)
            self._windows += [_WindowCells(*self._window(row)) for row in own]
        self._write(done)

    def end(self) -> None:
        """Write the sums of the last session."""
        done: dict[str, list[_WindowCells]] = {}
        self._close(done)
        self._write(done)

    def _close(self, done: dict[str, list[_WindowCells]]) -> None:
        if self._open is not None:
            done[self._open] = self._windows
        self._open, self._windows = None, []

    def _write(self, done: Mapping[str, list[_WindowCells]]) -> None:
        for page in pages(done):
            columns = (AudioSession.id, AudioSession.recorded_at)
            dated = self._db.execute(select(*columns).where(AudioSession.id.in_(page)))
            totals = [
                {"session_id": row.id, **total}
                for row in dated
                for total in totals_of(done[row.id], row.recorded_at)
            ]
            if totals:
                _insert(
                    self._db,
                    NoiseTotal.__tablename__,
                    tuple(totals[0]),
                    (total.values() for total in totals),
                )


class _WindowCells(NamedTuple):
    start_s: float
    end_s: float
    noise_type: str
    confidence: float
    level_dbfs: float | None


def _insert(
    db: Session, table: str, columns: Sequence[str], values: Iterable[Iterable[Any]]
) -> None:
    try:
        insert_rows(db, table, columns, values)
    except db.get_bind().dialect.loaded_dbapi.Error as err:
        msg = f"rows of {table} cannot be added: {err}"
        raise StoreError(msg) from err


def _converted(row: PlainRow, converters: Sequence[Callable[[Any], Any] | None]) -> list[Any]:
    return [
        cell if convert is None or cell is None else convert(cell)
        for convert, cell in zip(converters, row, strict=True)
    ]


def update_shared(db: Session, shape: TableShape, rows: Sequence[PlainRow]) -> None:
    """Let rows be as in ``rows``; not deleted: sessions would forget their batches."""
    table = TABLE_OF[shape.name].__table__
    converters = [_VALUE.get(column.kind) for column in shape.columns]
    for row in rows:
        values = dict(zip(shape.names, _converted(row, converters), strict=True))
        db.execute(
            update(TABLE_OF[shape.name]).where(table.c.id == values.pop("id")).values(values),
            execution_options={"synchronize_session": False},
        )


def _with_columns_of(shape: TableShape, page: Sequence[PlainRow]) -> list[tuple[Cell, ...]]:
    """Return rows with the columns of ``shape``, which may be those of an older version."""
    places = [SHAPES[shape.name].index(column) for column in shape.names]
    return [tuple(row[i] for i in places) for row in page]


def _time(cell: Any) -> datetime:  # noqa: ANN401 - a plain cell
    return datetime.fromisoformat(cell)


def _truth(cell: Cell) -> bool:
    return cell == "true"


_VALUE: dict[Kind, Callable[[Any], Any]] = {
    Kind.TEXT: unescape_text,
    Kind.TIME: _time,
    Kind.TRUTH: _truth,
    Kind.JSON: json.loads,
}
