"""The scheduled jobs of a day in some minutes: each in a thread, as the worker would start it.

Run by the case ``day`` as a process of its own, because Prefect and the store are chosen by the
environment. The weekly jobs are due on this day, too. Prints a line of JSON for each run.
"""

from __future__ import annotations

import json
import sys
import threading
import time

import flows
from deployments.schedules import JOBS, Job

_ONE_LINE = threading.Lock()


def due(job: Job, hour: int) -> bool:
    """Return whether ``job`` begins at ``hour``, whatever the day of the week."""
    return job.cron is not None and job.cron.split()[1] in {"*", str(hour)}


def run(job: Job, hour: int) -> None:
    """Run the flow of ``job`` as its schedule would, and tell what became of it."""
    start = time.monotonic()
    try:
        state = getattr(flows, job.flow)(**job.scheduled_parameters, return_state=True)
        name, answer = state.name, state.result(raise_on_failure=False)
    except Exception as err:  # noqa: BLE001 - Prefect's own, where its server is at fault
        name, answer = "raised", err
    line = {
        "hour": hour,
        "job": job.slug,
        "state": name,
        "seconds": round(time.monotonic() - start, 2),
        "removed": getattr(answer, "sessions", 0) if job.slug.startswith("cleanup") else 0,
        "error": repr(answer) if isinstance(answer, BaseException) else None,
    }
    tell(line)


def main() -> None:
    """Let 24 hours pass, each as long as the first argument says, in s."""
    hour_s = float(sys.argv[1])
    start = time.monotonic()
    threads: dict[str, threading.Thread] = {}
    for hour in range(24):
        time.sleep(max(0.0, start + hour * hour_s - time.monotonic()))
        for job in JOBS:
            if not due(job, hour):
                continue
            if job.slug in threads and threads[job.slug].is_alive():
                # One at a time, as the deployment has it: the one at work does for both.
                tell({"hour": hour, "job": job.slug, "state": "one is at work"})
                continue
            threads[job.slug] = threading.Thread(target=run, args=(job, hour))
            threads[job.slug].start()
    for thread in threads.values():
        thread.join()


def tell(line: dict[str, object]) -> None:
    """Print ``line``, whole."""
    with _ONE_LINE:
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
