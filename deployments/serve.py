"""``python -m deployments.serve``: all deployments in one process, on the server that is set.

The small way: no work pool, no priorities, no automations. ``anc serve`` is the whole.
"""

from __future__ import annotations

from prefect import serve

from deployments.register import deployment_of
from deployments.schedules import JOBS


def main() -> None:
    """Serve until interrupted."""
    serve(*(deployment_of(job, in_pool=False) for job in JOBS))


if __name__ == "__main__":  # Prefect's child processes import this module
    main()
