"""kill -9 of a batch at any moment, run again: nothing lost, nothing doubled, nothing left over."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import soundfile as sf
from sqlalchemy import text

from anc_core.jobs.audit import missing_outputs
from anc_core.store import check_integrity, list_sessions, open_database
from tests.recordings import noisy_voice

NUM_FILES = 24


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    first = noisy_voice(folder / "00.wav", duration_s=20.0)
    samples, rate = sf.read(first)
    for index in range(1, NUM_FILES):
        # The same voice at other levels: cheap to make, different content.
        sf.write(folder / f"{index:02d}.wav", samples * (1 - index / 100), rate)
    return folder


def _command(recordings: Path, out: Path, *, as_flow: bool) -> list[str]:
    words = [sys.executable, "-m", "flows", "batch", str(recordings), "-o", str(out), "--quiet"]
    return [*words, "--flow"] if as_flow else words


def _environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "ANC_DATABASE_URL": f"sqlite:///{folder / 'anc.db'}",
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "ANC_SHARD_S": "0.5",
        "ANC_MAX_ATTEMPTS": "100",
    }


def _kill_after(command: list[str], environment: dict[str, str], out: Path, outputs: int) -> None:
    """Kill the batch (not its workers: they must notice by themselves) once ``outputs`` exist."""
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if len(list(out.rglob("*.wav"))) >= outputs:
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()


FLOW = [pytest.mark.slow, pytest.mark.xdist_group("flow")]
LONG = [pytest.mark.long, pytest.mark.timeout(1_800)]


@pytest.mark.parametrize(
    ("as_flow", "num_kills"),
    [
        (False, 1),
        pytest.param(True, 1, marks=[*FLOW, pytest.mark.long]),
        pytest.param(False, 20, marks=LONG),
        pytest.param(True, 20, marks=[*FLOW, *LONG]),
    ],
)
def test_however_often_killed_a_batch_still_ends_complete(
    recordings: Path, tmp_path: Path, *, as_flow: bool, num_kills: int
) -> None:
    out = tmp_path / "out"
    command, environment = _command(recordings, out, as_flow=as_flow), _environment(tmp_path)
    rng = random.Random(7)
    for kill in range(num_kills):
        # So many outputs that the last run still has something left to do.
        least = (NUM_FILES - 4) * kill // num_kills
        most = (NUM_FILES - 4) * (kill + 1) // num_kills
        _kill_after(command, environment, out, outputs=rng.randint(least, max(least, most)))
        time.sleep(rng.uniform(0.0, 0.3))
    finished = subprocess.run(command, env=environment, check=False, timeout=240)
    assert finished.returncode == 0

    sources = {path.name: sf.info(path).frames for path in recordings.iterdir()}
    assert {path.name: sf.info(path).frames for path in out.glob("*.wav")} == sources
    assert [p for p in out.rglob("*") if p.name.startswith(".anc-")] == []
    database = open_database(environment["ANC_DATABASE_URL"])
    with database.begin() as db:
        sessions = list(list_sessions(db))
    assert len(sessions) == NUM_FILES
    assert {session.status for session in sessions} <= {"ok", "degraded"}
    assert {Path(s.source_path).name for s in sessions} == set(sources)
    assert check_integrity(database) == []
    assert missing_outputs(database) == []


@pytest.mark.parametrize(
    "as_flow",
    [False, pytest.param(True, marks=[*FLOW, *LONG])],
)
def test_ctrl_c_ends_within_five_seconds_and_the_next_run_finishes(
    recordings: Path, tmp_path: Path, *, as_flow: bool
) -> None:
    out = tmp_path / "out"
    command, environment = _command(recordings, out, as_flow=as_flow), _environment(tmp_path)
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    while not list(out.rglob("*.wav")) and process.poll() is None:
        time.sleep(0.01)
    started = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=5) == 130
    assert time.monotonic() - started < 5
    database = open_database(environment["ANC_DATABASE_URL"])
    with database.begin() as db:
        assert {s.status for s in list_sessions(db)} <= {"ok", "degraded", "failed"}
        assert db.execute(text("SELECT status FROM batches")).scalars().all() == ["failed"]
    assert [p for p in out.rglob("*") if p.name.startswith(".anc-")] == []
    if as_flow:
        with closing(sqlite3.connect(tmp_path / "prefect" / "prefect.db")) as prefect:
            states = [state for (state,) in prefect.execute("SELECT state_type FROM flow_run")]
        assert states == ["CRASHED"]
    assert subprocess.run(command, env=environment, check=False, timeout=240).returncode == 0
    assert len(list(out.glob("*.wav"))) == NUM_FILES
