"""``anc compare``: the comparison without a server; ``--flow`` runs it through Prefect."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.options import EXIT_FAILED, EXIT_USAGE

if TYPE_CHECKING:
    from rich.table import Table

    from anc_core.jobs.compare_records import CompareRequest, Comparison


_DEFAULT = "preset:default,preset:gentle,preset:strong"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--clean",
    type=click.Path(path_type=Path),
    help="Folder of clean references, by the same relative path or stem.",
)
@click.option(
    "-s",
    "--systems",
    default=_DEFAULT,
    show_default=True,
    help="Separated by commas: auto, spectral, neural, preset:NAME, rnnoise, onnx:PATH.",
)
@click.option("--system", "more", multiple=True, help="One more, for a path with a comma in it.")
@click.option(
    "-o",
    "--output-dir",
    type=click.Path(path_type=Path),
    default=Path("comparison"),
    show_default=True,
    help="Gets comparison.json, files.csv and audition.html.",
)
@click.option("--recursive/--flat", default=True, show_default=True)
@click.option("--max-files", type=click.IntRange(1), help="Only so many, drawn with a fixed seed.")
@click.option(
    "--max-seconds",
    type=click.FloatRange(1.0, 600.0),
    default=60.0,
    show_default=True,
    help="Of each recording, from its beginning.",
)
@click.option("--protect", is_flag=True, help="Guard emergency sounds, as anc process does.")
@click.option(
    "--examples",
    type=click.IntRange(0, 24),
    default=6,
    show_default=True,
    help="Recordings on the audition page.",
)
@click.option("--flow", "as_flow", is_flag=True, help="Run as a Prefect flow.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def compare(
    folder: Path,
    clean: Path | None,
    systems: str,
    more: tuple[str, ...],
    output_dir: Path,
    recursive: bool,
    max_files: int | None,
    max_seconds: float,
    protect: bool,
    examples: int,
    as_flow: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compare suppressors on a folder: quality, harm, speed, and a page to listen to."""
    from anc_core.jobs.compare_records import CompareRequest

    request = CompareRequest(
        folder=folder,
        output_dir=output_dir,
        clean=clean,
        systems=(*(name for name in systems.split(",") if name.strip()), *more),
        recursive=recursive,
        max_files=max_files,
        max_seconds=max_seconds,
        protect=protect,
        examples=examples,
    )
    comparison = _as_flow(request) if as_flow else _directly(request, quiet=quiet or as_json)
    if as_json:
        from flows.console import print_json

        print_json(comparison)
    else:
        print_comparison(comparison)
    sys.exit(exit_code(comparison))


def exit_code(comparison: Comparison) -> int:
    """Return 0 if all was measured, 1 if something failed, 2 if nothing was done."""
    if comparison.nothing_to_do:
        return EXIT_USAGE
    complete = all(system.status.value == "ok" for system in comparison.systems)
    return 0 if complete and not comparison.failed else EXIT_FAILED


def _directly(request: CompareRequest, *, quiet: bool) -> Comparison:
    from anc_core.jobs.compare import compare_folder
    from anc_core.settings import Settings
    from flows.console import counting_bar

    with counting_bar("comparing", quiet=quiet) as show:
        return compare_folder(request, Settings.load(), on_progress=show)


def _as_flow(request: CompareRequest) -> Comparison:
    from flows.comparison import compare_suppressors
    from flows.parameters import check_names

    check_names(request.folder, request.output_dir, request.clean or "")
    parameters: dict[str, Any] = {**dict(request), "systems": list(request.systems)}
    comparison: Comparison = compare_suppressors(**parameters)
    return comparison


# --------------------------------------------------------------------------- words

_COLUMNS = (
    ("pesq", "PESQ", 2),
    ("estoi", "ESTOI", 3),
    ("si_sdr_db", "SI-SDR\ndB", 1),
    ("dnsmos_ovrl", "OVRL", 2),
    ("dnsmos_sig", "SIG", 2),
    ("dnsmos_bak", "BAK", 2),
)


def print_comparison(comparison: Comparison) -> None:
    """Print a line for every system, what could not be measured, and where the page is."""
    from rich.console import Console

    from flows.console import safe

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    if comparison.nothing_to_do:
        console.print("nothing to compare: no recording was found")
        return
    console.print(_table(comparison))
    console.print("change over the unprocessed recordings, whose means are the first line")
    for line in _remarks(comparison):
        console.print(safe(line))
    console.print(
        f"{comparison.ok} of {comparison.planned} recordings, "
        f"{comparison.audio_s / 60:.1f} min, in {comparison.wall_s:.0f} s"
    )
    for path in (comparison.page_path, comparison.csv_path, comparison.json_path):
        if path is not None:
            console.print(safe(path), soft_wrap=True)


def _table(comparison: Comparison) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from flows.console import safe

    table = Table(header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("system", overflow="fold", min_width=14)
    shown = [item for item in _COLUMNS if comparison.before.get(item[0]) is not None]
    titles = [title for _, title, _ in shown]
    for title in (*titles, "harmed", "voice\ndB", "noise\nless dB", "lag", "speed\nx"):
        table.add_column(title, justify="right", no_wrap=True)
    before = [_number(comparison.before[name], digits) for name, _, digits in shown]
    table.add_row("unprocessed", *before, *["-"] * 5)
    for system in comparison.systems:
        if system.files:
            share = system.pesq_fell_share
            table.add_row(
                safe(system.system),
                *(_number(system.gains.get(name), digits, "+") for name, _, digits in shown),
                "-" if share is None else f"{100 * share:.0f} %",
                _number(system.speech_level_change_db, 1, "+"),
                _number(system.cancellation_db, 1),
                _number(system.largest_lag_samples, 0),
                _number(system.speed_x, 0),
            )
    return table


def _remarks(comparison: Comparison) -> Iterator[str]:
    for system in comparison.systems:
        if system.reason is not None:
            yield f"{system.system}: {system.reason}"
    for name, reason in comparison.null_reasons.items():
        yield f"{name} was not measured: {reason}"
    for file in comparison.files:
        if file.status.value == "failed" and not file.systems:
            yield f"{file.name}: {file.error_code or ''} {file.reason}"


def _number(value: float | None, digits: int, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.{digits}f}"
