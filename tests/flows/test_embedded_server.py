"""The embedded server: it outlives Ctrl-C, so that the run can say how it ended, not its parent."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

_SCRIPT = """
import time
import flows.common
from prefect import flow

@flow
def sleep_long():
    print("started", flush=True)
    time.sleep(120)

sleep_long()
"""


def _start(home: Path) -> tuple[subprocess.Popen[str], psutil.Process]:
    """Start a script whose flow runs on an embedded server; return both once the flow runs."""
    with (home / "stderr").open("w") as complaints:
        process = subprocess.Popen(
            [sys.executable, "-c", _SCRIPT],
            env={**os.environ, "PREFECT_HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            start_new_session=True,
        )
    assert process.stdout is not None
    if process.stdout.readline() != "started\n":
        process.communicate()
        pytest.fail((home / "stderr").read_text())
    (server,) = psutil.Process(process.pid).children()
    return process, server


def _run_states(home: Path) -> list[str]:
    with closing(sqlite3.connect(home / "prefect.db")) as connection:
        return [state for (state,) in connection.execute("SELECT state_type FROM flow_run")]


def test_prefect_still_starts_its_server_where_ours_takes_over() -> None:
    from prefect.server.api.server import SubprocessASGIServer

    from flows import embedded_server

    embedded_server.install()
    assert SubprocessASGIServer._run_uvicorn_command is embedded_server._start


@pytest.mark.long
@pytest.mark.xdist_group("flow")
def test_ctrl_c_ends_within_five_seconds_and_the_run_is_crashed(tmp_path: Path) -> None:
    process, server = _start(tmp_path)
    with process:
        started = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=5)
        assert time.monotonic() - started < 5
    assert _run_states(tmp_path) == ["CRASHED"]
    assert not server.is_running()


@pytest.mark.long
@pytest.mark.xdist_group("flow")
def test_the_server_goes_when_its_parent_is_killed(tmp_path: Path) -> None:
    process, server = _start(tmp_path)
    with process:
        process.kill()
    server.wait(timeout=15)


@pytest.mark.long
def test_the_limit_for_its_start_is_ours_in_any_folder(tmp_path: Path) -> None:
    code = "import flows.common, prefect.settings as s; print(s.get_current_settings().server.ephemeral.startup_timeout_seconds)"  # noqa: E501
    environment = {k: v for k, v in os.environ.items() if not re.match("PREFECT_", k)}
    environment["PREFECT_HOME"] = str(tmp_path)
    ours = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, check=True
    )
    assert ours.stdout.split() == [b"300"]
    environment["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "77"
    theirs = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, check=True
    )
    assert theirs.stdout.split() == [b"77"]
