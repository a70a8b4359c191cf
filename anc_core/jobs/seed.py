"""Fill a database with made-up sessions: for benchmarks, for trying reports out, for support.

Nothing of it was ever heard: no file exists, every row is drawn, and the same request draws the
same rows. Real recordings come from ``anc demo`` and ``anc batch``.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from anc_core.errors import InputError
from anc_core.jobs.seed_draws import SKIPPED, STATUSES, Draws, Plant, draw_sessions
from anc_core.jobs.seed_rows import (
    EVENT_COLUMNS,
    INTERVAL_COLUMNS,
    WindowRow,
    events_of,
    intervals_of,
    session_row,
    windows_of,
)
from anc_core.jobs.seed_world import DAY_WEIGHTS, MODELS, RHYTHMS, World, make_world
from anc_core.periodic_jobs import CLEANUP_FAILED, PERIODIC_JOBS
from anc_core.records import Record
from anc_core.store import (
    Database,
    close_batch,
    insert_rows,
    list_sessions,
    note_job_run,
    open_batch,
    record_model,
    totals_of,
)

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_AT_ONCE = 2_000
"""Sessions drawn and written in one transaction: memory is that of these, however many are asked
for, and another writer waits for a second."""
_REQUESTS_PER_SESSION = 10
_BATCH_SHARE = 0.7
_TOTAL_COLUMNS = (
    "session_id",
    "noise_type",
    "quarter",
    "windows",
    "seconds",
    "energy_s",
    "level_s",
    *(f"confidence_{tenth}" for tenth in range(10)),
)
_REQUEST_COLUMNS = (
    "requested_at",
    "method",
    "path",
    "status_code",
    "duration_ms",
    "client",
    "session_id",
    "error_code",
)
_ENDPOINTS = (
    ("GET", "/sessions", 35.0),
    ("GET", "/sessions/{id}", 20.0),
    ("POST", "/sessions", 120.0),
    ("GET", "/reports/daily", 60.0),
)
"""Method, path and usual milliseconds."""
_ENDPOINT_SHARES = (0.3, 0.5, 0.15, 0.05)
_ANSWERS = ((200, None), (404, None), (422, None), (500, "DB_UNAVAILABLE"))
_ANSWER_SHARES = (0.984, 0.008, 0.005, 0.003)
_MISSED = CLEANUP_FAILED


class SeedRequest(Record):
    """What to make up."""

    sessions: int = Field(default=1_000, ge=0, le=10_000_000)
    days: int = Field(default=35, ge=1, le=3_660)
    """Up to and with ``last_day``."""
    seed: int = Field(default=1, ge=0, le=10**9)
    last_day: date
    """Anomalies are planted on it."""
    plants: tuple[Plant, ...] = ()


class SeedSummary(Record):
    """What was written."""

    database: str
    first_day: date
    last_day: date
    sessions: int = 0
    windows: int = 0
    intervals: int = 0
    events: int = 0
    requests: int = 0
    plants: tuple[Plant, ...] = ()
    wall_s: float = 0.0


@dataclass(slots=True)
class _Counts:
    sessions: int = 0
    windows: int = 0
    intervals: int = 0
    events: int = 0
    requests: int = 0


def seed_store(
    database: Database,
    request: SeedRequest,
    *,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> SeedSummary:
    """Write the sessions of ``request`` with all that belongs to them.

    Parameters
    ----------
    database : Database
        May hold anything else already.
    request : SeedRequest
    on_progress : callable
        Told how many sessions of how many are written.

    Raises
    ------
    InputError
        If sessions of this seed are there already.
    """
    started = time.monotonic()
    _refuse_twice(database, request.seed)
    rng = np.random.default_rng(request.seed)
    world = make_world(rng)
    days = [request.last_day - timedelta(days=back) for back in reversed(range(request.days))]
    _write_models(database, days)
    counts = _Counts()
    shares = np.array([DAY_WEIGHTS[day.weekday()] for day in days]) * rng.uniform(
        0.9, 1.1, len(days)
    )
    for number, (day, count) in enumerate(
        zip(days, rng.multinomial(request.sessions, shares / shares.sum()).tolist(), strict=True)
    ):
        planted = request.plants if day == request.last_day else ()
        model = MODELS[number >= 2 * len(days) // 3]
        for portion, size in enumerate(_portions(count)):
            # One violation is enough.
            now = [one for one in planted if portion == 0 or one is not Plant.SAFETY_VIOLATION]
            draws = draw_sessions(rng, world, day, size, now)
            _write_sessions(database, request.seed, day, model, draws, world, rng, counts)
            on_progress(counts.sessions, request.sessions)
        counts.requests += _write_requests(database, day, _REQUESTS_PER_SESSION * count, rng)
        _write_schedule(database, day, missed=Plant.MISSED_SCHEDULE in planted)
    return SeedSummary(
        database=database.display_url,
        first_day=days[0],
        last_day=days[-1],
        sessions=counts.sessions,
        windows=counts.windows,
        intervals=counts.intervals,
        events=counts.events,
        requests=counts.requests,
        plants=request.plants,
        wall_s=time.monotonic() - started,
    )


def _refuse_twice(database: Database, seed: int) -> None:
    with database.read() as db:
        taken = next(list_sessions(db, session_ids=[_session_id(seed, 0)]), None)
    if taken is not None:
        msg = f"sessions of seed {seed} are there already ({taken.session_id}); name another --seed"
        raise InputError(msg)


def _session_id(seed: int, number: int) -> str:
    return f"seed-{seed}-{number:08d}"


def _portions(count: int) -> Iterator[int]:
    for start in range(0, count, _AT_ONCE):
        yield min(_AT_ONCE, count - start)


def _write_models(database: Database, days: list[date]) -> None:
    with database.begin() as db:
        for model, day in zip(MODELS, (days[0], days[2 * len(days) // 3]), strict=True):
            record_model(
                db,
                model,
                kind="suppressor",
                path=f"/models/{model}",
                digest=f"digest-of-{model}",
                card={},
                now=datetime(day.year, day.month, day.day, tzinfo=UTC),
            )


def _write_sessions(
    database: Database,
    seed: int,
    day: date,
    model: str,
    draws: Draws,
    world: World,
    rng: np.random.Generator,
    counts: _Counts,
) -> None:
    ids = [_session_id(seed, counts.sessions + place) for place in range(len(draws))]
    windows = windows_of(rng, draws, ids, world.num_channels[draws.device])
    intervals = intervals_of(rng, draws, ids)
    batched = rng.random(len(draws)) < _BATCH_SHARE
    batch = f"{ids[0]}-batch"
    sessions: list[dict[str, Any]] = []
    totals: list[tuple[Any, ...]] = []
    events: list[tuple[Any, ...]] = []
    for place, session_id in enumerate(ids):
        row = session_row(draws, world, place, session_id, intervals[place])
        row["batch_id"] = f"{batch}-{row['site']}" if batched[place] else None
        row["model_id"] = model if draws.status[place] < SKIPPED else None
        sessions.append(row)
        events += events_of(draws, place, windows[place])
        totals += (
            (session_id, *total.values()) for total in totals_of(windows[place], row["recorded_at"])
        )
    columns = tuple(dict.fromkeys(chain.from_iterable(sessions)))
    with database.begin() as db:
        _write_batches(db, sessions, day)
        insert_rows(
            db, "audio_sessions", columns, ([row.get(c) for c in columns] for row in sessions)
        )
        insert_rows(db, "noise_detections", WindowRow._fields, chain.from_iterable(windows))
        insert_rows(db, "noise_totals", _TOTAL_COLUMNS, totals)
        insert_rows(db, "noise_events", EVENT_COLUMNS, events)
        insert_rows(db, "processing_metrics", INTERVAL_COLUMNS, chain.from_iterable(intervals))
    counts.sessions += len(ids)
    counts.windows += sum(map(len, windows))
    counts.intervals += sum(map(len, intervals))
    counts.events += len(events)


def _write_batches(db: Session, sessions: list[dict[str, Any]], day: date) -> None:
    counts: dict[str, Counter[str]] = {}
    for row in sessions:
        if row["batch_id"] is not None:
            counts.setdefault(row["batch_id"], Counter())[row["status"]] += 1
    for batch_id, count in sorted(counts.items()):
        opened = datetime(day.year, day.month, day.day, 18, tzinfo=UTC)
        open_batch(db, batch_id, {}, count.total(), now=opened)
        every = {status: count[status] for status in STATUSES}
        close_batch(db, batch_id, every, "ok", now=opened + timedelta(hours=1))


def _write_requests(database: Database, day: date, count: int, rng: np.random.Generator) -> int:
    midnight_s = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    for size in _portions(count):
        hour = rng.choice(24, size, p=RHYTHMS[0])
        moment_s = np.round(midnight_s + (hour + rng.random(size)) * 3600.0, 3).tolist()
        endpoint = rng.choice(len(_ENDPOINTS), size, p=_ENDPOINT_SHARES)
        usual_ms = np.array([one[2] for one in _ENDPOINTS])[endpoint]
        duration_ms = np.round(usual_ms * rng.lognormal(0.0, 0.5, size), 2).tolist()
        answer = rng.choice(len(_ANSWERS), size, p=_ANSWER_SHARES).tolist()
        rows = (
            (
                datetime.fromtimestamp(at, UTC),
                *_ENDPOINTS[where][:2],
                _ANSWERS[what][0],
                took,
                "192.0.2.7",
                None,
                _ANSWERS[what][1],
            )
            for at, where, what, took in zip(
                moment_s, endpoint.tolist(), answer, duration_ms, strict=True
            )
        )
        with database.begin() as db:
            insert_rows(db, "api_requests", _REQUEST_COLUMNS, rows)
    return count


def _write_schedule(database: Database, day: date, *, missed: bool) -> None:
    """Note in the audit log which of the scheduled jobs ran that day."""
    runs = sorted(
        (ran, job.name)
        for job in PERIODIC_JOBS
        if (ran := job.due_on(day)) is not None and not (missed and job is _MISSED)
    )
    with database.begin() as db:
        for ran, job in runs:
            note_job_run(db, job, {"seeded": True}, "schedule", now=ran)
