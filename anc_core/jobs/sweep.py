"""Simulate ANC with every setting of a grid on every recording of a folder.

``plan_sweep`` -> ``run_unit`` for each unit, in worker processes -> ``conclude_sweep``; the command
line and the flow share these steps. A unit is the cells that share a recording, a filter length
and a delay: the noise is read and the limit computed once for all of them.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from anc_core.errors import SourceChangedError, TransientError
from anc_core.jobs.pool import WorkerPool, available_workers
from anc_core.jobs.sweep_conclusion import conclude_sweep
from anc_core.jobs.sweep_grid import SweepCell
from anc_core.jobs.sweep_plan import plan_sweep, split_done
from anc_core.jobs.sweep_records import (
    SweepPlan,
    SweepRequest,
    SweepResult,
    SweepRow,
    SweepSetup,
    SweepUnit,
)
from anc_core.jobs.sweep_rows import failed_row, load_rows, row_key
from anc_core.jobs.sweep_unit import run_unit
from anc_core.settings import Settings

_log = logging.getLogger(__name__)

_POLL_S = 0.25
_MAX_BARREN = 2


def sweep_workers(plan: SweepPlan, settings: Settings) -> int:
    """Return how many worker processes the work deserves: each takes 2 s to start."""
    return max(
        1,
        min(
            available_workers(settings.workers),
            len(plan.units),
            math.ceil(plan.estimated_s / 2.0),
        ),
    )


def run_sweep(
    request: SweepRequest,
    settings: Settings,
    *,
    dry_run: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> SweepResult:
    """Sweep without Prefect: the same plan, the same rows, the same files.

    Parameters
    ----------
    request : SweepRequest
    settings : Settings
        Allowed folders, workers, retries.
    dry_run : bool
        Count and estimate, write nothing.
    on_progress : callable, optional
        Gets (cells done, cells planned), those of earlier runs included.

    Raises
    ------
    InputError, SourceError, SinkError
        As :func:`anc_core.jobs.sweep_plan.plan_sweep` and
        :func:`anc_core.jobs.sweep_conclusion.conclude_sweep`.
    """
    started = time.monotonic()
    plan = plan_sweep(request, settings)
    workers = sweep_workers(plan, settings)
    if dry_run:
        return conclude_sweep(plan, (), workers=workers, dry_run=True)
    rows: list[SweepRow] = []
    finished = len(plan.done)
    for unit, some in _run_in_pool(plan, workers, settings):
        rows += some
        finished += len(unit.cells)
        if on_progress is not None:
            on_progress(finished, plan.planned)
    return conclude_sweep(plan, rows, workers=workers, wall_s=time.monotonic() - started)


def _run_in_pool(
    plan: SweepPlan, workers: int, settings: Settings
) -> Iterator[tuple[SweepUnit, tuple[SweepRow, ...]]]:
    if not plan.units:
        return
    # The pool is stopped first, so that no thread is left waiting for a worker.
    with ThreadPoolExecutor(workers) as threads, WorkerPool(workers) as pool:
        waiting: dict[Future[tuple[SweepRow, ...]], SweepUnit] = {
            threads.submit(run_on_pool, pool, plan.setup, unit, settings): unit
            for unit in plan.units
        }
        while waiting:
            done, _ = wait(waiting, timeout=_POLL_S, return_when=FIRST_COMPLETED)
            for future in done:
                yield waiting.pop(future), future.result()


def run_on_pool(
    pool: WorkerPool, setup: SweepSetup, unit: SweepUnit, settings: Settings
) -> tuple[SweepRow, ...]:
    """Run a unit in a worker process; a worker that dies twice at a cell costs that cell.

    Raises
    ------
    PoolStoppedError
        If the pool was stopped.
    SinkError
        If rows cannot be kept.
    """
    rows: tuple[SweepRow, ...] = ()
    tries = min(settings.retries, 1) + 1
    deaths, barren = 0, 0
    while unit.cells:
        try:
            return rows + pool.run(run_unit, setup, unit)
        except SourceChangedError as err:
            return rows + _lost_rows(setup, unit, unit.cells, err)
        except TransientError as err:
            _log.warning("%s: %s", unit.recording.name, err)
            kept, unit = without_kept(setup, unit)
            rows += kept
            # Cells are done in their order: the first that is missing was at work.
            deaths, barren = (1, 0) if kept else (deaths + 1, barren)
            if deaths == tries:
                # Two cells in a row: it is the recording, and the others would only take as long.
                deaths, barren = 0, barren + 1
                count = 1 if barren < _MAX_BARREN else len(unit.cells)
                rows += _lost_rows(setup, unit, unit.cells[:count], err)
                unit = unit.model_copy(update={"cells": unit.cells[count:]})
    return rows


def without_kept(setup: SweepSetup, unit: SweepUnit) -> tuple[tuple[SweepRow, ...], SweepUnit]:
    """Return the rows of ``unit`` that are kept by now, and the unit less their cells."""
    kept, missing = split_done(unit.recording, unit.cells, setup, load_rows(setup.rows_dir))
    return tuple(kept), unit.model_copy(update={"cells": tuple(missing)})


def _lost_rows(
    setup: SweepSetup, unit: SweepUnit, cells: Sequence[SweepCell], err: TransientError
) -> tuple[SweepRow, ...]:
    """Return rows of cells that no attempt brought home; they are not kept, but tried again."""
    recording = unit.recording
    return tuple(
        failed_row(row_key(setup.base, recording.digest, cell), recording.name, err, cell)
        for cell in cells
    )
