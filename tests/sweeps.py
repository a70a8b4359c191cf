"""A small sweep, for the tests of each layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anc_core.jobs.sweep_grid import parse_grid, path_files
from anc_core.jobs.sweep_records import SweepRequest
from tests.acoustics import write_duct, write_noise

GRID = """
algorithm = ["fxnlms", "fxlog"]
step_size = [0.05, 0.4]
num_taps = [16, 32]
io_delay = [0, 4]

[mismatch]
gain_db = [6]
phase_deg = [30]

[paths]
primary = "primary.wav"
secondary = "secondary.wav"
"""
NUM_CELLS = 48
"""2 algorithms, 2 steps, 2 lengths, 2 delays, and no error, 6 dB or 30 degrees."""


def bench(folder: Path, *, recordings: int = 1, duration_s: float = 2.0) -> Path:
    """Write a duct, ``grid.toml`` and ``noise/<n>.wav``; return the folder of noises."""
    write_duct(folder)
    (folder / "grid.toml").write_text(GRID)
    for index in range(recordings):
        write_noise(folder / "noise" / f"{index}.wav", duration_s=duration_s, seed=index)
    return folder / "noise"


def small_request(folder: Path, output_dir: Path, **grid: Any) -> SweepRequest:
    """Return a request for the recordings of :func:`bench` with a grid of plain values."""
    given = {"num_taps": 16, **grid}
    parsed = parse_grid(given)
    files = path_files(
        parsed, primary=str(folder / "primary.wav"), secondary=str(folder / "secondary.wav")
    )
    return SweepRequest(folder=folder / "noise", output_dir=output_dir, grid=parsed, paths=files)
