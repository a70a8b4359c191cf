"""A batch on a Dask cluster of two worker processes on this machine."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from anc_core.errors import InputError, WorkerDiedError
from anc_core.jobs.dask_pool import DaskPool
from anc_core.jobs.direct import run_batch
from anc_core.jobs.plan import BatchRequest
from anc_core.jobs.pool import PoolStoppedError
from anc_core.records import Status
from anc_core.settings import Settings
from tests.nasty.bench import Bench
from tests.recordings import noisy_voice


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address


def nothing() -> None:
    """What is called on a machine whose worker was stopped."""


def note(path: Path) -> None:
    path.write_text("stopped")


def sleep_at(path: Path) -> None:
    path.write_text(str(os.getpid()))
    time.sleep(600)


def test_without_a_scheduler_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("anc_core.jobs.dask_pool._CONNECT_S", 0.5)
    with pytest.raises(InputError, match="no Dask scheduler answers"):
        DaskPool("tcp://127.0.0.1:9", nothing)


@pytest.mark.long
def test_calls_run_elsewhere_and_raise_here(scheduler: str) -> None:
    with DaskPool(scheduler, nothing) as pool:
        assert pool.size == 2
        assert pool.run(os.getpid) != os.getpid()
        assert pool.run(os.getpid) not in {os.getpid(), os.getppid()}
        with pytest.raises(ZeroDivisionError):
            pool.run(divmod, 1, 0)


@pytest.mark.long
def test_a_crash_costs_the_call_that_caused_it(scheduler: str) -> None:
    with DaskPool(scheduler, nothing) as pool:
        with pytest.raises(WorkerDiedError, match="exited with 3"):
            pool.run(os._exit, 3)
        assert pool.run(len, "abc") == 3


@pytest.mark.long
def test_what_is_stopped_is_dead_and_its_machine_was_told(scheduler: str, tmp_path: Path) -> None:
    pids, told, ends = [tmp_path / name for name in "abc"], tmp_path / "told", []
    pool = DaskPool(scheduler, _note(told))

    def call(path: Path) -> None:
        try:
            pool.run(sleep_at, path)
        except PoolStoppedError:
            ends.append(path)

    # Two run, the third waits for its turn.
    threads = [threading.Thread(target=call, args=(path,)) for path in pids]
    for thread in threads:
        thread.start()
    while sum(path.exists() and path.read_text() != "" for path in pids) < 2:
        time.sleep(0.1)
    began = time.monotonic()
    with pool:
        pool.stop()
    for thread in threads:
        thread.join(20)
    assert time.monotonic() - began < 15
    assert len(ends) == 3
    assert told.exists()
    working = [int(path.read_text()) for path in pids if path.exists()]
    assert not any(psutil.pid_exists(pid) for pid in working)
    with pytest.raises(PoolStoppedError):
        pool.run(len, "abc")


def _note(path: Path):
    from functools import partial

    return partial(note, path)


@pytest.mark.long
def test_a_batch_is_done_by_the_cluster_with_the_usual_counts(scheduler: str, bench: Bench) -> None:
    for number in range(6):
        noisy_voice(bench.inputs / f"{number}.wav", duration_s=1.5, seed=number)
    (bench.inputs / "bad.wav").write_bytes(b"bad")
    settings = Settings.load(database_url=bench.database.url, dask_scheduler=scheduler, shard_s=0.1)
    request = BatchRequest(inputs=(bench.inputs,), output_dir=bench.outputs)
    summary = run_batch(request, database=bench.database, settings=settings)
    assert (summary.planned, summary.ok, summary.failed) == (7, 6, 1)
    assert summary.shards >= 2
    again = run_batch(request, database=bench.database, settings=settings)
    assert (again.skipped, again.failed) == (6, 1)
    assert [s.status for s in bench.sessions()].count(Status.OK) == 6
    assert bench.leftovers() == []
