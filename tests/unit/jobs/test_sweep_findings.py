from __future__ import annotations

from itertools import product

import pytest

from anc_core.jobs.sweep_findings import (
    best_by_recording,
    best_score,
    most_robust,
    scores_of,
    summarise_algorithms,
)
from anc_core.jobs.sweep_grid import SweepCell, parse_grid
from anc_core.jobs.sweep_records import Outcome, SweepRow
from anc_core.records import Status

CELL = SweepCell(algorithm="fxnlms", step_size=0.1)
OTHER = SweepCell(algorithm="fxlog", step_size=0.1)


def row(
    level_db: float | None,
    *,
    recording: str = "a",
    cell: SweepCell = CELL,
    outcome: Outcome = Outcome.OK,
    **more: object,
) -> SweepRow:
    return SweepRow(
        key="k",
        recording=recording,
        status=Status.OK,
        cell=cell,
        outcome=outcome,
        num_taps=64,
        step_size=cell.step_size,
        steady_cancellation_db=level_db,
        **more,
    )


def rows(*levels_db: float, cell: SweepCell = CELL) -> list[SweepRow]:
    return [row(level, recording=str(i), cell=cell) for i, level in enumerate(levels_db)]


def test_a_setting_stands_for_its_recordings_by_median_and_worst() -> None:
    score = scores_of(rows(3.0, 9.0, 4.0))[CELL]
    assert (score.recordings, score.median_db, score.worst_db) == (3, 4.0, 3.0)


def test_what_diverged_counts_as_the_least_and_silence_not_at_all() -> None:
    diverged = row(-30.0, recording="d", outcome=Outcome.DIVERGED)
    silent = row(None, recording="s", outcome=Outcome.UNMEASURED)
    score = scores_of([*rows(3.0, 9.0), diverged, silent])[CELL]
    assert (score.recordings, score.median_db, score.worst_db) == (3, 3.0, None)
    assert (score.diverged, score.is_clean) == (1, False)


def test_a_setting_that_diverges_mostly_is_never_the_best() -> None:
    wild = [row(-30.0, recording=str(i), outcome=Outcome.DIVERGED) for i in range(2)]
    assert best_score(scores_of([*wild, row(50.0, recording="2")]).values()) is None
    tame = rows(1.0, 1.0, 1.0, cell=OTHER)
    best = best_score(scores_of([*wild, row(50.0, recording="2"), *tame]).values())
    assert best is not None
    assert best.cell == OTHER


def test_the_best_is_the_largest_median_then_the_better_worst() -> None:
    scores = scores_of([*rows(2.0, 6.0, 7.0), *rows(5.0, 6.0, 6.5, cell=OTHER)])
    best = best_score(scores.values())
    assert best is not None
    assert best.cell == OTHER


def test_a_setting_that_was_measured_on_fewer_recordings_does_not_win() -> None:
    scores = scores_of([*rows(2.0, 2.0), *rows(9.0, cell=OTHER)])
    best = best_score(scores.values())
    assert best is not None
    assert best.cell == CELL


def condition(cell: SweepCell, io_delay: int, phase_deg: float) -> SweepCell:
    return cell.model_copy(update={"io_delay": io_delay, "phase_deg": phase_deg})


def test_the_most_robust_setting_has_the_best_worst_condition() -> None:
    levels = {
        (CELL, 0, 0.0): 20.0,
        (CELL, 0, 60.0): 3.0,
        (CELL, 4, 0.0): 18.0,
        (CELL, 4, 60.0): 2.0,
        (OTHER, 0, 0.0): 12.0,
        (OTHER, 0, 60.0): 8.0,
        (OTHER, 4, 0.0): 7.0,
        (OTHER, 4, 60.0): 9.0,
    }
    given = [row(level, cell=condition(*where)) for where, level in levels.items()]
    found = most_robust(scores_of(given).values())
    assert found is not None
    assert (found.cell, found.median_db) == (condition(OTHER, 4, 0.0), 7.0)
    # One that was not seen under every condition has not been seen at its worst.
    kept = [one for one in given if one.cell != condition(OTHER, 4, 0.0)]
    found = most_robust(scores_of(kept).values())
    assert found is not None
    assert found.cell == condition(CELL, 4, 60.0)


def test_without_conditions_or_with_divergence_in_each_nothing_is_robust() -> None:
    assert most_robust(()) is None
    assert most_robust(scores_of(rows(3.0)).values()) is None
    wild = [
        row(-30.0, cell=condition(CELL, 0, 90.0), outcome=Outcome.DIVERGED),
        row(9.0, cell=condition(CELL, 0, 0.0)),
    ]
    assert most_robust(scores_of(wild).values()) is None


def test_the_best_of_a_recording_has_no_trouble_where_there_is_such_a_setting() -> None:
    loud = row(9.0, outcome=Outcome.TRIPPED)
    (line,) = best_by_recording(["a"], (CELL, OTHER), [loud, row(5.0, cell=OTHER)])
    assert line.row is not None
    assert line.row.cell == OTHER
    (line,) = best_by_recording(["a"], (CELL,), [loud])
    assert line.row == loud


def test_a_recording_without_a_figure_has_a_reason() -> None:
    silent = row(
        None, outcome=Outcome.UNMEASURED, null_reasons={"steady_cancellation_db": "silent"}
    )
    lines = best_by_recording(["a", "b"], (CELL,), [silent])
    assert [(line.row, line.reason) for line in lines] == [
        (None, "silent"),
        (None, "not simulated"),
    ]


@pytest.mark.parametrize(
    ("given", "usual"),
    [
        ({"gain_db": [-6, 6]}, (0.0, 0.0, 0.0)),
        ({"gain_db": [-6, 6], "combine": "all"}, (-6.0, 0.0, 0.0)),
    ],
)
def test_settings_are_compared_without_mismatch_and_with_the_least_delay(
    given: dict[str, object], usual: tuple[float, float, float]
) -> None:
    cells = parse_grid({"io_delay": [8, 2], "mismatch": given}).cells()
    # The larger the delay and the error, the larger the attenuation: none of these may win.
    done = [row(10.0 * cell.io_delay + abs(cell.gain_db), cell=cell) for cell in cells]
    (summary,) = summarise_algorithms(cells, done, scores_of(done))
    assert summary.best is not None
    assert (summary.best.cell.io_delay, summary.best.cell.mismatch) == (2, usual)
    assert summary.cells == len(cells)


def test_algorithms_are_counted_with_their_troubles_and_failures() -> None:
    cells = parse_grid({"algorithm": ["fxnlms", "fxlog"], "step_size": [0.1, 0.2]}).cells()
    outcomes = (Outcome.TRIPPED, Outcome.LOUDER, Outcome.DIVERGED, Outcome.OK)
    done = [
        row(-2.0, recording=str(i), cell=cell, outcome=outcome, cpu_s=0.5)
        for cell, (i, outcome) in product(cells[:2], enumerate(outcomes))
    ]
    lost = SweepRow(key="", recording="0", status=Status.FAILED, cell=cells[2])
    first, second = summarise_algorithms(cells, [*done, lost], scores_of(done))
    assert (first.algorithm, first.cells, first.failed, first.cpu_s) == ("fxnlms", 8, 0, 4.0)
    assert (first.tripped, first.louder, first.diverged) == (2, 2, 2)
    assert (second.algorithm, second.cells, second.failed, second.best) == ("fxlog", 1, 1, None)
