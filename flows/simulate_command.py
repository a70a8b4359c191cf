"""``anc simulate``: ANC of one recording, or with ``--sweep`` a grid of settings on a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.options import EXIT_FAILED, EXIT_USAGE

if TYPE_CHECKING:
    from anc_core.jobs.sweep_records import SweepRequest, SweepResult
    from anc_core.settings import Settings


@click.command()
@click.argument("noise", type=click.Path(path_type=Path))
@click.option("--primary", help="Path from noise to error microphone: WAV, MAT, NPY, CSV, JSON.")
@click.option("--secondary", help="Path from loudspeaker to error microphone.")
@click.option("--estimate", help="What the controller believes of it; default: the truth.")
@click.option("--variable", help="Of MAT files; or write FILE:NAME where they differ.")
@click.option(
    "--path-rate", type=click.IntRange(1_000, 768_000), help="Hz, of files that do not say it."
)
@click.option("--algorithm", help="fxnlms (default), auto, ...; a wrong name lists them all.")
@click.option("--taps", type=click.IntRange(1), help="Of the control filter; default: as primary.")
@click.option(
    "--step-size", type=click.FloatRange(0.0, 2.0, min_open=True, max_open=True), help="0 to 2."
)
@click.option(
    "--structure",
    type=click.Choice(["feedforward", "feedback", "hybrid"]),
    help="Default: feedforward.",
)
@click.option(
    "--io-delay", type=click.IntRange(0, 65_536), help="Samples from microphone to loudspeaker."
)
@click.option(
    "--saturation",
    type=click.FloatRange(0.0, min_open=True),
    help="Largest amplitude of the loudspeaker.",
)
@click.option("--bits", type=click.IntRange(4, 32), help="Word length of the converters.")
@click.option(
    "--reference-noise", type=click.FloatRange(-300, 100), help="Of that microphone, dBFS."
)
@click.option("--error-noise", type=click.FloatRange(-300, 100), help="Of that microphone, dBFS.")
@click.option(
    "--leakage", type=click.FloatRange(0.0, 1.0, max_open=True), help="Forgotten every sample."
)
@click.option("--no-guard", is_flag=True, help="Without the guards against divergence.")
@click.option(
    "--online-identification",
    is_flag=True,
    help="Find the secondary path with auxiliary noise; without --estimate from nothing.",
)
@click.option("--dtype", type=click.Choice(["float32", "float64"]), help="Default: float32.")
@click.option("--seed", type=click.IntRange(0), help="Of the microphones' noise.")
@click.option("--start", type=click.FloatRange(0.0), help="Seconds into the recording.")
@click.option("--duration", type=click.FloatRange(0.0, min_open=True), help="Seconds to simulate.")
@click.option(
    "--repeat-to",
    type=click.FloatRange(0.0, min_open=True),
    help="Repeat shorter recordings to so many seconds.",
)
@click.option("--channel", type=click.IntRange(0), help="From 0; default: the strongest.")
@click.option(
    "-o",
    "--output-dir",
    type=click.Path(path_type=Path),
    help="Gets sounds, figures.json, pictures, filters; of a sweep (default: sweep): results.csv, "
    "index.html, and rows/, by which it goes on after a stop.",
)
@click.option(
    "--export", "exports", multiple=True, help="The filter as c, q15, q31, wav, json, sos; repeat."
)
@click.option("--filter-bank", help="Fixed filters for --algorithm sfanc; default: by octaves.")
@click.option(
    "--build-filter-bank",
    "bank_file",
    type=click.Path(path_type=Path),
    metavar="OUT.npz",
    help="Make such filters for the noises of the folder NOISE instead.",
)
@click.option("--filters", "num_filters", type=click.IntRange(1), help="Of that bank; default: 8.")
@click.option("--causality", is_flag=True, help="What delay beyond --io-delay would cost.")
@click.option(
    "--sweep",
    "grid_file",
    type=click.Path(path_type=Path),
    metavar="GRID.toml",
    help="Every setting of the grid on every recording of the folder NOISE.",
)
@click.option("--dry-run", is_flag=True, help="Of a sweep: count the cells, write nothing.")
@click.option("--workers", type=click.IntRange(1), help="Of a sweep; default: all cores.")
@click.option("--recursive/--flat", default=True, help="Of a sweep.")
@click.option("--max-files", type=click.IntRange(1), help="Of a sweep: only so many recordings.")
@click.option("--flow", "as_flow", is_flag=True, help="Run the sweep as a Prefect flow.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def simulate(**words: Any) -> None:  # noqa: ANN401 - one value for each option above
    """Simulate active noise control of the recording NOISE through acoustic paths.

    Paths and noise meet at the paths' sample rate. The run is held in memory, 40 million samples
    at most: cut longer recordings with --start and --duration.
    """
    if words["bank_file"] is not None:
        from flows.filter_bank_command import build

        build(words)
    elif words["num_filters"] is not None:
        raise click.UsageError("--filters belongs to --build-filter-bank OUT.npz")
    elif words["grid_file"] is None:
        _one(words)
    else:
        _sweep(words)


# --------------------------------------------------------------------------- one recording


def _one(words: dict[str, Any]) -> None:
    for name, option in _OF_SWEEP.items():
        if words[name]:
            msg = f"{option} belongs to a sweep; name its grid with --sweep GRID.toml"
            raise click.UsageError(msg)
    for name in ("primary", "secondary"):
        if not words[name]:
            msg = f"Missing option '--{name}'."
            raise click.UsageError(msg)
    if words["noise"].is_dir():
        msg = (
            f"{str(words['noise'])!r} is a folder; try settings on all of it with --sweep GRID.toml"
        )
        raise click.UsageError(msg)
    if words["exports"] and words["output_dir"] is None:
        msg = "--export needs a folder to write to; name it with -o"
        raise click.UsageError(msg)
    from anc_core.jobs.simulate import simulate_recording
    from anc_core.jobs.simulate_records import Excerpt, PathFiles, RunSettings, SimulateRequest
    from anc_core.settings import Settings
    from flows.console import print_json
    from flows.simulate_console import print_simulation

    request = SimulateRequest(
        noise=words["noise"],
        paths=PathFiles(**_path_words(words)),
        excerpt=Excerpt(
            **_given(
                start_s=words["start"],
                duration_s=words["duration"],
                repeat_to_s=words["repeat_to"],
                channel=words["channel"],
            )
        ),
        settings=RunSettings(
            guard=not words["no_guard"],
            online_identification=words["online_identification"],
            **_given(
                structure=words["structure"],
                leakage=words["leakage"],
                saturation=words["saturation"],
                bits=words["bits"],
                reference_noise_db=words["reference_noise"],
                microphone_noise_db=words["error_noise"],
                dtype=words["dtype"],
                seed=words["seed"],
            ),
        ),
        num_taps=words["taps"],
        step_size=words["step_size"],
        output_dir=words["output_dir"],
        exports=tuple(dict.fromkeys(words["exports"])),
        causality=words["causality"],
        **_given(algorithm=words["algorithm"], io_delay=words["io_delay"]),
    )
    report = simulate_recording(request, Settings.load())
    (print_json if words["as_json"] else print_simulation)(report)
    sys.exit(EXIT_FAILED if any(line.reason for line in report.exports) else 0)


def _path_words(words: dict[str, Any]) -> dict[str, Any]:
    names = ("primary", "secondary", "estimate", "variable", "path_rate", "filter_bank")
    return {name: words[name] for name in names}


def _given(**values: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever options hold
    """Return the options that were given; the record knows the defaults of the others."""
    return {name: value for name, value in values.items() if value is not None}


# --------------------------------------------------------------------------- a sweep

_OF_SWEEP = {
    "dry_run": "--dry-run",
    "as_flow": "--flow",
    "workers": "--workers",
    "max_files": "--max-files",
}

_IN_GRID = {
    "algorithm": "algorithm",
    "taps": "num_taps",
    "step_size": "step_size",
    "io_delay": "io_delay",
    "structure": "structure under [run]",
    "saturation": "saturation under [run]",
    "bits": "bits under [run]",
    "reference_noise": "reference_noise_db under [run]",
    "error_noise": "microphone_noise_db under [run]",
    "leakage": "leakage under [run]",
    "no_guard": "guard under [run]",
    "online_identification": "online_identification under [run]",
    "dtype": "dtype under [run]",
    "seed": "seed under [run]",
    "start": "start_s under [recording]",
    "duration": "duration_s under [recording]",
    "repeat_to": "repeat_to_s under [recording]",
    "channel": "channel under [recording]",
}
"""Option of one recording -> where a sweep has it."""


def _sweep(words: dict[str, Any]) -> None:
    for name, key in _IN_GRID.items():
        if words[name] is not None and words[name] is not False:
            option = f"--{name.replace('_', '-')}"
            msg = f"{option} is for one recording; in a sweep it is {key} of the grid"
            raise click.UsageError(msg)
    if words["causality"]:
        msg = "--causality is for one recording; in a sweep list delays as io_delay of the grid"
        raise click.UsageError(msg)
    if words["exports"]:
        msg = "--export is for one recording; simulate the best setting of the sweep with it"
        raise click.UsageError(msg)
    from anc_core.jobs.naming import check_named
    from anc_core.jobs.sweep_grid import path_files, read_grid
    from anc_core.jobs.sweep_records import SweepRequest
    from anc_core.settings import Settings
    from flows.console import print_json
    from flows.simulate_console import print_sweep

    settings = Settings.load(workers=words["workers"])
    check_named([words["grid_file"]], settings.allowed_roots)
    grid = read_grid(words["grid_file"])
    request = SweepRequest(
        folder=words["noise"],
        output_dir=words["output_dir"] or Path("sweep"),
        grid=grid,
        paths=path_files(grid, **_path_words(words)),
        recursive=words["recursive"],
        max_files=words["max_files"],
    )
    if words["as_flow"] and not words["dry_run"]:
        result = _sweep_as_flow(request, settings)
    else:
        quiet = words["quiet"] or words["as_json"]
        result = _sweep_directly(request, settings, dry_run=words["dry_run"], quiet=quiet)
    (print_json if words["as_json"] else print_sweep)(result)
    if result.nothing_to_do:
        sys.exit(EXIT_USAGE)
    sys.exit(EXIT_FAILED if result.failed or result.failed_recordings else 0)


def _sweep_directly(
    request: SweepRequest, settings: Settings, *, dry_run: bool, quiet: bool
) -> SweepResult:
    from anc_core.jobs.sweep import run_sweep
    from flows.console import counting_bar

    with counting_bar("simulating", quiet=quiet) as show:
        return run_sweep(request, settings, dry_run=dry_run, on_progress=show)


def _sweep_as_flow(request: SweepRequest, settings: Settings) -> SweepResult:
    import os

    from flows.parameters import check_names

    paths = request.paths.model_dump(exclude_none=True)
    check_names(request.folder, request.output_dir, *map(str, paths.values()))
    from flows.simulation import simulate_anc_sweep

    # The flow reads the environment itself.
    os.environ["ANC_WORKERS"] = str(settings.workers)
    result: SweepResult = simulate_anc_sweep(
        folder=request.folder,
        output_dir=request.output_dir,
        grid=request.grid,
        recursive=request.recursive,
        max_files=request.max_files,
        **paths,
    )
    return result
