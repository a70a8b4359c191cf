"""What maintenance did, as rows of a table and as one line: for Prefect and the terminal."""

from __future__ import annotations

from anc_core.maintenance.backup import BackupResult
from anc_core.maintenance.cleanup_records import CleanupResult
from anc_core.maintenance.erase import EraseResult
from anc_core.maintenance.health.questions import HealthReport, HealthStatus
from anc_core.maintenance.vacuum import VacuumResult

Row = dict[str, str]


def cleanup_rows(result: CleanupResult) -> list[Row]:
    """Return everything that a cleanup counted, as (what, count) rows."""
    would = "would go" if result.dry_run else "removed"
    rows = [_row(f"rows of {table} {would}", count) for table, count in result.rows.items()]
    if not result.dry_run:
        rows.append(_row("files removed", result.files))
    rows.append(_row(f"bytes {would}", result.bytes))
    rows += [_row(f"sessions that stay: {why}", count) for why, count in result.skipped.items()]
    rows += [_row(f"files that stay: {why}", count) for why, count in result.files_kept.items()]
    if not result.dry_run:
        rows += [
            _row("interrupted sessions found", result.interrupted),
            _row("days rolled up", result.rolled_up_days),
            _row("sessions without their output", result.orphan_rows),
            _row("files of no session", result.orphan_files),
        ]
    return rows + [{"what": example, "count": ""} for example in result.examples]


def describe_cleanup(result: CleanupResult) -> str:
    """Return a cleanup in one line."""
    what = "failed sessions" if result.job == "cleanup-failed" else "sessions"
    until = f"{what} that ended before {result.before:%Y-%m-%d %H:%M} UTC"
    size = f"{result.bytes / 1e6:.1f} MB"
    if result.dry_run:
        return f"{result.sessions} {until} would go, {size} of output; nothing was removed"
    line = f"{result.sessions} {until} removed, {result.files} files, {size} freed"
    return f"{line}; {result.problems} could not be removed" if result.problems else line


def _row(what: str, count: int) -> Row:
    return {"what": what, "count": str(count)}


def vacuum_rows(result: VacuumResult) -> list[Row]:
    """Return what a vacuum did, as (what, value) rows."""
    rows = {
        "bytes before": str(result.bytes_before),
        "bytes after": str(result.bytes_after),
        "of that, write-ahead log": str(result.log_bytes_after),
        "unused before": f"{100 * result.free_share:.0f} %",
        "seconds": f"{result.seconds:.1f}",
        "not written anew": result.skipped or "",
        "Prefect's own database": _size(result.prefect_bytes),
        "Prefect's own vacuum": result.prefect_vacuum or "",
    }
    return [{"what": what, "value": value} for what, value in rows.items() if value]


def describe_vacuum(result: VacuumResult) -> str:
    """Return a vacuum in one line."""
    sizes = f"{_size(result.bytes_before)} before, {_size(result.bytes_after)} after"
    if result.skipped:
        return f"not written anew, {result.skipped}; {sizes}"
    return f"{sizes}, {result.seconds:.1f} s"


def backup_rows(result: BackupResult) -> list[Row]:
    """Return a backup as (what, value) rows."""
    rows = [
        {"what": "backup", "value": result.path},
        {"what": "size", "value": _size(result.bytes)},
        {"what": "sessions", "value": str(result.sessions)},
        {"what": "BLAKE2b-256", "value": result.digest},
    ]
    return rows + [{"what": "older one removed", "value": path} for path in result.removed]


def describe_backup(result: BackupResult) -> str:
    """Return a backup in one line."""
    return (
        f"{result.path}: {result.sessions} sessions, {_size(result.bytes)}, {result.seconds:.1f} s"
    )


def erase_rows(result: EraseResult) -> list[Row]:
    """Return what an erasure counted, as (what, count) rows."""
    would = "would go" if result.dry_run else "removed"
    rows = [_row(f"rows of {table} {would}", count) for table, count in result.rows.items()]
    rows += [
        _row(f"files {would}", result.files),
        _row(f"exports {would}", result.exports),
        _row(f"reports that name the person {would}", result.reports),
        _row("lines of the audit log made nameless", result.audit_entries),
        _row("recordings (inputs), never touched", result.recordings),
    ]
    rows += [_row(f"sessions that stay: {why}", count) for why, count in result.skipped.items()]
    return rows + [{"what": example, "count": ""} for example in result.examples]


def describe_erasure(result: EraseResult) -> str:
    """Return an erasure in one line, without the name."""
    if result.dry_run:
        return f"{result.sessions} sessions would be erased; nothing was removed"
    left = "" if result.complete else "; NOT complete, see the table"
    recordings = (
        f"; {result.recordings} recordings are yours to remove" if result.recordings else ""
    )
    return f"{result.sessions} sessions, {result.files} files erased{left}{recordings}"


def _size(num_bytes: int | None) -> str:
    return "" if num_bytes is None else f"{num_bytes / 1e6:.1f} MB"


def health_rows(report: HealthReport) -> list[Row]:
    """Return every check as a row, the worst first."""
    checks = sorted(report.checks, key=lambda check: -check.status.exit_code)
    return [
        {
            "check": check.name,
            "status": check.status.value,
            "value": check.value or "",
            "threshold": check.threshold or "",
            "message": check.message,
            "ms": f"{check.duration_ms:.0f}",
        }
        for check in checks
    ]


def describe_health(report: HealthReport) -> str:
    """Return a health check in one line."""
    unwell = [check.name for check in report.checks if check.status is not HealthStatus.OK]
    line = f"{report.status}: {len(report.checks)} checks in {report.seconds:.1f} s"
    if report.interrupted:
        line += f", {report.interrupted} interrupted sessions marked"
    return f"{line}; see {', '.join(unwell)}" if unwell else line
