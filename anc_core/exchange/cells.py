"""Rows as lines of CSV, and the content digest made of them.

Null is an empty cell. Two ways of writing text, both undone exactly:

*safe* (the default): what a spreadsheet would take for a formula begins with an apostrophe, and so
does what begins with one anyway; an empty text where null is possible is a lone apostrophe.

*plain* (``csv_safe=False``, and under every digest): text is as it is; only text of nothing but
apostrophes, and an empty text where null is possible, begin with one more.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter

from anc_core.jobs.csv_cells import is_formula
from anc_core.store.plain_rows import Cell, Kind, PlainRow, TableShape

_MARK = "'"


def header_line(names: Sequence[str]) -> str:
    """Return the first line of a table."""
    return _lines([names])


def csv_lines(shape: TableShape, rows: Sequence[PlainRow], *, safe: bool) -> str:
    """Return ``rows`` by RFC 4180, CRLF after each."""
    return _lines(_marked(shape, rows, safe=safe))


def is_same_when_safe(shape: TableShape, rows: Sequence[PlainRow]) -> bool:
    """Return whether both ways of writing ``rows`` are one."""
    return all(
        not any(value and _needs_mark_safe(value) for value in set(map(itemgetter(i), rows)))
        for i, _ in _texts(shape)
    )


def read_text(cell: str, *, nullable: bool, safe: bool) -> str | None:
    """Return the text that :func:`csv_lines` wrote as ``cell``.

    Examples
    --------
    >>> read_text("'=1", nullable=True, safe=True), read_text("'", nullable=True, safe=True)
    ('=1', '')
    """
    if not cell:
        return None if nullable else ""
    if safe:
        return cell[1:] if cell[0] == _MARK else cell
    return cell[1:] if nullable and not cell.strip(_MARK) else cell


class TableDigest:
    """SHA-256 of a table's content: its header line and its rows in the plain way of CSV."""

    def __init__(self, shape: TableShape) -> None:
        self.shape = shape
        self.rows = 0
        self._digest = hashlib.sha256(header_line(shape.names).encode())

    def update(self, rows: Sequence[PlainRow]) -> bytes:
        """Take ``rows`` in; return the lines that stand for them."""
        lines = csv_lines(self.shape, rows, safe=False).encode()
        self._digest.update(lines)
        self.rows += len(rows)
        return lines

    def hexdigest(self) -> str:
        """Return the digest so far."""
        return self._digest.hexdigest()


def content_digest(tables: Mapping[str, str]) -> str:
    """Return the digest of an export from those of its tables, whatever its format and time."""
    lines = "".join(f"{name} {tables[name]}\n" for name in sorted(tables))
    return hashlib.sha256(lines.encode()).hexdigest()


def _lines(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def _marked(shape: TableShape, rows: Sequence[PlainRow], *, safe: bool) -> Sequence[PlainRow]:
    """Return ``rows`` with the apostrophes that they need; mostly none, and then as they are."""
    for i, nullable in _texts(shape):
        needs = _rule(nullable=nullable, safe=safe)
        if needs is None:
            continue
        marked = {
            value: _MARK + value
            for value in set(map(itemgetter(i), rows))
            if isinstance(value, str) and needs(value)
        }
        if marked:
            rows = [_replaced(row, i, marked) for row in rows]
    return rows


def _replaced(row: PlainRow, i: int, marked: Mapping[str, str]) -> PlainRow:
    cell = row[i]
    return row if cell not in marked else (*row[:i], marked[str(cell)], *row[i + 1 :])


def _texts(shape: TableShape) -> list[tuple[int, bool]]:
    return [
        (i, column.nullable) for i, column in enumerate(shape.columns) if column.kind is Kind.TEXT
    ]


def _rule(*, nullable: bool, safe: bool) -> Callable[[str], bool] | None:
    if safe:
        return (lambda text: not text or _needs_mark_safe(text)) if nullable else _needs_mark_safe
    return (lambda text: not text.strip(_MARK)) if nullable else None


def _needs_mark_safe(text: Cell) -> bool:
    return isinstance(text, str) and (text.startswith(_MARK) or is_formula(text))
