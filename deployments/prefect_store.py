"""Whether Prefect's own database can be used, asked before its server fails on it at length."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from anc_core.errors import InputError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

_PATIENCE_S = 10.0
_DRIVERS = {"sqlite+aiosqlite": False, "postgresql+asyncpg": True}
_EXTENSION = "pg_trgm"
_QUESTION = """
SELECT EXISTS (SELECT FROM pg_extension WHERE extname = :name)
    OR EXISTS (SELECT FROM pg_available_extensions WHERE name = :name)
"""


def check_prefect_database(text: str) -> None:
    """Return if Prefect's server can be started on that database.

    Parameters
    ----------
    text : str
        URL as Prefect takes it, ``postgresql+asyncpg://USER@HOST/NAME``.

    Raises
    ------
    InputError
        If it is of another kind, does not answer, lets nobody in, or lacks the extension.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(text)
    except ArgumentError:
        msg = "Prefect's database URL cannot be read; write postgresql+asyncpg://USER@HOST/NAME"
        raise InputError(msg) from None
    if url.drivername not in _DRIVERS:
        msg = (
            f"Prefect's database {url.drivername!r} is not supported; "
            "write postgresql+asyncpg://USER@HOST/NAME"
        )
        raise InputError(msg)
    if _DRIVERS[url.drivername] and not asyncio.run(_has_extension(url)):
        msg = (
            f"{url.render_as_string()}: its server lacks {_EXTENSION}, which Prefect needs; "
            "install postgresql-contrib there, or leave Prefect's database on SQLite"
        )
        raise InputError(msg)


async def _has_extension(url: URL) -> bool:
    """Connect as Prefect does; its first migration creates what is only available."""
    import asyncpg
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(url, connect_args={"timeout": _PATIENCE_S})
    try:
        async with engine.connect() as connection:
            return bool(await connection.scalar(text(_QUESTION), {"name": _EXTENSION}))
    # TypeError: an option that asyncpg does not know, such as ?sslmode=.
    except (OSError, DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError, TypeError) as err:
        why = str(err) or type(err).__name__
        msg = f"Prefect's database cannot be used: {url.render_as_string()}: {why}"
        raise InputError(msg) from err
    finally:
        await engine.dispose()
