"""A batch that is shared, suspended, killed and cut off from its server, on ``anc serve``.

The session store is PostgreSQL, as for several machines; Prefect's own database is SQLite, or
PostgreSQL as well where a server with the extension that it needs is installed.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import soundfile as sf
from sqlalchemy import text

from anc_core.jobs.audit import missing_outputs
from anc_core.store import batch_progress, check_integrity, list_sessions, open_database
from tests.chaos.site import Site, end_family, site, until
from tests.noise_clips import write_clips
from tests.postgresql import Postgres, own_postgres
from tests.receiver import free_port
from tests.recordings import noisy_voice
from tests.store.conftest import fresh_postgres, postgres_server  # noqa: F401 - a fixture

pytestmark = [pytest.mark.long, pytest.mark.timeout(1_800), pytest.mark.xdist_group("serve")]

NUM_FILES = 400
_OWNERS = "SELECT DISTINCT owner_pid FROM audio_sessions WHERE owner_pid > 0"
BATCH, HELPER = "batch-process-files/batch", "help-batch/help-batch"


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    with own_postgres() as server:
        yield server


@pytest.fixture(params=["Prefect on SQLite", "Prefect on PostgreSQL"])
def urls(request: pytest.FixtureRequest) -> Iterator[tuple[str, str | None]]:
    """Return where the store is, and where Prefect's own database."""
    if request.param == "Prefect on PostgreSQL":
        server: Postgres = request.getfixturevalue("postgres")
        yield server.store_url, server.prefect_url
    else:
        with fresh_postgres(request.getfixturevalue("postgres_server")) as url:
            yield url, None


@pytest.fixture
def here(
    tmp_path: Path, urls: tuple[str, str | None], request: pytest.FixtureRequest
) -> Iterator[Site]:
    """Start ``anc serve``; each run has one process for its work, and shards of a second."""
    own = getattr(request, "param", {"ANC_SHARD_S": "1"})
    store, prefect = urls
    with site(
        tmp_path, free_port(), prefect, ANC_DATABASE_URL=store, ANC_WORKERS="1", **own
    ) as one:
        one.serve()
        yield one


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 400 recordings of different content, and one that is none."""
    folder = tmp_path_factory.mktemp("recordings")
    samples, rate = sf.read(noisy_voice(folder / "000.wav", duration_s=8.0))
    for index in range(1, NUM_FILES - 1):
        sf.write(folder / f"{index:03d}.wav", samples * (1 - index / 1_000), rate)
    (folder / "bad.wav").write_bytes(b"no sound at all" * 9)
    return folder


def done(here: Site, batch_id: str) -> int:
    database = open_database(here.environment["ANC_DATABASE_URL"])
    with database.read() as db:
        count = batch_progress(db, batch_id).done
    database.dispose()
    return count


def check_all_is_there(here: Site, recordings: Path, out: Path) -> None:
    """Check that every recording is done once, whole, and that nothing lies beside."""
    names = {path.name for path in recordings.iterdir() if path.name != "bad.wav"}
    assert {path.name for path in out.glob("*.wav")} == names
    assert [path for path in out.rglob("*") if path.name.startswith(".anc-")] == []
    database = open_database(here.environment["ANC_DATABASE_URL"])
    with database.read() as db:
        sessions = list(list_sessions(db))
    by_status = Counter(session.status for session in sessions)
    assert Counter(Path(s.source_path).name for s in sessions) == Counter([*names, "bad.wav"])
    assert by_status["failed"] == 1, by_status
    assert check_integrity(database) == []
    assert missing_outputs(database) == []
    database.dispose()


def start_batch(here: Site, recordings: Path, **words: object) -> tuple[str, str, Path]:
    """Return run id, batch id and the folder of the outputs."""
    out = here.folder / "out"
    run = here.run(BATCH, file_paths=[str(recordings)], output_dir=str(out), **words)
    return run, batch_of(run), out


def batch_of(run: str) -> str:
    return f"batch-{run.replace('-', '')[-12:]}"


def test_what_matters_more_goes_first(here: Site, tmp_path: Path) -> None:
    """One slot, three runs in its queues: the last one asked for has the highest priority."""
    noisy_voice(tmp_path / "in" / "a.wav")
    here.command("prefect", "work-pool", "pause", "anc")
    here.command("prefect", "work-pool", "set-concurrency-limit", "anc", "1")
    runs = [
        here.run("cleanup-failed-sessions/cleanup-failed", older_than_hours=24, dry_run=True),
        here.run(BATCH, file_paths=[str(tmp_path / "in")]),
        here.run("train-noise-classifier/train", **training(tmp_path)),
    ]
    here.command("prefect", "work-pool", "resume", "anc")
    cleanup, batch, trained = [here.end(run) for run in runs]
    for run in (trained, batch, cleanup):
        print(run["start_time"], run["end_time"], run["name"], run["state_name"])
        assert run["state_name"] == "Completed"
    assert trained["end_time"] <= batch["start_time"]
    assert batch["end_time"] <= cleanup["start_time"]


def training(folder: Path) -> dict[str, Any]:
    return {"training_data_dir": str(write_clips(folder / "clips")), "trees": 8}


def test_one_job_leads_to_the_next(here: Site, tmp_path: Path) -> None:
    """Batch, analysis, report; training, promotion, validation."""
    noisy_voice(tmp_path / "in" / "a.wav")
    (tmp_path / "in" / "bad.wav").write_bytes(b"no sound at all" * 9)
    words = {"file_paths": [str(tmp_path / "in")]}
    batch = here.run(BATCH, tags=("then-report",), **words)
    assert here.end(batch)["state_name"] == "CompletedWithErrors"
    (analysis,) = until(lambda: here.runs_of("analyze-session-data"), 60)
    assert analysis["parameters"] == {"filters": {"batch": [batch_of(batch)]}}
    assert here.end(analysis["id"])["state_name"] == "Completed"
    (report,) = until(lambda: here.runs_of("generate-daily-report"), 60)
    assert here.end(report["id"])["state_name"] == "Completed"
    assert list((tmp_path / "anc" / "reports").rglob("*.html"))

    trained = here.run("train-noise-classifier/train", **training(tmp_path))
    assert here.end(trained)["state_name"] == "Completed"
    (validation,) = until(lambda: here.runs_of("validate-model"), 60)
    assert here.end(validation["id"])["state_name"] == "Completed"
    # Neither a batch without the tag nor an analysis by hand leads to anything.
    here.end(here.run(BATCH, **words))
    here.end(here.run("analyze-session-data/analyze"))
    time.sleep(20)
    assert len(here.runs_of("analyze-session-data")) == 2
    assert len(here.runs_of("generate-daily-report")) == 1


def test_suspended_half_way_it_goes_on_where_it_was(here: Site, recordings: Path) -> None:
    run, batch_id, out = start_batch(here, recordings)
    until(lambda: done(here, batch_id) >= 50, 240)
    print(here.command("flows", "runs", "suspend", run))
    until(lambda: not working(here, batch_id), 60)
    time.sleep(5)
    half = done(here, batch_id)
    print("half way:", half, here.state(run))
    assert half < NUM_FILES - 1
    time.sleep(150)  # longer than a run without a heartbeat is taken for alive
    assert done(here, batch_id) == half
    assert here.state(run) == "Suspended"
    before = outputs(out)
    print(here.command("flows", "runs", "resume", run))
    found = here.end(run)
    assert found["state_name"] == "CompletedWithErrors"
    print(here.artifact(run, "batch-summary")["description"])
    assert before.items() <= outputs(out).items()  # not written again
    assert here.artifact(run, "batch-summary")["description"] == "400 files: 399 ok, 1 failed"
    check_all_is_there(here, recordings, out)


def ask(here: Site, query: str) -> list[tuple[Any, ...]]:
    database = open_database(here.environment["ANC_DATABASE_URL"])
    with database.read() as db:
        rows = [tuple(row) for row in db.execute(text(query))]
    database.dispose()
    return rows


def owners(here: Site) -> dict[int, int]:
    """Return how many recordings each worker process has begun."""
    query = "SELECT owner_pid, count(*) FROM audio_sessions WHERE owner_pid > 0 GROUP BY owner_pid"
    return dict(ask(here, query))


def outputs(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in out.glob("*.wav")}


def working(here: Site, batch_id: str) -> int:
    database = open_database(here.environment["ANC_DATABASE_URL"])
    with database.read() as db:
        count = batch_progress(db, batch_id).running
    database.dispose()
    return count


def test_two_workers_share_a_batch_and_one_may_be_killed(here: Site, recordings: Path) -> None:
    """The second one ends with kill -9, and its run, amid a recording."""
    second = here.second_worker()
    run, batch_id, out = start_batch(here, recordings, spread=2)
    until(lambda: done(here, batch_id) >= 50, 240)
    (helper,) = [run["id"] for run in until(lambda: here.runs_of("help-batch"), 120)]
    until(lambda: here.state(helper) == "Running" and len(owners(here)) == 2, 120)
    until(lambda: min(owners(here).values()) >= 20, 240)
    end_family(second)
    killed_at = time.monotonic()
    shares = owners(here)
    print("killed when the workers had begun", shares)
    assert here.state(run) == "Running"
    found = here.end(run)
    print(f"ended {time.monotonic() - killed_at:.0f} s after the kill:", found["state_name"])
    assert found["state_name"] == "CompletedWithErrors"
    assert here.artifact(run, "batch-summary")["description"] == "400 files: 399 ok, 1 failed"
    check_all_is_there(here, recordings, out)
    # Nothing was done twice but what the dead one held, and the bad one, which both tried.
    assert len(ask(here, "SELECT id FROM audio_sessions WHERE attempt > 1")) <= 2
    until(lambda: here.state(helper) == "Crashed", 240)
    print(f"the helper's run was Crashed {time.monotonic() - killed_at:.0f} s after the kill")


def test_a_batch_whose_own_process_is_killed_is_finished_by_its_helper(
    here: Site, recordings: Path
) -> None:
    here.second_worker()
    run, batch_id, out = start_batch(here, recordings, spread=2)
    until(lambda: done(here, batch_id) >= 50, 240)
    (helper,) = [run["id"] for run in until(lambda: here.runs_of("help-batch"), 120)]
    until(lambda: here.state(helper) == "Running" and len(owners(here)) == 2, 120)
    psutil.Process(int(here.look(run)["infrastructure_pid"])).kill()
    assert here.end(run, 60)["state_name"] == "Crashed"
    assert here.end(helper)["state_name"] == "Completed"
    before = outputs(out)
    print("outputs when the helper was done:", len(before))
    assert len(before) == NUM_FILES - 1
    here.command("prefect", "flow-run", "retry", run)
    found = here.end(run)
    assert found["state_name"] == "CompletedWithErrors"
    assert before == outputs(out)
    assert here.artifact(run, "batch-summary")["description"] == "400 files: 399 ok, 1 failed"
    check_all_is_there(here, recordings, out)


def test_a_server_that_is_killed_costs_nothing(here: Site, recordings: Path) -> None:
    """``anc serve`` ends, its supervisor starts it again, the batch goes on by itself."""
    run, batch_id, out = start_batch(here, recordings)
    until(lambda: done(here, batch_id) >= 50, 240)
    serve = here.processes[0]
    (server,) = [
        one
        for one in psutil.Process(serve.pid).children()
        if "flows.embedded_server" in one.cmdline()
    ]
    server.send_signal(signal.SIGKILL)
    assert serve.wait(60) == 2
    before = outputs(out)
    assert 50 <= len(before) < NUM_FILES - 1
    here.serve()
    found = here.end(run)
    assert (found["state_name"], found["run_count"]) == ("CompletedWithErrors", 2)
    assert before.items() <= outputs(out).items()
    assert here.artifact(run, "batch-summary")["description"] == "400 files: 399 ok, 1 failed"
    check_all_is_there(here, recordings, out)


@pytest.mark.parametrize("here", [{"ANC_SHARD_S": "1", "ANC_RETRIES": "5"}], indirect=True)
@pytest.mark.parametrize("urls", ["Prefect on PostgreSQL"], indirect=True)
def test_no_run_is_stuck_after_both_databases_were_away(
    here: Site, postgres: Postgres, recordings: Path
) -> None:
    """For 12 s, while a batch works, one run begins and others wait for its slot."""
    run, batch_id, out = start_batch(here, recordings)
    until(lambda: done(here, batch_id) >= 50, 240)
    words = {"overwrite": "replace", "output_path": str(here.folder / "one.wav")}
    others = [
        here.run("process-audio-file/process", file_path=str(recordings / name), **words)
        for name in ("001.wav", "002.wav", "003.wav")
    ]
    until(lambda: here.look(others[0])["state_type"] in {"PENDING", "RUNNING"}, 60, 0.05)
    postgres.stop()
    time.sleep(12)
    postgres.start()
    assert [here.end(one)["state_name"] for one in others] == ["Completed"] * 3
    assert here.end(run)["state_name"] == "CompletedWithErrors"
    assert here.artifact(run, "batch-summary")["description"] == "400 files: 399 ok, 1 failed"
    assert len(outputs(out)) == NUM_FILES - 1


@pytest.mark.parametrize("here", [{}], indirect=True, ids=["usual shards"])
@pytest.mark.parametrize("urls", ["Prefect on SQLite"], indirect=True)
def test_two_workers_are_faster_than_one(here: Site, tmp_path: Path) -> None:
    """Each is one process; the start of the second one, 10 s, counts: so a minute a recording."""
    folder = tmp_path / "in"
    samples, rate = sf.read(noisy_voice(folder / "000.wav", duration_s=60.0))
    for index in range(1, NUM_FILES):
        sf.write(folder / f"{index:03d}.wav", samples * (1 - index / 1_000), rate)
    load = os.getloadavg()[0]
    alone_s, alone_cpu_s = measured(here, folder)
    here.second_worker()
    shared_s, shared_cpu_s = measured(here, folder, spread=2)
    print(
        f"alone {alone_s:.1f} s, CPU {alone_cpu_s:.1f} s; shared {shared_s:.1f} s, "
        f"CPU {shared_cpu_s:.1f} s; load before {load:.1f}"
    )
    # What two cores can gain: sharing makes little work of its own.
    assert 2 * alone_cpu_s / shared_cpu_s >= 1.6
    # What they do gain shows only where nobody else wants them.
    if load < 1.5:
        assert alone_s / shared_s >= 1.6


def measured(here: Site, folder: Path, **words: object) -> tuple[float, float]:
    """Return the seconds that the batch took, and the CPU seconds of the processes at work.

    Looked at seldom and cheaply: with two at work there is no idle core to look from.
    """
    run = here.run(BATCH, file_paths=[str(folder)], overwrite="replace", **words)
    database = open_database(here.environment["ANC_DATABASE_URL"])
    cpu_s: dict[int, float] = {}
    while here.look(run)["state_type"] not in {"COMPLETED", "FAILED", "CRASHED"}:
        with database.read() as db:
            pids = list(db.scalars(text(_OWNERS)))
        for pid in pids:
            with suppress(psutil.NoSuchProcess):
                times = psutil.Process(pid).cpu_times()
                cpu_s[pid] = times.user + times.system
        time.sleep(2)
    assert here.state(run) == "Completed"
    with database.read() as db:
        counts = db.scalars(
            text("SELECT counts FROM batches WHERE id = :id"), {"id": batch_of(run)}
        )
        found = counts.one()
    database.dispose()
    assert found["ok"] == NUM_FILES
    return found["wall_s"], sum(cpu_s.values())
