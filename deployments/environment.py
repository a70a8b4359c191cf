"""What the processes of ``anc serve`` find in their environment.

Context: a Prefect profile of the user, or a ``.env`` where he stands, must neither be changed nor
decide where this installation's runs go; a run works in a folder of its own.
Decision: whose server it is, where it keeps its things and which store the runs use is set here;
what is a matter of taste is set only where the user has set nothing.
Consequence: relative paths and ``.env`` count where ``anc serve`` was started.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from dotenv import dotenv_values

from anc_core.settings import Settings
from anc_core.store.engine import parse_url, sqlite_file
from flows.prefect_defaults import DEFAULTS

_WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104 - compared with, not bound to
_OURS = ("ANC_", "AUDIO_", "ML_")
_NOT_THEIRS = ("PREFECT_API_KEY", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH")

_TASTE = {
    **DEFAULTS,
    # In memory, the leases of limited deployments are gone after a restart of the server, which
    # then ends their runs.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
        "prefect.server.concurrency.lease_storage.filesystem"
    ),
    # 22 kB a task run: its own tables grow for ever otherwise.
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    # A server whose PostgreSQL is away answers 500, which is tried again for a minute only where
    # that is said: else runs die, and their worker can't tell.
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
    "PREFECT_WORKER_QUERY_SECONDS": "3",
    "PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1",
    "DO_NOT_TRACK": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where ``anc serve`` listens and keeps its things."""

    settings: Settings
    host: str
    port: int
    prefect_database_url: str | None = None
    address: str | None = None
    """What browsers call it, where that is not the name of this machine: a proxy, a container."""
    metrics_port: int | None = None
    """Where Prometheus finds the metrics, on ``metrics_host``; nowhere if it is not set."""
    metrics_host: str = "127.0.0.1"

    @property
    def worker_port(self) -> int:
        """Where the worker tells of its health, on loopback."""
        return self.port + 1

    @property
    def is_private(self) -> bool:
        """Return whether it listens on this machine only."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:  # a name
            return False

    @property
    def url(self) -> str:
        """For this machine."""
        return (
            f"http://{_in_url('127.0.0.1' if self.host in _WILDCARDS else self.host)}:{self.port}"
        )

    @property
    def public_url(self) -> str:
        """For browsers, which may be elsewhere if it listens everywhere."""
        if self.address is not None:
            return self.address.rstrip("/")
        host = platform.node() if self.host in _WILDCARDS else self.host
        return f"http://{_in_url(host)}:{self.port}"


def environment(place: Place, present: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of server, worker and runs, made of the ``present`` one."""
    settings = place.settings
    home = settings.home.expanduser().absolute()
    dotenv = {k: v for k, v in dotenv_values(".env").items() if v and k.upper().startswith(_OURS)}
    forced = {
        "ANC_HOME": str(home),
        "ANC_SCHEDULES_EXPECTED": "true",
        "ANC_DATABASE_URL": _absolute(settings.resolved_database_url),
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_API_URL": f"{place.url}/api",
        "PREFECT_UI_URL": place.public_url,
        "PREFECT_SERVER_UI_API_URL": f"{place.public_url}/api",
        # The pages are unpacked there: an installation may be read-only.
        "PREFECT_UI_STATIC_DIRECTORY": str(home / "prefect" / "pages"),
        "PREFECT_WORKER_WEBSERVER_PORT": str(place.worker_port),
        "PREFECT__SERVER_FINAL": "1",
    }
    if settings.log_json:
        # What Prefect writes in a run's process before it has loaded the flow.
        forced["PREFECT_LOGGING_HANDLERS_CONSOLE_FORMATTER"] = "json"
    if place.prefect_database_url is not None:
        forced["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = place.prefect_database_url
    for name in ("ml_model_path", "ml_scaler_path"):
        path = getattr(settings, name)
        if path is not None:
            forced[name.upper()] = str(path.expanduser().absolute())
    if settings.allowed_roots:
        roots = (str(root.expanduser().absolute()) for root in settings.allowed_roots)
        forced["ANC_ALLOWED_ROOTS"] = os.pathsep.join(roots)
    kept = {name: value for name, value in present.items() if name not in _NOT_THEIRS}
    return {**_TASTE, **dotenv, **kept, **forced}


def _absolute(database_url: str) -> str:
    url = parse_url(database_url)
    file = sqlite_file(url)
    if file is not None:
        url = url.set(database=str(file.expanduser().absolute()))
    return url.render_as_string(hide_password=False)


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
