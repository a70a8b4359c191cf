"""Whether rows of a file can be rows of the store: keys, parents, and the records made of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from anc_core.errors import InputError
from anc_core.exchange.readers import Faults
from anc_core.records import (
    ENDED,
    Event,
    IntervalMetrics,
    LevelSpan,
    Record,
    SessionSummary,
    Window,
)
from anc_core.sound_records import Calibration
from anc_core.store import validate_session_id
from anc_core.store.plain_rows import (
    BATCHES,
    CALIBRATIONS,
    SESSIONS,
    SHARED_TABLES,
    Cell,
    Kind,
    PlainRow,
    TableShape,
)

_RECORDS: Mapping[str, type[Record]] = {
    SESSIONS: SessionSummary,
    CALIBRATIONS: Calibration,
    "noise_detections": Window,
    "noise_events": Event,
    "processing_metrics": IntervalMetrics,
    "level_spans": LevelSpan,
}


class RowChecks:
    """Looks at rows in the order of their tables and keys, and keeps what later rows need."""

    def __init__(self, shapes: Mapping[str, TableShape], faults: Faults) -> None:
        self._tables = {name: _TableCheck(shape) for name, shape in shapes.items()}
        self._faults = faults
        self._fingerprints: set[Cell] = set()
        self.shared: dict[str, dict[str, PlainRow]] = {name: {} for name in SHARED_TABLES}
        self.session_ids: dict[str, None] = {}

    def check(self, table: str, first: int, rows: list[tuple[Cell, ...]]) -> None:
        """Note what is wrong with ``rows``; ``first`` is the number of the first one."""
        own = self._tables[table]
        for number, row in enumerate(rows, start=first):
            try:
                values = own.values(row)
                if table in SHARED_TABLES:
                    self._check_shared(table, row, values)
                elif table == SESSIONS:
                    self._check_session(values)
                elif values["session_id"] not in self.session_ids:
                    _refuse(f"session {values['session_id']!r} is not in the file")
                own.build(values)
            except InputError as err:
                self._faults.add(table, number, str(err))

    def _check_shared(self, table: str, row: PlainRow, values: Mapping[str, Any]) -> None:
        validate_session_id(values["id"], what="id")
        self.shared[table][values["id"]] = row

    def _check_session(self, values: dict[str, Any]) -> None:
        session_id, fingerprint = (
            validate_session_id(values["id"], what="id"),
            values["fingerprint"],
        )
        if values["status"] not in ENDED:
            _refuse(f"status is {values['status']!r}; it must be one of {', '.join(ENDED)}")
        if fingerprint in self._fingerprints:
            _refuse(f"fingerprint {fingerprint!r} is in the file twice")
        if values.get("batch_id") is not None and values["batch_id"] not in self.shared[BATCHES]:
            _refuse(f"batch {values['batch_id']!r} is not in the file")
        self._fingerprints.add(fingerprint)
        self.session_ids[session_id] = None
        values["session_id"] = session_id


class _TableCheck:
    def __init__(self, shape: TableShape) -> None:
        self._names = shape.names
        self._keys = [shape.index(name) for name in shape.key]
        self._documents = [column.name for column in shape.columns if column.kind is Kind.JSON]
        self._record = _RECORDS.get(shape.name)
        known = set() if self._record is None else set(self._record.model_fields)
        self._fields = [name for name in (*shape.names, "session_id") if name in known]
        self._before: tuple[Any, ...] | None = None

    def values(self, row: PlainRow) -> dict[str, Any]:
        """Return the row by its names, if its key comes after the last one's."""
        key = tuple(row[i] for i in self._keys)
        if self._before is not None and key <= self._before:
            _refuse(f"key {key} is there twice or out of order")
        self._before = key
        return dict(zip(self._names, row, strict=True))

    def build(self, values: dict[str, Any]) -> None:
        """Make the record that the store will make of the row."""
        if self._record is None:
            return
        for name in self._documents:
            values[name] = json.loads(values[name])
        try:
            self._record.model_validate({name: values[name] for name in self._fields})
        except ValidationError as err:
            fault = err.errors(include_url=False)[0]
            where = ".".join(map(str, fault["loc"]))
            _refuse(f"{where} is {str(fault['input'])[:60]!r}: {fault['msg']}")


def _refuse(msg: str) -> None:
    raise InputError(msg)
