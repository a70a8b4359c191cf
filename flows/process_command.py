"""``anc process`` and ``anc cancel``: one recording."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.options import (
    EXIT_FAILED,
    PlaceType,
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

if TYPE_CHECKING:
    from anc_core.remote.address import RemotePath

_place_options = options(
    click.option(
        "-o",
        "--output",
        type=PlaceType(),
        default=Path("cleaned"),
        show_default=True,
        help="Folder, or a file name with its suffix; or a URL of such.",
    ),
    click.option("--no-output", is_flag=True, help="Measure and record only."),
    click.option("--reference", type=PlaceType(), help="The noise, picked up elsewhere."),
    click.option("--chunk-size", type=int, help="Samples a chunk, 0.5 to 5 s."),
    click.option("--session-id", help="Name of the session."),
    moment_option("--recorded-at", help="When it began; without a time zone: UTC."),
)


@click.command()
@click.argument("file", type=PlaceType())
@_place_options
@mode_option
@suppression_options
@cancellation_options
@session_options
def process(**words: Any) -> None:  # noqa: ANN401 - one word for every option above
    """Remove the noise from one recording, a file or the URL of an object."""
    suppression = suppression_overrides(words)
    _process_one(suppression=suppression, **words)


@click.command()
@click.argument("file", metavar="PRIMARY", type=PlaceType())
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
    file: Path | RemotePath,
    output: Path | RemotePath,
    no_output: bool,
    reference: Path | RemotePath | None,
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
        named = [None if where is None else str(where) for where in (sink, reference)]
        check_names(str(file), *named)
        from flows.audio_processing import process_audio_file

        use_database(settings)
        summary = process_audio_file(
            file_path=str(file), output_path=named[0], reference_path=named[1], **parameters
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


def _sink(
    file: Path | RemotePath, output: Path | RemotePath, *, is_copy: bool
) -> Path | RemotePath:
    from anc_core.jobs.plan import output_place
    from anc_core.jobs.scan import RECORDING_SUFFIXES

    is_folder = isinstance(output, Path) and output.is_dir()
    if output.suffix.lower() in RECORDING_SUFFIXES and not is_folder:
        return output
    return output_place(file, output, is_copy=is_copy)


def _length(file: Path | RemotePath) -> tuple[int | None, int]:
    """Return samples and rate by the header; what is wrong with it is said when it is processed."""
    from anc_core.audio import open_reader
    from anc_core.errors import AncError

    if not isinstance(file, Path):
        return None, 1  # only who fetches it knows
    try:
        with open_reader(file) as reader:
            return reader.declared_num_samples, reader.sample_rate
    except AncError:
        return None, 1
