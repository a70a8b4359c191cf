"""Export of a large store: rows a second, memory, and the same content after a round trip.

    python -m benchmarks.export --sessions 100000 [--database sqlite:///SEEDED.db] [--postgres URL]

Each measurement runs in a process of its own. Memory is the peak resident set less what the
process holds once everything is imported; CPU seconds are of the process (user + system), rows
those of all tables.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

MIB = 1 << 20
FORMATS = ("csv", "jsonl", "json", "parquet")


def measured_export(url: str, format_: str, path: Path) -> dict[str, Any]:
    import psutil

    from anc_core.exchange.export import export_sessions
    from anc_core.exchange.requests import export_request
    from anc_core.settings import Settings
    from anc_core.store import open_database

    if format_ == "parquet":
        import pyarrow.parquet  # noqa: F401 - part of the import, not of the export
    settings = Settings.load(database_url=url, home=path.parent)
    open_database(url).dispose()
    before = psutil.Process().memory_info().rss
    request = export_request(format=format_, output_path=path, overwrite=True)
    cpu, wall = time.process_time(), time.perf_counter()
    result = export_sessions(settings, request, actor="benchmark")
    return {
        "what": f"export {format_}",
        "rows": sum(result.rows.values()),
        "counts": result.rows,
        "cpu_s": time.process_time() - cpu,
        "wall_s": time.perf_counter() - wall,
        "mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before) / MIB,
        "size_mib": result.size / MIB,
        "digest": result.digest,
    }


def measured_import(url: str, path: Path) -> dict[str, Any]:
    import psutil

    from anc_core.exchange.load import import_sessions
    from anc_core.settings import Settings
    from anc_core.store import open_database

    settings = Settings.load(database_url=url, home=path.parent)
    open_database(url).dispose()
    before = psutil.Process().memory_info().rss
    cpu, wall = time.process_time(), time.perf_counter()
    result = import_sessions(settings, path, actor="benchmark")
    return {
        "what": f"import {result.format} into {url.partition(':')[0]}",
        "rows": sum(result.rows.values()),
        "cpu_s": time.process_time() - cpu,
        "wall_s": time.perf_counter() - wall,
        "mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before) / MIB,
        "size_mib": path.stat().st_size / MIB,
        "digest": result.digest,
    }


def in_own_process(*words: str | Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.export", *map(str, words)]
    finished = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return found


def line(found: dict[str, Any]) -> str:
    return (
        f"{found['what']:<28}{found['rows']:>11,}{found['cpu_s']:>9.1f}{found['wall_s']:>9.1f}"
        f"{found['rows'] / found['wall_s']:>11,.0f}{found['rows'] / found['cpu_s']:>11,.0f}"
        f"{found['mib']:>9.0f}{found['size_mib']:>9.0f}  {found['digest'][:16]}"
    )


def seeded(url: str, sessions: int) -> None:
    from datetime import UTC, datetime, timedelta

    from anc_core.jobs.seed import SeedRequest, seed_store
    from anc_core.store import open_database

    database = open_database(url)
    last_day = datetime.now(UTC).date() - timedelta(days=1)
    seed_store(database, SeedRequest(sessions=sessions, last_day=last_day))
    database.dispose()


def report(url: str, postgres: str | None, formats: tuple[str, ...], folder: Path) -> None:
    print(f"{platform.machine()}, Python {platform.python_version()}, one process at a time")
    print(
        f"{'':<28}{'rows':>11}{'CPU s':>9}{'wall s':>9}{'rows/s':>11}{'rows/CPU s':>11}"
        f"{'MiB +':>9}{'file MiB':>9}  content digest"
    )
    digests = []
    for format_ in formats:
        found = in_own_process("export", url, format_, folder / f"x.{format_}")
        digests.append(found["digest"])
        print(line(found), flush=True)
        if format_ == formats[0]:
            print(f"  {', '.join(f'{rows:,} {name}' for name, rows in found['counts'].items())}")
    targets = [f"sqlite:///{folder / 'copy.db'}", *([postgres] if postgres else [])]
    for target in targets:
        found = in_own_process("import", target, folder / f"x.{formats[0]}")
        print(line(found), flush=True)
        found = in_own_process("export", target, formats[0], folder / "again")
        found["what"] += f" from {target.partition(':')[0]}"
        digests.append(found["digest"])
        print(line(found), flush=True)
    print("one digest throughout" if len(set(digests)) == 1 else f"DIGESTS DIFFER: {digests}")


def main() -> None:
    if sys.argv[1:2] == ["export"]:
        print(json.dumps(measured_export(sys.argv[2], sys.argv[3], Path(sys.argv[4]))))
        return
    if sys.argv[1:2] == ["import"]:
        print(json.dumps(measured_import(sys.argv[2], Path(sys.argv[3]))))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--database", help="URL of a seeded store; by default one is made")
    parser.add_argument("--postgres", help="URL of an empty PostgreSQL database")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        url = asked.database or f"sqlite:///{Path(name) / 'seeded.db'}"
        if asked.database is None:
            seeded(url, asked.sessions)
        report(url, asked.postgres, tuple(asked.formats), Path(name))


if __name__ == "__main__":
    main()
