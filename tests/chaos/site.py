"""``anc serve`` with a session store of its own, and what a user does with it from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from tenacity import retry, retry_if_result, wait_fixed

ROOT = Path(__file__).parents[2]
_WAIT_S = 120  # a busy machine
_ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def until(condition: Callable[[], Any], patience_s: float, poll_s: float = 0.2) -> Any:
    """Return what ``condition`` returns once that is true."""
    deadline = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {patience_s:.0f} s"
        time.sleep(poll_s)
    return found


@retry(retry=retry_if_result(lambda answer: answer.status_code == 503), wait=wait_fixed(1))
def _ask(method: str, url: str, **words: Any) -> httpx.Response:
    """Ask as Prefect's client does: a busy database of the server answers 503 and means later."""
    return httpx.request(method, url, timeout=_WAIT_S, **words)


@dataclass
class Site:
    """One installation: its folder, its server and the processes that were started for it."""

    folder: Path
    port: int
    environment: dict[str, str]
    prefect_database_url: str | None = None
    """Of Prefect's own database; SQLite if it is not set."""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def start(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *words],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def serve(self) -> subprocess.Popen[bytes]:
        """Start ``anc serve`` and return once it is ready."""
        words = ["flows", "serve", "--port", str(self.port)]
        if self.prefect_database_url is not None:
            words += ["--prefect-database-url", self.prefect_database_url]
        process = self.start("serve", *words)
        until(lambda: process.poll() is not None or "ready: " in self.log("serve"), 240)
        assert process.poll() is None, self.log("serve")
        return process

    def second_worker(self) -> subprocess.Popen[bytes]:
        """Start the worker of another machine, which is this one, and return once it is known."""
        process = self.start(
            *("worker", "prefect", "worker", "start", "--pool", "anc", "--type", "process"),
            *("--name", "second", "--limit", "1", "--work-queue", "helpers"),
        )
        until(
            lambda: [
                w for w in self.post("/work_pools/anc/workers/filter") if w["name"] == "second"
            ],
            120,
        )
        return process

    def command(self, *words: str) -> str:
        """Run a command of a user to its end and return what it says."""
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def post(self, path: str, **words: Any) -> Any:
        answer = _ask("POST", f"{self.api}{path}", json=words)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def run(
        self,
        deployment: str,
        *,
        tags: tuple[str, ...] = (),
        queue: str | None = None,
        **parameters: Any,
    ) -> str:
        """Schedule a run and return its id; ``queue`` if not that of its deployment."""
        found = _ask("GET", f"{self.api}/deployments/name/{deployment}").json()
        words = {"parameters": parameters, "tags": tags, "state": {"type": "SCHEDULED"}}
        words |= {"work_queue_name": queue} if queue else {}
        run_id: str = self.post(f"/deployments/{found['id']}/create_flow_run", **words)["id"]
        return run_id

    def look(self, run_id: str) -> dict[str, Any]:
        """Return what the server knows of a run."""
        found: dict[str, Any] = _ask("GET", f"{self.api}/flow_runs/{run_id}").json()
        return found

    def state(self, run_id: str) -> str:
        name: str = self.look(run_id)["state"]["name"]
        return name

    def runs_of(self, flow: str) -> list[dict[str, Any]]:
        """Return the runs of a flow that somebody, or an automation, asked for."""
        found = self.post("/flow_runs/filter", flows={"name": {"any_": [flow]}})
        return [run for run in found if not run["auto_scheduled"]]

    def end(self, run_id: str, patience_s: float = 300.0) -> dict[str, Any]:
        """Wait for the end of a run."""
        until(lambda: self.look(run_id)["state_type"] in _ENDED, patience_s, 0.5)
        return self.look(run_id)

    def artifact(self, run_id: str, key: str) -> dict[str, Any]:
        """Return the newest artifact of that key."""
        words = {"flow_run_id": {"any_": [run_id]}, "key": {"any_": [key]}}
        found = self.post("/artifacts/filter", artifacts=words, sort="CREATED_DESC")
        newest: dict[str, Any] = found[0]
        return newest


@contextmanager
def site(
    folder: Path, port: int, prefect_database_url: str | None = None, **environment: str
) -> Iterator[Site]:
    """Yield a place that leaves no process behind."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "ANC_"))}
    here = Site(
        folder=folder,
        port=port,
        environment={
            **kept,
            "HOME": str(folder),
            "ANC_HOME": str(folder / "anc"),
            "PYTHONPATH": str(ROOT),
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            **environment,
        },
        prefect_database_url=prefect_database_url,
    )
    try:
        yield here
    finally:
        for process in here.processes:
            end_family(process)


def end_family(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all below it, with no time to say anything."""
    family = []
    if process.poll() is None:
        me = psutil.Process(process.pid)
        family = [me, *me.children(recursive=True)]
    for one in family:
        one.kill()
    psutil.wait_procs(family)
    process.wait()
