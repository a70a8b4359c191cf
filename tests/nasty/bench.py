"""A store, settings and a folder to process recordings in, and eyes for what is left behind."""

from __future__ import annotations

import atexit
import functools
import math
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import soundfile as sf

from anc_core.jobs.batch import begin, conclude, run_shard
from anc_core.jobs.plan import BatchRequest, plan_batch
from anc_core.jobs.records import BatchPlan, BatchSummary, RecordingJob
from anc_core.jobs.run import run_recording
from anc_core.records import SessionSummary
from anc_core.settings import Settings
from anc_core.store import Database, get_session, list_sessions, open_database

if TYPE_CHECKING:
    import numpy as np


@functools.cache
def _empty_store() -> Path:
    """Return a database without rows: copying it is ten times as fast as creating one."""
    folder = Path(tempfile.mkdtemp(prefix="anc-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    open_database(f"sqlite:///{folder / 'anc.db'}").dispose()
    return folder / "anc.db"


@dataclass(frozen=True)
class Bench:
    """Everything lies below ``folder``: inputs in ``in``, outputs in ``out``."""

    folder: Path
    database: Database
    settings: Settings

    @classmethod
    def at(cls, folder: Path, **settings: Any) -> Bench:
        """Open a bench with a store of its own; nothing waits between retries."""
        (folder / "store").mkdir(parents=True)
        shutil.copy(_empty_store(), folder / "store" / "anc.db")
        url = f"sqlite:///{folder / 'store' / 'anc.db'}"
        chosen = Settings.load(database_url=url, **{"retry_delay_s": 0.0, **settings})
        (folder / "in").mkdir()
        return cls(folder, open_database(url), chosen)

    @property
    def inputs(self) -> Path:
        return self.folder / "in"

    @property
    def outputs(self) -> Path:
        return self.folder / "out"

    def job(self, source: Path, sink: Path | None = None, **words: Any) -> RecordingJob:
        """Return a job whose output, unless named, lies under the same name in ``out``."""
        if sink is None and not words.pop("no_output", False):
            sink = self.outputs / source.name
        return RecordingJob(source=source, sink=sink, **words)

    def run(self, source: Path, sink: Path | None = None, **words: Any) -> SessionSummary:
        """Run one recording through the job layer."""
        on_progress = words.pop("on_progress", None)
        job = self.job(source, sink, **words)
        return run_recording(
            job, database=self.database, settings=self.settings, on_progress=on_progress
        )

    def plan(self, *inputs: str | Path, **words: Any) -> BatchPlan:
        """Plan a batch of ``in``, or of ``inputs``, into ``out``."""
        return plan_batch(self.request(*inputs, **words), **self._where())

    def request(self, *inputs: str | Path, **words: Any) -> BatchRequest:
        words = {"output_dir": self.outputs, **words}
        return BatchRequest(inputs=inputs or (self.inputs,), **words)

    def batch(self, *inputs: str | Path, **words: Any) -> BatchSummary:
        """Run a batch by the steps of ``run_batch`` and the flow, without worker processes."""
        plan = self.plan(*inputs, **words)
        begin(plan, self.database)
        results = run_shard(plan.jobs, self.settings, final=True)
        return conclude(plan, results, database=self.database, shards=1, wall_s=1.0)

    def sessions(self) -> list[SessionSummary]:
        with self.database.read() as db:
            return list(list_sessions(db))

    def session(self, session_id: str) -> SessionSummary:
        with self.database.read() as db:
            return get_session(db, session_id)

    def leftovers(self) -> list[str]:
        """Return the temporary files of ours that are anywhere on the bench."""
        return [str(path) for path in self.folder.rglob(".anc-*")]

    def delivered(self) -> list[str]:
        """Return the outputs, by name, without sidecars."""
        files = (p for p in self.outputs.rglob("*") if p.is_file() and p.suffix != ".json")
        return sorted(str(path.relative_to(self.outputs)) for path in files)

    def _where(self) -> dict[str, Any]:
        return {"database": self.database, "settings": self.settings}


def same_shape(output: Path, source: Path) -> bool:
    """Return whether ``output`` keeps rate, channels, length and sample format of ``source``."""
    ours, theirs = sf.info(output), sf.info(source)
    return all(
        getattr(ours, name) == getattr(theirs, name)
        for name in ("samplerate", "channels", "frames", "subtype")
    )


def samples(path: Path) -> np.ndarray:
    """Return all samples, float32, (num_samples, num_channels)."""
    return sf.read(path, dtype="float32", always_2d=True)[0]


def numbers(value: Any) -> list[float]:
    """Return every number in a nest of records, dicts and lists."""
    if isinstance(value, bool | None | str):
        return []
    if isinstance(value, int | float):
        return [value]
    if isinstance(value, dict):
        return [n for item in value.values() for n in numbers(item)]
    return [n for item in value for n in numbers(item)]


def all_finite(summary: SessionSummary) -> bool:
    """Return whether no figure of ``summary`` is NaN or infinite."""
    return all(math.isfinite(n) for n in numbers(summary.model_dump(mode="json")))
