"""Death and faults at a chosen moment: the n-th time that a batch touches a file or the database.

A forked child does the batch, shards included, in its own process; an audit hook of Python's and an
event of SQLAlchemy's see every open, rename, remove and every statement before it happens. Moments
in time seldom hit the few microseconds between two steps; these are all of them, one after another.
"""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

import anc_core.jobs.direct as direct_module
from anc_core.jobs.direct import run_batch
from anc_core.jobs.plan import BatchRequest
from anc_core.pipeline.recording import process_recording
from anc_core.presets import SuppressionOverrides
from anc_core.settings import Settings
from anc_core.store import open_database
from tests.chaos.verdict import METHOD

_FILE_EVENTS = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "os.link", "os.truncate"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class _InThisProcess:
    """Stands for the pool of workers: calls run in the thread that asks."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, function: Callable[..., Any], *arguments: object) -> Any:
        return function(*arguments)


@dataclass(slots=True)
class Points:
    """Counts the moments, and does at one, or from one on, what is wanted.

    Parameters
    ----------
    out : Path
        Only what happens to files below it counts.
    strike : callable
        Called at moment ``at`` and, where ``lasts`` is more than 1, at those that follow, with what
        is about to happen: ``open``, ``os.rename`` ... or ``sql``.
    """

    out: Path
    strike: Callable[[str], None]
    at: int = -1
    lasts: int = 1
    names: list[str] = field(default_factory=list)

    def install(self) -> None:
        """Watch this process from now on."""
        sys.addaudithook(self._look)
        event.listen(Engine, "before_cursor_execute", self._look_at_statement)
        event.listen(Engine, "commit", lambda _connection: self._count("sql"))

    def _look(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name not in _FILE_EVENTS or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        if not os.fsdecode(arguments[0]).startswith(str(self.out)):
            return
        if name == "open" and isinstance(arguments[2], int) and not arguments[2] & _WRITING:
            return
        self._count(name)

    def _look_at_statement(self, *_: object) -> None:
        self._count("sql")

    def _count(self, name: str) -> None:
        number = len(self.names)
        self.names.append(name)
        if self.at >= 0 and self.at <= number < self.at + self.lasts:
            self.strike(name)


def die(_name: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fill_the_disk(name: str) -> None:
    """Refuse what needs room; removing never does."""
    if name in {"open", "os.mkdir", "os.link"}:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def forbid_writing(name: str) -> None:
    """Refuse every change, as a file system that was remounted read-only does."""
    if name != "sql":
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def lose_the_database(name: str) -> None:
    """Refuse every statement, as a server that restarts does."""
    if name == "sql":
        cause = sqlite3.OperationalError("database is locked")
        raise OperationalError("statement", {}, cause)


def warm_up(recording: Path, folder: Path) -> None:
    """Load here the kernels that forked children then have: seconds less for each."""
    words = {"settings": Settings(name_noises=False), "suppression": SuppressionOverrides(**METHOD)}
    process_recording(recording, folder / "warm.wav", **words)


def batch_in_child(
    recordings: Path,
    out: Path,
    url: str,
    *,
    strike: Callable[[str], None] = die,
    at: int = -1,
    lasts: int = 1,
    retry_delay_s: float = 0.0,
) -> tuple[int, list[str]]:
    """Run a batch in a child; return its exit status (-9: killed) and the moments it saw."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reading)
        code = 3
        try:
            points = Points(out, strike, at, lasts)
            points.install()
            code = _batch(recordings, out, url, retry_delay_s)
            os.write(writing, "\n".join(points.names).encode())
        except BaseException as err:  # noqa: BLE001 - a child must not run the parent's tests
            os.write(writing, f"{type(err).__name__}: {err}".encode()[:4_000])
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), said.split("\n")


def _batch(recordings: Path, out: Path, url: str, retry_delay_s: float) -> int:
    direct_module.WorkerPool = _InThisProcess  # type: ignore[assignment, misc]
    settings = Settings(
        database_url=url,
        name_noises=False,
        workers=1,
        retry_delay_s=retry_delay_s,
        max_attempts=100,
    )
    database = open_database(url)
    run_batch(
        BatchRequest(
            inputs=[recordings],
            output_dir=out,
            suppression=SuppressionOverrides(**METHOD),
        ),
        database=database,
        settings=settings,
    )
    return 0
