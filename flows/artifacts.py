"""What a batch shows in Prefect's pages: progress, a table of files, a summary to read."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from anc_core.jobs.records import BatchPlan, BatchSummary, RecordingResult
from anc_core.records import Status
from anc_core.reports.wording import inert
from anc_core.store import BatchProgress

UPDATE_EVERY_S = 2.0
MAX_TABLE_ROWS = 200
"""The page stays quick; the worst come first, all are in the store."""

_WORST_FIRST = {Status.FAILED: 0, Status.DEGRADED: 1, Status.OK: 2, Status.SKIPPED: 3}


class ProgressArtifact:
    """The bar of a running batch, in hours of audio and in files, updated every 2 s at most."""

    def __init__(self, plan: BatchPlan) -> None:
        self._plan = plan
        self._total_s = sum(job.duration_s or 0.0 for job in plan.jobs)
        # Awaitable only where an event loop runs; our flows are plain functions.
        self._id = cast(
            "UUID",
            create_progress_artifact(0.0, key="batch-progress", description=self._describe(0, 0.0)),
        )
        self._updated = time.monotonic()

    def update(self, progress: BatchProgress) -> None:
        """Show ``progress``, unless it was shown less than 2 s ago."""
        now = time.monotonic()
        if now - self._updated < UPDATE_EVERY_S:
            return
        self._updated = now
        done = progress.done + progress.failed
        share = done / max(len(self._plan.jobs), 1)
        if self._total_s:
            share = min(progress.audio_s / self._total_s, 1.0)
        update_progress_artifact(
            self._id, 100.0 * share, description=self._describe(done, progress.audio_s)
        )

    def finish(self) -> None:
        """Show the end: every recording has its line, those too that an earlier run had done."""
        everything = self._describe(len(self._plan.jobs), self._total_s)
        update_progress_artifact(self._id, 100.0, description=everything)

    def _describe(self, done: int, audio_s: float) -> str:
        return (
            f"{done} of {len(self._plan.jobs)} files, "
            f"{_audio(audio_s)} of {_audio(self._total_s)} of audio"
        )


class CellsArtifact:
    """The bar of a running sweep, in cells, updated every 2 s at most."""

    def __init__(self, planned: int, done: int) -> None:
        self._planned = planned
        self._id = cast(
            "UUID",
            create_progress_artifact(
                self._percent(done), key="anc-sweep-progress", description=self._describe(done)
            ),
        )
        self._updated = time.monotonic()

    def update(self, done: int, *, final: bool = False) -> None:
        """Show that ``done`` cells are finished, unless something was shown less than 2 s ago."""
        now = time.monotonic()
        if not final and now - self._updated < UPDATE_EVERY_S:
            return
        self._updated = now
        percent = 100.0 if final else self._percent(done)
        update_progress_artifact(self._id, percent, description=self._describe(done))

    def _percent(self, done: int) -> float:
        return 100.0 * done / max(self._planned, 1)

    def _describe(self, done: int) -> str:
        return f"{done} of {self._planned} cells"


def publish_summary(summary: BatchSummary) -> None:
    """Write the table and the page of a batch."""
    counts = describe_counts(summary)
    rows = sorted(summary.results, key=lambda r: (_WORST_FIRST[r.status], r.source_path))
    create_table_artifact(
        [_row(result) for result in rows[:MAX_TABLE_ROWS]], key="batch-files", description=counts
    )
    create_markdown_artifact(summary_markdown(summary), key="batch-summary", description=counts)


def describe_counts(summary: BatchSummary) -> str:
    """Return the counts in words: ``12 files: 9 ok, 1 failed, 2 duplicates``."""
    named = {
        "ok": summary.ok,
        "degraded": summary.degraded,
        "skipped": summary.skipped,
        "failed": summary.failed,
        "duplicate": summary.duplicates,
    }
    parts = ", ".join(f"{count} {name}" for name, count in named.items() if count)
    return f"{summary.planned} files: {parts or 'nothing to do'}"


def _audio(seconds: float) -> str:
    """Return a length of audio in hours, or in minutes where that says more."""
    return f"{seconds / 3600:.2f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def summary_markdown(summary: BatchSummary) -> str:
    """Return the summary page; text from file names is inert in it."""
    speed = "-" if summary.speed_x is None else f"{summary.speed_x:.0f} x real time"
    lines = [
        f"## {describe_counts(summary)}",
        "",
        f"- audio processed: {_audio(summary.audio_s)} in {summary.wall_s:.1f} s ({speed})",
        f"- emergency events heard: {summary.events}",
        f"- outputs: {inert(summary.output_dir or 'none were asked for')}",
        f"- task runs: {summary.shards} shards + plan + summary",
    ]
    if summary.dry_run:
        lines.append("- **dry run**: nothing was written")
    if summary.failures:
        lines += ["", "### Failed", "", "| file | what happened |", "|---|---|"]
        lines += [
            f"| {inert(r.source_path)} | {inert(r.what_happened)} |"
            for r in summary.failures[:MAX_TABLE_ROWS]
        ]
    return "\n".join(lines)


def _row(result: RecordingResult) -> dict[str, Any]:
    def figure(value: float | None, digits: int = 1) -> float | None:
        return None if value is None else round(value, digits)

    return {
        "file": Path(result.source_path).name.encode(errors="replace").decode(),
        "status": result.status.value,
        "audio s": figure(result.duration_s),
        "before dBFS": figure(result.input_rms_dbfs),
        "after dBFS": figure(result.output_rms_dbfs),
        "cancellation dB": figure(result.cancellation_db),
        "speed x": figure(result.speed_x, 0),
        "emergency events": result.emergency_events,
        "protected s": figure(result.protected_s),
        "note": result.what_happened,
    }
