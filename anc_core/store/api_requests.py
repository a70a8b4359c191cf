"""Requests to the service: written one or many at a time, read as figures of endpoints.

Nothing here is joined with sessions: how long a request takes and how long a recording takes are
two things.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, cast, func, insert, select
from sqlalchemy.sql import case

from anc_core.api_requests import ApiRequest, endpoint_of, method_of
from anc_core.records import Record
from anc_core.store.column_types import utc_period
from anc_core.store.tables import ApiRequest as Row

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

PERCENTILES = (50, 95, 99)

_ROWS_AT_ONCE = 5_000
_CLIENT_ERROR, _SERVER_ERROR = 400, 500


class EndpointFigures(Record):
    """What a period's requests to one endpoint come to."""

    method: str
    path: str
    """Endpoint; ``*`` with method ``*`` stands for all of them together."""
    requests: int
    client_errors: int
    """Status 400 to 499."""
    server_errors: int
    """Status 500 to 599."""
    error_share: float | None
    """(client_errors + server_errors) / requests; ``None`` without requests."""
    server_error_share: float | None
    timed: int
    """Requests whose duration is known: the n of the percentiles."""
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class ApiFigures(Record):
    """Requests of [start, end): all together, and each endpoint, the busiest first."""

    start: datetime
    end: datetime
    total: EndpointFigures
    endpoints: tuple[EndpointFigures, ...] = ()


def record_api_request(
    db: Session,
    *,
    method: str,
    path: str,
    status_code: int,
    duration_ms: float | None = None,
    requested_at: datetime | None = None,
    client: str | None = None,
    session_id: str | None = None,
    error_code: str | None = None,
) -> None:
    """Note one request; its path is stored as the endpoint that it stands for.

    Parameters
    ----------
    db : Session
        From :meth:`Database.begin`.
    method, path : str
        As they came; ``/sessions/x/events`` becomes ``/sessions/{session_id}/events``.
    status_code : int
        100 to 599.
    duration_ms : float, optional
        Until the last byte of the answer.
    requested_at : datetime, optional
        Aware; by default the clock's.
    client, session_id, error_code : str, optional
        Who asked, what for, what went wrong. ``session_id`` is taken from the path if it is there.

    Raises
    ------
    InputError
        See :class:`anc_core.api_requests.ApiRequest`.
    """
    endpoint, named = endpoint_of(path)
    request = ApiRequest(
        requested_at=requested_at or datetime.now(UTC),
        method=method_of(method),
        path=endpoint,
        status_code=status_code,
        duration_ms=duration_ms,
        client=client,
        session_id=session_id or named,
        error_code=error_code,
    )
    record_api_requests(db, [request])


def record_api_requests(db: Session, requests: Iterable[ApiRequest]) -> int:
    """Note many requests; return how many. Their paths are endpoints already."""
    rows = map(asdict, requests)
    written = 0
    while page := list(islice(rows, _ROWS_AT_ONCE)):
        # The table, not the class: one executemany, without the ORM's bookkeeping for each row.
        db.execute(insert(Row.__table__), page)  # type: ignore[arg-type]
        written += len(page)
    return written


def known_endpoints(db: Session, limit: int) -> list[str]:
    """Return up to ``limit`` different endpoints that were noted before."""
    return list(db.scalars(select(Row.path).distinct().limit(limit)))


def api_request_figures(db: Session, start: datetime, end: datetime) -> ApiFigures:
    """Return what the requests of [start, end) come to, in all and by endpoint.

    Percentiles are those of ``numpy.percentile`` (linear interpolation between the two nearest
    ranks) over the requests whose duration is known. The database ranks; no row is read here but
    one for each endpoint.

    Raises
    ------
    InputError
        If a bound is naive or ``end`` lies before ``start``.
    """
    start, end = utc_period(start, end)
    total = _figures(db, start, end, by_endpoint=False)
    endpoints = _figures(db, start, end, by_endpoint=True)
    return ApiFigures(
        start=start,
        end=end,
        total=total[0] if total else _figure_of({"method": "*", "path": "*", "requests": 0}),
        endpoints=tuple(endpoints),
    )


def _figures(
    db: Session, start: datetime, end: datetime, *, by_endpoint: bool
) -> list[EndpointFigures]:
    group = [Row.method, Row.path] if by_endpoint else []
    known = case((Row.duration_ms.is_not(None), 1), else_=0)
    # PostgreSQL and SQLite differ on where null stands, so the unknown ones are a partition apart.
    ranked = (
        select(
            Row.method,
            Row.path,
            Row.status_code,
            Row.duration_ms,
            func.row_number()
            .over(partition_by=[*group, known], order_by=Row.duration_ms)
            .label("rank"),
            func.count(Row.duration_ms).over(partition_by=group).label("timed"),
        )
        .where(Row.requested_at >= start, Row.requested_at < end)
        .subquery()
    )
    status, duration = ranked.c.status_code, ranked.c.duration_ms
    is_client = (status >= _CLIENT_ERROR) & (status < _SERVER_ERROR)
    columns: list[Any] = [
        func.count().label("requests"),
        cast(func.sum(case((is_client, 1), else_=0)), Integer).label("client_errors"),
        cast(func.sum(case((status >= _SERVER_ERROR, 1), else_=0)), Integer).label("server_errors"),
        func.max(ranked.c.timed).label("timed"),
    ]
    for percent in PERCENTILES:
        # Rank (from 1) of the value at or below the percentile: whole numbers, so no rounding.
        below = (ranked.c.timed - 1) * percent // 100 + 1
        for name, rank in (("below", below), ("above", below + 1)):
            here = duration.is_not(None) & (ranked.c.rank == rank)
            columns.append(func.max(case((here, duration))).label(f"p{percent}_{name}"))
    names = [ranked.c.method, ranked.c.path] if by_endpoint else []
    statement = select(*names, *columns)
    if by_endpoint:
        statement = statement.group_by(*names)
    rows = [dict(row) for row in db.execute(statement).mappings()]
    if not by_endpoint:
        rows = [{"method": "*", "path": "*", **row} for row in rows]
    # Sorted here: the databases collate text differently.
    rows.sort(key=lambda row: (-row["requests"], row["path"], row["method"]))
    return [_figure_of(row) for row in rows]


def _figure_of(row: Mapping[str, Any]) -> EndpointFigures:
    requests, timed = row["requests"], row.get("timed") or 0
    client, server = row.get("client_errors") or 0, row.get("server_errors") or 0
    return EndpointFigures(
        method=row["method"],
        path=row["path"],
        requests=requests,
        client_errors=client,
        server_errors=server,
        error_share=(client + server) / requests if requests else None,
        server_error_share=server / requests if requests else None,
        timed=timed,
        **{f"p{percent}_ms": _percentile(row, percent, timed) for percent in PERCENTILES},
    )


def _percentile(row: Mapping[str, Any], percent: int, timed: int) -> float | None:
    below = row.get(f"p{percent}_below")
    if below is None:
        return None
    above = row[f"p{percent}_above"]
    if above is None:  # the percentile is the largest value itself
        return float(below)
    weight = (timed - 1) * percent % 100 / 100
    return float(below + (above - below) * weight)
