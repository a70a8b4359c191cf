"""What a case of chaos is judged by: the same recordings, done once without any disturbance.

:class:`World` holds the recordings and what an undisturbed batch made of them. After a case
:func:`judge` compares outputs, sidecars, rows and leftovers with that; in mid-case, when processes
have just been killed, :func:`torn_outputs` says whether what has a name is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import soundfile as sf

from anc_core.audio.synth import mix, noise, voice
from anc_core.errors import RecordingError
from anc_core.jobs.audit import missing_outputs
from anc_core.pipeline import sidecar
from anc_core.store import Database, check_integrity, get_session, list_sessions, open_database

ROOT = Path(__file__).parents[2]
_DONE = {"ok", "degraded"}

METHOD = {"method": "spectral"}
"""The engine that costs least: what is attacked here is the same for all."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the store knows of a recording, without what differs from run to run."""

    status: str
    error_code: str | None
    output_digest: str | None
    num_samples: int | None
    num_windows: int
    num_events: int
    num_intervals: int


@dataclass(frozen=True, slots=True)
class World:
    """Recordings and what becomes of them if nothing happens."""

    recordings: Path
    outputs: dict[str, str]
    """Digest of the decoded samples by the name of the output."""
    rows: dict[str, tuple[Facts, ...]]
    """Of each recording by its name."""
    counts: dict[str, int]
    wall_s: float
    """How long the undisturbed batch took, start of its process included."""


@dataclass(slots=True)
class Verdict:
    """How many recordings a case cost; ``faults`` says which, and what else is wrong."""

    lost: int = 0
    doubled: int = 0
    torn: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.torn or self.faults)

    def __str__(self) -> str:
        counts = f"lost {self.lost}, doubled {self.doubled}, torn {self.torn}"
        return "\n  ".join([counts, *self.faults])


def make_recordings(folder: Path, *, count: int = 12, duration_s: float = 4.0) -> Path:
    """Write ``count`` recordings of different content, a twin of the first, and one that is none.

    One voice at other levels: cheap to make, and each has a digest of its own.
    """
    folder.mkdir(parents=True)
    rate = 16_000
    fan = noise("fan", duration_s, rate, seed=2)
    samples, _ = mix(voice(duration_s, rate, seed=1), fan, 10.0)
    for index in range(count):
        sf.write(folder / f"{index:02d}.wav", samples * (1 - index / 100), rate)
    shutil.copyfile(folder / "00.wav", folder / "twin.wav")
    (folder / "bad.wav").write_bytes(b"no sound at all" * 9)
    return folder


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of an installation of its own in ``folder``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ANC_", "PREFECT_"))}
    return {
        **kept,
        "ANC_HOME": str(folder / "home"),
        "ANC_NAME_NOISES": "0",
        "ANC_SHARD_S": "0.2",
        "ANC_WORKERS": "2",
        "PYTHONPATH": str(ROOT),
        **more,
    }


def batch_command(recordings: Path, out: Path) -> list[str]:
    """Return the words of a batch that prints its record."""
    words = ["batch", str(recordings), "-o", str(out), "--quiet", "--json", "--method", "spectral"]
    return [sys.executable, "-m", "flows", *words]


def run_batch(recordings: Path, out: Path, env: dict[str, str]) -> tuple[dict[str, Any], float]:
    """Run a batch to its end; return its record and the seconds it took."""
    started = time.monotonic()
    done = subprocess.run(
        batch_command(recordings, out),
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record, time.monotonic() - started


def undisturbed(folder: Path, *, count: int = 12, duration_s: float = 4.0) -> World:
    """Make recordings in ``folder`` and do them once, with nobody in the way."""
    recordings = make_recordings(folder / "in", count=count, duration_s=duration_s)
    env = environment(folder)
    record, wall_s = run_batch(recordings, folder / "out", env)
    with _opened(url_of(env)) as database:
        rows = facts(database)
    assert record["ok"] == count, record
    return World(
        recordings=recordings,
        outputs={path.name: samples_digest(path) for path in (folder / "out").glob("*.wav")},
        rows=rows,
        counts={name: record[name] for name in ("planned", "failed", "duplicates")},
        wall_s=wall_s,
    )


def url_of(env: dict[str, str]) -> str:
    """Return the session store of an installation."""
    return env.get("ANC_DATABASE_URL") or f"sqlite:///{env['ANC_HOME']}/anc.db"


def judge(world: World, out: Path, url: str, record: dict[str, Any] | None = None) -> Verdict:
    """Compare what is there after the finishing run with what an undisturbed one leaves.

    Parameters
    ----------
    world : World
        What should be there.
    out : Path
        The folder of the outputs.
    url : str
        The session store.
    record : dict, optional
        What the finishing batch said of itself: its counts must add up to all recordings.
    """
    verdict = Verdict()
    with _opened(url) as database:
        _judge_rows(world, facts(database), verdict)
        verdict.faults += check_integrity(database)
        missing = missing_outputs(database)
        verdict.lost += len(missing)
        verdict.faults += missing
    _judge_outputs(world, out, verdict)
    if record is not None:
        _judge_counts(world, record, verdict)
    return verdict


def torn_outputs(world: World, out: Path) -> list[str]:
    """Return a line for every output that has its name and is not what it should be."""
    return [
        f"torn: {path.name}"
        for path in out.glob("*.wav")
        if samples_digest(path) != world.outputs.get(path.name)
    ]


def facts(database: Database) -> dict[str, tuple[Facts, ...]]:
    """Return what the store knows, by the name of the recording."""
    found: dict[str, list[Facts]] = {}
    with database.read() as db:
        for session in [get_session(db, one.session_id) for one in list_sessions(db)]:
            found.setdefault(Path(session.source_path).name, []).append(
                Facts(
                    status=str(session.status),
                    error_code=session.error_code,
                    output_digest=session.output_digest,
                    num_samples=session.num_samples,
                    num_windows=len(session.windows),
                    num_events=len(session.events),
                    num_intervals=len(session.intervals),
                )
            )
    return {name: tuple(sessions) for name, sessions in found.items()}


def samples_digest(path: Path) -> str:
    """Return a digest of the decoded samples; of a file that cannot be decoded, why."""
    try:
        samples, rate = sf.read(path, dtype="int32")
    except (sf.LibsndfileError, OSError) as err:
        return f"unreadable: {err}"
    return hashlib.blake2b(samples.tobytes() + str(rate).encode(), digest_size=16).hexdigest()


def _judge_rows(world: World, rows: dict[str, tuple[Facts, ...]], verdict: Verdict) -> None:
    for name, expected in world.rows.items():
        found = rows.get(name, ())
        done = [one for one in found if one.status in _DONE]
        wanted = [one for one in expected if one.status in _DONE]
        if len(done) < len(wanted) or not found:
            verdict.lost += 1
            verdict.faults.append(f"{name}: {[f'{o.status} {o.error_code}' for o in found]}")
        elif len(found) > len(expected):
            verdict.doubled += 1
            verdict.faults.append(f"{name}: {len(found)} sessions: {found}")
        elif Counter(found) != Counter(expected):
            verdict.faults.append(f"{name}: {found} instead of {expected}")
    verdict.faults += [f"{name}: a session of nobody" for name in rows.keys() - world.rows.keys()]


def _judge_outputs(world: World, out: Path, verdict: Verdict) -> None:
    torn = torn_outputs(world, out)
    verdict.torn += len(torn)
    verdict.faults += torn
    there = {path.name for path in out.glob("*.wav")}
    missing = world.outputs.keys() - there
    verdict.lost += len(missing)
    verdict.faults += [f"missing: {name}" for name in missing]
    for name in sorted(there):
        if not _is_described(out / name):
            verdict.torn += 1
            verdict.faults.append(f"{name}: its sidecar does not describe it")
    allowed = {*there, *(sidecar.sidecar_path(out / name).name for name in there)}
    verdict.faults += [f"left over: {name}" for name in _names(out) if name not in allowed]


def _is_described(output: Path) -> bool:
    try:
        return sidecar.describes(output)
    except RecordingError:
        return False


def _judge_counts(world: World, record: dict[str, Any], verdict: Verdict) -> None:
    for name, expected in world.counts.items():
        if record[name] != expected:
            verdict.faults.append(f"{name} is {record[name]} instead of {expected}")
    parts = ("ok", "degraded", "skipped", "failed", "duplicates")
    if sum(record[part] for part in parts) != record["planned"]:
        verdict.faults.append(f"the counts do not add up: {[record[part] for part in parts]}")


def _names(folder: Path) -> Iterable[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class _opened:  # noqa: N801 - a verb in a with statement
    """Open a store for a moment."""

    def __init__(self, url: str) -> None:
        self._database = open_database(url)

    def __enter__(self) -> Database:
        return self._database

    def __exit__(self, *_: object) -> None:
        self._database.dispose()
