"""kill -9 of a flow's process, of the worker and of the server of ``anc serve``, at any moment."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from anc_core.store import open_database
from tests.chaos.conftest import Repetition, repetitions
from tests.chaos.site import Site, end_family, site, until
from tests.chaos.verdict import METHOD, Verdict, World, judge, torn_outputs, url_of
from tests.receiver import free_port

pytestmark = [pytest.mark.long, pytest.mark.timeout(7_200), pytest.mark.xdist_group("serve")]

BATCH = "batch-process-files/batch"
NOTICED_S = 20.0
"""So long after its death all of Prefect knows of it, on a busy machine."""
CHILDREN = {"server": "flows.embedded_server", "worker": "deployments.worker"}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Start ``anc serve`` once; what each repetition leaves is taken away before the next."""
    small = {"ANC_WORKERS": "2", "ANC_SHARD_S": "0.2", "ANC_NAME_NOISES": "0"}
    with site(tmp_path_factory.mktemp("site"), free_port(), **small) as one:
        one.serve()
        yield one


def start(here: Site, world: World, out: Path, queue: str | None = None) -> str:
    """Empty the store, ask for the batch, and return the id of its run once that runs."""
    database = open_database(url_of(here.environment))
    with database.begin() as db:
        for table in ("audio_sessions", "batches"):
            db.execute(text(f"DELETE FROM {table}"))
    database.dispose()
    words = {"file_paths": [str(world.recordings)], "output_dir": str(out)}
    run = here.run(BATCH, queue=queue, suppression=METHOD, **words)
    until(lambda: here.state(run) == "Running", 240)
    return run


@pytest.fixture(scope="module")
def span_s(here: Site, world: World, tmp_path_factory: pytest.TempPathFactory) -> float:
    """Seconds from the beginning of an undisturbed run to its end."""
    out = tmp_path_factory.mktemp("span") / "out"
    run = start(here, world, out)
    started = time.monotonic()
    assert here.end(run)["state_name"] == "CompletedWithErrors"
    span = time.monotonic() - started
    verdict = judge(world, out, url_of(here.environment))
    assert verdict.is_clean, verdict
    return span


def conclude(
    here: Site, world: World, out: Path, run: str, one: Repetition, killed_at: float, moment: str
) -> None:
    """Judge what is there when the run has ended, in whatever way it went on."""
    found = here.end(run)
    recovery_s = time.monotonic() - killed_at
    verdict = judge(world, out, url_of(here.environment))
    if found["state_name"] != "CompletedWithErrors":  # for the bad recording
        verdict.faults.append(f"the run ended as {found['state_name']}: {found['state']}")
    summary = verdict.is_clean and here.artifact(run, "batch-summary")["description"]
    if summary != "14 files: 12 ok, 1 failed, 1 duplicate":
        verdict.faults.append(f"the batch says: {summary}")
    one.conclude(verdict, recovery_s, moment)


def note_torn(world: World, out: Path) -> Verdict:
    torn = torn_outputs(world, out)
    return Verdict(torn=len(torn), faults=torn)


def retry_if_crashed(here: Site, run: str, state: str) -> None:
    """Do what a user does about a run that crashed, not sooner than a user does it.

    Prefect's worker looks at the dead process some seconds later and calls the run crashed once
    more, whatever it is by then: a run that is retried at once falls victim to that, and is then
    done by two processes.
    """
    if state == "Crashed":
        time.sleep(NOTICED_S)
        again = {"type": "SCHEDULED", "name": "AwaitingRetry"}
        here.post(f"/flow_runs/{run}/set_state", state=again, force=True)


def test_a_flow(here: Site, world: World, span_s: float, tmp_path: Path) -> None:
    """Its process is killed, the run is retried as a user does it."""
    for one in repetitions("flow: process of a batch's run"):
        out = tmp_path / str(one.number)
        run = start(here, world, out)
        delay_s = one.rng.uniform(0.0, span_s)
        time.sleep(delay_s)
        with suppress(psutil.NoSuchProcess):  # it ended before
            psutil.Process(int(here.look(run)["infrastructure_pid"])).kill()
        killed_at = time.monotonic()
        state = here.end(run)["state_name"]
        assert note_torn(world, out).is_clean, one.seed
        retry_if_crashed(here, run, state)
        conclude(here, world, out, run, one, killed_at, f"{delay_s:.1f} of {span_s:.1f} s")


@pytest.mark.parametrize("child", list(CHILDREN))
def test_a_child_of_anc_serve(
    here: Site, world: World, span_s: float, tmp_path: Path, child: str
) -> None:
    """``anc serve`` ends with it, its supervisor starts it again, the batch goes on by itself."""
    for one in repetitions(f"{child} of anc serve"):
        out = tmp_path / str(one.number)
        run = start(here, world, out)
        delay_s = one.rng.uniform(0.0, span_s)
        time.sleep(delay_s)
        serve = here.processes[-1]
        (victim,) = [
            process
            for process in psutil.Process(serve.pid).children()
            if CHILDREN[child] in process.cmdline()
        ]
        victim.kill()
        killed_at = time.monotonic()
        assert serve.wait(60) == 2
        assert note_torn(world, out).is_clean, one.seed
        here.serve()
        conclude(here, world, out, run, one, killed_at, f"{delay_s:.1f} of {span_s:.1f} s")


def test_a_worker_of_another_machine(
    here: Site, world: World, span_s: float, tmp_path: Path
) -> None:
    """Its run goes on without it, or is retried as a user does it."""
    for one in repetitions("worker: prefect worker start"):
        out = tmp_path / str(one.number)
        second = here.second_worker()
        run = start(here, world, out, queue="helpers")
        delay_s = one.rng.uniform(0.0, span_s)
        time.sleep(delay_s)
        second.kill()
        second.wait()
        killed_at = time.monotonic()
        assert note_torn(world, out).is_clean, one.seed
        third = here.second_worker()
        retry_if_crashed(here, run, here.end(run)["state_name"])
        conclude(here, world, out, run, one, killed_at, f"{delay_s:.1f} of {span_s:.1f} s")
        end_family(third)
