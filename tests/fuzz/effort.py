"""How long to look, and what every input is held to: words or a result, in bounded time and memory.

``make fuzz`` looks for FUZZ_SECONDS (60 by default) at each target and prints how many inputs it
tried; the usual tests take a few dozen each.
"""

from __future__ import annotations

import os
import random
import resource
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning

from anc_core.errors import AncError

CPU_LIMIT_S = 3.0
"""Of one input; usual ones take milliseconds, so that a loaded machine is no reason."""
MEMORY_LIMIT_BYTES = 400 << 20
"""That the largest input may add to this process."""
LONG_S = float(os.environ.get("FUZZ_SECONDS", "60"))
_ROUND = 400


@dataclass(slots=True)
class Tally:
    """What became of the inputs."""

    outcomes: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return self.outcomes.total()

    def __str__(self) -> str:
        parts = ", ".join(f"{count} {name}" for name, count in self.outcomes.most_common())
        return f"{self.total} inputs: {parts}"


Try = Callable[[Any], object]


def look(strategy: st.SearchStrategy[Any], attempt: Try, num_examples: int, **more: Any) -> Tally:
    """Let ``attempt`` work on ``num_examples`` inputs; an ``AncError`` is an answer, all else none.

    Raises
    ------
    Exception
        The first that is no ``AncError``, with the smallest input that causes it.
    """
    tally = Tally()

    def one(content: Any) -> None:
        started = time.process_time()
        try:
            attempt(content)
        except AncError as err:
            words, outcome = str(err), getattr(err, "code", None) or type(err).__name__
        else:
            words, outcome = "used", "used"
        assert words, "a refusal without a word"
        words.encode()  # it goes into logs and the store
        tally.outcomes[str(outcome)] += 1
        cpu_s = time.process_time() - started
        assert cpu_s < CPU_LIMIT_S, f"took {cpu_s:.1f} s of CPU"

    before = peak_bytes()
    run = settings(
        max_examples=num_examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        **more,
    )(given(strategy)(one))
    if more:
        run = seed(random.randrange(2**32))(run)
    with warnings.catch_warnings():
        # Of a long input that fails; what it fails with is worth more.
        warnings.simplefilter("ignore", HypothesisWarning)
        run()
    assert peak_bytes() - before < MEMORY_LIMIT_BYTES
    return tally


def look_for_long(strategy: st.SearchStrategy[Any], attempt: Try) -> Tally:
    """Look for :data:`LONG_S` seconds, at other inputs every time."""
    total, until = Tally(), time.monotonic() + LONG_S
    while time.monotonic() < until:
        phases = (Phase.generate, Phase.shrink)
        total.outcomes += look(strategy, attempt, _ROUND, derandomize=False, phases=phases).outcomes
    return total


def peak_bytes() -> int:
    """Return the most memory that this process ever held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
