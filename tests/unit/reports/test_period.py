"""Days, weeks and months of time zones, on the days when clocks change too."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta

import pytest

from anc_core.errors import InputError
from anc_core.reports.period import PeriodKind, period_of


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        (date(2026, 3, 29), "Europe/Berlin", 23),
        (date(2026, 10, 25), "Europe/Berlin", 25),
        (date(2026, 11, 1), "America/New_York", 25),
        (date(2018, 11, 4), "America/Sao_Paulo", 23),  # midnight itself is skipped
        (date(2026, 6, 1), "Asia/Kolkata", 24),
        (date(2026, 6, 1), "UTC", 24),
    ],
)
def test_a_day_has_the_hours_of_its_clock(day: date, zone: str, hours: int) -> None:
    period = period_of(day, zone)
    spans = period.hour_spans()
    assert len(spans) == hours
    assert spans[0].start == period.start
    assert spans[-1].end == period.end
    assert all(a.end == b.start for a, b in itertools.pairwise(spans))
    assert period.end - period.start == timedelta(hours=hours)


def test_days_leave_no_gap_and_no_overlap_where_clocks_change() -> None:
    month = period_of(date(2026, 10, 9), "Europe/Berlin", PeriodKind.MONTH)
    days = month.day_spans()
    assert (days[0].start, days[-1].end) == (month.start, month.end)
    assert all(a.end == b.start for a, b in itertools.pairwise(days))
    assert sorted({day.hours for day in days}) == [24.0, 25.0]
    assert month.days_before(28)[-1].end == month.start


@pytest.mark.parametrize(
    ("day", "key", "first", "last"),
    [
        (date(2026, 1, 1), "2026-W01", date(2025, 12, 29), date(2026, 1, 4)),
        (date(2027, 1, 1), "2026-W53", date(2026, 12, 28), date(2027, 1, 3)),
        (date(2026, 11, 8), "2026-W45", date(2026, 11, 2), date(2026, 11, 8)),
    ],
)
def test_weeks_are_those_of_iso_8601(day: date, key: str, first: date, last: date) -> None:
    week = period_of(day, "UTC", PeriodKind.WEEK)
    assert (week.key, week.first, week.last, week.num_days) == (key, first, last, 7)


def test_a_month_ends_with_its_last_day() -> None:
    month = period_of(date(2028, 2, 10), "UTC", PeriodKind.MONTH)
    assert (month.key, month.last) == ("2028-02", date(2028, 2, 29))
    assert month.end == datetime(2028, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "", "../etc/passwd", "UTC\0"])
def test_an_unknown_zone_is_refused_with_the_cure(zone: str) -> None:
    with pytest.raises(InputError, match="IANA database"):
        period_of(date(2026, 1, 1), zone)
