"""``anc serve``: server, deployments with their schedules, and worker in one command."""

from __future__ import annotations

import logging
import os
from urllib.parse import urlsplit

import click

from flows.options import database_option, load_settings


def _web_address(_context: click.Context, option: click.Parameter, text: str | None) -> str | None:
    """Refuse what is no address of the web: pages that ask there would stay empty."""
    if text is not None and urlsplit(text).scheme not in {"http", "https"}:
        msg = f"{text!r} is not http://HOST... or https://HOST..."
        raise click.BadParameter(msg, param=option)
    return text


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65_534), default=4200, show_default=True)
@database_option
@click.option(
    "--prefect-database-url",
    help="Prefect's own database (postgresql+asyncpg://...); default: SQLite in ANC_HOME.",
)
@click.option(
    "--public-url",
    metavar="URL",
    callback=_web_address,
    help="What browsers call it behind a proxy or in a container; default: host and port.",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Runs of ordinary priority at once; each batch uses all cores by itself.",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(1, 65_535),
    help="Serve Prometheus metrics there; default: not at all.",
)
@click.option(
    "--metrics-host", default="127.0.0.1", show_default=True, help="Address of the metrics."
)
def serve(
    host: str,
    port: int,
    database_url: str | None,
    prefect_database_url: str | None,
    public_url: str | None,
    limit: int,
    metrics_port: int | None,
    metrics_host: str,
) -> None:
    """Start server, deployments, schedules, automations and worker; Ctrl-C ends all."""
    from anc_core.store import open_database
    from flows.standing_server import standing_server

    settings = load_settings(database_url)
    running = standing_server(settings)
    if running is not None:
        click.echo(f"already running: {running.url} (process {running.pid})")
        return
    open_database(settings.resolved_database_url).dispose()  # better to fail now than in a run
    from deployments.environment import Place
    from deployments.machine import serve_machine

    place = Place(
        settings=settings,
        host=host,
        port=port,
        address=public_url,
        metrics_port=metrics_port,
        metrics_host=metrics_host,
        prefect_database_url=prefect_database_url
        or os.environ.get("PREFECT_SERVER_DATABASE_CONNECTION_URL"),
    )
    say = logging.getLogger(__name__).info if settings.log_json else _echo
    serve_machine(place, normal_limit=limit, say=say)


def _echo(line: str) -> None:
    click.echo(line, err=True)
