"""Questions and answers, and asking them all at once so that none can hold up the others.

Context: what is asked may hang for good: a dead file server, a locked database, a silent socket.
Decision: every question has a daemon thread of its own; who has not answered in time is left behind
and reported as *unknown*. Consequence: a thread may stay behind until the process ends, which it
does not hold up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from anc_core.records import Record

TOTAL_S = 8.5
"""All answers are in after that, or are unknown: a health check has 10 s."""


class HealthStatus(StrEnum):
    """How things stand; unknown is never ok."""

    OK = "ok"
    DEGRADED = "degraded"
    CRITICAL = "critical"

    @property
    def exit_code(self) -> int:
        """Of ``anc health``: 0, 1, 2."""
        return _SEVERITY[self]

    @classmethod
    def worst(cls, statuses: Sequence[HealthStatus]) -> HealthStatus:
        """Return the worst of ``statuses``; nothing known at all is ok."""
        return max(statuses, key=_SEVERITY.__getitem__, default=cls.OK)


IMPORTING = threading.Lock()
"""Held by who imports a large package in a question: several threads in packages that import each
other in a circle see half of a module."""

_SEVERITY = {HealthStatus.OK: 0, HealthStatus.DEGRADED: 1, HealthStatus.CRITICAL: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a question."""

    status: HealthStatus
    message: str
    value: str | None = None
    threshold: str | None = None

    @classmethod
    def ok(cls, message: str, *, value: str | None = None, threshold: str | None = None) -> Answer:
        """Return that all is well."""
        return cls(status=HealthStatus.OK, message=message, value=value, threshold=threshold)

    @classmethod
    def degraded(
        cls, message: str, *, value: str | None = None, threshold: str | None = None
    ) -> Answer:
        """Return that it works, but somebody should look."""
        return cls(status=HealthStatus.DEGRADED, message=message, value=value, threshold=threshold)

    @classmethod
    def critical(
        cls, message: str, *, value: str | None = None, threshold: str | None = None
    ) -> Answer:
        """Return that recordings cannot be processed, or not safely."""
        return cls(status=HealthStatus.CRITICAL, message=message, value=value, threshold=threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Something to find out.

    Attributes
    ----------
    name : str
        What it is about.
    ask : callable
        Finds it out; an exception is an answer too.
    limit_s : float
        How long it may take.
    if_unknown : HealthStatus
        What it means that it cannot be found out; never ``ok``.
    if_late : HealthStatus or None
        What it means that there is no answer in time, where that is less bad: on a loaded machine
        an answer that takes long to compute may come too late.
    """

    name: str
    ask: Callable[[], Answer]
    limit_s: float = 5.0
    if_unknown: HealthStatus = HealthStatus.DEGRADED
    if_late: HealthStatus | None = None


class HealthCheck(Record):
    """The answer to one question."""

    name: str
    status: HealthStatus
    value: str | None
    threshold: str | None
    message: str
    duration_ms: float


class HealthReport(Record):
    """How an installation is."""

    status: HealthStatus
    """The worst of all checks."""
    checks: tuple[HealthCheck, ...]
    active_sessions: tuple[str, ...]
    """Ids of sessions whose worker lives, the first 100."""
    num_active_sessions: int
    interrupted: int = 0
    """Sessions of dead workers that were marked failed, where that was asked for."""
    seconds: float = 0.0


def ask_all(questions: Sequence[Question], *, total_s: float = TOTAL_S) -> tuple[HealthCheck, ...]:
    """Ask everything at once; answers come in the order of the questions, after ``total_s``."""
    asked = [_Asked(question) for question in questions]
    start = time.monotonic()
    for one in asked:
        one.thread.start()
    for one in asked:
        limit_s = min(one.question.limit_s, total_s)
        one.thread.join(max(0.0, start + limit_s - time.monotonic()))
    return tuple(one.check() for one in asked)


class _Asked:
    def __init__(self, question: Question) -> None:
        self.question = question
        self.thread = threading.Thread(
            target=self._run, name=f"health: {question.name}", daemon=True
        )
        self._start = time.monotonic()
        self._answer: tuple[Answer, float] | None = None

    def check(self) -> HealthCheck:
        # Read once: it may arrive this very moment.
        answer, duration_s = self._answer or (self._unknown(), time.monotonic() - self._start)
        return HealthCheck(
            name=self.question.name,
            status=answer.status,
            value=answer.value,
            threshold=answer.threshold,
            message=answer.message,
            duration_ms=round(1000.0 * duration_s, 1),
        )

    def _run(self) -> None:
        try:
            answer = self.question.ask()
        except Exception as err:  # noqa: BLE001 - whatever it is, it is what we want to report
            answer = Answer(status=self.question.if_unknown, message=f"{type(err).__name__}: {err}")
        self._answer = (answer, time.monotonic() - self._start)

    def _unknown(self) -> Answer:
        return Answer(
            status=self.question.if_late or self.question.if_unknown,
            value="unknown",
            threshold=f"{self.question.limit_s:g} s",
            message=f"no answer within {self.question.limit_s:g} s",
        )
