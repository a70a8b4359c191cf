"""The work of a sweep, unit by unit: what a worker process does."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

from anc_core.errors import ErrorCode, InputError, SourceError, TransientError
from anc_core.files import check_unchanged
from anc_core.jobs.pool import PoolStoppedError
from anc_core.jobs.simulate_inputs import Noise, load_noise
from anc_core.jobs.sweep_cell import simulate_cell
from anc_core.jobs.sweep_grid import SweepCell
from anc_core.jobs.sweep_records import SweepRecording, SweepRow, SweepSetup, SweepUnit
from anc_core.jobs.sweep_rows import append_row, failed_row, row_key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_log = logging.getLogger(__name__)

_MAY_PASS = frozenset({ErrorCode.PERMISSION, ErrorCode.NOT_FOUND, ErrorCode.CHANGED_DURING_READ})
"""Faults of the place, not of the content: the next run tries again."""


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
    PoolStoppedError
        If whoever asked was killed meanwhile: the next run is not to wait for a cell that this
        one does as well.
    SinkError
        If rows cannot be kept.
    """
    recording, parent = unit.recording, os.getppid()
    try:
        noise = _load(setup, recording)
    except TransientError:
        raise
    except Exception as err:  # noqa: BLE001 - one bad recording never stops the rest
        return (_useless(setup, recording, err),)
    rows = []
    wiener_error: NDArray[np.float32] | None = None
    for cell in unit.cells:
        if os.getppid() != parent:
            raise PoolStoppedError("the sweep that asked for these cells is gone")
        row, wiener_error = _run_cell(setup, recording, noise, cell, wiener_error)
        rows.append(row)
    return tuple(rows)


def _useless(setup: SweepSetup, recording: SweepRecording, err: Exception) -> SweepRow:
    """Return the row of a recording that cannot be read; kept if its content is the reason."""
    row = failed_row(row_key(setup.base, recording.digest, None), recording.name, err)
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
        row = failed_row(key, recording.name, err, cell)
    except Exception as err:  # noqa: BLE001 - one bad cell never stops the rest
        # Not kept: memory may be there the next time, and a fault may have been mended.
        _log.exception("%s: a cell could not be simulated", recording.name)
        return failed_row(key, recording.name, err, cell), wiener_error
    row = row.model_copy(
        update={
            "key": key,
            "recording": recording.name,
            "cpu_s": time.process_time() - started,
        }
    )
    append_row(setup.rows_dir, row)
    return row, wiener_error
