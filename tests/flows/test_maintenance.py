"""The maintenance flows as a caller sees them: real runs on Prefect's test server."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from anc_core.store import Owner, claim, finish, open_database
from tests.flows.prefect_records import artifacts_of, task_names_of

pytestmark = [pytest.mark.usefixtures("prefect_server")]


def test_failed_sessions_are_removed_by_tasks_and_shown_in_a_table(store_url: str) -> None:
    from store_samples import NOW, request, result

    from anc_core.records import Status
    from flows import cleanup_failed_sessions

    database = open_database(store_url)
    with database.begin() as db:
        held = claim(db, request(), Owner.current(), now=NOW)
        finish(db, result(held.session_id, status=Status.FAILED), Owner.current())
    assert cleanup_failed_sessions(dry_run=True).sessions == 1
    state = cleanup_failed_sessions(return_state=True)
    done = state.result()
    assert (done.sessions, done["rows"]["noise_detections"]) == (1, 2)
    table = artifacts_of(state)["cleanup-failed"]
    assert "1 failed sessions" in table["description"]
    names = task_names_of(state, "store against disk")
    assert {"sessions of dead workers", "what is to go", "files, then rows"} <= set(names)


def test_cutoff_that_is_no_past_fails_the_flow_and_changes_nothing(store_url: str) -> None:
    from flows import cleanup_old_sessions

    state = cleanup_old_sessions(older_than_days=0, return_state=True)
    assert state.is_failed()
    assert "older_than_days" in (state.message or "")
    assert not Path(store_url.removeprefix("sqlite:///")).exists()


def test_vacuum_and_backup_return_records_with_tables(store_url: str, tmp_path: Path) -> None:
    from flows import backup_database, vacuum_database

    state = vacuum_database(return_state=True)
    done = state.result()
    assert done.skipped is not None
    assert "events" in done.prefect_vacuum
    assert "vacuum" in artifacts_of(state)
    state = backup_database(folder=tmp_path / "safe", return_state=True)
    assert Path(state.result().path).is_file()
    assert "backup" in artifacts_of(state)


def test_erasure_is_dry_by_default_and_names_nobody(
    store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    from flows import erase_user

    state = erase_user("alice", return_state=True)
    assert state.result().dry_run
    assert "erasure" in artifacts_of(state)
    assert "alice" not in caplog.text


def test_health_sees_the_server_and_that_no_worker_lives(store_url: str) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate

    from anc_core.maintenance.health.questions import ask_all
    from flows import health_check
    from flows.prefect_health import prefect_questions

    open_database(store_url).dispose()
    state = health_check(return_state=True)
    checks = {check.name: check for check in state.result().checks}
    assert checks["prefect api"].status == "ok"
    assert checks["prefect worker"].status == "degraded"
    assert state.result().status != "ok"
    assert "health" in artifacts_of(state)

    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="pool", type="process"))
        client.send_worker_heartbeat("pool", "here", heartbeat_interval_seconds=1)
        asked = {one.name: one for one in ask_all(prefect_questions(expected=True))}
        assert asked["prefect worker"].status == "ok"
        deadline = time.monotonic() + 30  # offline after three missed heartbeats
        while asked["prefect worker"].status == "ok" and time.monotonic() < deadline:
            time.sleep(1)
            asked = {one.name: one for one in ask_all(prefect_questions(expected=True))}
    assert asked["prefect worker"].status == "degraded"
