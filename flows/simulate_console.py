"""What ``anc simulate`` shows: the figures of one run, or what a sweep found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from flows.console import safe, stdout

if TYPE_CHECKING:
    from anc_core.jobs.simulate_records import SimulationReport
    from anc_core.jobs.sweep_records import SweepResult
    from anc_core.metrics.anc_figures import AncFigures
    from anc_core.metrics.identification_figures import IdentificationFigures

_MAX_FAILURES = 20
_WORKER_START_S = 3.0

_ROUGH_DB = -20.0
"""An exported filter that is further off limits the attenuation to less than ANC reaches."""


def print_simulation(report: SimulationReport) -> None:
    """Print what one simulation found: figures, third octaves, remarks, files."""
    screen = stdout()
    screen.print(_figures_table(report))
    screen.print(_bands_table(report.figures))
    for line in _remarks(report):
        screen.print(safe(line), soft_wrap=True)


def _figures_table(report: SimulationReport) -> Table:
    figures = report.figures
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in (
        ("recording", report.source_path),
        ("simulated", _setting(report)),
        ("attenuation, end", _two(figures.steady_cancellation_db, figures.steady_a_weighted_db)),
        ("attenuation, whole", _two(figures.cancellation_db, figures.cancellation_a_weighted_db)),
        ("best causal filter", _two(figures.wiener_db, figures.wiener_a_weighted_db)),
        ("gap to it", _unit(figures.wiener_gap_db, "dB")),
        *_causality(report),
        ("worst band", _worst(figures)),
        ("converged after", _convergence(figures)),
        ("loudspeaker", _effort(figures)),
        ("guards", _guards(report)),
    ):
        table.add_row(name, safe(value))
    if report.identification is not None:
        table.add_row("secondary path", safe(_identification(report.identification)))
    return table


def _causality(report: SimulationReport) -> Iterator[tuple[str, str]]:
    curve = report.causality
    if curve is None:
        return
    if curve.margin_samples is None or curve.margin_s is None:
        words = f"no 3 dB lost up to {curve.delays_samples[-1]} samples of further delay"
    else:
        words = (
            f"3 dB lost with {curve.margin_samples:.0f} samples "
            f"({1_000.0 * curve.margin_s:.2f} ms) of further delay"
        )
    knee = "" if curve.knee_samples is None else f", most steeply at {curve.knee_samples:.0f}"
    yield "causality margin", f"{words}{knee}; the anti-noise leads by {curve.lead_samples}"


def _setting(report: SimulationReport) -> str:
    figures = report.figures
    delay = f", {report.io_delay} samples of delay" if report.io_delay else ""
    guard = "" if report.settings.guard else ", no guards"
    step = f", step {report.step_size:g}" if report.step_size else ""
    return (
        f"{report.algorithm}{step}, {report.num_taps} taps, "
        f"{report.settings.structure}{delay}{guard}; {figures.duration_s:.1f} s at "
        f"{figures.sample_rate} Hz"
    )


def _two(value: float | None, a_weighted: float | None) -> str:
    return f"{_unit(value, 'dB')}, A-weighted {_unit(a_weighted, 'dB')}"


def _worst(figures: AncFigures) -> str:
    change = figures.worst_band_amplification_db
    if change is None or figures.worst_band_hz is None:
        return "-"
    effect = "louder" if change > 0.0 else "quieter: no band became louder"
    return f"{figures.worst_band_hz:g} Hz, {abs(change):.1f} dB {effect}"


def _convergence(figures: AncFigures) -> str:
    if figures.convergence_s is None:
        return f"- ({figures.null_reasons.get('convergence_s', 'not to be had')})"
    ten = figures.time_to_10_db_s
    return f"{figures.convergence_s:.2f} s" + ("" if ten is None else f"; 10 dB after {ten:.2f} s")


def _effort(figures: AncFigures) -> str:
    words = (
        f"{_unit(figures.drive_rms_dbfs, 'dBFS')}, peak {_unit(figures.drive_peak_dbfs, 'dBFS')}"
    )
    share = figures.drive_saturated_share
    return words if share is None else f"{words}, {100 * share:.1f} % of the time at its limit"


def _guards(report: SimulationReport) -> str:
    if not report.settings.guard:
        return "off"
    did = [event for event in report.guard_events if event.kind != "armed"]
    if not did:
        return "nothing to do"
    more = f" and {len(did) - 5} more" if len(did) > 5 else ""
    return ", ".join(f"{event.kind} at {event.time_s:.2f} s" for event in did[:5]) + more


def _identification(found: IdentificationFigures) -> str:
    if found.identified_s is None:
        return "not found"
    return (
        f"found after {found.identified_s:.2f} s, {found.searches} x searched, misalignment "
        f"{_unit(found.misalignment_db, 'dB')}; auxiliary noise {_unit(found.auxiliary_db, 'dB')} "
        f"re residual, costs {found.auxiliary_cost_db:.2f} dB"
    )


def _bands_table(figures: AncFigures) -> Table:
    table = Table(header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for title in ("third octave\nHz", "attenuation\nend, dB", "best\ndB", "gap\ndB", "whole\ndB"):
        table.add_column(title, justify="right", no_wrap=True)
    for label, reached in figures.steady_third_octave_db.items():
        best = figures.wiener_third_octave_db.get(label)
        gap = None if best is None or reached is None else best - reached
        whole = figures.cancellation_third_octave_db.get(label)
        style = "red" if reached is not None and reached < -0.05 else None
        table.add_row(label, *(number(x) for x in (reached, best, gap, whole)), style=style)
    return table


def _remarks(report: SimulationReport) -> Iterator[str]:
    yield from report.remarks
    if report.output_gain_db is not None:
        yield f"sound files: both lowered by {-report.output_gain_db:.1f} dB so that none clips"
    for line in report.exports:
        if line.reason is not None:
            yield f"{line.format}: not written, {line.reason}"
        elif line.error_db is not None:
            rough = ": a rough fit, simulate it before use" if line.error_db > _ROUGH_DB else ""
            yield f"{line.format}: error {line.error_db:.1f} dB of the filter's energy{rough}"
    yield from report.files


def number(value: float | None, digits: int = 1) -> str:
    """Return ``value`` as a cell of a table; a hyphen for what is not to be had."""
    return "-" if value is None else f"{value:.{digits}f}"


def _unit(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.1f} {unit}"


# --------------------------------------------------------------------------- a sweep


def print_sweep(result: SweepResult) -> None:
    """Print a line for each algorithm, the counts, and where the page is."""
    from anc_core.jobs.sweep_conclusion import describe_counts, describe_robust

    screen = stdout()
    if result.nothing_to_do:
        screen.print(describe_counts(result))
        return
    if result.dry_run:
        screen.print(safe(describe_dry_run(result)), soft_wrap=True)
    else:
        screen.print(_algorithms_table(result))
        words = f"{describe_counts(result)}; {result.wall_s:.0f} s"
        screen.print(safe(words), soft_wrap=True)
        if (robust := describe_robust(result)) is not None:
            screen.print(safe(robust), soft_wrap=True)
    for line in result.failures[:_MAX_FAILURES]:
        setting = "" if line.cell is None else f" ({line.cell.algorithm})"
        screen.print(
            safe(f"{line.recording}{setting}: {line.error_code} {line.reason}"), soft_wrap=True
        )
    more = len(result.failures) - _MAX_FAILURES
    if more > 0:
        screen.print(f"... and {more} more failures; all are in the results")
    for remark in (*result.remarks, result.parquet_reason):
        if remark is not None:
            screen.print(safe(remark), soft_wrap=True)
    for path in (result.page_path, result.csv_path, result.parquet_path, result.json_path):
        if path is not None:
            screen.print(safe(path), soft_wrap=True)


def describe_dry_run(result: SweepResult) -> str:
    """Return what a sweep would do in one line."""
    wall_s = result.estimated_s / max(result.workers, 1) + _WORKER_START_S
    return (
        f"{result.planned} cells on {result.recordings} recordings, {result.resumed} done already; "
        f"dry run: about {result.estimated_s:.0f} s of work, {wall_s:.0f} s with {result.workers} "
        "workers; nothing was written"
    )


def _algorithms_table(result: SweepResult) -> Table:
    table = Table(header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("algorithm", no_wrap=True)
    for title in (
        *("best\nstep", "taps", "median\ndB", "worst\ndB", "bound\ndB", "gap\ndB", "converged\ns"),
        *("cells", "tripped", "louder", "diverged", "failed"),
    ):
        table.add_column(title, justify="right", no_wrap=True)
    for line in result.algorithms:
        best = line.best
        figures = ["-"] * 7
        if best is not None:
            figures = [
                f"{best.step_size:g}" if best.step_size else "-",
                str(best.num_taps),
                *(number(x) for x in (best.median_db, best.worst_db, best.bound_db, best.gap_db)),
                number(best.convergence_s, 2),
            ]
        counts = (line.cells, line.tripped, line.louder, line.diverged, line.failed)
        table.add_row(line.algorithm, *figures, *map(str, counts))
    return table
