"""Where the server of ``anc serve`` is, for commands that come later."""

from __future__ import annotations

import json
import os
from pathlib import Path

import psutil

from anc_core.records import Record
from anc_core.settings import Settings


class StandingServer(Record):
    """The ``anc serve`` of one ANC home."""

    pid: int
    started_at: float
    """Of the process, seconds since 1970: a process id is used again."""
    url: str
    """Without a path: the page is here, the API below ``/api``."""

    @property
    def api_url(self) -> str:
        """What ``PREFECT_API_URL`` must be to use it."""
        return f"{self.url}/api"

    @property
    def is_alive(self) -> bool:
        """Return whether the very process still runs."""
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started_at) < 1.0
        except psutil.NoSuchProcess:
            return False


def note_of(settings: Settings) -> Path:
    """Return the file that ``anc serve`` leaves while it runs."""
    return (settings.home / "serve.json").expanduser().absolute()


def standing_server(settings: Settings) -> StandingServer | None:
    """Return the server of this home, if one runs."""
    try:
        found = StandingServer.model_validate(json.loads(note_of(settings).read_bytes()))
    except (OSError, ValueError):
        return None
    return found if found.is_alive else None


def use_standing_server(settings: Settings) -> None:
    """Let Prefect find the server of this home, unless the user names another."""
    if "PREFECT_API_URL" not in os.environ:
        server = standing_server(settings)
        if server is not None:
            os.environ["PREFECT_API_URL"] = server.api_url
