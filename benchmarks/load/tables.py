"""Lines of the printed tables: what a command took, and further figures of the case."""

from __future__ import annotations

from sqlalchemy import func, select

from anc_core.store import open_database
from anc_core.store.tables import CHILDREN, AudioSession
from benchmarks.load.meter import Usage

_USAGE = ("CPU s", "wall s", "x real", "parent MB", "worker MB", "worker RSS", "tree MB", "load")


def head(*names: str) -> None:
    """Print the names of the columns; the first is that of the lines."""
    first, *more = names
    print(f"{first:24}" + "".join(f"{name:>11}" for name in (*_USAGE, *more)), flush=True)


def line(name: str, usage: Usage, audio_s: float, *more: str) -> None:
    """Print a line; ``x real`` is seconds of audio for a CPU second."""
    worker, parent = usage.roles["worker"], usage.roles["parent"]
    figures = (
        f"{usage.cpu_s:.1f}",
        f"{usage.wall_s:.1f}",
        f"{audio_s / usage.cpu_s:.0f}",
        f"{parent.uss_mb:.0f}",
        f"{worker.uss_mb:.0f}",
        f"{worker.rss_mb:.0f}",
        f"{usage.tree_mb:.0f}",
        f"{usage.load:.1f}",
    )
    print(f"{name:24}" + "".join(f"{figure:>11}" for figure in (*figures, *more)), flush=True)


def count_rows(database_url: str) -> dict[str, int]:
    """Return the number of rows of the sessions' tables."""
    database = open_database(database_url)
    try:
        with database.read() as db:
            return {
                table.__tablename__: int(db.scalar(select(func.count()).select_from(table)) or 0)
                for table in (AudioSession, *CHILDREN)
            }
    finally:
        database.dispose()
