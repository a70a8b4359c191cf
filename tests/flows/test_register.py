"""Pool, queues, deployments and automations on a server: made once, then left alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import soundfile as sf

from anc_core.audio.synth import alarm
from deployments.schedules import JOBS, POOL, QUEUES

pytestmark = [pytest.mark.usefixtures("prefect_server")]


def forget_all() -> None:
    """Remove what other tests have registered on the server that they share."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        for deployment in client.read_deployments():
            client.request("DELETE", f"/deployments/{deployment.id}")
        for automation in client.read_automations():
            client.delete_automation(automation.id)
        for pool in client.read_work_pools():
            client.delete_work_pool(pool.name)


def test_a_second_time_changes_nothing_and_what_was_paused_stays_so() -> None:
    from prefect.client.orchestration import get_client

    from deployments.register import deployment_of, register

    forget_all()
    first = register(normal_limit=2)
    assert first.pool
    assert set(first.queues) == set(QUEUES)
    assert set(first.deployments) == {job.slug for job in JOBS}
    assert len(first.automations) == 6

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


def test_a_checkout_around_it_is_not_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect asks git about the working directory, where it finds one with a remote."""
    from deployments.register import register

    forget_all()
    for words in (
        ("init", "-q"),
        ("-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "--allow-empty", "-mx"),
        ("remote", "add", "origin", "https://example.org/x/y.git"),
    ):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    assert register(normal_limit=2).is_news
    assert not register(normal_limit=2).is_news


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


def test_the_server_makes_runs_of_a_schedule() -> None:
    """With SQLAlchemy 2.1 it does not, and only the server's log tells."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName

    from deployments.register import register

    register(normal_limit=2)
    health = DeploymentFilter(name=DeploymentFilterName(any_=["health"]))
    with get_client(sync_client=True) as client:
        (deployment,) = client.read_deployments(deployment_filter=health)
        client.request("POST", f"/deployments/{deployment.id}/schedule", json={"min_runs": 3})
        runs = client.read_flow_runs(deployment_filter=health)
    planned = sorted(run.expected_start_time for run in runs if run.auto_scheduled)
    assert len(planned) >= 3
    assert {(one.minute, one.second) for one in planned} == {(0, 0)}


def test_a_run_whose_process_is_gone_is_crashed_and_others_are_left_alone() -> None:
    from prefect.client.orchestration import get_client
    from prefect.states import Completed, Pending, Running

    from deployments.left_over import crash_left_over_runs
    from deployments.register import register

    register(normal_limit=2)
    nobody = str(2**22 + 1)  # no process has this number
    with get_client(sync_client=True) as client:
        process = client.read_deployment_by_name("process-audio-file/process")

        def run(pid: str | None, state: object) -> object:
            made = client.create_flow_run_from_deployment(
                process.id, parameters={"file_path": "/x.wav"}
            )
            client.set_flow_run_state(made.id, state, force=True)
            client.update_flow_run(made.id, infrastructure_pid=pid)
            return made.id

        gone = [run(nobody, Pending()), run(nobody, Running())]
        others = [run(None, Pending()), run(nobody, Completed())]
        assert crash_left_over_runs(go_on=False) == 2
        states = [client.read_flow_run(one).state_type.value for one in (*gone, *others)]
    assert states == ["CRASHED", "CRASHED", "PENDING", "COMPLETED"]


def test_a_batch_that_went_down_with_its_server_is_put_back_in_its_queue() -> None:
    from prefect.client.orchestration import get_client
    from prefect.states import Running

    from deployments.left_over import crash_left_over_runs
    from deployments.register import register

    register(normal_limit=2)
    with get_client(sync_client=True) as client:
        found = []
        for name in ("batch-process-files/batch", "process-audio-file/process"):
            deployment = client.read_deployment_by_name(name)
            parameters = {"file_paths": [], "file_path": "/x.wav"}
            wanted = {
                k: v for k, v in parameters.items() if k in str(deployment.parameter_openapi_schema)
            }
            made = client.create_flow_run_from_deployment(deployment.id, parameters=wanted)
            client.set_flow_run_state(made.id, Running(), force=True)
            client.update_flow_run(made.id, infrastructure_pid=str(2**22 + 1))
            found.append(made.id)
        assert crash_left_over_runs(go_on=True) == 2
        states = [client.read_flow_run(one).state for one in found]
        assert [state.name for state in states] == ["AwaitingRetry", "Crashed"]
        # It may go on a few times only.
        for _ in range(3):
            client.set_flow_run_state(found[0], Running(), force=True)
        assert crash_left_over_runs(go_on=True) == 1
        assert client.read_flow_run(found[0]).state.name == "Crashed"


def test_a_run_that_outlived_its_worker_is_ended_before_it_is_put_back() -> None:
    from prefect.client.orchestration import get_client
    from prefect.states import Running

    from deployments.left_over import crash_left_over_runs, end_orphaned_runs
    from deployments.register import register

    register(normal_limit=2)
    with get_client(sync_client=True) as client:
        batch = client.read_deployment_by_name("batch-process-files/batch")
        made = client.create_flow_run_from_deployment(batch.id, parameters={"file_paths": []})
        client.set_flow_run_state(made.id, Running(), force=True)
        orphan = subprocess.Popen([sys.executable, "-c", "input()", "prefect"], stdin=-1)
        client.update_flow_run(made.id, infrastructure_pid=str(orphan.pid))
        with orphan:
            assert crash_left_over_runs(go_on=True) == 0  # it works
            assert end_orphaned_runs() == 1
            assert not psutil.pid_exists(orphan.pid)
        assert crash_left_over_runs(go_on=True) == 1
        assert client.read_flow_run(made.id).state.name == "AwaitingRetry"


def test_an_alert_whose_event_was_lost_is_sent_by_one_run(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from anc_core.jobs.records import RecordingJob
    from anc_core.jobs.run import run_recording
    from anc_core.settings import Settings
    from anc_core.store import open_database
    from deployments.register import register
    from deployments.waiting_alerts import send_waiting_alerts

    register(normal_limit=2)
    monkeypatch.setenv("ANC_ALERT_WEBHOOK_URL", "http://127.0.0.1:9/alerts")
    settings = Settings.load()
    assert not send_waiting_alerts(settings)  # nothing waits
    source = tmp_path / "alarm.wav"
    sf.write(source, alarm("t3_3100", 9.0, 16_000, seed=0, level_dbfs=-20.0), 16_000)
    run_recording(RecordingJob(source=source), database=open_database(store_url), settings=settings)
    assert send_waiting_alerts(settings)
    assert not send_waiting_alerts(settings)  # that run is under way
