"""What a sweep will do: recordings, paths, settings, and what an earlier run did already."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from anc_core.audio import open_reader
from anc_core.errors import AncError, InputError
from anc_core.files import digest_file, identify, printable
from anc_core.jobs.naming import check_allowed
from anc_core.jobs.scan import Found, scan
from anc_core.jobs.simulate import check_inputs_allowed
from anc_core.jobs.simulate_inputs import Acoustics, load_acoustics
from anc_core.jobs.sweep_cell import believed_path
from anc_core.jobs.sweep_grid import SweepCell, SweepGrid
from anc_core.jobs.sweep_records import (
    SweepPlan,
    SweepRecording,
    SweepRequest,
    SweepRow,
    SweepSetup,
    SweepUnit,
)
from anc_core.jobs.sweep_rows import failed_row, load_rows, row_key, sweep_base
from anc_core.processors.simulate import SELECTIVE, AcousticSimulator
from anc_core.settings import Settings
from anc_core.version import __version__

MAX_CELLS = 200_000
"""Over all recordings: their rows are held in memory when they are put together, 5 kB each."""

_ROWS = "rows"

# Measured with a measured duct, two workers on two cores: a cell of 10 s at 16 kHz takes 0.11 s
# with 128 and 0.15 s with 1024 taps, its limit 0.04 s more, a worker 2 s to start.
_SAMPLE_S, _TAP_S, _BOUND_S, _LOAD_S = 5.2e-7, 2.5e-10, 2.5e-7, 0.05


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
    _refuse_other_banks(acoustics, request.grid)
    base = sweep_base(acoustics, request.grid, __version__)
    setup = SweepSetup(
        acoustics=acoustics,
        grid=request.grid,
        rows_dir=request.output_dir / _ROWS,
        base=base,
    )
    found, left_out = _found(request)
    _refuse_too_many(len(found), request.grid.num_cells)
    cells = request.grid.cells()
    kept = load_rows(setup.rows_dir)
    recordings: list[SweepRecording] = []
    broken: list[SweepRow] = []
    for item in found:
        known = _recording(item, request, setup, settings)
        if isinstance(known, SweepRow):
            broken.append(known)
        elif (row := kept.get(row_key(base, known.digest, None))) is not None:
            broken.append(row.model_copy(update={"recording": known.name}))
        else:
            recordings.append(known)
    done: list[SweepRow] = []
    units: list[SweepUnit] = []
    for recording in recordings:
        rows, missing = split_done(recording, cells, setup, kept)
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


def _refuse_other_banks(acoustics: Acoustics, grid: SweepGrid) -> None:
    """Refuse a filter bank that was not made for what the controller believes in every cell."""
    bank = acoustics.filter_bank
    if bank is None:
        return
    if SELECTIVE not in grid.algorithm:
        raise InputError(f"a filter bank is for algorithm {SELECTIVE!r}; add it to the grid")
    for cell in grid.model_copy(update={"algorithm": (SELECTIVE,)}).cells():
        AcousticSimulator(
            acoustics.sample_rate,
            acoustics.primary,
            acoustics.secondary,
            algorithm=SELECTIVE,
            structure=grid.run.structure,
            num_taps=cell.num_taps,
            secondary_path_estimate=believed_path(acoustics, cell),
            device=grid.run.device(cell.io_delay),
            filter_bank=bank,
        )


def _found(request: SweepRequest) -> tuple[list[Found], int]:
    found = scan([request.folder], recursive=request.recursive, output_dir=request.output_dir).found
    count = request.max_files
    if count is None or count >= len(found):
        return found, 0
    chosen = np.random.default_rng(0).choice(len(found), count, replace=False)
    return [found[index] for index in sorted(chosen)], len(found) - count


def _refuse_too_many(num_recordings: int, num_settings: int) -> None:
    total = max(num_recordings, 1) * num_settings
    if total > MAX_CELLS:
        msg = (
            f"{num_recordings} recordings x {num_settings} settings are {total} cells, "
            f"{MAX_CELLS} are allowed; cut the grid down, or take fewer recordings (max_files)"
        )
        raise InputError(msg)


def _recording(
    item: Found, request: SweepRequest, setup: SweepSetup, settings: Settings
) -> SweepRecording | SweepRow:
    """Return what the header tells, or the row that says why there is none."""
    name = printable(item.file.relative_to(request.folder))
    digest = None
    try:
        check_allowed(item.file, settings.allowed_roots)  # a link may lead out of the folder
        identity = identify(item.file)
        digest = digest_file(item.file)
        with open_reader(item.file) as reader:
            declared, rate = reader.declared_num_samples, reader.sample_rate
    except AncError as err:
        key = "" if digest is None else row_key(setup.base, digest, None)
        return failed_row(key, name, err)
    return SweepRecording(
        path=item.file,
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


def split_done(
    recording: SweepRecording,
    cells: Sequence[SweepCell],
    setup: SweepSetup,
    kept: dict[str, SweepRow],
) -> tuple[list[SweepRow], list[SweepCell]]:
    """Return the rows of ``cells`` that are among ``kept``, and the cells that are not."""
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
        taps = cell.num_taps or usual_taps
        if cell.algorithm == SELECTIVE and acoustics.filter_bank is not None:
            taps = acoustics.filter_bank.num_taps
        shared.setdefault((taps, cell.io_delay), []).append(cell)
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
