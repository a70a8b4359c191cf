from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from anc_core.jobs.sweep_cell import outcome_of
from anc_core.jobs.sweep_records import Outcome


def figures(steady_db: float | None, non_finite: int = 0) -> Any:
    return SimpleNamespace(steady_cancellation_db=steady_db, non_finite_samples=non_finite)


@pytest.mark.parametrize(
    ("steady_db", "non_finite", "trips", "outcome"),
    [
        (12.0, 0, 0, Outcome.OK),
        (-1.0, 0, 0, Outcome.OK),
        (-1.1, 0, 0, Outcome.LOUDER),
        (-20.1, 0, 0, Outcome.DIVERGED),
        (12.0, 1, 0, Outcome.DIVERGED),
        (12.0, 0, 1, Outcome.TRIPPED),
        (-5.0, 0, 1, Outcome.TRIPPED),
        (-25.0, 0, 1, Outcome.DIVERGED),
        (None, 0, 0, Outcome.UNMEASURED),
        (None, 0, 2, Outcome.TRIPPED),
        (None, 9, 0, Outcome.DIVERGED),
    ],
)
def test_what_became_of_a_run_is_one_word_the_worst_that_is_true(
    steady_db: float | None, non_finite: int, trips: int, outcome: Outcome
) -> None:
    assert outcome_of(figures(steady_db, non_finite), trips) is outcome
