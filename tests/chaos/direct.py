"""A batch from the command line that is attacked while it runs."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.chaos.conftest import Repetition
from tests.chaos.site import end_family, until
from tests.chaos.verdict import (
    World,
    batch_command,
    environment,
    judge,
    run_batch,
    torn_outputs,
    url_of,
)


@dataclass
class Attack:
    """One batch with a home and an output folder of its own."""

    world: World
    folder: Path
    env: dict[str, str]
    one: Repetition
    process: subprocess.Popen[str] | None = None
    struck_at: float = 0.0
    moment: str = ""
    place: Path | None = None
    """Where the outputs go, if not to the folder."""

    @property
    def out(self) -> Path:
        return self.place or self.folder / "out"

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        """Start the batch; what still runs of it afterwards is ended."""
        with (self.folder / "batch.log").open("w") as log:
            self.process = subprocess.Popen(
                batch_command(self.world.recordings, self.out),
                env=self.env,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        try:
            yield self.process
        finally:
            end_family(self.process)
            assert self.process.stdout is not None
            self.process.stdout.close()

    def wait_for_a_moment(self) -> None:
        """Wait until some moment between the first output and the end, or before the first."""
        share = self.one.rng.uniform(-0.2, 1.0)
        outputs = max(0, round(share * len(self.world.outputs)))
        rest_s = self.one.rng.uniform(0.0, 0.3)
        self.moment = f"{outputs} outputs + {rest_s:.3f} s"
        assert self.process is not None
        until(lambda: self._ended() or len(list(self.out.glob("*.wav"))) >= outputs, 240, 0.005)
        time.sleep(rest_s)
        self.struck_at = time.monotonic()

    def _ended(self) -> bool:
        assert self.process is not None
        return self.process.poll() is not None

    def workers(self) -> list[psutil.Process]:
        """Return the worker processes that are there."""
        assert self.process is not None
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children()
        return []

    def end(self, patience_s: float = 400) -> dict[str, Any] | None:
        """Wait for the batch and return its record, or nothing if it gave up."""
        assert self.process is not None
        said, _ = self.process.communicate(timeout=patience_s)
        return json.loads(said) if said.strip().startswith("{") else None

    def conclude(self, *, rerun: bool = True) -> None:
        """Look at what is there, run the batch again and judge."""
        torn = torn_outputs(self.world, self.out)
        record = None
        if rerun:
            record, _ = run_batch(self.world.recordings, self.out, self.env)
        recovery_s = time.monotonic() - self.struck_at
        verdict = judge(self.world, self.out, url_of(self.env), record)
        verdict.torn += len(torn)
        verdict.faults += [f"before the rerun: {line}" for line in torn]
        if not verdict.is_clean:
            verdict.faults.append((self.folder / "batch.log").read_text()[-2_000:])
        self.one.conclude(verdict, recovery_s, self.moment)


def attack(world: World, folder: Path, one: Repetition, **more: str) -> Attack:
    """Return a batch that is about to start in ``folder``."""
    folder.mkdir(parents=True)
    return Attack(world, folder, environment(folder, ANC_MAX_ATTEMPTS="10", **more), one)
