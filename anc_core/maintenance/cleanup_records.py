"""What a cleanup was asked for, and what it did."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import Field

from anc_core.errors import InputError
from anc_core.periodic_jobs import CLEANUP_FAILED, CLEANUP_OLD
from anc_core.records import ENDED, Record, Status
from anc_core.store import Retention

_MAX_AGE = timedelta(days=36_525)  # a century: further back a date may leave the calendar


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupRequest:
    """Which sessions are to go; made by :func:`old_sessions` and :func:`failed_sessions`."""

    job: str
    retention: Retention
    keep_audio: bool = False
    max_delete: int | None = None
    dry_run: bool = False


class CleanupResult(Record):
    """What a cleanup did, or would do."""

    job: str
    dry_run: bool
    before: datetime
    """Sessions that ended before this moment were looked at."""
    sessions: int
    rows: dict[str, int]
    """Removed, by table."""
    files: int = 0
    bytes: int = 0
    """Freed by removing files; of a dry run: the outputs' sizes by the store."""
    skipped: dict[str, int] = Field(default_factory=dict)
    """Sessions that were old enough and stayed, by reason."""
    files_kept: dict[str, int] = Field(default_factory=dict)
    """Files that stayed though their session went, by reason."""
    interrupted: int = 0
    """Sessions whose worker was dead, marked failed (INTERRUPTED)."""
    rolled_up_days: int = 0
    orphan_rows: int = 0
    """Finished sessions whose output is not on the disk."""
    orphan_files: int = 0
    """Outputs, sidecars and temporary files of ours that belong to no session."""
    examples: tuple[str, ...] = ()
    """The first orphans and the first files that stayed or could not be removed, in words."""
    problems: int = 0
    """Sessions that could not be removed; they stay marked and are tried again."""
    longest_lock_s: float = 0.0
    """Longest time that the store was locked for others."""
    seconds: float = 0.0


def old_sessions(
    *,
    older_than_days: float = 30,
    statuses: Collection[Status | str] = ENDED,
    keep_audio: bool = False,
    min_keep: int = 0,
    max_delete: int | None = None,
    keep_emergency_days: float | None = None,
    dry_run: bool = False,
    now: datetime | None = None,
) -> CleanupRequest:
    """Return the request to remove sessions that ended long ago.

    Parameters
    ----------
    older_than_days : float
        More than 0. Age counts from the end of the session, else from its creation.
    statuses : collection of str
        Of sessions that may go: ok, degraded, skipped, failed.
    keep_audio : bool
        Only rows go; outputs and sidecars stay.
    min_keep : int
        So many of the newest stay, whatever their age.
    max_delete : int, optional
        No more than so many go, the oldest first.
    keep_emergency_days : float, optional
        Age of sessions with an emergency event, at least ``older_than_days``, the default.
    dry_run : bool
        Count only.
    now : datetime, optional
        By default the clock's.

    Raises
    ------
    InputError
        If an age is not above 0 (the cut-off would lie in the future) or a number is out of range.
    """
    now = now or datetime.now(UTC)
    before = now - _age("older_than_days", older_than_days, timedelta(days=1))
    emergency_before = before
    if keep_emergency_days is not None:
        age = _age("keep_emergency_days", keep_emergency_days, timedelta(days=1))
        emergency_before = now - age
    if emergency_before > before:
        msg = (
            f"keep_emergency_days is {keep_emergency_days:g}, less than older_than_days "
            f"({older_than_days:g}); sessions with emergencies are never kept for a shorter time"
        )
        raise InputError(msg)
    if min_keep < 0:
        msg = f"min_keep is {min_keep}; it must be 0 or more"
        raise InputError(msg)
    if max_delete is not None and max_delete < 1:
        msg = f"max_delete is {max_delete}; it must be 1 or more, or left out"
        raise InputError(msg)
    return CleanupRequest(
        job=CLEANUP_OLD.name,
        retention=Retention(
            statuses=_statuses(statuses),
            before=before,
            emergency_before=emergency_before,
            min_keep=min_keep,
        ),
        keep_audio=keep_audio,
        max_delete=max_delete,
        dry_run=dry_run,
    )


def failed_sessions(
    *, older_than_hours: float = 24, dry_run: bool = False, now: datetime | None = None
) -> CleanupRequest:
    """Return the request to remove sessions that failed some time ago.

    Raises
    ------
    InputError
        If ``older_than_hours`` is not above 0.
    """
    now = now or datetime.now(UTC)
    before = now - _age("older_than_hours", older_than_hours, timedelta(hours=1))
    return CleanupRequest(
        job=CLEANUP_FAILED.name,
        retention=Retention(statuses=(Status.FAILED,), before=before, emergency_before=before),
        dry_run=dry_run,
    )


def _age(name: str, value: float, unit: timedelta) -> timedelta:
    if not math.isfinite(value) or not 0 < value <= _MAX_AGE / unit:
        msg = f"{name} is {value}; it must be above 0 and at most {_MAX_AGE / unit:.0f}"
        raise InputError(msg)
    return value * unit


def _statuses(statuses: Collection[Status | str]) -> tuple[Status, ...]:
    try:
        return tuple(Status(status) for status in statuses)
    except ValueError:
        known = ", ".join(ENDED)
        msg = f"statuses are {', '.join(map(str, statuses))}; choose from {known}"
        raise InputError(msg) from None
