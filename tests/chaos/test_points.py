"""A batch that dies, or whose disk or database fails, at each single step it takes."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from anc_core.store import open_database
from tests.chaos.conftest import repetitions
from tests.chaos.points import (
    batch_in_child,
    die,
    fill_the_disk,
    forbid_writing,
    lose_the_database,
    warm_up,
)
from tests.chaos.verdict import (
    Verdict,
    World,
    facts,
    judge,
    make_recordings,
    samples_digest,
    torn_outputs,
)

STEP = int(os.environ.get("CHAOS_STEP", "0"))
"""How many steps lie between two that are looked at; ``CHAOS_STEP=1`` looks at all of them."""

_FILES = frozenset({"open", "os.mkdir", "os.link", "os.rename", "os.remove"})
_ALL = _FILES | {"sql"}


@dataclass(frozen=True, slots=True)
class Case:
    """What happens, at which steps, for how many of them, and how many CI skips between two."""

    strike: Callable[[str], None]
    steps: frozenset[str]
    lasts: int
    step: int


FOR_GOOD = 10_000
CASES = {
    "kill -9": Case(die, _ALL, 1, 15),
    "disk full from then on": Case(fill_the_disk, _FILES, FOR_GOOD, 17),
    "disk full for a moment": Case(fill_the_disk, _FILES, 2, 17),
    "read-only from then on": Case(forbid_writing, _FILES, FOR_GOOD, 17),
    "database away from then on": Case(lose_the_database, frozenset({"sql"}), FOR_GOOD, 39),
    "database away for a moment": Case(lose_the_database, frozenset({"sql"}), 3, 39),
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> tuple[World, list[str]]:
    """Return two recordings, a twin and a bad one, what becomes of them, and the steps of it."""
    folder = tmp_path_factory.mktemp("small")
    recordings = make_recordings(folder / "in", count=2, duration_s=0.6)
    warm_up(recordings / "00.wav", folder)
    url = store_in(folder, migrated)
    started = time.monotonic()
    status, names = batch_in_child(recordings, folder / "out", url)
    assert status == 0
    database = open_database(url)
    rows = facts(database)
    database.dispose()
    outputs = {path.name: samples_digest(path) for path in (folder / "out").glob("*.wav")}
    return World(recordings, outputs, rows, {}, time.monotonic() - started), names


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty database, to be copied."""
    file = tmp_path_factory.mktemp("migrated") / "anc.db"
    open_database(f"sqlite:///{file}").dispose()
    return file


def store_in(folder: Path, migrated: Path) -> str:
    folder.mkdir(exist_ok=True)
    shutil.copyfile(migrated, folder / "anc.db")
    return f"sqlite:///{folder / 'anc.db'}"


# CI needs one of each kind; ``make chaos`` does them all.
_KINDS = ("kill -9", "disk full from then on", "database away from then on")


@pytest.mark.parametrize(
    "name",
    [name if name in _KINDS else pytest.param(name, marks=pytest.mark.long) for name in CASES],
)
def test_at_every_step(
    small: tuple[World, list[str]], migrated: Path, tmp_path: Path, name: str
) -> None:
    case, (world, steps) = CASES[name], small
    (one, *_) = repetitions(f"step by step: {name}")
    step = STEP or case.step
    striking = [at for at, what in enumerate(steps) if what in case.steps]
    chosen = striking[one.rng.randrange(step) :: step]
    all_of_them, recovery_s = Verdict(), 0.0
    for at in chosen:
        folder = tmp_path / str(at)
        out, url = folder / "out", store_in(folder, migrated)
        words = {"strike": case.strike, "at": at, "lasts": case.lasts}
        status, said = batch_in_child(world.recordings, out, url, **words)
        torn = torn_outputs(world, out)
        struck = time.monotonic()
        again, said_again = batch_in_child(world.recordings, out, url)
        recovery_s = max(recovery_s, time.monotonic() - struck)
        verdict = judge(world, out, url)
        verdict.torn += len(torn)
        verdict.faults += torn
        if again != 0:
            verdict.faults.append(f"the finishing run ended with {again}: {said_again}")
        if case.strike is die and status != -signal.SIGKILL:
            verdict.faults.append(f"it was not killed: {status} {said}")
        if not verdict.is_clean:
            all_of_them.faults.append(f"step {at}, {steps[at]} ({status} {said[0]}): {verdict}")
            all_of_them.lost += verdict.lost
            all_of_them.doubled += verdict.doubled
            all_of_them.torn += verdict.torn
        shutil.rmtree(folder)
    moment = f"{len(chosen)} of {len(striking)} steps"
    one.conclude(all_of_them, recovery_s, moment, repetitions=len(chosen))
    assert not one.failures, one.failures
