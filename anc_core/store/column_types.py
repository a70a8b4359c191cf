"""Column types that mean the same on SQLite and PostgreSQL.

Context: SQLite keeps no time zone, PostgreSQL text refuses NUL, and neither stores the lone
surrogates that stand for undecodable bytes in a POSIX file name.
Decision: convert on the way in and back on the way out, here and nowhere else.
Consequence: migrations name the plain types beneath (``DateTime``, ``Text``, ``JSON``), which never
change.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import DateTime, Text
from sqlalchemy.types import TypeDecorator

from anc_core.errors import InputError

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

# SUB, "substitute" (ECMA-48): stands for a character that cannot be represented; it is escaped
# itself, so the mapping is one to one.
_ESCAPE = "\x1a"
_UNSTORABLE = re.compile(r"[\x00\x1a\ud800-\udfff]")
_ESCAPED = re.compile(r"\x1a([0-9a-f]{4})")


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware datetimes in, UTC out; naive ones are refused.

    Raises
    ------
    InputError
        On a naive datetime: nobody can tell which moment it means.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; SQLite stores the wall clock of UTC."""
        if value is None:
            return None
        utc = as_utc(value)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return an aware datetime in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class AnyText(TypeDecorator[str]):
    """Text of any content: NUL and undecodable bytes of file names survive the round trip."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Escape what a database cannot hold."""
        return None if value is None else escape_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Undo the escape."""
        return None if value is None else unescape_text(value)


def escape_text(text: str) -> str:
    """Return ``text`` as it is stored and exported; one to one."""
    if _UNSTORABLE.search(text) is None:
        return text
    return _UNSTORABLE.sub(lambda found: f"{_ESCAPE}{ord(found[0]):04x}", text)


def unescape_text(text: str) -> str:
    """Return the text that :func:`escape_text` made ``text`` of."""
    if _ESCAPE not in text:
        return text
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def as_utc(moment: datetime) -> datetime:
    """Return ``moment`` in UTC.

    Raises
    ------
    InputError
        If it is naive or leaves the calendar on conversion.
    """
    if moment.utcoffset() is None:
        msg = f"datetime {moment.isoformat()} has no time zone; give one, e.g. +00:00"
        raise InputError(msg)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        msg = f"datetime {moment.isoformat()} is outside the calendar once converted to UTC"
        raise InputError(msg) from None


def utc_period(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """Return both bounds in UTC.

    Raises
    ------
    InputError
        As :func:`as_utc`, or if ``end`` lies before ``start``.
    """
    start, end = as_utc(start), as_utc(end)
    if end < start:
        msg = f"the period ends at {end.isoformat()}, before it starts at {start.isoformat()}"
        raise InputError(msg)
    return start, end


def to_json(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Serialise ``value`` for a JSON column.

    ASCII only: PostgreSQL keeps an escaped NUL or lone surrogate in ``json``, but not the character
    itself.

    Raises
    ------
    InputError
        On NaN, an infinity (neither is JSON) or an object that has no JSON form.
    """
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as err:
        msg = f"value cannot be stored as JSON: {err}"
        raise InputError(msg) from err
