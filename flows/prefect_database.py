"""Prefect's own database: how large it is, and whether Prefect tidies it up. Never touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def prefect_database() -> dict[str, Any]:
    """Return ``prefect_bytes`` and ``prefect_vacuum`` of a vacuum's result."""
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    return {
        "prefect_bytes": _size_of(settings.server.database.connection_url),
        "prefect_vacuum": _kinds(settings.server.services),
    }


def _size_of(url: Any) -> int | None:  # noqa: ANN401 - SecretStr or None
    """Return the size of a SQLite file; what another server keeps is not seen from here."""
    if url is None:
        return None
    text = url.get_secret_value()
    name = text.partition(":///")[2].partition("?")[0]
    if not text.startswith("sqlite") or not Path(name).is_file():
        return None
    files = (Path(name), Path(name + "-wal"))
    return sum(file.stat().st_size for file in files if file.is_file())


def _kinds(services: Any) -> str:  # noqa: ANN401 - Prefect's
    enabled = services.db_vacuum.enabled
    kinds = sorted(map(str, enabled)) if isinstance(enabled, set | list | tuple) else []
    runs = "flow_runs" in kinds or enabled is True
    named = ", ".join(kinds) or str(enabled)
    if runs:
        return f"enabled for {named}"
    return (
        f"enabled for {named}; flow runs are kept for ever, set "
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED=events,flow_runs"
    )
