"""Repetitions of the cases, and the record of what became of them.

``CHAOS_REPEATS`` says how often each case is repeated (once by default), ``CHAOS_SEED`` what their
random moments are drawn from, ``CHAOS_LOG`` a file that gets a line for every repetition;
``python -m tests.chaos.table`` makes the table of it.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.verdict import Verdict, World, undisturbed

collect_ignore = ["shifted"]
"""Importing it, as a collection of doctests does, would change the clock of the tests."""


@dataclass(frozen=True, slots=True)
class Repetition:
    """One of several; ``rng`` draws the moment."""

    case: str
    number: int
    seed: str
    rng: random.Random
    failures: list[str]
    """Of all repetitions of the case: one that fails does not keep the others from their turn."""

    def conclude(
        self, verdict: Verdict, recovery_s: float, moment: str = "", *, repetitions: int = 1
    ) -> None:
        """Note the verdict; the case fails after its last repetition if one was not clean."""
        line = {
            "case": self.case,
            "number": self.number,
            "seed": self.seed,
            "moment": moment,
            "repetitions": repetitions,
            "lost": verdict.lost,
            "doubled": verdict.doubled,
            "torn": verdict.torn,
            "faults": verdict.faults,
            "recovery_s": round(recovery_s, 2),
            "load": round(os.getloadavg()[0], 1),
        }
        if log := os.environ.get("CHAOS_LOG"):
            with Path(log).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        print(line)
        if not verdict.is_clean:
            self.failures.append(f"repetition {self.seed}, {moment}: {verdict}")


def repetitions(case: str, most: int = 1_000) -> Iterator[Repetition]:
    """Yield as many as are asked for; each draws its moments from a seed of its own.

    Parameters
    ----------
    case : str
        Its row in the table.
    most : int
        Of a case that is no kill and takes long, so many are enough.
    """
    base = os.environ.get("CHAOS_SEED", "7")
    failures: list[str] = []
    for number in range(min(most, int(os.environ.get("CHAOS_REPEATS", "1")))):
        seed = f"{case} {base}.{number}"
        yield Repetition(case, number, seed, random.Random(seed), failures)
    assert not failures, f"{case}: " + "\n".join(failures)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return twelve recordings, a twin and a bad one, and what becomes of them undisturbed."""
    return undisturbed(tmp_path_factory.mktemp("undisturbed"))
