"""Cleanup: sessions go with their files, and a kill at any moment loses or forgets nothing.

The order is what makes that true: a session is marked, then its files go, then its rows. A row
stays as long as one of its files does; the next cleanup, of whichever kind, finds what is marked
and goes on.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, date, datetime, timedelta

from anc_core.files import printable
from anc_core.maintenance.cleanup_records import CleanupRequest, CleanupResult
from anc_core.maintenance.jobs import noted_job
from anc_core.maintenance.orphans import MAX_EXAMPLES, Orphans, find_orphans
from anc_core.maintenance.removal import FileRemover
from anc_core.maintenance.sessions import PAGE, SessionRemover
from anc_core.settings import Settings
from anc_core.store import (
    Database,
    candidates,
    close_silent_batches,
    count_day,
    count_retention,
    count_rows,
    days_of_sessions,
    keep_day,
    mark,
    release,
)

_log = logging.getLogger(__name__)

_BATCH_SILENCE = timedelta(hours=1)
"""Longest that a living batch has nothing in work: between the tries of a shard lie minutes."""


class Cleanup:
    """One cleanup, step by step; each step may be repeated after a failure.

    Parameters
    ----------
    request : CleanupRequest
        Which sessions go.
    database : Database
        Where they are.
    settings : Settings
        Names the folders that may be touched, and when a worker counts as dead.
    """

    def __init__(self, request: CleanupRequest, *, database: Database, settings: Settings) -> None:
        self.request = request
        self._database = database
        self._settings = settings
        self._remover = SessionRemover(
            database, settings.allowed_roots, keep_audio=request.keep_audio
        )
        self._started = time.monotonic()
        self._planned_rows: dict[str, int] = {}
        self._skipped: dict[str, int] = {}
        self._interrupted = 0
        self._rolled_up: set[tuple[str, date]] = set()
        self._orphans = Orphans(rows=0, files=0, examples=())
        self._planned_bytes = 0

    def reconcile(self) -> None:
        """Mark sessions of dead workers failed (INTERRUPTED), and remove what they left."""
        if not self.request.dry_run:
            self._interrupted += reconcile_interrupted(self._database, self._settings)

    def plan(self) -> None:
        """Count what is to go and what stays; of a dry run that is all there is to do."""
        limit = self.request.max_delete
        with self._database.read() as db:
            counts = count_retention(db, self.request.retention)
            rows, output_bytes = counts.rows, counts.output_bytes
            self._skipped = dict(counts.skipped)
            if limit is not None and limit < counts.sessions:
                self._skipped["over max_delete"] = counts.sessions - limit
                ids = [one for one, _ in candidates(db, self.request.retention, limit)]
                rows, output_bytes = count_rows(db, ids), 0
        if self.request.dry_run:
            self._planned_rows = rows
            self._planned_bytes = 0 if self.request.keep_audio else output_bytes

    def remove(self) -> None:
        """Remove what an earlier cleanup left behind half done, then all that is to go."""
        if self.request.dry_run:
            return
        self._remover.finish_marked()
        since: datetime | None = None
        limit = self.request.max_delete
        while True:
            room = PAGE if limit is None else min(PAGE, limit - self._remover.num_sessions)
            if room <= 0:
                return
            with self._database.read() as db:
                found = candidates(db, self.request.retention, room, since)
            if not found:
                return
            ids = [session_id for session_id, _ in found]
            self._roll_up(ids)
            with self._database.begin() as db:
                doomed = mark(db, self.request.retention, ids)
            since = max((end for _, end in found if end is not None), default=since)
            self._remover.remove(doomed)

    def _roll_up(self, session_ids: list[str]) -> None:
        """Keep the figures of the days of these sessions: after this they count no more.

        A day that loses its first sessions is complete until then; later it is not counted again.
        """
        with self._database.read() as db:
            days = days_of_sessions(db, session_ids) - self._rolled_up
        for zone, day in sorted(days):
            with self._database.read() as db:
                counted = count_day(db, day, zone)
            with self._database.begin() as db:
                keep_day(db, counted)
            self._rolled_up.add((zone, day))

    def look_for_orphans(self) -> None:
        """Compare the store with the disk."""
        self._orphans = find_orphans(self._database, self._remover.folders)

    def result(self) -> CleanupResult:
        """Return what was done so far."""
        done = self._remover
        dry_run = self.request.dry_run
        rows = self._planned_rows if dry_run else dict(done.rows)
        examples = [*done.problems.values(), *done.examples, *self._orphans.examples]
        skipped = dict(self._skipped)
        if done.problems:
            skipped["files could not be removed"] = len(done.problems)
        return CleanupResult(
            job=self.request.job,
            dry_run=dry_run,
            before=self.request.retention.before,
            sessions=rows.get("audio_sessions", 0),
            rows=rows,
            files=done.files,
            bytes=self._planned_bytes if dry_run else done.bytes,
            skipped=skipped,
            files_kept=dict(done.kept),
            interrupted=self._interrupted,
            rolled_up_days=len(self._rolled_up),
            orphan_rows=self._orphans.rows,
            orphan_files=self._orphans.files,
            examples=tuple(examples[:MAX_EXAMPLES]),
            problems=len(done.problems),
            longest_lock_s=round(done.longest_lock_s, 3),
            seconds=round(time.monotonic() - self._started, 3),
        )


def run_cleanup(
    request: CleanupRequest, *, database: Database, settings: Settings, actor: str
) -> CleanupResult:
    """Do all steps of a cleanup and note it in the audit log.

    Raises
    ------
    StoreBusyError
        If the database stayed locked; what was done is done, call again for the rest.
    """
    cleanup = Cleanup(request, database=database, settings=settings)
    if request.dry_run:
        cleanup.plan()
        return cleanup.result()
    with noted_job(database, request.job, actor) as note:
        for step in (cleanup.reconcile, cleanup.plan, cleanup.remove, cleanup.look_for_orphans):
            step()
        result = cleanup.result()
        note.detail = audit_detail(result)
    return result


def audit_detail(result: CleanupResult) -> dict[str, object]:
    """Return what the audit log keeps of a cleanup: counts, no names."""
    return result.model_dump(mode="json", exclude={"examples", "job"})


def reconcile_interrupted(database: Database, settings: Settings) -> int:
    """Mark running sessions of dead workers failed (INTERRUPTED); return how many there were.

    Batches that died are closed after their last session.
    """
    now = datetime.now(UTC)
    with database.begin() as db:
        released = release(db, now=now, stale_after_s=settings.stale_after_s)
        closed = close_silent_batches(db, now - _BATCH_SILENCE)
    for batch_id in closed:
        _log.warning("%s: its process is dead: closed", batch_id)
    remover = FileRemover(settings.allowed_roots)
    for one in released:
        _log.warning("%s: its worker is dead: interrupted", printable(one.source_path))
        remover.remove_temporary(one.temp_path)
    return len(released)
