"""How long an analysis takes on a full database; CPU seconds of a warm process, best of three.

    python -m benchmarks.analytics --database-url sqlite:////tmp/seeded.db [--sessions 100000]

An empty database is seeded first (``anc db seed``); one that holds sessions is taken as it is.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import func, select, text

from anc_core.analysis_records import Period
from anc_core.jobs.seed import SeedRequest, seed_store
from anc_core.store import (
    Database,
    analyse_period,
    analyse_session,
    database_bytes,
    open_database,
    roll_up,
)
from anc_core.store.tables import AudioSession, NoiseDetection, NoiseTotal, ProcessingMetric

_REPEATS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=90)
    words = parser.parse_args()
    database = open_database(words.database_url)
    _seed(database, words.sessions, words.days)
    last, first, newest = _describe(database)
    month = Period.of_days(last - timedelta(days=29), last + timedelta(days=1))
    whole = Period.of_days(first, last + timedelta(days=1))
    day = Period.of_day(last)

    def analysis(period: Period, *group_by: str) -> Callable[[], object]:
        def run() -> object:
            with database.read() as db:
                return analyse_period(db, period, group_by=group_by)

        return run

    def session() -> object:
        with database.read() as db:
            return analyse_session(db, newest)

    def rolled() -> object:
        with database.begin() as db:
            return roll_up(db, last)

    _time("one session", session)
    _time("last day, by device", analysis(day, "device"))
    _time("last 30 days", analysis(month))
    _time("last 30 days, by device", analysis(month, "device"))
    _time("last 30 days, by noise type", analysis(month, "noise_type"))
    _time(f"all {whole.num_days:.0f} days, by device", analysis(whole, "device"))
    _time("roll up a day", rolled)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MB")


def _seed(database: Database, sessions: int, days: int) -> None:
    with database.read() as db:
        if db.scalar(select(AudioSession.id).limit(1)) is not None:
            return
    started = time.process_time()
    request = SeedRequest(
        sessions=sessions, days=days, last_day=datetime.now(UTC).date() - timedelta(days=1)
    )
    summary = seed_store(database, request)
    cpu_s = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"seeded in {summary.wall_s:.0f} s ({cpu_s:.0f} s of CPU here), peak {peak:.0f} MB")
    if database.dialect == "postgresql":
        # What its own daemon does within a minute.
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as one:
            one.execute(text("ANALYZE"))


def _describe(database: Database) -> tuple[date, date, str]:
    with database.read() as db:
        counts = [
            db.scalar(select(func.count()).select_from(table)) or 0
            for table in (AudioSession, NoiseDetection, NoiseTotal, ProcessingMetric)
        ]
        first, last, newest = db.execute(
            select(
                func.min(AudioSession.recorded_at),
                func.max(AudioSession.recorded_at),
                func.max(AudioSession.id),
            )
        ).one()
        size = database_bytes(db) / 1e6
    names = ("sessions", "windows", "sums of windows", "intervals")
    told = ", ".join(f"{n:,} {name}" for n, name in zip(counts, names, strict=True))
    print(f"{database.dialect}: {told}; {size:,.0f} MB")
    return last.date(), first.date(), newest


def _time(name: str, run: Callable[[], object]) -> None:
    run()
    cpu, wall = [], []
    for _ in range(_REPEATS):
        started, clock = time.process_time(), time.perf_counter()
        run()
        cpu.append(time.process_time() - started)
        wall.append(time.perf_counter() - clock)
    print(f"{name:32} {min(cpu):6.3f} s CPU  {min(wall):6.3f} s")


if __name__ == "__main__":
    main()
