"""The periodic jobs: their names, when they are due, how late they may be. The one table of them.

Schedules are written from it, the report and ``anc health`` judge by it. All times are UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

_DAYS_OF_WEEK = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodicJob:
    """A job that is due once a day, or once a week."""

    name: str
    """Of its deployment, its schedule, and its runs in the audit log."""
    hour: int | None
    """When the schedule starts it; ``None`` where whoever runs the installation does."""
    weekday: int | None = None
    """Of a weekly job, Monday 0."""

    @property
    def every(self) -> str:
        """How often, in words."""
        return "daily" if self.weekday is None else "weekly"

    @property
    def period(self) -> timedelta:
        """Time from one run to the next."""
        return timedelta(days=1 if self.weekday is None else _DAYS_OF_WEEK)

    @property
    def grace(self) -> timedelta:
        """How much later than its period it may end before it counts as missed.

        That covers a long run and a restart of the machine.
        """
        return timedelta(hours=6 if self.weekday is None else 24)

    @property
    def cron(self) -> str | None:
        """The schedule as a cron line.

        Examples
        --------
        >>> VACUUM.cron, DAILY_REPORT.cron
        ('0 4 * * 6', '0 1 * * *')
        """
        if self.hour is None:
            return None
        # Cron's week begins with Sunday.
        day = "*" if self.weekday is None else (self.weekday + 1) % _DAYS_OF_WEEK
        return f"0 {self.hour} * * {day}"

    def due_on(self, day: date) -> datetime | None:
        """Return when the schedule starts it on ``day``, ``None`` if it does not."""
        if self.hour is None or self.weekday not in {None, day.weekday()}:
            return None
        return datetime.combine(day, time(self.hour), UTC)


DAILY_REPORT = PeriodicJob(name="daily-report", hour=1)
CLEANUP_FAILED = PeriodicJob(name="cleanup-failed", hour=3)
CLEANUP_OLD = PeriodicJob(name="cleanup-old", hour=2, weekday=6)
VACUUM = PeriodicJob(name="vacuum", hour=4, weekday=5)
BACKUP = PeriodicJob(name="backup", hour=None)

PERIODIC_JOBS = (DAILY_REPORT, CLEANUP_FAILED, CLEANUP_OLD, VACUUM, BACKUP)
"""In the order in which they are told of."""
