"""The scheduled jobs of a day in some minutes: each in a thread, as the worker would start it.

Run by the case ``day`` as a process of its own, because Prefect and the store are chosen by the
environment. The weekly jobs are due on this day, too. Prints a line of JSON for each run.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import flows
from deployments.schedules import JOBS, Job

BACKUP_HOUR = 5
"""Not on our schedule, but on that of most who run this."""


def due(job: Job, hour: int) -> bool:
    """Return whether ``job`` begins at ``hour``, whatever the day of the week."""
    if job.cron is None:
        return job.slug == "backup" and hour == BACKUP_HOUR
    return job.cron.split()[1] in {"*", str(hour)}


def run(job: Job, hour: int) -> None:
    """Run the flow of ``job`` as its schedule would, and tell what became of it."""
    start = time.monotonic()
    state = getattr(flows, job.flow)(**job.scheduled_parameters, return_state=True)
    answer: Any = state.result(raise_on_failure=False)
    line = {
        "hour": hour,
        "job": job.slug,
        "state": state.name,
        "seconds": round(time.monotonic() - start, 2),
        "removed": getattr(answer, "sessions", 0) if job.slug.startswith("cleanup") else 0,
        "error": repr(answer) if isinstance(answer, BaseException) else None,
    }
    print(json.dumps(line), flush=True)


def main() -> None:
    """Let 24 hours pass, each as long as the first argument says, in s."""
    hour_s = float(sys.argv[1])
    start = time.monotonic()
    threads = []
    for hour in range(24):
        time.sleep(max(0.0, start + hour * hour_s - time.monotonic()))
        for job in JOBS:
            if due(job, hour):
                threads.append(threading.Thread(target=run, args=(job, hour)))
                threads[-1].start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
