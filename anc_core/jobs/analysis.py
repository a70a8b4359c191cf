"""Analyse a period or one session: the words of a caller made into a period, filters, groups."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import Field

from anc_core.analysis_records import (
    Dimension,
    Filters,
    Period,
    PeriodAnalysis,
    SessionAnalysis,
    zone_of,
)
from anc_core.errors import InputError
from anc_core.records import Record
from anc_core.store import Database, analyse_period, analyse_session

_USUAL_DAYS = 7


class AnalysisRequest(Record):
    """What to analyse: one session, or a period with filters and groups."""

    session_id: str | None = None
    since: datetime | None = None
    """Without a time zone: by the clock of ``timezone``. By default seven days before ``until``."""
    until: datetime | None = None
    """Not included; by default now."""
    timezone: str = "UTC"
    filters: Filters = Field(default_factory=Filters)
    group_by: tuple[Dimension, ...] = ()
    noise_by: Literal["recorded", "finished"] = "recorded"
    compare: bool = True

    def period(self, *, now: datetime | None = None) -> Period:
        """Return the period that is asked for.

        Raises
        ------
        InputError
            If the time zone is not known, or the period ends before it starts.
        """
        zone = zone_of(self.timezone)
        until = (now or datetime.now(UTC)).astimezone(zone) if self.until is None else self.until
        since = until - timedelta(days=_USUAL_DAYS) if self.since is None else self.since
        start, end = (
            (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
            for moment in (since, until)
        )
        if end < start:
            msg = f"the period ends at {end.isoformat()}, before it starts at {start.isoformat()}"
            raise InputError(msg)
        return Period(start=start, end=end, timezone=self.timezone)


def analyse(database: Database, request: AnalysisRequest) -> PeriodAnalysis | SessionAnalysis:
    """Return the analysis that is asked for.

    Raises
    ------
    SessionNotFoundError
        If the session asked for is not in the store.
    InputError
        If a session is asked for together with a period, filters or groups; as for
        :meth:`AnalysisRequest.period`.
    """
    if request.session_id is not None:
        _refuse_both(request)
        with database.read() as db:
            return analyse_session(db, request.session_id, timezone=request.timezone)
    period = request.period()
    with database.read() as db:
        return analyse_period(
            db,
            period,
            filters=request.filters,
            group_by=request.group_by,
            noise_by=request.noise_by,
            compare=request.compare,
        )


def _refuse_both(request: AnalysisRequest) -> None:
    named = [
        name
        for name in ("since", "until", "filters", "group_by")
        if getattr(request, name)
        != AnalysisRequest.model_fields[name].get_default(call_default_factory=True)
    ]
    if named:
        msg = f"session {request.session_id!r} is one session: leave out {', '.join(named)}"
        raise InputError(msg)
