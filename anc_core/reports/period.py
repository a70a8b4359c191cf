"""Which stretch of time a report is about: a day, an ISO week or a month of a time zone.

Context: a day of a zone with summer time has 23, 24 or 25 hours, and in some zones midnight itself
is skipped.
Decision: a period is kept as two moments in UTC, half open; calendars are asked only here.
Consequence: queries compare moments and know nothing of zones.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from anc_core.analysis_records import Period, zone_of
from anc_core.errors import InputError
from anc_core.records import Record

HOUR = timedelta(hours=1)
ONE_DAY = timedelta(days=1)


class PeriodKind(StrEnum):
    """How long a report looks back; the names are those of its files and rows."""

    DAY = "daily"
    WEEK = "weekly"
    MONTH = "monthly"


class Span(Record):
    """A stretch of time [start, end), in UTC, with the words for it."""

    label: str
    start: datetime
    end: datetime

    @property
    def hours(self) -> float:
        """Length in hours."""
        return (self.end - self.start) / HOUR


class ReportPeriod(Period):
    """A day, week (Monday to Sunday) or month of a time zone."""

    kind: PeriodKind
    first: date
    last: date
    """Inclusive."""
    label: str
    """``Tuesday, 3 November 2026``, ``week 45 of 2026``, ``November 2026``."""
    key: str
    """``2026-11-03``, ``2026-W45``, ``2026-11``: part of the files' names."""

    @property
    def num_days(self) -> int:
        """Calendar days."""
        return (self.last - self.first).days + 1

    def day_spans(self) -> list[Span]:
        """Return the days of the period; each has the hours that it had on the clock."""
        return spans_of_days(self.first, self.last, self.timezone)

    def hour_spans(self) -> list[Span]:
        """Return the hours of the period: 23 or 25 on the days when clocks change."""
        zone = ZoneInfo(self.timezone)
        return [
            Span(label=f"{start.astimezone(zone):%H}", start=start, end=min(start + HOUR, self.end))
            for start in _steps(self.start, self.end)
        ]

    def days_before(self, count: int) -> list[Span]:
        """Return the ``count`` days before the period, oldest first."""
        return spans_of_days(self.first - count * ONE_DAY, self.first - ONE_DAY, self.timezone)


def period_of(day: date, timezone: str, kind: PeriodKind = PeriodKind.DAY) -> ReportPeriod:
    """Return the day, week or month that ``day`` lies in.

    Raises
    ------
    InputError
        If the time zone is unknown or the period leaves the calendar.

    Examples
    --------
    >>> berlin = period_of(date(2026, 3, 29), "Europe/Berlin")
    >>> berlin.start.isoformat(), (berlin.end - berlin.start) / HOUR
    ('2026-03-28T23:00:00+00:00', 23.0)
    >>> period_of(date(2027, 1, 1), "UTC", PeriodKind.WEEK).key
    '2026-W53'
    """
    zone = zone_of(timezone)
    try:
        first, last, label, key = _calendar(day, kind)
        start, end = _midnight(first, zone), _midnight(last + ONE_DAY, zone)
    except OverflowError:
        msg = f"a report of {day} leaves the calendar; give a date between 0002 and 9998"
        raise InputError(msg) from None
    return ReportPeriod(
        kind=kind,
        first=first,
        last=last,
        timezone=timezone,
        start=start,
        end=end,
        label=label,
        key=key,
    )


def spans_of_days(first: date, last: date, timezone: str) -> list[Span]:
    """Return the days from ``first`` to ``last``, both included, as they were in ``timezone``."""
    zone = zone_of(timezone)
    days = [first + n * ONE_DAY for n in range((last - first).days + 1)]
    return [
        Span(label=day.isoformat(), start=_midnight(day, zone), end=_midnight(day + ONE_DAY, zone))
        for day in days
    ]


def _calendar(day: date, kind: PeriodKind) -> tuple[date, date, str, str]:
    if kind is PeriodKind.DAY:
        return day, day, f"{day:%A}, {day.day} {day:%B %Y}", day.isoformat()
    if kind is PeriodKind.WEEK:
        year, week, weekday = day.isocalendar()
        first = day - (weekday - 1) * ONE_DAY
        return first, first + 6 * ONE_DAY, f"week {week} of {year}", f"{year}-W{week:02d}"
    first = day.replace(day=1)
    last = (first + 31 * ONE_DAY).replace(day=1) - ONE_DAY
    return first, last, f"{day:%B %Y}", f"{day:%Y-%m}"


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    # Where midnight is skipped, this is the moment of the skip; where it comes twice, the first.
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _steps(start: datetime, end: datetime) -> Iterator[datetime]:
    while start < end:
        yield start
        start += HOUR
