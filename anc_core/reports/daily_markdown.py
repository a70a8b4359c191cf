"""The report as Markdown: for Prefect's pages, for the body of a mail, for a terminal."""

from __future__ import annotations

from anc_core.reports.daily_figures import DailyReport
from anc_core.reports.daily_page import in_unit, shown
from anc_core.reports.wording import inert

MAX_ROWS = 20


def report_title(report: DailyReport) -> str:
    """Return the report in one line: ``RED: ANC daily report, Tuesday, 3 November 2026``."""
    period = report.figures.period
    return f"{report.verdict}: ANC {period.kind} report, {period.label} ({period.timezone})"


def report_markdown(report: DailyReport) -> str:
    """Return verdict, numbers, flags and failures; text from outside is inert in it."""
    lines = [f"## {report_title(report)}", ""]
    lines += [f"- {inert(reason)}" for reason in report.reasons]
    lines += ["", "| figure | value | usual |", "|---|---|---|"]
    lines += [f"| {name} | {value} | {usual} |" for name, value, usual in key_figures(report)]
    if report.late is not None:
        late = f"{report.late.count} recordings came after that of"
        words = f"Revision {report.revision}; {late} {report.late.since:%Y-%m-%d %H:%M} UTC."
        lines += ["", words]
    for flag in report.flags:
        lines += ["", f"### {flag.verdict}: {inert(flag.title)}", "", inert(flag.cause)]
        if flag.value is not None:
            against = f" against a limit of {in_unit(flag.limit, flag.unit)}" if flag.limit else ""
            value = in_unit(flag.value, flag.unit)
            lines += ["", f"{flag.rule}: {value}{against}, n = {flag.n}"]
    if report.figures.failures:
        lines += ["", "| failed with | sessions | for example |", "|---|---|---|"]
        lines += [
            f"| {inert(group.code)} | {group.count} | {inert(group.message)} |"
            for group in report.figures.failures[:MAX_ROWS]
        ]
    return "\n".join(lines) + "\n"


def key_figures(report: DailyReport) -> list[tuple[str, str, str]]:
    """Return the ten numbers as (name, value, what is usual)."""
    figures = report.figures
    counts, recent, events = figures.sessions, figures.recent, figures.events
    api, disk, backlog = figures.api, figures.disk, figures.backlog
    heard = (
        f"{events.total}, {events.first_at_device} new at their device, "
        f"{events.unacknowledged} unacknowledged"
    )
    cancelled = figures.cancellation_db
    median, p10 = shown(cancelled.median, "db"), shown(cancelled.p10, "db")
    errors = f"{shown(api.error_share, 'share')} errors of {api.requests}"
    room = "–"
    if disk is not None:
        room = f"{shown(disk.free_bytes, 'size')} free, full in {shown(disk.days_to_full, 'days')}"
    return [
        (
            "sessions",
            f"{counts.ok} ok, {counts.degraded} degraded, {counts.skipped} skipped",
            f"{shown(recent.ok, 'mean')} ok, {shown(recent.degraded, 'mean')} degraded",
        ),
        (
            "failed",
            f"{counts.failed} ({shown(figures.failed_share, 'share')})",
            shown(recent.failed, "mean"),
        ),
        ("audio", shown(figures.audio_s, "audio"), shown(recent.audio_s, "audio")),
        ("speed", f"{shown(figures.speed_x, 'speed')} x real time", ""),
        ("backlog", "none" if backlog.age_s is None else shown(backlog.age_s, "duration"), "none"),
        (
            "emergency events",
            f"{heard}, {events.violations} made quieter",
            shown(events.expected, "mean"),
        ),
        ("noise cancelled", f"median {median} dB, p10 {p10} dB, n = {cancelled.n}", ""),
        ("API", f"p95 {shown(api.p95_ms, 'ms')} ms, {errors}", ""),
        ("disk", room, ""),
        ("model", inert(figures.model_id or "none"), ""),
    ]
