"""Eight batches at once on one store: each its own recordings, and all the same ones."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from anc_core.store import check_integrity, open_database
from benchmarks.load import tables
from benchmarks.load.recordings import write_many
from benchmarks.load.site import Site, site

BATCHES, EACH = 8, 60
DURATION_S = 5.0


def measure(parent: Path | None, store: str) -> None:
    """Clean as many recordings by one batch, by eight batches, and eight times the same ones."""
    print(f"\n{store}: recordings of {DURATION_S:.0f} s, anc batch --workers 1")
    print(f"{'':32}{'ok':>6}{'skipped':>9}{'CPU ms each':>13}{'wall s':>8}{'locked':>8}{'load':>6}")
    with site(store, parent=parent) as here:
        write_many(here.folder / "warm", 1, DURATION_S)
        here.batch(here.folder / "warm", name="warm")  # makes the schema
        write_many(here.folder / "one", BATCHES * EACH, DURATION_S, first=1_000)
        _together(here, "one batch", [here.folder / "one"], ["one"])
        folders = [here.folder / f"own{number}" for number in range(BATCHES)]
        for number, folder in enumerate(folders):
            write_many(folder, EACH, DURATION_S, first=2_000 + number * EACH)
        _together(here, "8 batches, own recordings", folders, [f.name for f in folders])
        write_many(here.folder / "same", EACH, DURATION_S, first=3_000)
        _together(here, "8 batches, the same recordings", [here.folder / "same"] * 8, ["same"] * 8)
        database = open_database(here.database_url)
        assert check_integrity(database) == []
        database.dispose()


def _together(here: Site, name: str, inputs: list[Path], outputs: list[str]) -> None:
    before = tables.count_rows(here.database_url)["audio_sessions"]
    distinct = sum(len(list(folder.rglob("*.wav"))) for folder in set(inputs))
    start = time.monotonic()
    with ThreadPoolExecutor(len(inputs)) as threads:
        jobs = [
            threads.submit(_batch, here, folder, output, number)
            for number, (folder, output) in enumerate(zip(inputs, outputs, strict=True))
        ]
        answers = [job.result() for job in jobs]
    wall_s = time.monotonic() - start
    summaries = [summary for summary, _ in answers]
    for summary in summaries:
        worked = summary["ok"] + summary["degraded"] + summary["skipped"]
        assert summary["planned"] == worked, summary
    ok = sum(summary["ok"] + summary["degraded"] for summary in summaries)
    skipped = sum(summary["skipped"] for summary in summaries)
    written = sum(len(list(here.output(out).rglob("*.wav"))) for out in set(outputs))
    made = tables.count_rows(here.database_url)["audio_sessions"] - before
    assert ok == distinct == written == made, (ok, distinct, written, made)
    assert not list(here.folder.rglob("*.part"))
    usages = [usage for _, usage in answers]
    cpu_s = sum(usage.cpu_s for usage in usages)
    locked = sum(usage.stderr.count("locked") for usage in usages)
    print(
        f"{name:32}{ok:6}{skipped:9}{1000 * cpu_s / ok:13.0f}{wall_s:8.1f}{locked:8}"
        f"{usages[-1].load:6.1f}",
        flush=True,
    )


def _batch(here: Site, folder: Path, output: str, number: int) -> tuple[dict[str, Any], Any]:
    return here.batch(folder, "--workers", "1", name=output, log=f"{output}-{number}")
