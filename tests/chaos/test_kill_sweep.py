"""kill -9 of a sweep at any moment, run again: the same table, and nothing that was done twice."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from anc_core.jobs.sweep_conclusion import conclude_sweep
from anc_core.jobs.sweep_grid import path_files, read_grid
from anc_core.jobs.sweep_plan import plan_sweep
from anc_core.jobs.sweep_records import SweepRequest
from anc_core.jobs.sweep_unit import run_unit
from anc_core.settings import Settings
from tests.sweeps import NUM_CELLS, bench

NUM_RECORDINGS = 3


def _command(folder: Path, out: Path, *, as_flow: bool) -> list[str]:
    words = [sys.executable, "-m", "flows", "simulate", str(folder / "noise"), "--quiet"]
    words += ["--sweep", str(folder / "grid.toml"), "-o", str(out), "--workers", "2"]
    return [*words, "--flow"] if as_flow else words


def _environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "ANC_SHARD_S": "0.5",
    }


def _keys(out: Path) -> Counter[str]:
    """Return how often each cell was done; a line that was cut off is none."""
    lines = [line for path in out.glob("rows/*.jsonl") for line in path.read_bytes().split(b"\n")]
    return Counter(json.loads(line)["key"] for line in lines if line.endswith(b"}"))


def _kill_after(command: list[str], environment: dict[str, str], out: Path, cells: int) -> None:
    """Kill the sweep (not its workers: they must notice by themselves) once so many are done."""
    process = subprocess.Popen(
        command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if _keys(out).total() >= cells:
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()


def _sweep_here(folder: Path, out: Path) -> None:
    """Sweep in this process, never stopped."""
    grid = read_grid(folder / "grid.toml")
    request = SweepRequest(
        folder=folder / "noise", output_dir=out, grid=grid, paths=path_files(grid)
    )
    plan = plan_sweep(request, Settings())
    conclude_sweep(plan, [row for unit in plan.units for row in run_unit(plan.setup, unit)])


def _table(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    # Every figure is a fact of the cell but this one.
    return [{name: value for name, value in row.items() if name != "cpu_s"} for row in rows]


@pytest.mark.long
@pytest.mark.parametrize(
    "as_flow", [False, pytest.param(True, marks=pytest.mark.xdist_group("flow"))]
)
def test_killed_twice_a_sweep_ends_with_the_table_of_one_that_was_not(
    tmp_path: Path, *, as_flow: bool
) -> None:
    bench(tmp_path, recordings=NUM_RECORDINGS)
    (tmp_path / "noise" / "bad.wav").write_bytes(b"no sound at all" * 9)
    environment = _environment(tmp_path)
    out, other = tmp_path / "out", tmp_path / "other"
    command = _command(tmp_path, out, as_flow=as_flow)
    rng = random.Random(7)
    done: list[set[str]] = []
    for kill in range(2):
        _kill_after(command, environment, out, cells=rng.randint(45 * kill + 1, 45 * kill + 40))
        done.append(set(_keys(out)))
        assert not (out / "results.csv").exists()
    finished = subprocess.run(command, env=environment, check=False, timeout=240)
    assert finished.returncode == 1, "for the bad recording"

    assert 0 < len(done[0]) < len(done[1]) < NUM_CELLS * NUM_RECORDINGS
    keys = _keys(out)
    assert len(keys) == NUM_CELLS * NUM_RECORDINGS
    # What was on disk before a run began was not done again.
    assert {keys[key] for key in set.union(*done)} == {1}
    _sweep_here(tmp_path, other)
    assert _table(out) == _table(other)
    assert len(_table(out)) == NUM_CELLS * NUM_RECORDINGS + 1
    assert [path for path in out.rglob("*") if path.name.startswith(".anc-")] == []


@pytest.mark.long
def test_ctrl_c_is_exit_code_130_and_the_next_run_finishes(tmp_path: Path) -> None:
    bench(tmp_path, recordings=NUM_RECORDINGS)
    command, environment = _command(tmp_path, tmp_path / "out", as_flow=False), dict(os.environ)
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    while not _keys(tmp_path / "out") and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=30) == 130
    before = set(_keys(tmp_path / "out"))
    assert len(before) < NUM_CELLS * NUM_RECORDINGS
    assert subprocess.run(command, env=environment, check=False, timeout=240).returncode == 0
    keys = _keys(tmp_path / "out")
    assert {keys[key] for key in before} == {1}
    assert len(keys) == NUM_CELLS * NUM_RECORDINGS
