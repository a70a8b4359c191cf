"""kill -9, at any moment, of a batch, of all its processes, and of one that works for it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.chaos.conftest import repetitions
from tests.chaos.direct import attack
from tests.chaos.site import end_family, until
from tests.chaos.verdict import World, judge, url_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(7_200)]


def test_the_batch(world: World, tmp_path: Path) -> None:
    """Its workers must notice by themselves; the rerun starts at once."""
    for one in repetitions("batch: its own process"):
        case = attack(world, tmp_path / str(one.number), one)
        with case.running() as process:
            case.wait_for_a_moment()
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            case.conclude()


def test_the_machine(world: World, tmp_path: Path) -> None:
    """All of its processes at once, as by the loss of power."""
    for one in repetitions("batch: all its processes at once"):
        case = attack(world, tmp_path / str(one.number), one)
        with case.running() as process:
            case.wait_for_a_moment()
            end_family(process)
            case.conclude()


def test_a_shard(world: World, tmp_path: Path) -> None:
    """One worker process of the pool: the batch goes on and ends in its right state by itself."""
    for one in repetitions("shard: a worker process of the pool"):
        case = attack(world, tmp_path / str(one.number), one)
        with case.running():
            until(case.workers, 120, 0.02)
            case.wait_for_a_moment()
            if workers := case.workers():
                with suppress(psutil.NoSuchProcess):
                    one.rng.choice(workers).kill()
            record = case.end()
            assert record is not None, case.folder
            verdict = judge(world, case.out, url_of(case.env), record)
            assert verdict.is_clean, f"{one.seed}: without a rerun: {verdict}"
            assert record["ok"] == world.counts["planned"] - 2, record  # less the twin, the bad one
            case.conclude(rerun=False)
