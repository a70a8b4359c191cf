"""Vacuum: the file shrinks, the log stays small, and it refuses what would do harm."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import delete, text
from store_samples import process, take
from store_workers import hold_a_transaction

from anc_core.errors import SchemaError, StoreBusyError, StoreError
from anc_core.maintenance.vacuum import vacuum_store
from anc_core.settings import Settings
from anc_core.store import compaction, last_runs, record_audit, vacuum
from anc_core.store.tables import AuditEntry


def fill(database, megabytes=4):
    with database.begin() as db:
        for _ in range(megabytes):
            record_audit(db, "x", "y", {"z": "z" * 1_000_000}, "test")


def empty(database):
    with database.begin() as db:
        db.execute(delete(AuditEntry))


def test_space_of_removed_rows_comes_back(ready_url, open_store, tmp_path):
    database = open_store(ready_url)
    process(database)
    fill(database)
    empty(database)
    done = vacuum(database)
    assert done.skipped is None
    assert done.bytes_before > 4_000_000
    assert done.bytes_after < 400_000
    assert done.log_bytes_after == 0
    assert (tmp_path / "anc.db").stat().st_size == done.bytes_after


def test_file_that_is_nearly_full_is_left_as_it_is(ready_url, open_store):
    database = open_store(ready_url)
    fill(database)
    done = vacuum(database)
    assert "less than 20 %" in done.skipped
    assert done.log_bytes_after == 0  # the log is cut all the same


def test_postgresql_is_vacuumed_outside_of_a_transaction(postgres_url, open_store):
    database = open_store(postgres_url)
    fill(database, 1)
    empty(database)
    assert vacuum(database).skipped is None
    with database.engine.connect() as connection:
        vacuumed = connection.scalar(
            text("SELECT last_vacuum FROM pg_stat_user_tables WHERE relname = 'audit_log'")
        )
    assert vacuumed is not None


def test_refused_inside_a_transaction_of_our_own(ready_url, open_store):
    database = open_store(ready_url)
    with database.begin() as db:
        db.connection()
        with pytest.raises(StoreBusyError, match="end them first"):
            vacuum(database)


def test_refused_while_another_transaction_does_not_end(ready_url, open_store, monkeypatch):
    database = open_store(ready_url)
    fill(database)
    empty(database)
    monkeypatch.setattr(compaction, "BUSY_TIMEOUT_S", 0.2)
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    worker = context.Process(target=hold_a_transaction, args=(ready_url, ready, done))
    worker.start()
    try:
        assert ready.wait(60)
        with pytest.raises(StoreBusyError, match="did not end"):
            vacuum(database)
    finally:
        done.set()
        worker.join()
    assert vacuum(database).skipped is None


def test_refused_without_twice_the_space(ready_url, open_store, monkeypatch):
    database = open_store(ready_url)
    fill(database)
    empty(database)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5_000_000))
    with pytest.raises(StoreError, match="free some space"):
        vacuum(database)


def test_damaged_file_is_refused_before_anything_is_written(ready_url, open_store, tmp_path):
    database = open_store(ready_url)
    process(database)
    database.dispose()
    file = tmp_path / "anc.db"
    with file.open("r+b") as raw:
        raw.seek(4096 * 3)
        raw.write(os.urandom(4096 * 4))
    before = file.read_bytes()
    with pytest.raises(SchemaError, match="restore a backup"):
        vacuum(database)
    assert file.read_bytes() == before


def test_sqlite_puts_its_copy_on_the_disk_of_the_database(tmp_path, monkeypatch):
    monkeypatch.setenv("SQLITE_TMPDIR", "/elsewhere")
    with compaction._temporary_files_beside(tmp_path / "anc.db"):
        assert os.environ["SQLITE_TMPDIR"] == str(tmp_path)
    assert os.environ["SQLITE_TMPDIR"] == "/elsewhere"


def test_running_sessions_are_not_held_up_and_the_refusal_is_noted(database):
    take(database)
    settings = Settings.load()
    if database.dialect == "postgresql":
        assert vacuum_store(database, settings, actor="test").skipped is None
        return
    with pytest.raises(StoreBusyError, match="sessions are running"):
        vacuum_store(database, settings, actor="test")
    with database.read() as db:
        runs = last_runs(db, datetime.now(UTC) - timedelta(hours=1))
    assert runs["vacuum"].failed_at is not None
    assert runs["vacuum"].done_at is None


def test_waits_for_running_sessions_if_asked(ready_url, open_store, monkeypatch):
    database = open_store(ready_url)
    answers = [["a session"], ["a session"], []]
    monkeypatch.setattr(
        "anc_core.maintenance.vacuum.live_sessions", lambda *_, **__: answers.pop(0)
    )
    monkeypatch.setattr("anc_core.maintenance.vacuum._LOOK_EVERY_S", 0.01)
    assert vacuum_store(database, Settings.load(), actor="test", wait=True).skipped is not None
    assert answers == []
