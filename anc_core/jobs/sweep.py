"""Simulate ANC with every setting of a grid on every recording of a folder.

``plan_sweep`` -> :func:`run_unit` for each unit, in worker processes -> ``conclude_sweep``; the
command line and the flow share these steps. A unit is the cells that share a recording, a filter
length and a delay: the noise is read and the limit computed once for all of them.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import numpy as np

from anc_core.audio import open_reader
from anc_core.errors import (
    AncError,
    ErrorCode,
    InputError,
    SourceChangedError,
    SourceError,
    TransientError,
)
from anc_core.files import check_unchanged, digest_file, identify, printable
from anc_core.jobs.pool import WorkerPool, available_workers
from anc_core.jobs.scan import Found, scan
from anc_core.jobs.simulate import check_inputs_allowed
from anc_core.jobs.simulate_inputs import Acoustics, Noise, load_acoustics, load_noise
from anc_core.jobs.sweep_cell import simulate_cell
from anc_core.jobs.sweep_conclusion import conclude_sweep
from anc_core.jobs.sweep_grid import SweepCell
from anc_core.jobs.sweep_records import (
    SweepPlan,
    SweepRecording,
    SweepRequest,
    SweepResult,
    SweepRow,
    SweepSetup,
    SweepUnit,
)
from anc_core.jobs.sweep_rows import append_row, load_rows, row_key, sweep_base
from anc_core.processors.simulate import AcousticSimulator
from anc_core.records import Status
from anc_core.settings import Settings
from anc_core.version import __version__

if TYPE_CHECKING:
    from numpy.typing import NDArray

_log = logging.getLogger(__name__)

MAX_CELLS = 200_000
"""Over all recordings: their rows are held in memory when they are put together, 5 kB each."""

_ROWS = "rows"
_POLL_S = 0.25
_MAX_BARREN = 2

_MAY_PASS = frozenset({ErrorCode.PERMISSION, ErrorCode.NOT_FOUND, ErrorCode.CHANGED_DURING_READ})
"""Faults of the place, not of the content: the next run tries again."""

# Measured with a measured duct, two workers on two cores: a cell of 10 s at 16 kHz takes 0.11 s
# with 128 and 0.15 s with 1024 taps, its limit 0.04 s more, a worker 2 s to start.
_SAMPLE_S, _TAP_S, _BOUND_S, _LOAD_S = 5.2e-7, 2.5e-10, 2.5e-7, 0.05


# --------------------------------------------------------------------------- plan


def plan_sweep(request: SweepRequest, settings: Settings) -> SweepPlan:
    """Find the recordings, read the paths, and see what is done already; write nothing.

    Raises
    ------
    InputError
        If the folder is missing, the paths do not belong together, or there are too many cells.
    SourceError
        If a path cannot be read.
    SinkError
        PERMISSION: something lies outside the allowed folders.
    """
    check_inputs_allowed(request.paths, [request.folder, request.output_dir], settings)
    if not request.folder.is_dir():
        raise InputError(f"{printable(request.folder)}: is no folder")
    acoustics = load_acoustics(request.paths)
    # Says now, and not a thousand times later, that paths do not belong together.
    usual = AcousticSimulator(acoustics.sample_rate, acoustics.primary, acoustics.secondary)
    base = sweep_base(acoustics, request.grid, __version__)
    setup = SweepSetup(
        acoustics=acoustics,
        grid=request.grid,
        rows_dir=request.output_dir / _ROWS,
        base=base,
    )
    found, left_out = _found(request)
    cells = request.grid.cells()
    if len(found) * len(cells) > MAX_CELLS:
        msg = (
            f"{len(found)} recordings x {len(cells)} settings are {len(found) * len(cells)} cells, "
            f"{MAX_CELLS} are allowed; cut the grid down, or take fewer recordings (max_files)"
        )
        raise InputError(msg)
    kept = load_rows(setup.rows_dir)
    recordings: list[SweepRecording] = []
    broken: list[SweepRow] = []
    for item in found:
        known = _recording(item, request, setup)
        if isinstance(known, SweepRow):
            broken.append(known)
        elif (row := kept.get(row_key(base, known.digest, None))) is not None:
            broken.append(row.model_copy(update={"recording": known.name}))
        else:
            recordings.append(known)
    done: list[SweepRow] = []
    units: list[SweepUnit] = []
    for recording in recordings:
        rows, missing = _split_done(recording, cells, setup, kept)
        done += rows
        units += _units(recording, missing, acoustics, usual.parameters.num_taps)
    return SweepPlan(
        request=request,
        setup=setup,
        recordings=tuple(recordings),
        broken=tuple(broken),
        cells=cells,
        units=tuple(sorted(units, key=lambda unit: -unit.estimate_s)),
        done=tuple(done),
        left_out=left_out,
    )


def _found(request: SweepRequest) -> tuple[list[Found], int]:
    found = scan([request.folder], recursive=request.recursive, output_dir=request.output_dir).found
    count = request.max_files
    if count is None or count >= len(found):
        return found, 0
    chosen = np.random.default_rng(0).choice(len(found), count, replace=False)
    return [found[index] for index in sorted(chosen)], len(found) - count


def _recording(item: Found, request: SweepRequest, setup: SweepSetup) -> SweepRecording | SweepRow:
    """Return what the header tells, or the row that says why there is none."""
    name = printable(item.path.relative_to(request.folder))
    digest = None
    try:
        identity = identify(item.path)
        digest = digest_file(item.path)
        with open_reader(item.path) as reader:
            declared, rate = reader.declared_num_samples, reader.sample_rate
    except AncError as err:
        key = "" if digest is None else row_key(setup.base, digest, None)
        return _failed_row(key, name, err)
    return SweepRecording(
        path=item.path,
        name=name,
        digest=digest,
        identity=identity,
        duration_s=_simulated_s(None if declared is None else declared / rate, setup),
    )


def _simulated_s(length_s: float | None, setup: SweepSetup) -> float:
    wanted = setup.grid.recording
    limit_s = wanted.duration_s or math.inf
    rest_s = limit_s if length_s is None else min(max(length_s - wanted.start_s, 0.0), limit_s)
    return max(rest_s if math.isfinite(rest_s) else 60.0, wanted.repeat_to_s or 0.0)


def _split_done(
    recording: SweepRecording,
    cells: Sequence[SweepCell],
    setup: SweepSetup,
    kept: dict[str, SweepRow],
) -> tuple[list[SweepRow], list[SweepCell]]:
    done, missing = [], []
    for cell in cells:
        row = kept.get(row_key(setup.base, recording.digest, cell))
        if row is None:
            missing.append(cell)
        else:
            # The same content may have another name now.
            done.append(row.model_copy(update={"recording": recording.name}))
    return done, missing


def _units(
    recording: SweepRecording,
    cells: Sequence[SweepCell],
    acoustics: Acoustics,
    usual_taps: int,
) -> Iterator[SweepUnit]:
    shared: dict[tuple[int, int], list[SweepCell]] = {}
    for cell in cells:
        shared.setdefault((cell.num_taps or usual_taps, cell.io_delay), []).append(cell)
    for (num_taps, _), some in shared.items():
        yield SweepUnit(
            recording=recording,
            cells=tuple(some),
            estimate_s=_estimate_s(recording, num_taps, len(some), acoustics),
        )


def _estimate_s(
    recording: SweepRecording, num_taps: int, num_cells: int, acoustics: Acoustics
) -> float:
    mics, references, _ = acoustics.primary.shape
    _, sources, path_taps = acoustics.secondary.shape
    ways = int(mics * references * sources)
    samples = recording.duration_s * acoustics.sample_rate * ways
    cell_s = samples * (_SAMPLE_S + _TAP_S * int(num_taps + path_taps))
    return num_cells * cell_s + samples * _BOUND_S + _LOAD_S


def _failed_row(key: str, name: str, err: Exception, cell: SweepCell | None = None) -> SweepRow:
    return SweepRow(
        key=key,
        recording=name,
        status=Status.FAILED,
        error_code=_code_of(err),
        reason=str(err) if isinstance(err, AncError) else f"{type(err).__name__}: {err}",
        cell=cell,
    )


def _code_of(err: Exception) -> ErrorCode:
    if isinstance(err, InputError):
        return ErrorCode.BAD_PARAMETER
    if isinstance(err, MemoryError):
        return ErrorCode.OUT_OF_MEMORY
    code = getattr(err, "code", None)
    return code if isinstance(code, ErrorCode) else ErrorCode.INTERNAL


# --------------------------------------------------------------------------- work


def run_unit(setup: SweepSetup, unit: SweepUnit) -> tuple[SweepRow, ...]:
    """Simulate the cells of one unit; each row is kept before the next cell begins.

    Returns
    -------
    tuple of SweepRow
        One for each cell, or a single one without a cell that says why the recording is of no use.

    Raises
    ------
    SourceChangedError
        If the recording is not the one that was planned.
    SinkError
        If rows cannot be kept.
    """
    recording = unit.recording
    try:
        noise = _load(setup, recording)
    except TransientError:
        raise
    except Exception as err:  # noqa: BLE001 - one bad recording never stops the rest
        return (_useless(setup, recording, err),)
    rows = []
    wiener_error: NDArray[np.float32] | None = None
    for cell in unit.cells:
        row, wiener_error = _run_cell(setup, recording, noise, cell, wiener_error)
        rows.append(row)
    return tuple(rows)


def _useless(setup: SweepSetup, recording: SweepRecording, err: Exception) -> SweepRow:
    """Return the row of a recording that cannot be read; kept if its content is the reason."""
    row = _failed_row(row_key(setup.base, recording.digest, None), recording.name, err)
    if not isinstance(err, SourceError | InputError):
        _log.error("%s: cannot be read", recording.name, exc_info=err)
    elif row.error_code not in _MAY_PASS:
        append_row(setup.rows_dir, row)
    return row


def _load(setup: SweepSetup, recording: SweepRecording) -> Noise:
    acoustics = setup.acoustics
    noise = load_noise(
        recording.path, acoustics.sample_rate, acoustics.num_references, setup.grid.recording
    )
    check_unchanged(recording.path, recording.identity)
    return noise


def _run_cell(
    setup: SweepSetup,
    recording: SweepRecording,
    noise: Noise,
    cell: SweepCell,
    wiener_error: NDArray[np.float32] | None,
) -> tuple[SweepRow, NDArray[np.float32] | None]:
    key = row_key(setup.base, recording.digest, cell)
    started = time.process_time()
    try:
        row, wiener_error = simulate_cell(setup, noise, cell, wiener_error)
    except InputError as err:
        row = _failed_row(key, recording.name, err, cell)
    except Exception as err:  # noqa: BLE001 - one bad cell never stops the rest
        # Not kept: memory may be there the next time, and a fault may have been mended.
        _log.exception("%s: a cell could not be simulated", recording.name)
        return _failed_row(key, recording.name, err, cell), wiener_error
    row = row.model_copy(
        update={
            "key": key,
            "recording": recording.name,
            "cpu_s": time.process_time() - started,
        }
    )
    append_row(setup.rows_dir, row)
    return row, wiener_error


# --------------------------------------------------------------------------- without a server


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
        As :func:`plan_sweep` and :func:`anc_core.jobs.sweep_conclusion.conclude_sweep`.
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
    kept, missing = _split_done(unit.recording, unit.cells, setup, load_rows(setup.rows_dir))
    return tuple(kept), unit.model_copy(update={"cells": tuple(missing)})


def _lost_rows(
    setup: SweepSetup, unit: SweepUnit, cells: Sequence[SweepCell], err: TransientError
) -> tuple[SweepRow, ...]:
    """Return rows of cells that no attempt brought home; they are not kept, but tried again."""
    recording = unit.recording
    return tuple(
        _failed_row(row_key(setup.base, recording.digest, cell), recording.name, err, cell)
        for cell in cells
    )
