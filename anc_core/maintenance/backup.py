"""Backups of the database, made while it is in use; and putting one back.

A restore applies the erase ledger before anybody sees the data (on PostgreSQL: right after the
restore's own transaction), so that what was erased stays erased.
"""

from __future__ import annotations

import secrets
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

from anc_core.errors import AncError, InputError, StoreBusyError, StoreError
from anc_core.files import digest_file, write_text_atomic
from anc_core.jobs.naming import check_named
from anc_core.maintenance.erase import erase_again
from anc_core.maintenance.erase_ledger import EraseLedger
from anc_core.maintenance.jobs import noted_job
from anc_core.periodic_jobs import BACKUP
from anc_core.records import Record
from anc_core.settings import Settings
from anc_core.store import (
    Database,
    Erasure,
    add_erasures,
    check_integrity,
    count_sessions,
    database_file,
    erasures,
    is_snapshot_of,
    live_sessions,
    load_dump,
    open_database,
    open_existing,
    open_snapshot,
    record_audit,
    replace_sqlite,
    save_snapshot,
)

KEEP = 14
"""Backups that stay; the oldest go."""

RESTORE = "restore"
"""Action of the audit log."""

_PREFIX, _BEFORE_PREFIX = "anc-", "before-restore-"
_MANIFEST = ".json"


class BackupResult(Record):
    """A backup that was made."""

    path: str
    bytes: int
    digest: str
    """BLAKE2b-256 of the file."""
    sessions: int
    created_at: datetime
    removed: tuple[str, ...] = ()
    """Older backups that went, so that no more than :data:`KEEP` stay."""
    seconds: float = 0.0


class RestoreResult(Record):
    """A backup that was put back."""

    path: str
    sessions: int
    """In the database now."""
    erased_again: int
    """People whom the ledger names and the backup had brought back."""
    erased_sessions: int
    previous: str | None = None
    """Backup of the database as it was before; null if there was none, or it was damaged."""
    seconds: float


def backups_dir(settings: Settings) -> Path:
    """Return where backups go by default."""
    return (settings.home / "backups").expanduser().absolute()


def back_up(
    database: Database, settings: Settings, *, actor: str, folder: Path | None = None
) -> BackupResult:
    """Make a backup and note it; the oldest beyond :data:`KEEP` go.

    Parameters
    ----------
    database : Database
        May be written to meanwhile: the backup holds one moment.
    settings : Settings
        Names the default folder.
    actor : str
        Who asks.
    folder : Path, optional
        Where to; better on another disk.

    Raises
    ------
    StoreError, SinkError
        If it cannot be made; earlier backups are left as they are. PERMISSION: ``folder`` lies
        outside the allowed ones.
    """
    start = time.monotonic()
    check_named([folder], settings.allowed_roots, own=[backups_dir(settings)])
    with noted_job(database, BACKUP.name, actor) as note:
        folder = (folder or backups_dir(settings)).expanduser().absolute()
        made = _save(database, folder)
        result = made.model_copy(
            update={
                "removed": tuple(_remove_oldest(folder, _PREFIX)),
                "seconds": round(time.monotonic() - start, 3),
            }
        )
        note.detail = result.model_dump(mode="json", exclude={"removed"})
    return result


def restore(file: Path, settings: Settings, *, actor: str) -> RestoreResult:
    """Put a backup in the place of the database.

    Parameters
    ----------
    file : Path
        From :func:`back_up`, or a pg_dump -Fc.
    settings : Settings
        Names the database, which need not exist, and the home with the erase ledger.
    actor : str
        Who asks.

    Raises
    ------
    SchemaError
        If the backup's schema is newer than this program's or it is damaged; nothing is changed.
    StoreBusyError
        If sessions are running; nothing is changed.
    StoreError
        If it is no backup, not the file that was made, or the ledger has another key.
    SinkError
        PERMISSION: it lies outside the allowed folders.
    """
    start = time.monotonic()
    check_named([file], settings.allowed_roots, own=[backups_dir(settings)])
    file = file.expanduser().absolute()
    url = settings.resolved_database_url
    if not is_snapshot_of(file, url):
        msg = f"{file}: a backup of the other kind of database than {Path(url).name}"
        raise InputError(msg)
    _check_digest(file)
    ledger = EraseLedger(settings)
    present, previous = _present(settings)
    entries = [*ledger.read(), *present]
    ledger.check_keys(entries)
    if database_file(url) is None:
        load_dump(file, url)
        database = open_database(url)
        try:
            erased, sessions = _make_good(database, settings, ledger, entries, file, actor)
        finally:
            database.dispose()
    else:
        erased, sessions = _restore_sqlite(file, settings, ledger, entries, actor)
    return RestoreResult(
        path=str(file),
        sessions=sessions,
        erased_again=len(erased),
        erased_sessions=sum(erased),
        previous=previous,
        seconds=round(time.monotonic() - start, 3),
    )


def _restore_sqlite(
    file: Path,
    settings: Settings,
    ledger: EraseLedger,
    entries: list[Erasure],
    actor: str,
) -> tuple[list[int], int]:
    url = settings.resolved_database_url
    target = database_file(url)
    assert target is not None  # noqa: S101 - SQLite
    target.parent.mkdir(parents=True, exist_ok=True)
    # A copy is mended, never the backup itself; nobody sees it before it is as it should be.
    copy = target.with_name(f".anc-restore-{secrets.token_hex(4)}.part")
    try:
        _copy(file, copy)
        database = open_snapshot(copy)
        try:
            problems = check_integrity(database)
            if problems:
                msg = f"{file}: damaged: {'; '.join(problems[:3])}; take another backup"
                raise StoreError(msg)
            outcome = _make_good(database, settings, ledger, entries, file, actor)
        finally:
            database.dispose()
        replace_sqlite(copy, url)
    finally:
        for name in ("", "-wal", "-shm", "-journal"):
            copy.with_name(copy.name + name).unlink(missing_ok=True)
    return outcome


def _make_good(
    database: Database,
    settings: Settings,
    ledger: EraseLedger,
    entries: list[Erasure],
    file: Path,
    actor: str,
) -> tuple[list[int], int]:
    """Apply the ledger to a restored database; return sessions erased by person, and those left."""
    with database.read() as db:
        own = erasures(db)
    ledger.check_keys(own)
    ledger.append(own)
    with database.begin() as db:
        add_erasures(db, entries)
        every = erasures(db)
    erased = erase_again(database, settings, ledger, every)
    with database.begin() as db:
        detail = {"erased_again": len(erased), "file": file.name}
        record_audit(db, RESTORE, file.name, detail, actor)
        sessions = count_sessions(db)
    return [one.sessions for one in erased], sessions


def _present(settings: Settings) -> tuple[list[Erasure], str | None]:
    """Return the ledger of the present database and a backup of it, as far as there is one."""
    try:
        database = open_existing(settings.resolved_database_url)
    except StoreBusyError:
        raise
    except AncError:
        return [], None  # damaged: that is why a backup is to be restored
    if database is None:
        return [], None
    try:
        with database.read() as db:
            running = live_sessions(db, now=datetime.now(UTC), stale_after_s=settings.stale_after_s)
            entries = erasures(db)
        if running:
            msg = f"{len(running)} sessions are running ({running[0]} ...); stop the workers first"
            raise StoreBusyError(msg)
        folder = backups_dir(settings)
        saved = _save(database, folder, _BEFORE_PREFIX)
        _remove_oldest(folder, _BEFORE_PREFIX)
    finally:
        database.dispose()
    return entries, saved.path


def _save(database: Database, folder: Path, prefix: str = _PREFIX) -> BackupResult:
    now = datetime.now(UTC)
    suffix = ".db" if database.dialect == "sqlite" else ".dump"
    path = folder / f"{prefix}{now:%Y%m%dT%H%M%S_%fZ}{suffix}"
    with database.read() as db:
        sessions = count_sessions(db)
    save_snapshot(database, path)
    made = BackupResult(
        path=str(path),
        bytes=path.stat().st_size,
        digest=digest_file(path),
        sessions=sessions,
        created_at=now,
    )
    write_text_atomic(path.with_name(path.name + _MANIFEST), made.to_json(indent=2) + "\n")
    return made


def _remove_oldest(folder: Path, prefix: str) -> list[str]:
    # Names begin with the time, so that they sort by age.
    backups = sorted(path for path in folder.glob(f"{prefix}2*") if path.suffix in {".db", ".dump"})
    gone = backups[: max(0, len(backups) - KEEP)]
    for path in gone:
        path.unlink(missing_ok=True)
        path.with_name(path.name + _MANIFEST).unlink(missing_ok=True)
    return [str(path) for path in gone]


def _check_digest(file: Path) -> None:
    manifest = file.with_name(file.name + _MANIFEST)
    if not manifest.is_file():
        return
    try:
        made = BackupResult.from_json(manifest.read_bytes())
    except ValueError as err:
        msg = f"{manifest}: cannot be understood; move it away to restore {file.name} unchecked"
        raise StoreError(msg) from err
    if digest_file(file) != made.digest:
        msg = f"{file}: not the file that was made (its digest differs); take another backup"
        raise StoreError(msg)


def _copy(file: Path, copy: Path) -> None:
    try:
        shutil.copyfile(file, copy)
        copy.chmod(0o600)
    except OSError as err:
        msg = f"{copy}: the backup cannot be copied: {err.strerror}"
        raise StoreError(msg) from err
