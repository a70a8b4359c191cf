"""The demo: a folder of noisy recordings through the real flow, and what became of each."""

from __future__ import annotations

import os
from pathlib import Path

import click


def run_demo(folder: Path, *, as_json: bool) -> None:
    """Write the recordings, run ``batch_process_files`` on the embedded server, show the result.

    Parameters
    ----------
    folder : path
        Gets ``recordings``, ``cleaned``, ``anc.db`` and, unless PREFECT_HOME or PREFECT_API_URL is
        set, Prefect's own database.
    as_json : bool
        Print the flow's record instead of the table.
    """
    from anc_core.jobs.naming import check_named
    from anc_core.settings import Settings

    folder = folder.absolute()
    check_named([folder], Settings.load().allowed_roots)
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["ANC_DATABASE_URL"] = f"sqlite:///{folder / 'anc.db'}"
    if "PREFECT_API_URL" not in os.environ:
        os.environ.setdefault("PREFECT_HOME", str(folder / "prefect"))
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")

    from anc_core.audio.synth.recordings import write_demo_recordings
    from flows.audio_processing import batch_process_files
    from flows.console import print_batch, print_json

    click.echo("Synthesising noisy recordings ...", err=True)
    recordings = folder / "recordings"
    write_demo_recordings(recordings)
    click.echo("Running batch_process_files on Prefect's embedded server ...", err=True)
    summary = batch_process_files([recordings], output_dir=folder / "cleaned")
    if as_json:
        print_json(summary)
        return
    print_batch(summary)
    click.echo(f"\ninput      {recordings}")
    click.echo(f"outputs    {folder / 'cleaned'}   (listen before and after)")
    click.echo(f"database   {folder / 'anc.db'}")
