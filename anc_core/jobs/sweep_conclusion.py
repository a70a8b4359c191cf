"""The end of a sweep: rows put together, counted, and written as tables, record and page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from anc_core.files import printable, write_text_atomic
from anc_core.jobs.sweep_findings import (
    best_by_recording,
    best_score,
    is_usual,
    most_robust,
    scores_of,
    summarise_algorithms,
)
from anc_core.jobs.sweep_records import Outcome, SweepPlan, SweepResult, SweepRow
from anc_core.jobs.sweep_tables import rows_csv, sort_key, write_parquet
from anc_core.jobs.sweep_views import page_views
from anc_core.records import Status

MAX_FAILURES = 200
"""In the record; all are in the tables."""


def conclude_sweep(
    plan: SweepPlan,
    rows: Sequence[SweepRow],
    *,
    workers: int = 0,
    wall_s: float = 0.0,
    dry_run: bool = False,
) -> SweepResult:
    """Write ``results.csv``, ``results.parquet``, ``sweep.json`` and ``index.html``.

    Parameters
    ----------
    plan : SweepPlan
    rows : sequence of SweepRow
        What this run simulated; those of earlier runs are in the plan.
    workers : int
    wall_s : float
        Duration of the work.
    dry_run : bool
        Write nothing.

    Returns
    -------
    SweepResult
        Counts that add up, the best settings, and where the files are.

    Raises
    ------
    SinkError
        NO_SPACE or NOT_WRITABLE.
    """
    every = _every_row(plan, rows)
    request, acoustics = plan.request, plan.setup.acoustics
    scores = scores_of(every)
    cells_done = [row for row in every if row.cell is not None]
    broken = [row for row in every if row.cell is None]
    names = [recording.name for recording in plan.recordings]
    num_cells = len(plan.cells)
    ok = sum(row.status is Status.OK for row in cells_done)
    result = SweepResult(
        folder=printable(request.folder),
        created_at=datetime.now(UTC),
        paths=request.paths,
        sample_rate=acoustics.sample_rate,
        grid=request.grid.model_dump(mode="json", exclude={"paths"}),
        recordings=len(plan.recordings) + len(plan.broken),
        failed_recordings=len(broken),
        left_out=plan.left_out,
        planned=num_cells * (len(plan.recordings) + len(plan.broken)),
        ok=ok,
        failed=0 if dry_run else len(cells_done) - ok + num_cells * len(broken),
        resumed=len(plan.done),
        outcomes=dict(Counter(row.outcome.value for row in cells_done if row.outcome)),
        best=best_score(score for cell, score in scores.items() if is_usual(cell, plan.cells)),
        robust=most_robust(scores.values()),
        algorithms=summarise_algorithms(plan.cells, cells_done, scores),
        best_by_recording=() if dry_run else best_by_recording(names, plan.cells, cells_done),
        failures=tuple(row for row in every if row.status is Status.FAILED)[:MAX_FAILURES],
        remarks=acoustics.remarks,
        estimated_s=plan.estimated_s,
        workers=workers,
        wall_s=wall_s,
        cpu_s=sum(row.cpu_s for row in rows),
        nothing_to_do=not plan.recordings and not plan.broken,
        dry_run=dry_run,
    )
    if dry_run or result.nothing_to_do:
        return result
    return _written(plan, result, every)


def describe_counts(result: SweepResult) -> str:
    """Return the counts of a sweep in one line of words."""
    if result.nothing_to_do:
        return "nothing to simulate: no recording was found"
    noun = "recording" if result.recordings == 1 else "recordings"
    troubles = [f"{n} {name}" for name, n in result.outcomes.items() if name != Outcome.OK]
    of_these = f" (of these {', '.join(troubles)})" if troubles else ""
    failed = f", {result.failed} failed" if result.failed else ""
    resumed = f", {result.resumed} from an earlier run" if result.resumed else ""
    return (
        f"{result.planned} cells on {result.recordings} {noun}: "
        f"{result.ok} ok{of_these}{failed}{resumed}"
    )


def describe_robust(result: SweepResult) -> str | None:
    """Return in a line which setting holds up best; ``None`` where there is no such finding."""
    found = result.robust
    if found is None or found.median_db is None:
        return None
    cell = found.cell
    errors = ((cell.gain_db, "dB"), (cell.delay_samples, "samples"), (cell.phase_deg, "degrees"))
    wrong = ", ".join(f"{value:+g} {unit}" for value, unit in errors if value) or "nothing"
    return (
        f"holds up best: {cell.algorithm}, step {found.step_size:g}, {found.num_taps} taps: "
        f"{found.median_db:.1f} dB at its worst (estimate wrong by {wrong}, "
        f"{cell.io_delay} samples of delay)"
    )


def _every_row(plan: SweepPlan, rows: Sequence[SweepRow]) -> list[SweepRow]:
    """Return all rows in order; a recording that turned out to be bad has one row and no cells."""
    bad = {row.recording: row for row in (*plan.broken, *rows) if row.cell is None}
    good = [row for row in (*plan.done, *rows) if row.cell is not None and row.recording not in bad]
    return sorted((*bad.values(), *good), key=sort_key)


def _written(plan: SweepPlan, result: SweepResult, rows: Sequence[SweepRow]) -> SweepResult:
    from anc_core.reports.sweep_page import write_sweep_page

    folder = plan.request.output_dir
    csv_path, json_path = folder / "results.csv", folder / "sweep.json"
    parquet_path, page_path = folder / "results.parquet", folder / "index.html"
    write_text_atomic(csv_path, rows_csv(rows))
    reason = write_parquet(parquet_path, rows)
    paths: dict[str, Any] = {
        "csv_path": printable(csv_path),
        "json_path": printable(json_path),
        "page_path": printable(page_path),
        "parquet_path": None if reason else printable(parquet_path),
        "parquet_reason": reason,
    }
    result = result.model_copy(update=paths)
    views = page_views(plan.cells, rows, scores_of(rows))
    write_sweep_page(page_path, result.model_dump(), views)
    write_text_atomic(json_path, result.to_json(indent=2))
    return result
