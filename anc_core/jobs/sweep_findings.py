"""Many cells in few figures: the best setting, by algorithm, by recording, and what it costs.

Settings are compared where they can be: without mismatch (or with the first one of the grid) and
with the least delay. One setting stands for several recordings by the median of their attenuation
at the end; a run that diverged counts as the least, one without anything to cancel does not count.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import TypeVar

from anc_core.jobs.sweep_grid import SweepCell
from anc_core.jobs.sweep_records import (
    AlgorithmSummary,
    Outcome,
    RecordingBest,
    Score,
    SweepRow,
)
from anc_core.records import Status

T = TypeVar("T")
Mismatch = tuple[float, float, float]

NO_MISMATCH: Mismatch = (0.0, 0.0, 0.0)


def usual_mismatch(cells: Sequence[SweepCell]) -> Mismatch:
    """Return the mismatch at which settings are compared: none, if the grid has that."""
    found = [cell.mismatch for cell in cells]
    return NO_MISMATCH if NO_MISMATCH in found or not found else found[0]


def usual_delay(cells: Sequence[SweepCell]) -> int:
    """Return the delay at which settings are compared: the least of the grid."""
    return min((cell.io_delay for cell in cells), default=0)


def is_usual(cell: SweepCell, cells: Sequence[SweepCell]) -> bool:
    """Return whether ``cell`` has the mismatch and the delay at which settings are compared."""
    return cell.mismatch == usual_mismatch(cells) and cell.io_delay == usual_delay(cells)


def by_cell(rows: Iterable[SweepRow]) -> dict[SweepCell, list[SweepRow]]:
    """Return the simulated rows of each cell, failed ones left out."""
    found: dict[SweepCell, list[SweepRow]] = {}
    for row in rows:
        if row.cell is not None and row.status is Status.OK:
            found.setdefault(row.cell, []).append(row)
    return found


def scores_of(rows: Iterable[SweepRow]) -> dict[SweepCell, Score]:
    """Return one line for each setting."""
    return {cell: _score(cell, some) for cell, some in by_cell(rows).items()}


def _score(cell: SweepCell, rows: Sequence[SweepRow]) -> Score:
    counted = [row for row in rows if row.outcome is not Outcome.UNMEASURED]
    levels = [_level(row) for row in counted]
    bands = [x for row in counted if (x := row.worst_band_amplification_db) is not None]
    counts = {
        name: sum(row.outcome is outcome for row in rows)
        for name, outcome in (
            ("tripped", Outcome.TRIPPED),
            ("louder", Outcome.LOUDER),
            ("diverged", Outcome.DIVERGED),
        )
    }
    return Score(
        cell=cell,
        num_taps=rows[0].num_taps,
        step_size=rows[0].step_size,
        recordings=len(counted),
        median_db=_finite(median(levels)) if levels else None,
        worst_db=_finite(min(levels)) if levels else None,
        a_weighted_db=_median(row.steady_a_weighted_db for row in counted),
        bound_db=_median(row.wiener_db for row in counted),
        gap_db=_median(row.wiener_gap_db for row in counted),
        worst_band_db=max(bands, default=None),
        convergence_s=_median(row.convergence_s for row in counted),
        **counts,
    )


def _level(row: SweepRow) -> float:
    if row.outcome is Outcome.DIVERGED or row.steady_cancellation_db is None:
        return -math.inf
    return row.steady_cancellation_db


def _or_least(value: float | None) -> float:
    return -math.inf if value is None else value


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def best_score(scores: Iterable[Score]) -> Score | None:
    """Return the setting with the largest median among those measured on the most recordings."""
    usable = [score for score in scores if score.recordings and score.median_db is not None]
    if not usable:
        return None
    most = max(score.recordings for score in usable)
    return max(
        (score for score in usable if score.recordings == most),
        key=lambda score: (_or_least(score.median_db), _or_least(score.worst_db)),
    )


def most_robust(scores: Iterable[Score]) -> Score | None:
    """Return the setting whose worst condition is the best, at that condition.

    A condition is a mismatch and a delay. ``None`` where the grid has only one, or where every
    setting diverges under one of them.
    """
    found: dict[tuple[str, float | None, int | None], list[Score]] = {}
    for score in scores:
        cell = score.cell
        found.setdefault((cell.algorithm, cell.step_size, cell.num_taps), []).append(score)
    # One that could not be simulated under every condition has not been seen at its worst.
    most = max((len(some) for some in found.values()), default=0)
    worst = [
        min(some, key=lambda score: (_or_least(score.median_db), _or_least(score.worst_db)))
        for some in found.values()
        if len(some) == most > 1
    ]
    return best_score(worst)


def summarise_algorithms(
    cells: Sequence[SweepCell], rows: Sequence[SweepRow], scores: dict[SweepCell, Score]
) -> tuple[AlgorithmSummary, ...]:
    """Return one line for each algorithm, in the order of the grid."""
    return tuple(
        _summarise(
            name, cells, [row for row in rows if row.cell and row.cell.algorithm == name], scores
        )
        for name in unique(cell.algorithm for cell in cells)
    )


def _summarise(
    name: str,
    cells: Sequence[SweepCell],
    rows: Sequence[SweepRow],
    scores: dict[SweepCell, Score],
) -> AlgorithmSummary:
    usual = [
        score for cell, score in scores.items() if cell.algorithm == name and is_usual(cell, cells)
    ]
    return AlgorithmSummary(
        algorithm=name,
        best=best_score(usual),
        cells=len(rows),
        tripped=sum(row.outcome is Outcome.TRIPPED for row in rows),
        louder=sum(row.outcome is Outcome.LOUDER for row in rows),
        diverged=sum(row.outcome is Outcome.DIVERGED for row in rows),
        failed=sum(row.status is Status.FAILED for row in rows),
        cpu_s=sum(row.cpu_s for row in rows),
    )


def best_by_recording(
    names: Sequence[str], cells: Sequence[SweepCell], rows: Sequence[SweepRow]
) -> tuple[RecordingBest, ...]:
    """Return the best setting of each recording; one without trouble comes before one with it."""
    found: dict[str, list[SweepRow]] = {name: [] for name in names}
    for row in rows:
        if row.cell is not None and is_usual(row.cell, cells):
            found.setdefault(row.recording, []).append(row)
    return tuple(_best_of(name, some) for name, some in found.items())


def _best_of(name: str, rows: Sequence[SweepRow]) -> RecordingBest:
    usable = [row for row in rows if row.steady_cancellation_db is not None]
    if usable:
        best = max(usable, key=lambda row: (row.outcome is Outcome.OK, _level(row)))
        return RecordingBest(recording=name, duration_s=best.duration_s, row=best)
    reasons = [
        row.reason or row.null_reasons.get("steady_cancellation_db", "not measured") for row in rows
    ]
    return RecordingBest(
        recording=name,
        duration_s=rows[0].duration_s if rows else None,
        row=None,
        reason=reasons[0] if reasons else "not simulated",
    )


def unique(values: Iterable[T]) -> list[T]:
    """Return each value once, in the order in which they come."""
    return list(dict.fromkeys(values))
