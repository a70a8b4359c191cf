"""What Prefect costs: the same batch through ``anc batch`` and as a flow on a standing server.

    python -m benchmarks.orchestration [--minutes 3.0]

Prints client-side CPU seconds of both (the process and its workers), their ratio, and the number
of task runs. The server's own CPU is printed apart: it is shared by all that use it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf

from anc_core.audio.synth import mix, noise, voice
from benchmarks.servers import cpu_s, prefect_server

RATE_HZ = 48_000
FILE_S = 120.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0, help="CPU minutes of work wanted")
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory(prefix="anc-bench-") as name:
        folder = Path(name)
        recordings = folder / "recordings"
        per_file_s = _calibrate(folder)
        count = int(np.ceil(60 * minutes / per_file_s)) + 1
        _write(recordings, count)
        direct_s = _run(folder, "direct", recordings, [])[0]
        with prefect_server(folder) as (api_url, server):
            before = cpu_s(server)
            flow_s, runs = _run(folder, "flow", recordings, ["--flow"], api_url)
            server_s = cpu_s(server) - before
        print(f"files                    {count} x {FILE_S:.0f} s at {RATE_HZ} Hz")
        print(f"anc batch                {direct_s:8.1f} CPU-s")
        print(f"anc batch --flow         {flow_s:8.1f} CPU-s (client side)")
        print(f"cost of orchestration    {100 * (flow_s / direct_s - 1):+8.1f} %")
        print(f"task runs                {runs:8d}")
        print(f"server meanwhile         {server_s:8.1f} CPU-s")


def _calibrate(folder: Path) -> float:
    """Return the CPU seconds of one file, start-up excluded."""
    _write(folder / "one", 1)
    _write(folder / "three", 3)
    one = _run(folder, "warm", folder / "one", ["--workers", "1"])[0]
    one = _run(folder, "one", folder / "one", ["--workers", "1"])[0]
    three = _run(folder, "three", folder / "three", ["--workers", "1"])[0]
    return max((three - one) / 2, 0.05)


def _write(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    speech = voice(20.0, RATE_HZ, seed=1)
    mixture, _ = mix(speech, noise("fan", 20.0, RATE_HZ, seed=2), 8.0)
    audio = np.tile(mixture, int(FILE_S / 20.0))
    for index in range(count):
        sf.write(folder / f"{index:03d}.wav", audio * (1 - index / (2 * count)), RATE_HZ)


def _run(
    folder: Path, name: str, recordings: Path, options: list[str], api_url: str | None = None
) -> tuple[float, int]:
    """Run the batch; return the CPU seconds of the process and its workers, and its task runs."""
    environment = {
        **os.environ,
        "ANC_DATABASE_URL": f"sqlite:///{folder / name}.db",
        "PREFECT_LOGGING_LEVEL": "WARNING",
    }
    if api_url is not None:
        environment["PREFECT_API_URL"] = api_url
    command = [sys.executable, "-m", "flows", "batch", str(recordings), "-q", "--json"]
    command += ["-o", str(folder / f"out-{name}"), *options]
    before = os.times()
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    after = os.times()
    taken_s = (
        after.children_user + after.children_system - before.children_user - before.children_system
    )
    summary = json.loads(done.stdout)
    if summary["failed"] or summary["ok"] + summary["degraded"] != summary["planned"]:
        msg = f"the batch did not do its work: {summary}"
        raise RuntimeError(msg)
    return taken_s, summary["shards"] + 2


if __name__ == "__main__":
    main()
