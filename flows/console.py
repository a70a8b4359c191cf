"""What the command line shows: bars on standard error, tables and JSON on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from anc_core.inert import inert
from anc_core.jobs.records import BatchPlan, BatchSummary, RecordingResult
from anc_core.records import Record, SessionSummary, Status
from anc_core.remote.address import is_url
from anc_core.store import BatchProgress

_PIPE_WIDTH = 160
_MAX_NOISES = 3
"""In a line of a batch: those that were heard longest."""

_STYLE = {
    Status.OK: "green",
    Status.DEGRADED: "yellow",
    Status.SKIPPED: "dim",
    Status.FAILED: "red",
}


def print_json(record: Record) -> None:
    """Print ``record`` and nothing else on standard output."""
    text = record.to_json(indent=2)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:  # a console of another code page: escaped, it is still JSON
        text = json.dumps(json.loads(text), indent=2)
    sys.stdout.write(text + "\n")


def print_session(summary: SessionSummary) -> None:
    """Print one session as a table of two columns."""
    metrics = summary.metrics
    alarms = [event for event in summary.events if event.evidence]
    table = Table(show_header=False, box=None, pad_edge=False)
    rows = {
        "status": Text(summary.status, style=_STYLE.get(summary.status, "")),
        "why": summary.error_message or summary.reason,
        "session": summary.session_id,
        "output": summary.output_path,
        "length": f"{_number(summary.duration_s)} s, {summary.sample_rate} Hz, "
        f"{summary.num_channels} ch, {summary.container} {summary.subtype}"
        if summary.sample_rate
        else None,
        "level": f"{_number(metrics.input_rms_dbfs)} -> {_number(metrics.output_rms_dbfs)} dBFS",
        "cancellation": _with_unit(metrics.cancellation_db, "dB of noise"),
        "SNR": _with_unit(metrics.snr_improvement_db, "dB better (estimated)"),
        "speech level": _with_unit(metrics.speech_level_change_db, "dB"),
        "protected": f"{metrics.protected_s:.1f} s, {len(alarms)} events",
        "noises": _noises(summary),
        "speed": _with_unit(metrics.speed_x, "x real time", digits=0),
        "warnings": ", ".join(w.code for w in summary.warnings) or None,
    }
    for name, value in rows.items():
        if value is not None:
            table.add_row(name, value if isinstance(value, Text) else safe(value))
    for event in alarms:
        words = f"{event.start_s:.1f}-{event.end_s:.1f} s {event.noise_type}: {event.evidence}"
        table.add_row("event", safe(words))
    stdout().print(table)


def print_batch(summary: BatchSummary, *, max_rows: int = 60) -> None:
    """Print what happened to each file, then the counts."""
    console = stdout()
    table = Table(header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("recording", overflow="fold", min_width=24)
    for name in ("s", "before\ndBFS", "after\ndBFS", "cancelled\ndB", "alarm\ns", "speed\nx"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("noises", overflow="fold")
    table.add_column("status", no_wrap=True)
    table.add_column("note", overflow="fold")
    root = _common(summary)
    lines = sorted(summary.results, key=lambda line: line.source_path)
    for line in lines[:max_rows]:
        table.add_row(*_cells(line, root))
    console.print(table)
    if len(lines) > max_rows:
        console.print(f"... and {len(lines) - max_rows} more; all are in the store")
    console.print(safe(describe(summary)))


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print ``rows`` under ``titles``; text from files and receivers is inert in it."""
    table = Table(header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for title in titles:
        table.add_column(safe(title), overflow="fold")
    for row in rows:
        table.add_row(*(safe(cell) for cell in row))
    stdout().print(table)


def stdout() -> Console:
    """Return the console; a file or pipe is as wide as a table needs."""
    console = Console()
    return console if console.is_terminal else Console(width=_PIPE_WIDTH)


def describe(summary: BatchSummary) -> str:
    """Return the counts, hours and speed of a batch in one line."""
    counts = {
        "ok": summary.ok,
        "degraded": summary.degraded,
        "skipped": summary.skipped,
        "failed": summary.failed,
        "duplicates": summary.duplicates,
    }
    parts = " + ".join(f"{count} {name}" for name, count in counts.items())
    line = f"planned {summary.planned} = {parts}"
    if summary.dry_run:
        return (
            f"{line}; dry run: about {summary.estimated_s:.0f} s of work, "
            f"{summary.estimated_bytes / 1e6:.1f} MB of output; nothing was written"
        )
    if summary.nothing_to_do:
        return "nothing to do: no recording was found"
    speed = "" if summary.speed_x is None else f" ({summary.speed_x:.0f} x real time)"
    return f"{line}; {summary.audio_s / 60:.1f} min of audio in {summary.wall_s:.1f} s{speed}"


def describe_plan(plan: BatchPlan) -> list[tuple[str, str]]:
    """Return (recording, where its output would go) for every job of a plan."""
    return [(str(job.source), str(job.sink or "-")) for job in plan.jobs]


@contextmanager
def counting_bar(doing: str, *, quiet: bool) -> Iterator[Callable[[int, int | None], None]]:
    """Show how many of how many are done on standard error; nothing where that is no terminal.

    The number of all may be unknown (``None``).
    """
    console = Console(stderr=True)
    hidden = quiet or not console.is_terminal
    with Progress(console=console, disable=hidden, transient=True) as bar:
        task = bar.add_task(doing, total=None)

        def show(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield show


@contextmanager
def batch_bar(*, quiet: bool) -> Iterator[Callable[[BatchPlan, BatchProgress], None]]:
    """Show the progress of a batch on standard error; nothing where that is no terminal."""
    console = Console(stderr=True)
    with _bar(console, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("planning", total=None, rate="")

        def show(plan: BatchPlan, progress: BatchProgress) -> None:
            done = progress.done + progress.failed
            elapsed = bar.tasks[task].elapsed or 0.0
            rate = f"{progress.audio_s / elapsed:.0f} x real time" if elapsed > 1 else ""
            bar.update(
                task, description="cleaning", total=len(plan.jobs), completed=done, rate=rate
            )

        yield show


@contextmanager
def recording_bar(
    num_samples: int | None, sample_rate: int, *, quiet: bool
) -> Iterator[Callable[[int], None]]:
    """Show the progress of one recording, in seconds of audio."""
    console = Console(stderr=True)
    with _bar(console, disable=quiet or not console.is_terminal) as bar:
        total_s = None if num_samples is None else num_samples / sample_rate
        task = bar.add_task("cleaning", total=total_s, rate="")

        def show(done: int) -> None:
            elapsed = bar.tasks[task].elapsed or 0.0
            rate = f"s, {done / sample_rate / elapsed:.0f} x real time" if elapsed > 1 else "s"
            bar.update(task, completed=done / sample_rate, rate=rate)

        yield show


def _bar(console: Console, *, disable: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=console,
        disable=disable,
        transient=True,
    )


def safe(text: str) -> Text:
    """Return ``text`` so that names from outside cannot act on the terminal.

    Control characters (C0 and C1), marks that turn the direction of writing, line separators and
    undecodable bytes are shown as escapes.
    """
    return Text(inert(text))


def _cells(line: RecordingResult, root: Path) -> list[Text]:
    status = "duplicate" if line.duplicate_of else line.status.value
    return [
        safe(_relative(line.source_path, root)),
        Text(_number(line.duration_s)),
        Text(_number(line.input_rms_dbfs)),
        Text(_number(line.output_rms_dbfs)),
        Text(_number(line.cancellation_db)),
        Text(_number(line.protected_s) if line.protected_s else ""),
        Text(_number(line.speed_x, digits=0)),
        safe(", ".join(list(line.noises)[:_MAX_NOISES])),
        Text(status, style=_STYLE[line.status]),
        safe(_note(line, root)),
    ]


def _note(line: RecordingResult, root: Path) -> str:
    if line.duplicate_of:
        return f"= {_relative(line.duplicate_of, root)}"
    return line.what_happened


def _relative(path: str, root: Path) -> str:
    if is_url(path):
        return path
    return str(Path(path).relative_to(root)) if Path(path).is_relative_to(root) else path


def _common(summary: BatchSummary) -> Path:
    import os

    parents = [os.path.dirname(line.source_path) for line in summary.results]  # noqa: PTH120
    absolute = [p for p in parents if p.startswith("/")]
    return Path(os.path.commonpath(absolute)) if absolute else Path()


def _noises(summary: SessionSummary) -> str | None:
    seconds = summary.noise_seconds
    return ", ".join(f"{name} {total:.1f} s" for name, total in seconds.items()) or None


def _number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _with_unit(value: float | None, unit: str, digits: int = 1) -> str | None:
    return None if value is None else f"{value:.{digits}f} {unit}"
