"""Tell a Prefect server of the work pool, its queues, the deployments and the automations.

What is there and right is left alone, with its ids, its paused schedules and its history: a
deployment carries the digest of its row as its version.
"""

from __future__ import annotations

import hashlib
import json
import platform
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import (
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
    VersionInfo,
)
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.schedules import Cron
from prefect.workers.process import ProcessWorker

from anc_core.records import Record
from anc_core.version import __version__
from deployments.automations import automations
from deployments.schedules import JOBS, POOL, QUEUES, Job

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.events.schemas.automations import Automation, AutomationCore

WORKER_NAME = f"anc on {platform.node()}"

_ONE_OF_LOW = 1
"""Cleanup and vacuum never run beside each other."""


class Registered(Record):
    """What had to be created or changed; empty where the server knew it all."""

    pool: bool
    queues: tuple[str, ...]
    deployments: tuple[str, ...]
    automations: tuple[str, ...]

    @property
    def is_news(self) -> bool:
        """Return whether anything was changed."""
        return self.pool or bool(self.queues or self.deployments or self.automations)


def register(*, normal_limit: int) -> Registered:
    """Bring the server of ``PREFECT_API_URL`` up to date; may be repeated.

    Parameters
    ----------
    normal_limit : int
        How many runs of the queue ``normal`` may be at work at once.
    """
    with get_client(sync_client=True) as client:
        pool = _make_pool(client)
        queues = _make_queues(client, normal_limit)
        changed, ids = [], {}
        for job in JOBS:
            ids[job.slug], is_new = _deploy(client, job)
            if is_new:
                changed.append(job.slug)
        automated = [one.name for one in automations(ids) if _automate(client, one)]
    return Registered(
        pool=pool, queues=queues, deployments=tuple(changed), automations=tuple(automated)
    )


def deployment_of(job: Job, *, in_pool: bool) -> RunnerDeployment:
    """Return what Prefect needs of a row; without the pool it is for ``serve()``."""
    schedules = []
    if job.cron is not None:
        schedules = [
            Cron(job.cron, timezone="UTC", slug=job.slug, parameters=dict(job.scheduled_parameters))
        ]
    limit = None
    if job.one_at_a_time is not None:
        limit = ConcurrencyLimitConfig(
            limit=1, collision_strategy=ConcurrencyLimitStrategy(job.one_at_a_time)
        )
    place: dict[str, Any] = (
        {"work_pool_name": POOL, "work_queue_name": job.queue} if in_pool else {}
    )
    found = RunnerDeployment.from_entrypoint(
        job.entrypoint,
        name=job.slug,
        description=job.description,
        tags=job.all_tags,
        parameters=dict(job.parameters),
        schedules=schedules,
        concurrency_limit=limit,
        **place,
    )
    found._path = None  # noqa: SLF001 - the code is installed, not in the working directory
    found.version = _version(found)
    return found


def _version(deployment: RunnerDeployment) -> str:
    told = deployment.model_dump(mode="json", exclude={"version", "schedules", "storage"})
    told["schedules"] = [
        one.model_dump(mode="json", exclude={"schedule": {"anchor_date"}})
        for one in deployment.schedules or ()
    ]
    told["form"] = deployment._parameter_openapi_schema.model_dump(mode="json")  # noqa: SLF001
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    return f"{__version__}+{digest[:12]}"


def _make_pool(client: SyncPrefectClient) -> bool:
    try:
        client.read_work_pool(POOL)
    except ObjectNotFound:
        client.create_work_pool(
            WorkPoolCreate(
                name=POOL,
                type="process",
                description="Jobs of the ANC platform on this machine.",
                base_job_template=ProcessWorker.get_default_base_job_template(),
            )
        )
        return True
    return False


def _make_queues(client: SyncPrefectClient, normal_limit: int) -> tuple[str, ...]:
    limits = {"normal": normal_limit, "low": _ONE_OF_LOW}
    known = {queue.name: queue for queue in client.read_work_queues(work_pool_name=POOL)}
    changed = []
    for name, priority in QUEUES.items():
        limit = limits.get(name)  # an alert never waits, a helper for a worker only
        if name not in known:
            client.create_work_queue(
                name=name, work_pool_name=POOL, priority=priority, concurrency_limit=limit
            )
        elif (known[name].priority, known[name].concurrency_limit) != (priority, limit):
            client.update_work_queue(known[name].id, priority=priority, concurrency_limit=limit)
        else:
            continue
        changed.append(name)
    return tuple(changed)


def _deploy(client: SyncPrefectClient, job: Job) -> tuple[UUID, bool]:
    """Return the deployment's id, and whether it had to be created or changed."""
    wanted = deployment_of(job, in_pool=True)
    try:
        known = client.read_deployment_by_name(wanted.full_name)
    except ObjectNotFound:
        pass
    else:
        if known.version == wanted.version:
            return known.id, False
    # Without it Prefect asks git about the working directory, and takes a commit for the version.
    told = VersionInfo(type="prefect:simple", version=wanted.version or "")
    created: Any = wanted.apply(version_info=told)
    return created, True


def _automate(client: SyncPrefectClient, wanted: AutomationCore) -> bool:
    known = client.read_automations_by_name(wanted.name)
    if not known:
        client.create_automation(wanted)
        return True
    if _same(known[0], wanted):
        return False
    client.update_automation(known[0].id, wanted)
    return True


def _same(known: Automation, wanted: AutomationCore) -> bool:
    """Compare what we decide; whether it is enabled is the operator's."""
    ours = {"description", "trigger", "actions"}

    def told(one: AutomationCore) -> Any:  # noqa: ANN401 - JSON
        found = one.model_dump(mode="json", include=ours)
        return json.loads(json.dumps(found, sort_keys=True, default=sorted))

    return bool(_without_ids(told(known)) == _without_ids(told(wanted)))


def _without_ids(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Leave out the ids that the server gives to triggers; order sets, which have none."""
    if isinstance(value, dict):
        return {key: _without_ids(one) for key, one in value.items() if key != "id"}
    if isinstance(value, list):
        inner = [_without_ids(one) for one in value]
        return sorted(inner, key=str)
    return value
