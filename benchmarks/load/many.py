"""Thousands of short recordings through the flow, against some hundred of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.load import tables
from benchmarks.load.meter import Usage
from benchmarks.load.recordings import write_many
from benchmarks.load.site import Site, site

FEW, MANY = 250, 5_000
DURATION_S = 2.0


def measure(parent: Path | None, store: str, many: int = MANY) -> None:
    """Clean one, some and many recordings by the flow, and print what each of them cost."""
    print(f"\n{store}: recordings of {DURATION_S:.0f} s, 16 kHz mono, anc batch --flow")
    tables.head("recordings", "task runs", "ms each", "locked")
    with site(store, parent=parent, with_prefect=True) as here:
        started = _clean(here, 1)[1]  # what a batch costs before its first recording
        usages = {count: _clean(here, count)[1] for count in (FEW, many)}
        server = (here.folder / "prefect.log").read_text(errors="replace")
        print(f"Prefect's server: 'database is locked' {server.count('database is locked')} times")
    each = {count: _cpu_ms(usage, started, count) for count, usage in usages.items()}
    print(
        f"each of {many} costs {100 * (each[many] / each[FEW] - 1):+.1f} % more CPU than of {FEW}, "
        "what a batch of one costs left out"
    )
    for role in ("parent", "worker"):
        held = usages[many].roles[role]
        print(
            f"{role} of {many} held {held.at(0.2):.0f} MB at a fifth of the run, "
            f"{held.at(0.5):.0f} in its middle, {held.at(0.9):.0f} at nine tenths"
        )


def _clean(here: Site, count: int) -> tuple[dict[str, Any], Usage]:
    name = str(count)
    inputs = here.folder / f"in-{name}"
    # Not one recording is the same in two of the batches: it would be done before.
    write_many(inputs, count, DURATION_S, first={1: 0, FEW: 10}.get(count, 1_000))
    before = tables.count_rows(here.database_url)
    summary, usage = here.batch(inputs, "--flow", "--workers", "2", name=name)
    after = tables.count_rows(here.database_url)
    assert summary["planned"] == summary["ok"] + summary["degraded"] == count, summary
    assert (summary["skipped"], summary["failed"], summary["duplicates"]) == (0, 0, 0)
    assert len({line["session_id"] for line in summary["results"]}) == count
    assert after["audio_sessions"] - before["audio_sessions"] == count, (before, after)
    outputs = sorted(here.output(name).rglob("*.wav"))
    assert len(outputs) == count == len(list(here.output(name).rglob("*.json")))
    assert not list(here.folder.rglob("*.part"))
    tables.line(
        f"{count}",
        usage,
        count * DURATION_S,
        f"{summary['shards'] + 2}",
        f"{1000 * usage.cpu_s / count:.0f}",
        f"{usage.stderr.count('locked')}",
    )
    return summary, usage


def _cpu_ms(usage: Usage, started: Usage, count: int) -> float:
    return 1000 * (usage.cpu_s - started.cpu_s) / (count - 1)
