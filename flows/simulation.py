"""Sweep a grid of ANC settings over a folder of recordings as a Prefect flow.

``simulate_anc_sweep`` reads: plan the sweep -> run its shards, each on a worker process -> put the
rows together -> publish what was found. Rows are kept on disk cell by cell, so a task that is
tried again, and a flow that is run again after it was killed, do only what is missing.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from prefect import flow, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture, wait
from prefect.runtime import flow_run, task_run
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.utilities.annotations import quote

from anc_core.jobs.pool import PoolStoppedError, WorkerPool, available_workers
from anc_core.jobs.shards import cut_shards
from anc_core.jobs.sweep import run_on_pool, sweep_workers, without_kept
from anc_core.jobs.sweep_conclusion import conclude_sweep, describe_counts, describe_robust
from anc_core.jobs.sweep_grid import SweepGrid, path_files
from anc_core.jobs.sweep_plan import plan_sweep
from anc_core.jobs.sweep_records import (
    AlgorithmSummary,
    Score,
    SweepPlan,
    SweepRequest,
    SweepResult,
    SweepRow,
    SweepUnit,
)
from anc_core.records import Status
from anc_core.reports.wording import inert
from anc_core.settings import Settings
from flows.artifacts import MAX_TABLE_ROWS, UPDATE_EVERY_S, CellsArtifact
from flows.common import logged, logger, retry_options
from flows.forms import form


class _SweepRunner(ThreadPoolTaskRunner[Any]):
    """A thread for every worker process; the number is read when the flow starts."""

    def duplicate(self) -> _SweepRunner:
        return _SweepRunner(max_workers=available_workers(Settings.load().workers))


@dataclass(slots=True, kw_only=True)
class _Running:
    """A sweep at work in this process; tasks find it by its id, so no task carries it."""

    plan: SweepPlan
    shards: Sequence[tuple[SweepUnit, ...]]
    pool: WorkerPool
    settings: Settings
    lock: threading.Lock = field(default_factory=threading.Lock)
    finished: int = 0
    """Cells, those of earlier runs included."""

    def count(self, cells: int) -> None:
        with self.lock:
            self.finished += cells


_RUNNING: dict[str, _Running] = {}


def _sweep_name() -> str:
    folder = Path(str(flow_run.get_parameters().get("folder", "?"))).name
    return f"sweep ANC settings on {folder}"


@flow(
    name="simulate-anc-sweep",
    flow_run_name=_sweep_name,
    task_runner=cast("Any", _SweepRunner()),
    validate_parameters=True,
)
@form(
    titles={
        "primary": "Primary path",
        "secondary": "Secondary path",
        "estimate": "Estimate of the secondary path",
        "path_rate": "Rate of the paths (Hz)",
    }
)
def simulate_anc_sweep(
    folder: Path,
    output_dir: Path,
    grid: SweepGrid,
    primary: str | None = None,
    secondary: str | None = None,
    estimate: str | None = None,
    variable: str | None = None,
    path_rate: int | None = None,
    filter_bank: str | None = None,
    recursive: bool = True,
    max_files: int | None = None,
) -> SweepResult:
    """Simulate ANC with every setting of a grid on every recording of a folder.

    Args:
        folder: Recordings of noise.
        output_dir: Gets results.csv, results.parquet, sweep.json, index.html and rows/.
        grid: Algorithms, step sizes, taps, delays and mismatches, as in the TOML file.
        primary: Path from noise to error microphone; empty takes that of the grid.
        secondary: Path from loudspeaker to error microphone; empty takes that of the grid.
        estimate: What the controller believes of it; empty is the truth.
        variable: Of MAT files that are named without one.
        path_rate: Hz, for files that do not say their rate.
        filter_bank: Fixed filters for sfanc; empty takes that of the grid.
        recursive: Search the subfolders.
        max_files: Only so many recordings, drawn with a fixed seed; empty takes all.

    Returns
    -------
    The best settings and the counts, which add up. Cells and recordings that failed are rows with
    their error code, and the run ends as Completed with the name CompletedWithErrors.
    """
    started = time.monotonic()
    settings = Settings.load()
    request = SweepRequest(
        folder=folder,
        output_dir=output_dir,
        grid=grid,
        paths=path_files(
            grid,
            primary=primary,
            secondary=secondary,
            estimate=estimate,
            variable=variable,
            path_rate=path_rate,
            filter_bank=filter_bank,
        ),
        recursive=recursive,
        max_files=max_files,
    )
    options = retry_options(settings)
    plan = plan_sweep_task.with_options(**options)(request)
    rows, workers = _simulate(plan, settings)
    wall_s = time.monotonic() - started
    # Quoted: Prefect would look into every row for futures.
    collect: Any = collect_sweep.with_options(**options)
    result: SweepResult = collect(quote(plan), quote(rows), workers, wall_s)
    publish: Any = publish_sweep.with_options(**options)
    publish(quote(result))
    return _ended(result)


@task(
    name="plan-sweep", task_run_name="plan the sweep", cache_policy=NO_CACHE, persist_result=False
)
@logged
def plan_sweep_task(request: SweepRequest) -> SweepPlan:
    """Find the recordings, read the paths, set apart what is done; write nothing."""
    return plan_sweep(request, Settings.load())


def _shard_name() -> str:
    parameters = task_run.get_parameters()
    running = _RUNNING.get(parameters.get("sweep_id", ""))
    index = int(parameters.get("index", 0))
    if running is None:
        return f"shard {index + 1}"
    cells = sum(len(unit.cells) for unit in running.shards[index])
    return f"shard {index + 1} of {len(running.shards)}: {cells} cells"


@task(name="simulate-shard", task_run_name=_shard_name, cache_policy=NO_CACHE, persist_result=False)
@logged
def simulate_shard(sweep_id: str, index: int) -> tuple[SweepRow, ...]:
    """Simulate the cells of one shard in a worker process; a repetition does what is missing."""
    running = _RUNNING.get(sweep_id)
    if running is None:
        msg = f"{sweep_id} was stopped before this shard began"
        raise PoolStoppedError(msg)
    setup, is_repeated = running.plan.setup, task_run.get_run_count() > 1
    rows: list[SweepRow] = []
    for planned in running.shards[index]:
        kept, unit = without_kept(setup, planned) if is_repeated else ((), planned)
        rows += (*kept, *run_on_pool(running.pool, setup, unit, running.settings))
        running.count(len(planned.cells))
    for row in rows:
        if row.status is Status.FAILED:
            logger().error("%s: %s %s", row.recording, row.error_code, row.reason)
    return tuple(rows)


@task(
    name="collect-sweep",
    task_run_name="put the rows together",
    cache_policy=NO_CACHE,
    persist_result=False,
)
@logged
def collect_sweep(
    plan: SweepPlan, rows: Sequence[SweepRow], workers: int, wall_s: float
) -> SweepResult:
    """Write the tables, the record and the page."""
    return conclude_sweep(plan, rows, workers=workers, wall_s=wall_s)


@task(
    name="publish-sweep",
    task_run_name="publish the sweep",
    cache_policy=NO_CACHE,
    persist_result=False,
)
@logged
def publish_sweep(result: SweepResult) -> None:
    """Show in Prefect what was found."""
    words = describe_counts(result)
    lines = [_line(algorithm) for algorithm in result.algorithms]
    create_table_artifact(lines[:MAX_TABLE_ROWS], key="anc-sweep-algorithms", description=words)
    create_markdown_artifact(sweep_markdown(result), key="anc-sweep", description=words)
    if result.page_path is not None:
        uri = Path(result.page_path).absolute().as_uri()
        create_link_artifact(uri, "page of the sweep", key="anc-sweep-page", description=words)


def _simulate(plan: SweepPlan, settings: Settings) -> tuple[list[SweepRow], int]:
    """Run the shards and show their progress; return their rows and the number of workers."""
    workers = sweep_workers(plan, settings)
    if not plan.units:
        return [], workers
    with _at_work(plan, workers, settings) as (sweep_id, running):
        progress = CellsArtifact(plan.planned, running.finished)
        options = retry_options(settings)
        futures: list[PrefectFuture[tuple[SweepRow, ...]]] = [
            simulate_shard.with_options(**options).submit(sweep_id, index)
            for index in range(len(running.shards))
        ]
        pending = set(futures)
        while pending:
            pending = set(wait(list(pending), timeout=UPDATE_EVERY_S).not_done)
            progress.update(running.finished, final=not pending)
        return [row for future in futures for row in future.result()], workers


@contextmanager
def _at_work(plan: SweepPlan, workers: int, settings: Settings) -> Iterator[tuple[str, _Running]]:
    sweep_id = uuid.uuid4().hex
    shards = cut_shards(plan.units, shard_s=settings.shard_s, workers=workers)
    with WorkerPool(workers) as pool:
        _RUNNING[sweep_id] = running = _Running(
            plan=plan, shards=shards, pool=pool, settings=settings, finished=len(plan.done)
        )
        try:
            yield sweep_id, running
        finally:
            del _RUNNING[sweep_id]


# --------------------------------------------------------------------------- words


def sweep_markdown(result: SweepResult) -> str:
    """Return the summary page; text from file names is inert in it."""
    lines = [f"## {describe_counts(result)}", "", f"- recordings: {inert(result.folder)}"]
    if (best := result.best) is not None and best.median_db is not None:
        lines.append(
            f"- best: {best.cell.algorithm}, step {best.step_size:g}, {best.num_taps} taps: "
            f"{best.median_db:.1f} dB in the median"
        )
    if (robust := describe_robust(result)) is not None:
        lines.append(f"- {robust}")
    if result.page_path is not None:
        uri = Path(result.page_path).absolute().as_uri()
        lines.append(f"- [page]({uri}): {inert(result.page_path)}")
    tables = (result.csv_path, result.parquet_path, result.json_path, result.parquet_reason)
    lines += [f"- {inert(text)}" for text in tables if text is not None]
    if result.failures:
        lines += ["", "### Failed", "", "| recording | what happened |", "|---|---|"]
        lines += [
            f"| {inert(row.recording)} | {row.error_code}: {inert(row.reason or '')} |"
            for row in result.failures[:MAX_TABLE_ROWS]
        ]
    return "\n".join(lines)


def _line(summary: AlgorithmSummary) -> dict[str, Any]:
    counts = {name: summary[name] for name in ("cells", "tripped", "louder", "diverged", "failed")}
    return {"algorithm": summary.algorithm, **_best_figures(summary.best), **counts}


def _best_figures(best: Score | None) -> dict[str, Any]:
    if best is None:
        return {}
    figures = {
        "median dB": best.median_db,
        "worst dB": best.worst_db,
        "bound dB": best.bound_db,
        "gap dB": best.gap_db,
        "converged s": best.convergence_s,
    }
    shown = {name: None if value is None else round(value, 2) for name, value in figures.items()}
    return {"best step": best.step_size, "taps": best.num_taps, **shown}


def _ended(result: SweepResult) -> SweepResult:
    """Return a state that tells more than "Completed" where something failed."""
    if not result.failed and not result.failed_recordings:
        return result
    words = describe_counts(result)
    return cast("SweepResult", Completed(name="CompletedWithErrors", message=words, data=result))
