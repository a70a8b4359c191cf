"""Questions about the database and about the disks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from anc_core.files import printable, temp_path
from anc_core.maintenance.health.questions import Answer, HealthStatus, Question
from anc_core.settings import Settings
from anc_core.store import (
    Database,
    check_integrity,
    check_writable,
    database_bytes,
    database_file,
    latest_output,
    open_database,
)
from anc_core.temporaries import own_token

MAX_WAL_BYTES = 256 << 20
"""Beyond, no checkpoint gets through: a reader has been open for hours."""
MAX_CHECKED_BYTES = 512 << 20
"""A larger database is not read whole every hour; the vacuum checks a SQLite file every week."""
MAX_CLOCK_ERROR = timedelta(minutes=5)

_GIB = 1 << 30
_LOW_SHARE, _FULL_SHARE = 0.10, 0.02
# A tenth of a large disk is a lot: free space above these is never called low, or full.
_AMPLE_BYTES, _ENOUGH_BYTES = 100 * _GIB, 20 * _GIB
_LOW_BYTES, _FULL_BYTES = 5 * _GIB, 1 * _GIB


def database_questions(settings: Settings) -> list[Question]:
    """Return the questions about the database; each opens it for itself."""

    def asking(ask: Callable[[Database], Answer]) -> Callable[[], Answer]:
        def answer() -> Answer:
            with opened(settings) as database:
                return ask(database)

        return answer

    critical = HealthStatus.CRITICAL
    return [
        Question(name="database", ask=asking(_connects), limit_s=5.0, if_unknown=critical),
        Question(name="database write", ask=asking(_writes), limit_s=5.0, if_unknown=critical),
        Question(
            name="database integrity",
            ask=asking(_is_sound),
            limit_s=8.0,
            if_unknown=critical,
            if_late=HealthStatus.DEGRADED,
        ),
        Question(name="database log", ask=asking(_log_size), limit_s=5.0),
    ]


def disk_questions(settings: Settings) -> list[Question]:
    """Return a question for every disk, and whether outputs can be written."""
    questions = [
        Question(
            name=f"disk of {name}",
            ask=lambda path=path: _space(path),  # type: ignore[misc]
            if_unknown=HealthStatus.CRITICAL,
        )
        for name, path in disk_places(settings).items()
    ]
    writable = Question(
        name="output writable",
        ask=lambda: _output_writable(settings),
        if_unknown=HealthStatus.CRITICAL,
    )
    return [*questions, writable]


def disk_places(settings: Settings) -> dict[str, Path]:
    """Return the folders whose disks may fill up, by name; a folder need not exist yet."""
    places = {"home": settings.home, **_roots(settings)}
    database = database_file(settings.resolved_database_url)
    if database is not None:
        places["database"] = database.parent
    return places


def existing(path: Path) -> Path:
    """Return ``path``, absolute, or the nearest folder above it that exists."""
    path = path.expanduser().absolute()
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    """Open the database as it is: nothing is created or migrated."""
    database = open_database(settings.resolved_database_url, migrate=False)
    try:
        yield database
    finally:
        database.dispose()


def _connects(database: Database) -> Answer:
    with database.read() as db:
        db.connection()
    return Answer.ok(f"{database.display_url} has the schema of this version")


def _writes(database: Database) -> Answer:
    check_writable(database)
    return Answer.ok("a transaction was opened, written in and rolled back")


def _is_sound(database: Database) -> Answer:
    with database.read() as db:
        size = database_bytes(db)
    if size > MAX_CHECKED_BYTES:
        return Answer.ok(
            "too large to be read whole every hour: see anc db check, and the weekly vacuum",
            value=_amount(size),
            threshold=_amount(MAX_CHECKED_BYTES),
        )
    problems = check_integrity(database)
    if problems:
        return Answer.critical("; ".join(problems[:5]), value=f"{len(problems)} problems")
    return Answer.ok("structure and references are sound")


def _log_size(database: Database) -> Answer:
    file = database_file(database.url)
    if file is None:
        return Answer.ok("PostgreSQL looks after its own log")
    log = file.with_name(file.name + "-wal")
    size = log.stat().st_size if log.exists() else 0
    value, threshold = _amount(size), _amount(MAX_WAL_BYTES)
    if size > MAX_WAL_BYTES:
        message = f"{log}: grows without end; a program keeps a reading transaction open"
        return Answer.degraded(message, value=value, threshold=threshold)
    return Answer.ok("write-ahead log", value=value, threshold=threshold)


def _roots(settings: Settings) -> dict[str, Path]:
    """Return the folders among the roots; of a bucket nobody can tell how full it is."""
    return {printable(root): root for root in settings.allowed_roots if isinstance(root, Path)}


def _space(path: Path) -> Answer:
    path = existing(path)
    found = os.statvfs(path)
    free, size = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    share = free / size if size else 0.0
    value = f"{_amount(free)} free ({100 * share:.0f} %)"
    # Some file systems (btrfs, network shares) have no fixed number of inodes and say 0.
    inodes = found.f_favail / found.f_files if found.f_files else 1.0
    if found.f_files:
        value += f", {100 * inodes:.0f} % of inodes"
    message = f"{path}: {value}"
    if free < _FULL_BYTES or (share < _FULL_SHARE and free < _ENOUGH_BYTES) or inodes < _FULL_SHARE:
        threshold = f"{_amount(_FULL_BYTES)}, {100 * _FULL_SHARE:.0f} %"
        return Answer.critical(f"{message}: full", value=value, threshold=threshold)
    threshold = f"{_amount(_LOW_BYTES)}, {100 * _LOW_SHARE:.0f} %"
    if free < _LOW_BYTES or (share < _LOW_SHARE and free < _AMPLE_BYTES) or inodes < _LOW_SHARE:
        return Answer.degraded(f"{message}: getting full", value=value, threshold=threshold)
    return Answer.ok(message, value=value, threshold=threshold)


def _output_writable(settings: Settings) -> Answer:
    """Write the one temporary file of the whole check, where the latest output went."""
    with opened(settings) as database, database.read() as db:
        output = latest_output(db)
    wanted = settings.home if output is None else Path(output).parent
    folder = existing(wanted)
    probe = temp_path(folder / "probe", own_token())
    try:
        probe.write_bytes(b"health")
        drift_s = probe.stat().st_mtime - time.time()
    finally:
        probe.unlink(missing_ok=True)
    value, threshold = f"{drift_s:+.1f} s", f"{MAX_CLOCK_ERROR.total_seconds():.0f} s"
    where = printable(folder)
    if abs(drift_s) > MAX_CLOCK_ERROR.total_seconds():
        message = f"{where}: can be written; the file server's clock is {drift_s:+.0f} s off"
        return Answer.degraded(message, value=value, threshold=threshold)
    return Answer.ok(f"{where}: can be written", value=value, threshold=threshold)


def _amount(num_bytes: int) -> str:
    return (
        f"{num_bytes / _GIB:.1f} GiB" if num_bytes >= _GIB else f"{num_bytes / (1 << 20):.1f} MiB"
    )
