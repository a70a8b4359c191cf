"""Sessions that come from elsewhere: what of them is here already, and writing the rest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from anc_core.store.column_types import unescape_text
from anc_core.store.plain_rows import (
    BATCHES,
    SESSIONS,
    SHAPES,
    TABLE_OF,
    Cell,
    Kind,
    PlainRow,
    SessionSelection,
    TableShape,
    stream_batches,
    stream_plain,
)
from anc_core.store.rows import pages
from anc_core.store.tables import DELETING, RUNNING, AudioSession, Batch

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
            if name != BATCHES:
                for page in stream_plain(db, name, selection):
                    digests.update(shape, _with_columns_of(shape, page))
    return digests


def batches_present(
    db: Session, rows: Mapping[str, PlainRow], shape: TableShape
) -> dict[str, bool]:
    """Return which batches are here, and whether they are the same as in ``rows``."""
    return {
        str(row[0]): row[1:] == tuple(rows[str(row[0])])[1:]
        for page in stream_batches(db, rows)
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
            if fingerprints[row.fingerprint] != row.id:
                found.append((row.id, fingerprints[row.fingerprint]))
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
    values = _values(shape, rows)
    if shape.name == SESSIONS:
        for value in values:
            value["imported_at"] = now
    # The table, not the class: one executemany, without the ORM's bookkeeping for each row.
    db.execute(insert(TABLE_OF[shape.name].__table__), values)  # type: ignore[arg-type]


def update_batches(db: Session, shape: TableShape, rows: Sequence[PlainRow]) -> None:
    """Let batches be as in ``rows``; not deleted: their sessions would forget them."""
    for value in _values(shape, rows):
        db.execute(
            update(Batch).where(Batch.id == value.pop("id")).values(value),
            execution_options={"synchronize_session": False},
        )


def _with_columns_of(shape: TableShape, page: Sequence[PlainRow]) -> list[tuple[Cell, ...]]:
    """Return rows with the columns of ``shape``, which may be those of an older version."""
    places = [SHAPES[shape.name].index(column) for column in shape.names]
    return [tuple(row[i] for i in places) for row in page]


def _values(shape: TableShape, rows: Sequence[PlainRow]) -> list[dict[str, Any]]:
    columns = [(column.name, _VALUE.get(column.kind)) for column in shape.columns]
    return [
        {
            name: cell if convert is None or cell is None else convert(cell)
            for (name, convert), cell in zip(columns, row, strict=True)
        }
        for row in rows
    ]


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
