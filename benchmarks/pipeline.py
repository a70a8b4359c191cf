"""How fast the whole pipeline is: a recording in, a clean recording and its measures out.

    OMP_NUM_THREADS=1 python -m benchmarks.pipeline RECORDING

Processor time of `process_recording` with its defaults, all threads together; the first run, which
loads models and kernels, is told apart. To compare two versions run both in turn on one machine.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import click

from anc_core import process_recording
from anc_core.presets import SuppressionOverrides


@click.command()
@click.argument("recording", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--method", default="auto", type=click.Choice(["auto", "neural", "spectral"]))
@click.option("--repeats", default=5, type=click.IntRange(1))
def main(recording: Path, method: str, repeats: int) -> None:
    """Measure and print."""
    seconds, duration_s = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(repeats + 1):
            started = time.process_time()
            summary = process_recording(
                recording,
                Path(folder) / "out.wav",
                suppression=SuppressionOverrides(method=method),
            )
            seconds.append(time.process_time() - started)
            duration_s = summary.duration_s or 0.0
    first, *others = seconds
    middle = statistics.median(others)
    click.echo(f"first run       {first:7.3f} CPU s")
    click.echo(
        f"median of {repeats:<2}    {middle:7.3f} CPU s, {duration_s / middle:.0f} x real time"
    )
    click.echo(
        f"fastest         {min(others):7.3f} CPU s, {duration_s / min(others):.0f} x real time"
    )


if __name__ == "__main__":
    main()
