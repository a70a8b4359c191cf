"""Cells of a file as plain cells: each kind of column says what it takes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from anc_core.errors import InputError
from anc_core.exchange.cells import read_text
from anc_core.store.column_types import escape_text, to_json, unescape_text
from anc_core.store.plain_rows import Cell, ColumnShape, Kind, TableShape, compact_json

Parse = Callable[[Any], Cell]

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_LARGEST = 2**63
_SHOWN = 60


def csv_row_parser(shape: TableShape, *, safe: bool) -> Callable[[Sequence[str]], tuple[Cell, ...]]:
    """Return what makes a plain row of the cells of a CSV line.

    It raises :class:`InputError`, which names the column.
    """
    kinds: Mapping[Kind, Parse] = {**_FROM_TEXT, Kind.TEXT: _text}
    columns = [(column, kinds[column.kind]) for column in shape.columns]

    def parse(cells: Sequence[str]) -> tuple[Cell, ...]:
        if len(cells) != len(columns):
            msg = f"has {len(cells)} cells instead of {len(columns)}"
            raise InputError(msg)
        return tuple(
            _checked(
                column,
                parser,
                read_text(cell, nullable=column.nullable, safe=safe)
                if column.kind is Kind.TEXT
                else cell or None,
            )
            for (column, parser), cell in zip(columns, cells, strict=True)
        )

    return parse


def object_parser(
    shape: TableShape, kinds: Mapping[Kind, Parse]
) -> Callable[[Mapping[str, Any]], tuple[Cell, ...]]:
    """Return what makes a plain row of an object, by the names of its fields."""
    columns = [(column, kinds[column.kind]) for column in shape.columns]
    names = set(shape.names)

    def parse(row: Mapping[str, Any]) -> tuple[Cell, ...]:
        if row.keys() != names:
            odd = ", ".join(sorted(names ^ row.keys())[:5])
            msg = f"has other columns than its table: {odd}"
            raise InputError(msg)
        return tuple(_checked(column, parser, row[column.name]) for column, parser in columns)

    return parse


def _checked(column: ColumnShape, parse: Parse, cell: Any) -> Cell:  # noqa: ANN401 - a cell of a file
    if cell is None:
        if column.nullable:
            return None
        msg = f"{column.name} is missing"
        raise InputError(msg)
    try:
        return parse(cell)
    except (ValueError, TypeError, RecursionError) as err:
        msg = f"{column.name} is {str(cell)[:_SHOWN]!r}: {err}"
        raise InputError(msg) from err


def _text(cell: Any) -> str:  # noqa: ANN401
    if not isinstance(cell, str):
        msg = "must be text"
        raise TypeError(msg)
    if escape_text(unescape_text(cell)) != cell:
        msg = "holds a character that no export writes"
        raise ValueError(msg)
    return cell


def _whole(cell: Any) -> int:  # noqa: ANN401
    if isinstance(cell, str):
        if not _WHOLE.fullmatch(cell):
            msg = "must be a whole number"
            raise ValueError(msg)
        cell = int(cell)
    if type(cell) is not int or not -_LARGEST <= cell < _LARGEST:
        msg = "must be a whole number of 64 bit"
        raise ValueError(msg)
    return int(cell)


def _number(cell: Any) -> float:  # noqa: ANN401
    if isinstance(cell, bool):
        msg = "must be a number"
        raise TypeError(msg)
    value = float(cell)
    if not isfinite(value):
        msg = "must be finite"
        raise ValueError(msg)
    return value


def _truth_word(cell: Any) -> str:  # noqa: ANN401
    if cell not in {"true", "false"}:
        msg = "must be true or false"
        raise ValueError(msg)
    return str(cell)


def _truth(cell: Any) -> str:  # noqa: ANN401
    if not isinstance(cell, bool):
        msg = "must be true or false"
        raise TypeError(msg)
    return "true" if cell else "false"


def _time(cell: Any) -> str:  # noqa: ANN401
    if not isinstance(cell, str) or not _TIME.fullmatch(cell):
        msg = "must be a time such as 2024-05-01T12:00:00.000000Z"
        raise ValueError(msg)
    datetime.fromisoformat(cell)
    return cell


def _moment(cell: Any) -> str:  # noqa: ANN401
    if not isinstance(cell, datetime):
        msg = "must be a timestamp"
        raise TypeError(msg)
    return cell.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _json_text(cell: Any) -> str:  # noqa: ANN401
    return compact_json(cell)


_FROM_TEXT: Mapping[Kind, Parse] = {
    Kind.INTEGER: _whole,
    Kind.NUMBER: _number,
    Kind.TRUTH: _truth_word,
    Kind.TIME: _time,
    Kind.JSON: _json_text,
}
FROM_JSON: Mapping[Kind, Parse] = {
    Kind.TEXT: _text,
    Kind.INTEGER: _whole,
    Kind.NUMBER: _number,
    Kind.TRUTH: _truth,
    Kind.TIME: _time,
    Kind.JSON: to_json,
}
FROM_ARROW: Mapping[Kind, Parse] = {
    **FROM_JSON,
    Kind.TIME: _moment,
    Kind.JSON: _json_text,
}


def parse_json_line(line: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of a line; NaN and infinities, which are no JSON, are refused.

    Raises
    ------
    InputError
        If it is no JSON in UTF-8.
    """
    try:
        return json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as err:
        msg = f"is no JSON: {err}"
        raise InputError(msg) from err


def _refuse_constant(name: str) -> None:
    msg = f"{name} is no JSON"
    raise ValueError(msg)
