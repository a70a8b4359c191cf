"""Several processes that do the same recordings at once."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from tests.chaos.conftest import repetitions
from tests.chaos.direct import attack
from tests.chaos.verdict import World, batch_command

pytestmark = [pytest.mark.long, pytest.mark.timeout(7_200)]


@pytest.mark.parametrize("racers", [2, 8])
def test_processes_race_for_the_same_recordings(world: World, tmp_path: Path, racers: int) -> None:
    for one in repetitions(f"{racers} processes race for the same recordings", most=5):
        case = attack(world, tmp_path / str(one.number), one)
        case.env["ANC_WORKERS"] = "1"
        (case.folder / "batch.log").touch()
        running = []
        for _ in range(racers):
            words = batch_command(world.recordings, case.out)
            pipe = subprocess.PIPE
            running.append(subprocess.Popen(words, env=case.env, stdout=pipe, stderr=pipe))
            time.sleep(one.rng.uniform(0.0, 0.2))
        said = [process.communicate(timeout=600) for process in running]
        case.struck_at = time.monotonic()
        # 1 for the bad recording; 0 where another one was just at that.
        assert {process.returncode for process in running} <= {0, 1}, said
        done = [json.loads(out)["ok"] for out, _ in said]
        case.moment = f"done by each: {done}"
        # Each recording once, whoever did it.
        assert sum(done) == len(world.outputs) - 1, done
        case.conclude()
