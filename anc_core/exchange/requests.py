"""What callers of an export say in words, made into a request."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TypeVar

from anc_core.errors import InputError
from anc_core.exchange.records import ExportRequest, Format
from anc_core.records import ENDED
from anc_core.store.plain_rows import CHILD_TABLES, SessionSelection

PERIODS = ("finished", "recorded")

_Moment = str | date | datetime
_T = TypeVar("_T", bound=str)


def export_request(
    *,
    session_id: str | Iterable[str] | None = None,
    format: str = "json",  # noqa: A002 - the word that users say
    output_path: Path | str | None = None,
    start: _Moment | None = None,
    end: _Moment | None = None,
    by: str = "finished",
    status: str | Iterable[str] | None = None,
    batch_id: str | None = None,
    device_id: str | None = None,
    user_id: str | None = None,
    site: str | None = None,
    preset: str | None = None,
    include: Iterable[str] | None = None,
    csv_safe: bool = True,
    bom: bool = False,
    redact: bool = False,
    overwrite: bool = False,
    now: datetime | None = None,
) -> ExportRequest:
    """Return the request; see :func:`flows.export_session_data` for the words.

    Raises
    ------
    InputError
        Names the value and what is allowed.
    """
    chosen = Format(_one_of(format, tuple(Format), "format"))
    statuses = _words(status)
    for one in statuses or ():
        _one_of(one, ENDED, "status")
    _one_of(by, PERIODS, "by")
    selection = SessionSelection(
        session_ids=_words(session_id),
        statuses=statuses,
        start=None if start is None else moment_of(start, "start"),
        end=None if end is None else moment_of(end, "end"),
        by="recorded" if by == "recorded" else "finished",
        batch_id=batch_id,
        device_id=device_id,
        user_id=user_id,
        site=site,
        preset=preset,
    )
    return ExportRequest(
        output_path=default_output(chosen, now) if output_path is None else Path(output_path),
        format=chosen,
        selection=selection,
        include=CHILD_TABLES if include is None else tuple(include),
        csv_safe=csv_safe,
        bom=bom,
        redact=redact,
        overwrite=overwrite,
    )


def default_output(format_: Format, now: datetime | None = None) -> Path:
    """Return ``anc-export-<time>`` with the ending of the format, in the working directory."""
    return Path(f"anc-export-{now or datetime.now(UTC):%Y%m%dT%H%M%SZ}{format_.suffix}")


def moment_of(value: _Moment, what: str) -> datetime:
    """Return a moment; a day is its midnight in UTC.

    Raises
    ------
    InputError
        If the text is no ISO 8601, or a time has no zone.

    Examples
    --------
    >>> moment_of("2024-05-01", "start").isoformat()
    '2024-05-01T00:00:00+00:00'
    """
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
        except ValueError as err:
            msg = f"{what} is {value!r}; write 2024-05-01 or 2024-05-01T12:00:00Z"
            raise InputError(msg) from err
    if not isinstance(value, datetime):
        return datetime.combine(value, time.min, UTC)
    if value.utcoffset() is None:
        msg = f"{what} is {value.isoformat()}, which has no time zone; write {value.isoformat()}Z"
        raise InputError(msg)
    return value


def _words(value: str | Iterable[str] | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    return (value,) if isinstance(value, str) else tuple(dict.fromkeys(value))


def _one_of(value: str, allowed: tuple[_T, ...], what: str) -> str:
    if value not in allowed:
        msg = f"{what} is {value!r}; choose from {', '.join(allowed)}"
        raise InputError(msg)
    return value
