"""Recordings that are written to while a batch reads them."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile as sf

from anc_core.records import SessionSummary
from anc_core.store import list_sessions, open_database
from tests.chaos.conftest import repetitions
from tests.chaos.direct import attack
from tests.chaos.verdict import (
    Verdict,
    World,
    environment,
    run_batch,
    torn_outputs,
    url_of,
)

pytestmark = [pytest.mark.long, pytest.mark.timeout(7_200)]

_DONE = {"ok", "degraded"}


class Meddler(threading.Thread):
    """Turns recordings into others and back, in place and in small pieces.

    Whoever reads meanwhile finds a mixture.
    """

    def __init__(self, folder: Path, contents: dict[str, list[bytes]], rng: random.Random) -> None:
        super().__init__(daemon=True)
        self.folder, self.contents, self.rng = folder, contents, rng
        self.over = threading.Event()

    def run(self) -> None:
        names = sorted(self.contents)
        while not self.over.is_set():
            name = self.rng.choice(names)
            content = self.rng.choice(self.contents[name])
            with (self.folder / name).open("r+b", buffering=0) as file:
                for start in range(0, len(content), 8_192):
                    file.write(content[start : start + 8_192])
                    time.sleep(0.002)


@pytest.fixture(scope="module")
def quieter(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return what the recordings turn into, and the store of an undisturbed batch of that."""
    folder = tmp_path_factory.mktemp("quieter")
    (folder / "in").mkdir()
    for name in _numbered(world.recordings):
        samples, rate = sf.read(world.recordings / name)
        sf.write(folder / "in" / name, samples * 0.7, rate)
    env = environment(folder)
    run_batch(folder / "in", folder / "out", env)
    return folder / "in", url_of(env)


def test_recordings_that_are_written_to(
    world: World, quieter: tuple[Path, str], tmp_path: Path
) -> None:
    """In the end they are what they were: each has its output, none has that of a mixture."""
    other, other_url = quieter
    known = {s.source_digest: s.output_digest for s in sessions(other_url)}
    originals = {facts.output_digest for rows in world.rows.values() for facts in rows}
    contents = {
        name: [(folder / name).read_bytes() for folder in (world.recordings, other)]
        for name in _numbered(world.recordings)
    }
    for one in repetitions("input changing while it is read", most=5):
        recordings = tmp_path / f"in-{one.number}"
        shutil.copytree(world.recordings, recordings)
        (recordings / "twin.wav").unlink()  # of what, when all of them change?
        case = attack(replace(world, recordings=recordings), tmp_path / str(one.number), one)
        meddler = Meddler(recordings, contents, one.rng)
        with case.running() as process:
            meddler.start()
            case.wait_for_a_moment()
            time.sleep(2.0)
            meddler.over.set()
            meddler.join()
            assert case.end() is not None, (case.folder / "batch.log").read_text()
            before = sessions(url_of(case.env))
            codes = Counter(str(s.error_code or s.status) for s in before)
            case.moment += f", exit code {process.returncode}, {dict(codes)}"
            for name, (content, _) in contents.items():
                (recordings / name).write_bytes(content)
            run_batch(recordings, case.out, case.env)
            recovery_s = time.monotonic() - case.struck_at
            after = sessions(url_of(case.env))
            one.conclude(_judge(world, case.out, after, known, originals), recovery_s, case.moment)


def _judge(
    world: World,
    out: Path,
    after: list[SessionSummary],
    known: dict[str | None, str | None],
    originals: set[str | None],
) -> Verdict:
    verdict = Verdict(faults=torn_outputs(world, out))
    verdict.torn = len(verdict.faults)
    done = [s for s in after if s.status in _DONE]
    for session in done:
        # Of both versions it is known what becomes of them, whenever they were read.
        if known.get(session.source_digest, session.output_digest) != session.output_digest:
            verdict.torn += 1
            verdict.faults.append(f"{session.source_path}: not what becomes of this content")
    finals = Counter(Path(s.source_path).name for s in done if s.output_digest in originals)
    for name in _numbered(world.recordings):
        if finals[name] < 1:
            verdict.lost += 1
            verdict.faults.append(f"{name}: no session")
        verdict.doubled += finals[name] > 1
    verdict.faults += [f"{name}: {count} sessions" for name, count in finals.items() if count > 1]
    verdict.faults += [f"left over: {path.name}" for path in out.glob(".anc-*")]
    missing = [name for name in _numbered(world.recordings) if not (out / name).exists()]
    verdict.lost += len(missing)
    verdict.faults += [f"missing: {name}" for name in missing]
    return verdict


def sessions(url: str) -> list[SessionSummary]:
    database = open_database(url)
    with database.read() as db:
        found = list(list_sessions(db))
    database.dispose()
    return found


def _numbered(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("[0-9]*.wav"))
