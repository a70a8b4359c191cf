"""The whole health check."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from anc_core.errors import AncError
from anc_core.maintenance.cleanup import reconcile_interrupted
from anc_core.maintenance.health.hearing import hearing_questions
from anc_core.maintenance.health.questions import (
    Answer,
    HealthReport,
    HealthStatus,
    Question,
    ask_all,
)
from anc_core.maintenance.health.storage import database_questions, disk_questions, opened
from anc_core.maintenance.health.upkeep import upkeep_questions
from anc_core.settings import Settings
from anc_core.store import HEALTH_NOTE, live_sessions, load_driver, record_audit

HEALTH_ACTOR = "health-check"

_MAX_NAMED = 100


def check_health(
    settings: Settings,
    *,
    expected: bool,
    more: Sequence[Question] = (),
    reconcile: bool = False,
) -> HealthReport:
    """Ask everything; takes less than 10 s, whatever hangs.

    Parameters
    ----------
    settings : Settings
        Of this installation.
    expected : bool
        Schedules run here: jobs that did not run are a fault.
    more : sequence of Question
        What only the caller can find out (Prefect).
    reconcile : bool
        Afterwards, mark sessions of dead workers failed (INTERRUPTED). Nothing else is written,
        but for one temporary file.
    """
    start = time.monotonic()
    load_driver(settings.resolved_database_url)  # here, before many threads ask for it at once
    active: list[str] = []
    questions = [
        *database_questions(settings),
        *disk_questions(settings),
        *hearing_questions(settings),
        *upkeep_questions(settings, expected=expected),
        *more,
        Question(name="active sessions", ask=lambda: _active(settings, active)),
    ]
    checks = ask_all(questions)
    interrupted = 0
    if reconcile and all(one.status is HealthStatus.OK for one in checks[:2]):
        with suppress(AncError), opened(settings) as database:
            interrupted = reconcile_interrupted(database, settings)
    running = list(active)
    return HealthReport(
        status=HealthStatus.worst([one.status for one in checks]),
        checks=checks,
        active_sessions=tuple(running[:_MAX_NAMED]),
        num_active_sessions=len(running),
        interrupted=interrupted,
        seconds=round(time.monotonic() - start, 3),
    )


def note_health(settings: Settings, report: HealthReport) -> None:
    """Note in the audit log what a check by the clock said: monitoring tells of it.

    A store that cannot be written stands in the report, and is no reason to fail.
    """
    faults = [check.name for check in report.checks if check.status is not HealthStatus.OK]
    with suppress(AncError), opened(settings) as database, database.begin() as db:
        record_audit(db, HEALTH_NOTE, report.status, {"faults": faults}, HEALTH_ACTOR)


def _active(settings: Settings, active: list[str]) -> Answer:
    with opened(settings) as database, database.read() as db:
        found = live_sessions(db, now=datetime.now(UTC), stale_after_s=settings.stale_after_s)
    active.extend(found)
    return Answer.ok(f"{len(found)} sessions are being processed", value=str(len(found)))
