"""What the page of a sweep shows beside its tables: attenuation against two settings at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from anc_core.jobs.sweep_findings import (
    best_score,
    is_usual,
    unique,
    usual_delay,
    usual_mismatch,
)
from anc_core.jobs.sweep_grid import SweepCell
from anc_core.jobs.sweep_records import Outcome, Score, SweepRow

MAX_TROUBLES = 20
"""Settings on the page; it is read from the top, and all are in the tables."""

_AXES = (
    ("gain_db", "gain error", "dB"),
    ("delay_samples", "delay error", "samples"),
    ("phase_deg", "phase error", "°"),
)

_TROUBLES = frozenset({Outcome.DIVERGED, Outcome.LOUDER, Outcome.TRIPPED})

View = dict[str, Any]


def page_views(
    cells: Sequence[SweepCell], rows: Sequence[SweepRow], scores: Mapping[SweepCell, Score]
) -> View:
    """Return the tables of the page as plain values.

    Returns
    -------
    dict
        ``heatmaps`` (one for each algorithm, step sizes by filter lengths), ``mismatches`` (one
        for each kind of error that has more than one value), ``delays``, ``troubles`` (settings
        with which something went wrong, and on which recordings; the worst first), ``top_db``
        (the largest value of all of them, for one scale of colours).
    """
    algorithms = unique(cell.algorithm for cell in cells)
    best = {
        name: best_score(
            score
            for cell, score in scores.items()
            if cell.algorithm == name and is_usual(cell, cells)
        )
        for name in algorithms
    }
    heatmaps = [_heatmap(name, cells, scores) for name in algorithms]
    mismatches = [
        view for axis in range(len(_AXES)) if (view := _mismatch(axis, cells, scores, best))
    ]
    delays = _delays(cells, scores, best)
    troubles = _troubles(cells, rows, scores)
    values = [score.median_db for score in scores.values() if score.median_db is not None]
    bounds = [score.bound_db for score in scores.values() if score.bound_db is not None]
    return {
        "heatmaps": heatmaps,
        "mismatches": mismatches,
        "delays": delays,
        "troubles": troubles[:MAX_TROUBLES],
        "num_troubled_settings": len(troubles),
        "num_troubles": sum(len(line["recordings"]) for line in troubles),
        "num_recordings": len({row.recording for row in rows if row.cell is not None}),
        "top_db": max([1.0, *values, *bounds]),
        "has_conditions": len({(cell.mismatch, cell.io_delay) for cell in cells}) > 1,
        "usual_mismatch": usual_mismatch(cells),
        "usual_delay": usual_delay(cells),
        "unmeasured": unique(row.recording for row in rows if row.outcome is Outcome.UNMEASURED),
    }


def _troubles(
    cells: Sequence[SweepCell], rows: Sequence[SweepRow], scores: Mapping[SweepCell, Score]
) -> list[View]:
    """Return settings with trouble; what goes wrong with a right estimate comes before the rest."""
    on: dict[SweepCell, list[str]] = {}
    for row in rows:
        if row.cell is not None and row.outcome in _TROUBLES:
            on.setdefault(row.cell, []).append(row.recording)

    def order(cell: SweepCell) -> tuple[int, int, bool, int]:
        score = scores[cell]
        return -score.diverged, -score.louder, not is_usual(cell, cells), -score.tripped

    return [
        {"score": scores[cell].model_dump(), "recordings": on[cell]}
        for cell in sorted(on, key=order)
    ]


def _heatmap(name: str, cells: Sequence[SweepCell], scores: Mapping[SweepCell, Score]) -> View:
    """Return attenuation by step size (rows) and filter length (columns)."""
    usual = [cell for cell in cells if cell.algorithm == name and is_usual(cell, cells)]
    at = {(cell.step_size, cell.num_taps): scores.get(cell) for cell in usual}
    known = [score for score in at.values() if score is not None]
    # A default stands where its number belongs; behind the others where nothing tells it.
    used_taps = {score.cell.num_taps: score.num_taps for score in known}
    used_step = {score.cell.step_size: score.step_size for score in known}
    lengths = sorted({c.num_taps for c in usual}, key=lambda n: used_taps.get(n) or n or math.inf)
    steps = sorted({c.step_size for c in usual}, key=lambda x: used_step.get(x) or x or math.inf)
    bounds = {
        taps: next(
            (s.bound_db for s in known if s.cell.num_taps == taps and s.bound_db is not None), None
        )
        for taps in lengths
    }
    return {
        "algorithm": name,
        "columns": [_label(taps, used_taps.get(taps)) for taps in lengths],
        "bounds": [bounds[taps] for taps in lengths],
        "rows": [
            {
                "label": _label(step, used_step.get(step)),
                "scores": [_dump(at.get((step, taps))) for taps in lengths],
            }
            for step in steps
        ],
    }


def _label(asked: float | None, used: float | None) -> str:
    if asked is not None:
        return f"{asked:g}"
    return "default" if used is None else f"{used:g} (default)"


def _mismatch(
    axis: int,
    cells: Sequence[SweepCell],
    scores: Mapping[SweepCell, Score],
    best: Mapping[str, Score | None],
) -> View | None:
    """Return attenuation by the size of one error (rows) and algorithm, each at its best."""
    usual, delay = usual_mismatch(cells), usual_delay(cells)

    def only_this(cell: SweepCell) -> bool:
        others = (place for place in range(len(_AXES)) if place != axis)
        return cell.io_delay == delay and all(cell.mismatch[p] == usual[p] for p in others)

    key, title, unit = _AXES[axis]
    view = _against(lambda cell: cell.mismatch[axis], only_this, cells, scores, best)
    return None if view is None else {"key": key, "title": title, "unit": unit, **view}


def _delays(
    cells: Sequence[SweepCell],
    scores: Mapping[SweepCell, Score],
    best: Mapping[str, Score | None],
) -> View | None:
    usual = usual_mismatch(cells)
    return _against(
        lambda cell: cell.io_delay, lambda cell: cell.mismatch == usual, cells, scores, best
    )


def _against(
    value_of: Callable[[SweepCell], float],
    belongs: Callable[[SweepCell], bool],
    cells: Sequence[SweepCell],
    scores: Mapping[SweepCell, Score],
    best: Mapping[str, Score | None],
) -> View | None:
    """Return rows of one value each and a column for each algorithm at its best setting."""
    names = [name for name, score in best.items() if score is not None]
    shown: dict[tuple[float, str], Score | None] = {}
    values: set[float] = set()
    for cell in cells:
        score = best.get(cell.algorithm)
        if score is None or not belongs(cell):
            continue
        if (cell.step_size, cell.num_taps) == (score.cell.step_size, score.cell.num_taps):
            values.add(value_of(cell))
            shown[value_of(cell), cell.algorithm] = scores.get(cell)
    if len(values) < 2:
        return None
    bounds = {
        value: next(
            (
                s.bound_db
                for name in names
                if (s := shown.get((value, name))) is not None and s.bound_db is not None
            ),
            None,
        )
        for value in values
    }
    return {
        "algorithms": names,
        "settings": [_setting(best[name]) for name in names],
        "rows": [
            {
                "value": value,
                "bound": bounds[value],
                "scores": [_dump(shown.get((value, name))) for name in names],
            }
            for value in sorted(values)
        ],
    }


def _setting(score: Score | None) -> str:
    if score is None or score.step_size is None:
        return ""
    return f"step {score.step_size:g}, {score.num_taps} taps"


def _dump(score: Score | None) -> View | None:
    return None if score is None else score.model_dump()
