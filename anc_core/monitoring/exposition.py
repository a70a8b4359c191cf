"""Three ways out: text, a file for node_exporter, an endpoint that Prometheus scrapes."""

from __future__ import annotations

import ipaddress
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    generate_latest,
    start_http_server,
    write_to_textfile,
)

from anc_core.errors import InputError
from anc_core.files import sink_error
from anc_core.monitoring.collector import InstallationCollector, registry_of
from anc_core.settings import Settings

TEXTFILE_SUFFIX = ".prom"


def render(registry: CollectorRegistry) -> str:
    """Return the text exposition of the present state."""
    return generate_latest(registry).decode("utf-8")


def write(registry: CollectorRegistry, file: Path) -> None:
    """Write the text exposition to ``file``, complete or not at all.

    Raises
    ------
    InputError
        If the name has not the suffix that node_exporter looks for.
    SinkError
        If it cannot be written.
    """
    if file.suffix != TEXTFILE_SUFFIX:
        msg = f"{file}: node_exporter reads files that end in {TEXTFILE_SUFFIX} only"
        raise InputError(msg)
    try:
        write_to_textfile(str(file), registry)
    except OSError as err:
        raise sink_error(file, err) from err


def serve(settings: Settings, *, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serve the text exposition until SIGINT or SIGTERM.

    Parameters
    ----------
    settings : Settings
        Of the installation to look at.
    host, port : str, int
        Where to listen.
    say : callable
        Gets a line for the user.

    Raises
    ------
    InputError
        If the address cannot be listened on.
    """
    registry = registry_of(InstallationCollector(settings))
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as err:
        msg = f"{host}:{port} cannot be used ({err.strerror}); choose another port"
        raise InputError(msg) from err
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    if not _is_loopback(host):
        say(f"{host} is open to the network: who reaches it can read all figures")
    say(f"metrics: http://{host}:{port}/metrics  (Ctrl-C ends it)")
    stop.wait()
    server.shutdown()
    server.server_close()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return False
