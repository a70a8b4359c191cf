"""Pool, queues, deployments and automations on a server: made once, then left alone."""

from __future__ import annotations

import pytest

from deployments.schedules import JOBS, POOL, QUEUES

pytestmark = [pytest.mark.usefixtures("prefect_server")]


def test_a_second_time_changes_nothing_and_what_was_paused_stays_so() -> None:
    from prefect.client.orchestration import get_client

    from deployments.register import deployment_of, register

    first = register(normal_limit=2)
    assert first.pool
    assert set(first.queues) == set(QUEUES)
    assert set(first.deployments) == {job.slug for job in JOBS}
    assert len(first.automations) == 4

    name = deployment_of(JOBS[0], in_pool=True).full_name
    with get_client(sync_client=True) as client:
        paused = client.read_deployment_by_name(name)
        client.pause_deployment(paused.id)
        before = client.read_deployments()
    assert not register(normal_limit=2).is_news
    with get_client(sync_client=True) as client:
        after = client.read_deployments()
        assert client.read_deployment_by_name(name).paused
        queues = {q.name: q for q in client.read_work_queues(work_pool_name=POOL)}
    assert {one.id: one.updated for one in before} == {one.id: one.updated for one in after}
    assert {name: queues[name].priority for name in QUEUES} == QUEUES
    assert queues["normal"].concurrency_limit == 2
    assert queues["high"].concurrency_limit is None  # an alert never waits for a batch

    assert register(normal_limit=3).queues == ("normal",)


def test_schedules_are_on_the_server_in_utc() -> None:
    from prefect.client.orchestration import get_client

    from deployments.register import register

    register(normal_limit=2)
    with get_client(sync_client=True) as client:
        known = {one.name: one for one in client.read_deployments()}
    for job in JOBS:
        found = [(s.schedule.cron, s.schedule.timezone, s.slug) for s in known[job.slug].schedules]
        assert found == ([(job.cron, "UTC", job.slug)] if job.cron else [])
        assert known[job.slug].entrypoint == job.entrypoint
        assert not known[job.slug].pull_steps
        assert known[job.slug].enforce_parameter_schema
