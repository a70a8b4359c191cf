"""A recording or a batch without Prefect: retries, progress, and ends that leave nothing."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Self

import pytest

import anc_core.jobs.batch as batch_module
import anc_core.jobs.direct as direct_module
from anc_core.errors import ErrorCode, SourceChangedError, StoreBusyError, WorkerDiedError
from anc_core.jobs.direct import run_batch, run_one
from anc_core.jobs.records import BatchPlan
from anc_core.records import Status
from anc_core.store import BatchProgress
from tests.nasty import files
from tests.nasty.bench import Bench
from tests.recordings import noisy_voice


class InThisProcess:
    """Stands for the pool of workers: calls run in the thread that asks."""

    def __init__(self, workers: int) -> None:
        self.size = workers

    def limit(self, workers: int) -> None:
        self.size = workers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        pass

    def run(self, function, *arguments):
        return function(*arguments)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anc_core.jobs.pools.WorkerPool", InThisProcess)


def run(bench: Bench, on_progress=None):
    return run_batch(
        bench.request(),
        database=bench.database,
        settings=bench.settings,
        on_progress=on_progress,
    )


@pytest.mark.parametrize(("faults", "works"), [(1, True), (3, True), (4, False)])
def test_what_may_pass_is_tried_again_as_often_as_the_settings_say(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, faults: int, works: bool
) -> None:
    source = noisy_voice(bench.inputs / "x.wav", duration_s=1.0)
    real, calls = direct_module.run_recording, []

    def flaky(*args, **kwargs):
        calls.append(1)
        if len(calls) <= faults:
            raise SourceChangedError("still being copied")
        return real(*args, **kwargs)

    monkeypatch.setattr(direct_module, "run_recording", flaky)
    assert bench.settings.retries == 3
    words = {"database": bench.database, "settings": bench.settings}
    if works:
        assert run_one(bench.job(source), **words).status is Status.OK
        assert len(calls) == faults + 1
    else:
        with pytest.raises(SourceChangedError):
            run_one(bench.job(source), **words)
        assert len(calls) == 4


def test_bad_data_is_tried_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    source = files.empty(bench.inputs / "x.wav")
    real, calls = direct_module.run_recording, []
    monkeypatch.setattr(
        direct_module, "run_recording", lambda *a, **k: calls.append(1) or real(*a, **k)
    )
    summary = run_one(bench.job(source), database=bench.database, settings=bench.settings)
    assert (summary.error_code, len(calls)) == (ErrorCode.EMPTY_FILE, 1)


@pytest.mark.usefixtures("here")
def test_a_shard_whose_worker_dies_is_run_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy_voice(bench.inputs / "x.wav", duration_s=1.0)
    faults = [WorkerDiedError("killed by signal 9"), StoreBusyError("locked")]
    real = direct_module.run_shard

    def dies(*args):
        if faults:
            raise faults.pop()
        return real(*args)

    monkeypatch.setattr(direct_module, "run_shard", dies)
    assert run(bench).ok == 1


@pytest.mark.usefixtures("here")
def test_a_shard_whose_worker_always_dies_is_a_failure_and_the_rest_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy_voice(bench.inputs / "bad.wav", duration_s=1.0)
    noisy_voice(bench.inputs / "good.wav", duration_s=1.0, seed=2)
    real = direct_module.run_shard

    def dies(jobs, *args):
        if jobs[0].source.name == "bad.wav":
            raise WorkerDiedError("killed by signal 9")
        return real(jobs, *args)

    monkeypatch.setattr(direct_module, "run_shard", dies)
    monkeypatch.setattr(direct_module, "cut_shards", lambda jobs, **words: [(j,) for j in jobs])
    summary = run(bench)
    assert (summary.ok, summary.failed, summary.shards) == (1, 1, 2)
    assert summary.failures[0].error_code is ErrorCode.INTERRUPTED
    assert Path(summary.failures[0].source_path).name == "bad.wav"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("step", ["begin", "batch_progress", "conclude"])
def test_a_database_that_is_away_for_a_moment_does_not_end_the_batch(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    noisy_voice(bench.inputs / "x.wav", duration_s=1.0)
    real, faults = getattr(direct_module, step), [StoreBusyError("starting up")]

    def once(*args, **kwargs):
        if faults:
            raise faults.pop()
        return real(*args, **kwargs)

    monkeypatch.setattr(direct_module, step, once)
    assert run(bench, on_progress=lambda plan, progress: None).ok == 1
    assert faults == []


@pytest.mark.usefixtures("here")
def test_progress_is_told_with_its_plan(bench: Bench) -> None:
    noisy_voice(bench.inputs / "x.wav", duration_s=1.0)
    seen: list[tuple[int, int]] = []
    threads: set[str] = set()

    def note(plan: BatchPlan, progress: BatchProgress) -> None:
        seen.append((plan.planned, progress.done))
        threads.add(threading.current_thread().name)

    run(bench, on_progress=note)
    assert seen[-1] == (1, 1)
    assert threads == {"MainThread"}  # a progress bar need not be thread-safe


@pytest.mark.usefixtures("here")
def test_ctrl_c_ends_the_batch_and_frees_its_claims(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy_voice(bench.inputs / "x.wav", duration_s=1.0)
    freed: list[str | None] = []
    real = batch_module.reconcile

    def note(database, *, batch_id=None, deliberate=False):
        if not deliberate:  # what every batch does as it begins and ends
            return real(database, batch_id=batch_id)
        freed.append(batch_id)
        return real(database, batch_id=batch_id, deliberate=deliberate)

    monkeypatch.setattr(batch_module, "reconcile", note)

    def interrupt(plan: BatchPlan, progress: BatchProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(bench, on_progress=interrupt)
    assert len(freed) == 1
    assert freed[0] is not None
    assert bench.leftovers() == []
    again = run(bench)
    assert again.ok + again.skipped == 1


@pytest.mark.usefixtures("here")
def test_nothing_to_do_starts_no_worker(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InThisProcess, "run", lambda *args: pytest.fail("a worker was started"))
    summary = run(bench)
    assert (summary.nothing_to_do, summary.planned) == (True, 0)
