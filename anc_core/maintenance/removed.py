"""What became of the files of a session that goes, on a disk or in a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from anc_core.store import Doomed

CLOCK_TOLERANCE = timedelta(minutes=5)
"""A file server's clock may differ from ours by this much."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that stays where it is, though its session goes."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Removal:
    """What became of the files of a session."""

    files: int = 0
    bytes: int = 0
    """Freed: a file that has another name frees nothing."""
    kept: tuple[Kept, ...] = ()
    failed: tuple[Kept, ...] = ()
    """Could not be removed; the session's row has to stay, so that this is tried again."""

    def __add__(self, other: Removal) -> Removal:
        return Removal(
            self.files + other.files,
            self.bytes + other.bytes,
            self.kept + other.kept,
            self.failed + other.failed,
        )


def is_of_its_time(written: datetime | None, session: Doomed) -> bool:
    """Return whether what was written then can only be what ``session`` delivered."""
    if written is None or session.output_bytes is None:
        return False
    if session.started_at is None or session.finished_at is None:
        return False
    earliest, latest = session.started_at - CLOCK_TOLERANCE, session.finished_at + CLOCK_TOLERANCE
    return earliest <= written <= latest
