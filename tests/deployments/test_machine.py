"""``anc serve`` as a user has it: one command in an empty home, and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import soundfile as sf

from anc_core.audio.synth import alarm
from anc_core.errors import InputError
from anc_core.settings import Settings
from deployments.environment import Place
from deployments.machine import serve_machine
from flows.standing_server import StandingServer, note_of, standing_server, use_standing_server
from tests.receiver import Receiver, free_port, receiver

ROOT = Path(__file__).parents[2]
_START_PATIENCE_S = 240.0
_RUN_PATIENCE_S = 120.0


def until(condition: Callable[[], Any], patience_s: float) -> Any:
    """Return what ``condition`` returns once that is true."""
    deadline = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {patience_s:.0f} s"
        time.sleep(0.2)
    return found


@pytest.fixture
def got() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


@pytest.fixture
def served(tmp_path: Path, got: Receiver) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start ``anc serve`` in an empty home; yield it and the address of its API."""
    port = free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "ANC_"))}
    environment |= {
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "ANC_ALERT_WEBHOOK_URL": got.url,
        "ANC_ALERT_WEBHOOK_SECRET": "top-secret",
        "ANC_LOG_JSON": "1",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
    }
    log = (tmp_path / "serve.log").open("wb")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "flows", "serve"),
            *("--port", str(port), "--metrics-port", str(port + 2)),
        ],
        cwd=tmp_path, env=environment, stdout=log, stderr=log,
    )  # fmt: skip
    try:
        told = tmp_path / "serve.log"
        until(
            lambda: process.poll() is not None or b"ready: http" in told.read_bytes(),
            _START_PATIENCE_S,
        )
        assert process.poll() is None, told.read_text()
        yield process, f"http://127.0.0.1:{port}/api"
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        log.close()


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.flow
@pytest.mark.xdist_group("serve")
def test_a_recording_with_an_alarm_goes_through_and_ctrl_c_leaves_nothing(
    served: tuple[subprocess.Popen[bytes], str], got: Receiver, tmp_path: Path
) -> None:
    process, api = served
    assert httpx.get(api.replace("/api", "/ui-settings")).json()["api_url"] == api
    source = tmp_path / "alarm.wav"
    sf.write(source, alarm("t3_3100", 9.0, 16_000, seed=1, level_dbfs=-20.0), 16_000)
    found = httpx.get(f"{api}/deployments/name/process-audio-file/process").json()
    words = {"parameters": {"file_path": str(source)}, "state": {"type": "SCHEDULED"}}
    run = httpx.post(f"{api}/deployments/{found['id']}/create_flow_run", json=words).json()

    def ended() -> str | None:
        state: dict[str, str] = httpx.get(f"{api}/flow_runs/{run['id']}").json()["state"]
        return state["name"] if state["type"] in {"COMPLETED", "FAILED", "CRASHED"} else None

    assert until(ended, _RUN_PATIENCE_S) == "Completed"
    until(lambda: got.requests, _RUN_PATIENCE_S)
    metrics = httpx.get(f"http://127.0.0.1:{httpx.URL(api).port + 2}/metrics").text
    assert 'anc_emergency_events_total{event_type="smoke_alarm"} 1.0' in metrics
    family = psutil.Process(process.pid).children(recursive=True)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.wait(30)
    assert time.monotonic() - started < 20
    assert process.returncode == 0
    assert [one for one in family if one.is_running()] == []
    assert len(got.requests) == 1
    assert not (tmp_path / ".anc" / "serve.json").exists()
    log = (tmp_path / "serve.log").read_text()
    assert "top-secret" not in log
    of_recording = [line for line in log.splitlines() if "alarm.wav: status=ok" in line]
    assert {"session_id", "flow_run_id", "task_run_id"} <= json.loads(of_recording[0]).keys()
    assert "not-for-logs" not in log


# ------------------------------------------------------------------ without a server


def test_a_taken_port_is_an_error_with_its_cure() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        place = Place(settings=Settings.load(), host="127.0.0.1", port=other.getsockname()[1])
        with pytest.raises(InputError, match="choose another with --port"):
            serve_machine(place, normal_limit=1, say=lambda _: None)


def test_helpers_are_left_to_the_workers_of_other_machines() -> None:
    from deployments.machine import _worker_options

    words = _worker_options()
    queues = {words[i + 1] for i, word in enumerate(words) if word == "--work-queue"}
    assert queues == {"default", "high", "normal", "low"}


def note(**words: Any) -> StandingServer:
    me = psutil.Process()
    fields = {"pid": me.pid, "started_at": me.create_time(), "url": "http://127.0.0.1:4300"}
    one = StandingServer(**(fields | words))
    path = note_of(Settings.load())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(one.to_json())
    return one


def test_the_server_of_this_home_is_found_while_it_lives() -> None:
    settings = Settings.load()
    assert standing_server(settings) is None
    one = note()
    assert standing_server(settings) == one
    use_standing_server(settings)
    assert os.environ["PREFECT_API_URL"] == "http://127.0.0.1:4300/api"


def test_the_user_may_name_another(monkeypatch: pytest.MonkeyPatch) -> None:
    note()
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere/api")
    use_standing_server(Settings.load())
    assert os.environ["PREFECT_API_URL"] == "http://elsewhere/api"


@pytest.mark.parametrize("words", [{"pid": 2**22 + 1}, {"started_at": 0.0}])
def test_a_dead_one_is_none_though_its_number_is_used_again(words: dict[str, Any]) -> None:
    note(**words)
    assert standing_server(Settings.load()) is None


def test_a_second_serve_says_that_one_runs(capfd: pytest.CaptureFixture[str]) -> None:
    from click.testing import CliRunner

    from flows.cli import cli

    note()
    result = CliRunner().invoke(cli, ["serve"])
    assert result.exit_code == 0
    assert result.output.startswith("already running: http://127.0.0.1:4300")
