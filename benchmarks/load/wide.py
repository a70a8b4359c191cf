"""Sixty-four channels in one file against sixty-four files of one channel."""

from __future__ import annotations

from pathlib import Path

import soundfile as sf

from benchmarks.load import tables
from benchmarks.load.recordings import RATE_HZ, write_wide
from benchmarks.load.site import Site, site

CHANNELS = (1, 8, 64)
DURATION_S = 300


def measure(parent: Path | None) -> None:
    """Clean a recording of few and of many channels, and as many recordings of one."""
    tables.head("channels", "ms/ch-s", "windows", "sidecar MB")
    for num_channels in CHANNELS:
        with site("sqlite", parent=parent) as here:
            write_wide(here.folder / "in.wav", num_channels, DURATION_S)
            _clean(here, f"{num_channels} in one file", here.folder / "in.wav", num_channels)
    with site("sqlite", parent=parent) as here:
        _split(write_wide(here.folder / "all.wav", CHANNELS[-1], DURATION_S), here.folder / "in")
        _clean(here, f"{CHANNELS[-1]} files of one", here.folder / "in", CHANNELS[-1])


def _split(source: Path, folder: Path) -> None:
    folder.mkdir()
    audio, _ = sf.read(source, dtype="int16")
    for channel, samples in enumerate(audio.T):
        sf.write(folder / f"{channel:02d}.wav", samples, RATE_HZ, subtype="PCM_16")


def _clean(here: Site, name: str, inputs: Path, num_channels: int) -> None:
    summary, usage = here.batch(inputs, "--workers", "1", niceness=10)
    assert summary["planned"] == summary["ok"] + summary["degraded"], summary
    audio_s = num_channels * DURATION_S
    written = sum(
        info.frames * info.channels
        for info in (sf.info(path) for path in here.output("batch").glob("*.wav"))
    )
    assert written == audio_s * RATE_HZ, written
    sidecar_bytes = sum(path.stat().st_size for path in here.output("batch").glob("*.json"))
    tables.line(
        name,
        usage,
        audio_s,
        f"{1000 * usage.cpu_s / audio_s:.2f}",
        f"{tables.count_rows(here.database_url)['noise_detections']}",
        f"{sidecar_bytes / 1e6:.1f}",
    )
