"""A recording of a day against one of ten minutes: memory, speed, exact length."""

from __future__ import annotations

from pathlib import Path

import soundfile as sf

from benchmarks.load import tables
from benchmarks.load.recordings import RATE_HZ, write_long
from benchmarks.load.site import site

DURATIONS_S = (600, 2 * 3600, 24 * 3600)


def measure(parent: Path | None, durations_s: tuple[int, ...] = DURATIONS_S) -> None:
    """Clean one recording of each length by the default preset, and print what it took."""
    tables.head("recording", "length", "windows", "store MB")
    for duration_s in durations_s:
        with site("sqlite", parent=parent) as here:
            source = write_long(here.folder / "long.wav", duration_s)
            summary, usage = here.batch(source, "--workers", "1", niceness=10)
            output = sf.info(here.output("batch") / "long.wav")
            assert output.frames == duration_s * RATE_HZ, (output.frames, duration_s * RATE_HZ)
            assert summary["ok"] + summary["degraded"] == 1, summary
            windows = tables.count_rows(here.database_url)["noise_detections"]
            store_mb = (here.folder / "anc.db").stat().st_size / 1e6
        tables.line(
            _named(duration_s),
            usage,
            duration_s,
            f"{output.frames}",
            f"{windows}",
            f"{store_mb:.1f}",
        )


def _named(duration_s: int) -> str:
    return f"{duration_s // 60} min" if duration_s < 3600 else f"{duration_s // 3600} h"
