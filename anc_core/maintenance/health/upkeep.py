"""Questions about workers, periodic jobs, backups, alerts and clocks."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from anc_core.maintenance.health.questions import Answer, Question
from anc_core.maintenance.health.storage import MAX_CLOCK_ERROR, opened
from anc_core.periodic_jobs import PERIODIC_JOBS, PeriodicJob
from anc_core.settings import Settings
from anc_core.store import (
    LastRun,
    clock_error_s,
    dead_sessions,
    first_entry,
    last_delivery,
    last_runs,
    latest_moment,
)

MAX_ALERT_AGE = timedelta(days=31)
"""An alert, or a test of one, must have been taken by the receiver within this time."""

_LOOK_BACK = timedelta(days=400)
_OLDEST_PLAUSIBLE = datetime(2024, 1, 1, tzinfo=UTC)


def upkeep_questions(settings: Settings, *, expected: bool) -> list[Question]:
    """Return the questions about what should happen by itself.

    Parameters
    ----------
    settings : Settings
        Of this installation.
    expected : bool
        Schedules run here: a job that never ran is a fault. Elsewhere it is not configured.
    """
    jobs = [
        Question(name=f"job {job.name}", ask=lambda job=job: _job(settings, job, expected=expected))  # type: ignore[misc]
        for job in PERIODIC_JOBS
    ]
    return [
        Question(name="heartbeats", ask=lambda: _heartbeats(settings)),
        *jobs,
        Question(name="alert channel", ask=lambda: _alert_channel(settings)),
        Question(name="clock", ask=lambda: _clock(settings)),
    ]


def _heartbeats(settings: Settings) -> Answer:
    with opened(settings) as database, database.read() as db:
        dead = dead_sessions(db, now=datetime.now(UTC), stale_after_s=settings.stale_after_s)
    value, threshold = f"{len(dead)} dead", "0"
    if dead:
        names = ", ".join(dead[:3])
        message = f"workers died on sessions {names}; mark them with: anc health --reconcile"
        return Answer.degraded(message, value=value, threshold=threshold)
    return Answer.ok("no session was left by its worker", value=value, threshold=threshold)


def _job(settings: Settings, job: PeriodicJob, *, expected: bool) -> Answer:
    now = datetime.now(UTC)
    with opened(settings) as database, database.read() as db:
        last = last_runs(db, now - _LOOK_BACK).get(job.name, LastRun())
        since = first_entry(db) or now
    threshold = _days(job.period + job.grace)
    if not expected:
        when = "never" if last.done_at is None else f"{last.done_at:%Y-%m-%d %H:%M} UTC"
        return Answer.ok(f"no schedule is expected here; last success: {when}", value=when)
    # A job that never ran is late once the installation is older than its period.
    age = now - (last.done_at or since)
    value = f"{_days(age)} ago" if last.done_at else "never"
    if last.failed_at is not None and (last.done_at is None or last.failed_at > last.done_at):
        message = f"its last run failed, {last.failed_at:%Y-%m-%d %H:%M} UTC; see the audit log"
        return Answer.degraded(message, value=value, threshold=threshold)
    if age > job.period + job.grace:
        message = "missed: has not ended well in its period; is the schedule on, the worker up?"
        return Answer.degraded(message, value=value, threshold=threshold)
    message = "ran in its period" if last.done_at else "not due yet"
    return Answer.ok(message, value=value, threshold=threshold)


def _alert_channel(settings: Settings) -> Answer:
    if settings.alert_webhook_url is None:
        return Answer.ok("not configured: ANC_ALERT_WEBHOOK_URL is not set")
    with opened(settings) as database, database.read() as db:
        last = last_delivery(db)
    threshold = _days(MAX_ALERT_AGE)
    if last is None:
        message = "the receiver never took an alert; send it one: anc alert test"
        return Answer.degraded(message, value="never", threshold=threshold)
    age = datetime.now(UTC) - last
    value = f"{_days(age)} ago"
    if age > MAX_ALERT_AGE:
        message = "the last alert that was taken is long ago; send one: anc alert test"
        return Answer.degraded(message, value=value, threshold=threshold)
    return Answer.ok("the receiver took an alert", value=value, threshold=threshold)


def _clock(settings: Settings) -> Answer:
    now = datetime.now(UTC)
    zone = time.strftime("%Z (UTC%z)")
    threshold = f"{MAX_CLOCK_ERROR.total_seconds():.0f} s"
    if now < _OLDEST_PLAUSIBLE:
        return Answer.degraded(f"this clock says {now:%Y-%m-%d}; set it", threshold=threshold)
    with opened(settings) as database, database.read() as db:
        error_s = clock_error_s(db)
        newest = latest_moment(db)
    ahead_s = 0.0 if newest is None else (newest - datetime.now(UTC)).total_seconds()
    value = f"{max(error_s, ahead_s, 0.0):.0f} s, {zone}"
    if abs(error_s) > MAX_CLOCK_ERROR.total_seconds():
        message = f"the database server's clock is {error_s:+.0f} s off"
        return Answer.degraded(message, value=f"{error_s:+.0f} s, {zone}", threshold=threshold)
    if ahead_s > MAX_CLOCK_ERROR.total_seconds():
        message = f"a session ended {ahead_s:.0f} s in the future: a worker's clock is ahead"
        return Answer.degraded(message, value=value, threshold=threshold)
    return Answer.ok(f"local zone {zone}; all is stored in UTC", value=value, threshold=threshold)


def _days(length: timedelta) -> str:
    hours = length.total_seconds() / 3600
    return f"{hours / 24:.1f} d" if hours >= 48 else f"{hours:.1f} h"
