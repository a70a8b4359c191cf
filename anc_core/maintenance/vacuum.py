"""The weekly vacuum: only while nothing runs, and nothing lost if it cannot be done."""

from __future__ import annotations

from datetime import UTC, datetime

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from anc_core.errors import StoreBusyError
from anc_core.maintenance.jobs import noted_job
from anc_core.periodic_jobs import VACUUM
from anc_core.records import Record
from anc_core.settings import Settings
from anc_core.store import Compaction, Database, live_sessions, vacuum

MAX_WAIT_S = 6 * 3600.0
_LOOK_EVERY_S = 5.0


class VacuumResult(Record):
    """What a vacuum did."""

    bytes_before: int
    """Database with its write-ahead log."""
    bytes_after: int
    log_bytes_after: int
    free_share: float
    """Share of unused pages (SQLite) or dead rows (PostgreSQL) before."""
    skipped: str | None = None
    """Why the database was not written anew."""
    seconds: float
    prefect_bytes: int | None = None
    """Size of Prefect's own database, which is left to its own vacuum; null where not known."""
    prefect_vacuum: str | None = None
    """What Prefect's own vacuum removes, in words."""


def vacuum_store(
    database: Database, settings: Settings, *, actor: str, wait: bool = False
) -> VacuumResult:
    """Compact the database and note it.

    Parameters
    ----------
    database : Database
        With no transaction open.
    settings : Settings
        Says when a worker counts as dead.
    actor : str
        Who asks.
    wait : bool
        Wait for running sessions to end, up to 6 h, instead of refusing.

    Raises
    ------
    StoreBusyError
        If sessions run or a transaction is open; try again later.
    StoreError, SchemaError
        As :func:`anc_core.store.vacuum`.
    """
    with noted_job(database, VACUUM.name, actor) as note:
        done = _vacuumed(database, settings, wait=wait)
        result = VacuumResult(
            bytes_before=done.bytes_before,
            bytes_after=done.bytes_after,
            log_bytes_after=done.log_bytes_after,
            free_share=round(done.free_share, 4),
            skipped=done.skipped,
            seconds=round(done.seconds, 3),
        )
        note.detail = result.model_dump(mode="json", exclude={"prefect_bytes", "prefect_vacuum"})
    return result


def _vacuumed(database: Database, settings: Settings, *, wait: bool) -> Compaction:
    patience = Retrying(
        retry=retry_if_exception_type(StoreBusyError),
        stop=stop_after_delay(MAX_WAIT_S if wait else 0.0),
        wait=wait_fixed(_LOOK_EVERY_S),
        reraise=True,
    )
    return patience(_vacuum_if_idle, database, settings)


def _vacuum_if_idle(database: Database, settings: Settings) -> Compaction:
    # PostgreSQL's vacuum disturbs nobody.
    if database.dialect == "sqlite":
        with database.read() as db:
            running = live_sessions(db, now=datetime.now(UTC), stale_after_s=settings.stale_after_s)
        if running:
            msg = (
                f"{len(running)} sessions are running ({running[0]} ...), and a vacuum would hold "
                "them up; wait for them with --wait"
            )
            raise StoreBusyError(msg)
    return vacuum(database)
