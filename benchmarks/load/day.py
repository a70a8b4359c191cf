"""The scheduled jobs of a day in a few minutes, beside batches that never end and other traffic."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from anc_core.store import check_integrity, open_database
from benchmarks.load import tables
from benchmarks.load.recordings import write_many
from benchmarks.load.site import Site, site

HOUR_S = 6.0
BATCH, DURATION_S = 40, 5.0
SEEDED, SEEDED_DAYS = 300, 60
"""Sessions that each ``anc db seed`` adds; half of them are older than what the cleanup keeps."""
PAUSE_S = 5.0
"""Between two of them."""


def measure(parent: Path | None, store: str) -> None:
    """Let a day pass; print what became of every job, and count what is in the store."""
    print(f"\n{store}: a day of schedules, an hour is {HOUR_S:.0f} s")
    with site(store, parent=parent, with_prefect=True) as here:
        assert here.anc(*_seed(0), name="seed").exit_code == 0
        over = threading.Event()
        with ThreadPoolExecutor(2) as threads:
            batches = threads.submit(_batches, here, over)
            seeds = threads.submit(_seeds, here, over)
            try:
                runs = _hours(here)
            finally:
                over.set()
            recorded, seeded = batches.result(), SEEDED + seeds.result()
        removed = sum(run.get("removed", 0) for run in runs)
        left = tables.count_rows(here.database_url)["audio_sessions"]
        database = open_database(here.database_url)
        findings = check_integrity(database)
        database.dispose()
        locked = (here.folder / "prefect.log").read_text(errors="replace")
    _tell(runs)
    print(
        f"{recorded} recorded + {seeded} seeded - {removed} removed = {left} left; integrity: "
        f"{findings or 'ok'}; 'database is locked' in Prefect's server "
        f"{locked.count('database is locked')} times; load {os.getloadavg()[0]:.1f}"
    )
    assert left == recorded + seeded - removed
    assert findings == []
    assert {run["state"] for run in runs} <= {"Completed", "one is at work"}


def _hours(here: Site) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "benchmarks.load.hours", str(HOUR_S)]
    with (here.folder / "hours.log").open("wb") as log:
        done = subprocess.run(
            command,
            env={**os.environ, **here.environment},
            stdout=subprocess.PIPE,
            stderr=log,
            check=False,
        )
    if done.returncode:
        raise RuntimeError((here.folder / "hours.log").read_text(errors="replace")[-4000:])
    return [json.loads(line) for line in done.stdout.splitlines()]


def _batches(here: Site, over: threading.Event) -> int:
    """Clean one folder of new recordings after the other; return how many there were."""
    for number in itertools.count():
        if over.is_set():
            return number * BATCH
        folder = here.folder / f"in{number}"
        write_many(folder, BATCH, DURATION_S, first=number * BATCH)
        summary, _ = here.batch(folder, "--flow", "--workers", "1", name=f"on-demand-{number}")
        assert summary["ok"] + summary["degraded"] == BATCH, summary
    raise AssertionError


def _seeds(here: Site, over: threading.Event) -> int:
    for number in itertools.count(1):
        if over.wait(PAUSE_S):
            return (number - 1) * SEEDED
        done = here.anc(*_seed(number), name="seed")
        assert done.exit_code == 0, done.stderr
    raise AssertionError


def _seed(number: int) -> tuple[str, ...]:
    words = ("db", "seed", "--sessions", str(SEEDED), "--days", str(SEEDED_DAYS), "-q")
    return (*words, "--seed", str(number))


def _tell(runs: list[dict[str, Any]]) -> None:
    seconds: dict[str, list[float]] = defaultdict(list)
    states: dict[str, Counter[str]] = defaultdict(Counter)
    for run in runs:
        seconds[str(run["job"])].append(float(str(run.get("seconds", 0))))
        states[str(run["job"])][str(run["state"])] += 1
        if run.get("error"):
            print(f"hour {run['hour']} {run['job']}: {run['error']}")
    print(f"{'job':16}{'runs':>6}{'longest s':>11}  ended")
    for job, all_s in seconds.items():
        ended = ", ".join(f"{count} {state}" for state, count in states[job].items())
        print(f"{job:16}{len(all_s):6}{max(all_s):11.1f}  {ended}")
