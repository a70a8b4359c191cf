"""A batch that asks for helpers: who does what, and what becomes of helpers that don't."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from anc_core.files import digest_file
from anc_core.jobs.batch import begin
from anc_core.jobs.plan import BatchRequest, plan_batch
from anc_core.settings import Settings
from anc_core.store import ClaimRequest, Owner, claim, list_sessions, open_database, release
from tests.recordings import noisy_voice

pytestmark = [pytest.mark.usefixtures("prefect_server")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed in range(3):
        noisy_voice(tmp_path / "in" / f"{seed}.wav", duration_s=1.0, seed=seed)
    return tmp_path / "in"


@pytest.mark.long
def test_helpers_that_no_worker_takes_are_not_needed_and_called_off(
    folder: Path, store_url: str
) -> None:
    from prefect.client.orchestration import get_client

    from flows import batch_process_files, help_batch

    help_batch.to_deployment("help-batch").apply()
    summary = batch_process_files(file_paths=[folder], output_dir=folder.parent / "out", spread=3)
    assert (summary.planned, summary.ok) == (3, 3)
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("help-batch/help-batch")
        asked = [run for run in client.read_flow_runs() if run.deployment_id == deployment.id]
    assert sorted(run.parameters["turn"] for run in asked) == [1, 2]
    assert {run.parameters["request"]["batch_id"] for run in asked} == {summary.batch_id}
    assert {run.state_type.value for run in asked} == {"CANCELLED"}


def test_a_helper_does_its_share_and_the_batch_counts_it(folder: Path, store_url: str) -> None:
    from flows import batch_process_files, help_batch

    request = BatchRequest(inputs=[str(folder)], output_dir=folder.parent / "out", batch_id="b")
    database = open_database(store_url)
    begin(plan_batch(request, database=database, settings=Settings.load()), database)
    helped = help_batch(request, since=datetime.now(UTC), turn=1, of=2)
    assert (helped.planned, helped.ok) == (3, 3)
    noisy_voice(folder / "3.wav", duration_s=1.0, seed=3)
    summary = batch_process_files(file_paths=[folder], output_dir=request.output_dir, batch_id="b")
    assert (summary.planned, summary.ok, summary.skipped) == (4, 4, 0)
    with database.read() as db:
        assert len(list(list_sessions(db, batch_id="b"))) == 4


def test_what_a_helper_held_when_it_died_is_done_by_the_batch(
    folder: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import audio_processing, batch_process_files

    request = BatchRequest(inputs=[str(folder)], output_dir=folder.parent / "out", batch_id="b")
    database, settings = open_database(store_url), Settings.load()
    plan = plan_batch(request, database=database, settings=settings)
    begin(plan, database)
    held = plan.jobs[0]
    helper = Owner("elsewhere", 1, datetime.now(UTC))
    fingerprint = held.request(settings).fingerprint(digest_file(held.source), None)
    with database.begin() as db:
        words = {"source_path": str(held.source), "batch_id": "b"}
        claim(db, ClaimRequest(fingerprint=fingerprint, **words), helper)
    looks: list[str] = []

    def silent_for_too_long(_: object, *, batch_id: str) -> None:
        looks.append(batch_id)
        if len(looks) == 2:
            with database.begin() as db:
                release(db, now=datetime.now(UTC), owner=helper)

    monkeypatch.setattr(audio_processing, "reconcile", silent_for_too_long)
    monkeypatch.setattr(audio_processing, "UPDATE_EVERY_S", 0.1)
    summary = batch_process_files(
        file_paths=[folder], output_dir=request.output_dir, batch_id="b", spread=2
    )
    assert (summary.planned, summary.ok, summary.skipped) == (3, 3, 0)
    assert len(looks) == 2
