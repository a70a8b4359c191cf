"""The rows of a sweep as CSV and, where pyarrow is installed, as Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from anc_core.files import atomic_path
from anc_core.jobs.csv_cells import number_cell, text_cell
from anc_core.jobs.sweep_grid import SweepCell
from anc_core.jobs.sweep_records import SweepRow

NO_PARQUET = (
    "results.parquet needs pyarrow, which is not installed; pip install 'anc-platform[parquet]'"
)

_TEXTS = ("recording", "status", "error_code", "outcome", "algorithm", "reason")
_WHOLE = ("num_taps", "io_delay", "sample_rate", "trips")
_CELL = ("algorithm", "io_delay", "gain_db", "delay_samples", "phase_deg")
_COLUMNS = (
    *("recording", "status", "error_code", "outcome", "algorithm", "step_size", "num_taps"),
    *("io_delay", "gain_db", "delay_samples", "phase_deg", "sample_rate", "duration_s"),
    *("disturbance_rms_dbfs", "steady_cancellation_db", "steady_a_weighted_db"),
    *("cancellation_db", "wiener_db", "wiener_gap_db", "worst_band_hz"),
    *("worst_band_amplification_db", "peak_amplification_db", "convergence_s"),
    *("time_to_10_db_s", "drive_rms_dbfs", "drive_peak_dbfs", "drive_saturated_share"),
    *("misalignment_db", "auxiliary_db", "trips", "first_trip_s", "cpu_s"),
)


def rows_csv(rows: Sequence[SweepRow]) -> str:
    """Return one line for each row, its third octaves as columns ``steady_<Hz>_hz_db``.

    Text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    bands = _bands(rows)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    names = [*_COLUMNS, *(_band_column(band) for band in bands), "reason"]
    writer.writerow(names)
    for row in rows:
        values = _values(row, bands)
        writer.writerow(
            text_cell(values[name] or "") if name in _TEXTS else number_cell(values[name])
            for name in names
        )
    return text.getvalue()


def write_parquet(path: Path, rows: Sequence[SweepRow]) -> str | None:
    """Write the same table as Parquet, complete or not at all; return why not, if so.

    Raises
    ------
    SinkError
        NO_SPACE or NOT_WRITABLE.
    """
    if find_spec("pyarrow") is None:
        return NO_PARQUET
    import pyarrow as pa
    from pyarrow import parquet

    bands = _bands(rows)
    table = [_values(row, bands) for row in rows]
    names = [*_COLUMNS, *(_band_column(band) for band in bands), "reason"]
    schema = pa.schema([(name, _kind(name, pa)) for name in names])
    columns = [[values[name] for values in table] for name in names]
    arrays = [pa.array(one, kind) for one, kind in zip(columns, schema.types, strict=True)]
    with atomic_path(path) as temp:
        parquet.write_table(pa.Table.from_arrays(arrays, schema=schema), temp)
    return None


def _kind(name: str, pa: Any) -> Any:  # noqa: ANN401 - pyarrow is loaded only where it is used
    if name in _TEXTS:
        return pa.string()
    return pa.int64() if name in _WHOLE else pa.float64()


def _bands(rows: Sequence[SweepRow]) -> list[str]:
    return sorted({band for row in rows for band in row.steady_third_octave_db}, key=float)


def _band_column(band: str) -> str:
    return f"steady_{band}_hz_db"


def _values(row: SweepRow, bands: Sequence[str]) -> dict[str, Any]:
    cell = row.cell
    values = {name: getattr(row, name, None) for name in (*_COLUMNS, "reason")}
    values |= {name: None if cell is None else getattr(cell, name) for name in _CELL}
    values |= {
        "status": row.status.value,
        "error_code": row.error_code and row.error_code.value,
        "outcome": row.outcome and row.outcome.value,
    }
    # What could not be simulated has the settings that were asked for.
    if cell is not None:
        values["num_taps"] = row.num_taps or cell.num_taps
        values["step_size"] = row.step_size or cell.step_size
    return values | {_band_column(b): row.steady_third_octave_db.get(b) for b in bands}


def sort_key(row: SweepRow) -> tuple[Any, ...]:
    """Return where a row stands in the tables: by recording, then in the order of the grid."""
    cell = row.cell or SweepCell(algorithm="")
    return (
        *(row.recording, cell.num_taps or 0, cell.io_delay, cell.algorithm),
        *(cell.step_size or 0.0, *cell.mismatch),
    )
