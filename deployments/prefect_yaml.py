"""``python -m deployments.prefect_yaml`` writes ``prefect.yaml`` from the table.

For those who deploy with Prefect's own command: ``prefect --no-prompt deploy --all``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from deployments.schedules import JOBS, POOL, Job

PLACE = Path(__file__).parents[1] / "prefect.yaml"

_HEAD = """\
# Written by `python -m deployments.prefect_yaml` from deployments/schedules.py: change it there.
# `prefect work-pool create anc --type process` once, then `prefect --no-prompt deploy --all`;
# `anc serve` does both, with the queues' priorities and the automations.
"""


def prefect_yaml() -> str:
    """Return the text of ``prefect.yaml``."""
    document = {
        "name": "anc-platform",
        "prefect-version": "3.8.8",
        "pull": [],
        "deployments": [_deployment(job) for job in JOBS],
    }
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    return _HEAD + text


def _deployment(job: Job) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": job.slug,
        "description": job.description,
        "entrypoint": job.entrypoint,
        "tags": job.all_tags,
        "parameters": dict(job.parameters),
        "work_pool": {"name": POOL, "work_queue_name": job.queue},
        "schedules": [],
        "pull": [],
    }
    if job.one_at_a_time is not None:
        found["concurrency_limit"] = {"limit": 1, "collision_strategy": job.one_at_a_time}
    if job.cron is not None:
        schedule = {"cron": job.cron, "timezone": "UTC", "slug": job.slug, "active": True}
        found["schedules"] = [schedule | {"parameters": dict(job.scheduled_parameters)}]
    return found


if __name__ == "__main__":
    PLACE.write_text(prefect_yaml(), encoding="utf-8")
