"""``anc metrics``: the state of the installation for Prometheus - printed, as a file, or served."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from flows.options import EXIT_FAILED, database_option, load_settings

LOOPBACK = "127.0.0.1"


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.prom",
    help="Write a file for node_exporter's textfile collector, whole or not at all.",
)
@click.option(
    "--serve",
    "port",
    type=click.IntRange(1, 65_535),
    metavar="PORT",
    help="Serve /metrics until Ctrl-C.",
)
@click.option("--host", default=LOOPBACK, show_default=True, help="Address to listen on.")
@database_option
def metrics(output: Path | None, port: int | None, host: str, database_url: str | None) -> None:
    """Print the state of the installation as Prometheus reads it.

    Exit code 1 if the store does not answer; what is known without it is told all the same.
    """
    from anc_core.jobs.naming import check_named
    from anc_core.monitoring.collector import InstallationCollector, registry_of
    from anc_core.monitoring.exposition import render, serve, write

    if port is not None and output is not None:
        msg = "--output and --serve exclude each other"
        raise click.UsageError(msg)
    settings = load_settings(database_url)
    check_named([output], settings.allowed_roots)
    if port is not None:
        serve(settings, host=host, port=port, say=lambda line: click.echo(line, err=True))
        return
    collector = InstallationCollector(settings)
    registry = registry_of(collector)
    if output is None:
        click.echo(render(registry), nl=False)
    else:
        write(registry, output)
    if collector.store_error is not None:  # the log says why
        sys.exit(EXIT_FAILED)
