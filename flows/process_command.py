"""``anc process`` and ``anc cancel``: one recording."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from flows.options import (
    EXIT_FAILED,
    cancellation_options,
    cancellation_parameters,
    mode_option,
    moment_option,
    open_store,
    options,
    session_options,
    suppression_options,
    suppression_overrides,
    tell_of_alerts,
    use_database,
)
from flows.parameters import check_names

_place_options = options(
    click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        default=Path("cleaned"),
        show_default=True,
        help="Folder, or a file name with its suffix.",
    ),
    click.option("--no-output", is_flag=True, help="Measure and record only."),
    click.option(
        "--reference", type=click.Path(path_type=Path), help="The noise, picked up elsewhere."
    ),
    click.option("--chunk-size", type=int, help="Samples a chunk, 0.5 to 5 s."),
    click.option("--session-id", help="Name of the session."),
    moment_option("--recorded-at", help="When it began; without a time zone: UTC."),
)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@_place_options
@mode_option
@suppression_options
@cancellation_options
@session_options
def process(**words: Any) -> None:  # noqa: ANN401 - one word for every option above
    """Remove the noise from one recording."""
    suppression = suppression_overrides(words)
    _process_one(suppression=suppression, **words)


@click.command()
@click.argument("file", metavar="PRIMARY", type=click.Path(path_type=Path))
@_place_options
@cancellation_options
@session_options
def cancel(**words: Any) -> None:  # noqa: ANN401
    """Subtract from PRIMARY the noise that a second microphone heard.

    That microphone is a file of its own (--reference) or a channel of PRIMARY
    (--reference-channel); delay, sample rate and clock need not be PRIMARY's.
    """
    if words["reference"] is None and words["reference_channel"] is None:
        msg = "say where the noise was picked up: --reference FILE or --reference-channel N"
        raise click.UsageError(msg)
    _process_one(mode="cancel", **words)


def _process_one(
    *,
    file: Path,
    output: Path,
    no_output: bool,
    reference: Path | None,
    analyse_only: bool,
    database_url: str | None,
    as_flow: bool,
    as_json: bool,
    quiet: bool,
    **words: Any,  # noqa: ANN401
) -> None:
    settings, database = open_store(database_url)
    sink = None if no_output else _sink(file, output, is_copy=analyse_only)
    cancellation = cancellation_parameters(words)
    parameters = {**words, "apply_anc": not analyse_only, "cancellation": cancellation}
    if as_flow:
        check_names(file, sink, reference)
        from flows.audio_processing import process_audio_file

        use_database(settings)
        summary = process_audio_file(
            file_path=file, output_path=sink, reference_path=reference, **parameters
        )
    else:
        from anc_core.jobs.direct import run_one
        from anc_core.jobs.records import RecordingJob
        from anc_core.records import Mode, Overwrite
        from flows.console import recording_bar

        parameters["mode"] = Mode(parameters["mode"])
        parameters["overwrite"] = Overwrite(parameters["overwrite"])
        job = RecordingJob(source=file, sink=sink, reference=reference, **parameters)
        with recording_bar(*_length(file), quiet=quiet or as_json) as show:
            summary = run_one(job, database=database, settings=settings, on_progress=show)
    from flows.console import print_json, print_session

    (print_json if as_json else print_session)(summary)
    tell_of_alerts(settings)
    sys.exit(EXIT_FAILED if summary.status == "failed" else 0)


def _sink(file: Path, output: Path, *, is_copy: bool) -> Path:
    from anc_core.jobs.plan import output_place
    from anc_core.jobs.scan import RECORDING_SUFFIXES

    if output.suffix.lower() in RECORDING_SUFFIXES and not output.is_dir():
        return output
    return output_place(file, output, is_copy=is_copy)


def _length(file: Path) -> tuple[int | None, int]:
    """Return samples and rate by the header; what is wrong with it is said when it is processed."""
    from anc_core.audio import open_reader
    from anc_core.errors import AncError

    try:
        with open_reader(file) as reader:
            return reader.declared_num_samples, reader.sample_rate
    except AncError:
        return None, 1
