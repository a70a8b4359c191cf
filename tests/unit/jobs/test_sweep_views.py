from __future__ import annotations

from typing import Any

import pytest

from anc_core.jobs.sweep_findings import scores_of
from anc_core.jobs.sweep_grid import SweepCell, parse_grid
from anc_core.jobs.sweep_records import Outcome, SweepRow
from anc_core.jobs.sweep_views import MAX_TROUBLES, page_views
from anc_core.records import Status

DEFAULT_STEP, DEFAULT_TAPS = 0.4, 24


def row(cell: SweepCell, level_db: float, **more: Any) -> SweepRow:
    return SweepRow(
        key="k",
        recording="a",
        status=Status.OK,
        cell=cell,
        num_taps=cell.num_taps or DEFAULT_TAPS,
        step_size=cell.step_size or DEFAULT_STEP,
        steady_cancellation_db=level_db,
        **{"outcome": Outcome.OK, **more},
    )


def views_of(cells: tuple[SweepCell, ...], rows: list[SweepRow]) -> dict[str, Any]:
    return page_views(cells, rows, scores_of(rows))


def test_a_heat_map_is_in_the_order_of_the_numbers_that_were_used() -> None:
    cells = parse_grid(
        {"step_size": [0.6, 0.05, "default"], "num_taps": [32, "default", 16]}
    ).cells()
    done = [
        row(c, 10 * (c.step_size or DEFAULT_STEP) + (c.num_taps or DEFAULT_TAPS)) for c in cells
    ]
    (heatmap,) = views_of(cells, done)["heatmaps"]
    assert heatmap["columns"] == ["16", "24 (default)", "32"]
    assert [line["label"] for line in heatmap["rows"]] == ["0.05", "0.4 (default)", "0.6"]
    levels = [[score["median_db"] for score in line["scores"]] for line in heatmap["rows"]]
    assert levels == [[16.5, 24.5, 32.5], [20.0, 28.0, 36.0], [22.0, 30.0, 38.0]]


def test_a_setting_that_was_nowhere_simulated_is_a_gap_behind_the_others() -> None:
    cells = parse_grid({"step_size": ["default", 0.1]}).cells()
    done = [row(cell, 5.0) for cell in cells if cell.step_size]
    (heatmap,) = views_of(cells, done)["heatmaps"]
    assert [line["label"] for line in heatmap["rows"]] == ["0.1", "default"]
    assert heatmap["rows"][1]["scores"] == [None]


def test_mismatch_and_delay_are_shown_at_the_best_setting_of_each_algorithm() -> None:
    cells = parse_grid(
        {
            "algorithm": ["fxnlms", "fxlog"],
            "step_size": [0.1, 0.2],
            "io_delay": [0, 4],
            "mismatch": {"gain_db": [-6, 6]},
        }
    ).cells()
    best = {"fxnlms": 0.2, "fxlog": 0.1}

    def level_db(cell: SweepCell) -> float:
        right = 20.0 if cell.step_size == best[cell.algorithm] else 10.0
        return right - abs(cell.gain_db) - cell.io_delay

    done = [row(cell, level_db(cell), wiener_db=30.0 - cell.io_delay) for cell in cells]
    found = views_of(cells, done)
    (gain,) = found["mismatches"]
    assert (gain["key"], gain["algorithms"]) == ("gain_db", ["fxnlms", "fxlog"])
    assert gain["settings"] == ["step 0.2, 24 taps", "step 0.1, 24 taps"]
    medians = {
        line["value"]: [score["median_db"] for score in line["scores"]] for line in gain["rows"]
    }
    assert medians == {-6.0: [14.0, 14.0], 0.0: [20.0, 20.0], 6.0: [14.0, 14.0]}
    delays = found["delays"]
    assert [(line["value"], line["bound"]) for line in delays["rows"]] == [(0, 30.0), (4, 26.0)]
    assert [line["scores"][0]["median_db"] for line in delays["rows"]] == [20.0, 16.0]
    assert (found["has_conditions"], found["top_db"]) == (True, 30.0)


def test_a_bound_of_0_db_is_a_bound() -> None:
    cells = parse_grid({"io_delay": [0, 4]}).cells()
    done = [row(cell, 0.0, wiener_db=0.0) for cell in cells]
    assert [line["bound"] for line in views_of(cells, done)["delays"]["rows"]] == [0.0, 0.0]


def test_axes_of_one_value_are_not_shown() -> None:
    cells = parse_grid({"step_size": [0.1, 0.2]}).cells()
    found = views_of(cells, [row(cell, 5.0) for cell in cells])
    assert (found["mismatches"], found["delays"]) == ([], None)
    assert found["has_conditions"] is False


def test_the_worst_troubles_come_first_and_the_list_has_an_end() -> None:
    steps = [index / 100 for index in range(1, MAX_TROUBLES + 6)]
    cells = parse_grid({"step_size": steps, "mismatch": {"gain_db": 6}}).cells()
    done = [row(cell, -2.0, outcome=Outcome.TRIPPED) for cell in cells[:-2]]
    done += [row(cells[-2], -2.0, outcome=Outcome.LOUDER)]
    done += [row(cells[-1], -30.0, outcome=Outcome.DIVERGED)]
    found = views_of(cells, done)
    first, second, third = (line["score"]["cell"] for line in found["troubles"][:3])
    assert (first, second) == (cells[-1].model_dump(), cells[-2].model_dump())
    # Among those that only tripped, what did so with a right estimate comes first.
    assert third["gain_db"] == 0.0
    assert len(found["troubles"]) == MAX_TROUBLES
    assert found["num_troubled_settings"] == found["num_troubles"] == len(cells)


@pytest.mark.parametrize("level_db", [-30.0, 0.0])
def test_the_scale_of_colours_never_collapses(level_db: float) -> None:
    cells = parse_grid({}).cells()
    assert views_of(cells, [row(cells[0], level_db)])["top_db"] == 1.0
    assert page_views(cells, [], {})["top_db"] == 1.0


def test_silent_recordings_are_named_once() -> None:
    cells = parse_grid({"step_size": [0.1, 0.2]}).cells()
    silent = [
        row(cell, 0.0, outcome=Outcome.UNMEASURED).model_copy(
            update={"steady_cancellation_db": None}
        )
        for cell in cells
    ]
    assert views_of(cells, silent)["unmeasured"] == ["a"]
