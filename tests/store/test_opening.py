"""Opening: new, at head, older, newer, damaged, contested."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from store_samples import process
from store_workers import race_to_open

from anc_core.errors import InputError, SchemaError, StoreBusyError, StoreError, TransientError
from anc_core.store import Database, get_session, list_sessions, open_database
from anc_core.store.engine import BUSY_TIMEOUT_S, make_engine, parse_url
from anc_core.store.failures import store_errors
from anc_core.store.schema import HEAD
from anc_core.store.tables import Base


def pragma(database: Database, name: str) -> object:
    with database.read() as db:
        db.execute(text("SELECT count(*) FROM batches"))  # only now SQLite looks into the file
        return db.execute(text(f"PRAGMA {name}")).scalar()


def test_new_database_has_every_table(database):
    with database.read() as db:
        for table in Base.metadata.sorted_tables:
            assert db.execute(table.select()).all() == []
        assert db.execute(text("SELECT version_num FROM alembic_version")).scalar() == HEAD


def test_sqlite_folder_is_created(tmp_path, open_store):
    file = tmp_path / "a folder" / "deeper" / "anc.db"
    open_store(f"sqlite:///{file}")
    assert file.is_file()


def test_sqlite_connections_have_the_right_habits(sqlite_url, open_store):
    database = open_store(sqlite_url)
    assert pragma(database, "journal_mode") == "wal"
    assert pragma(database, "foreign_keys") == 1
    assert pragma(database, "synchronous") == 1  # NORMAL
    assert pragma(database, "busy_timeout") == BUSY_TIMEOUT_S * 1000


def test_url_and_dialect_are_told_and_the_password_is_not_printed(open_store, sqlite_url):
    database = open_store(sqlite_url)
    assert (database.url, database.dialect) == (sqlite_url, "sqlite")
    assert sqlite_url in repr(database)
    server = Database(make_engine(parse_url("postgresql://user:secret@host/name")))
    assert "secret" in server.url
    assert "secret" not in repr(server) + server.display_url
    assert Database.from_url(sqlite_url).dialect == "sqlite"


def test_a_database_at_head_is_opened_without_alembic(sqlite_url, open_store):
    open_store(sqlite_url)
    code = (
        "import sys; from anc_core.store import open_database;"
        f"open_database({sqlite_url!r}).dispose(); print('alembic' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_opening_again_keeps_the_data(database_url, open_store):
    session_id = process(open_store(database_url))
    with open_store(database_url).read() as db:
        assert get_session(db, session_id).session_id == session_id


def test_an_older_database_is_upgraded(database_url, open_store):
    database = open_store(database_url)
    with database.begin() as db:  # revision "base": Alembic's table, nothing in it
        for table in reversed(Base.metadata.sorted_tables):
            db.execute(text(f"DROP TABLE {table.name}"))
        db.execute(text("DELETE FROM alembic_version"))
    database.dispose()
    process(open_store(database_url))


def test_a_newer_schema_is_refused_and_nothing_is_touched(database_url, open_store):
    database = open_store(database_url)
    with database.begin() as db:
        db.execute(text("UPDATE alembic_version SET version_num = 'v9999'"))
    for migrate in (True, False):
        with pytest.raises(SchemaError, match=r"v9999|anc db upgrade"):
            open_database(database_url, migrate=migrate)
    with database.read() as db:
        assert db.execute(text("SELECT version_num FROM alembic_version")).scalar() == "v9999"


def test_a_refused_file_keeps_every_byte(tmp_path):
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE alembic_version (version_num TEXT)")
        other.execute("INSERT INTO alembic_version VALUES ('of_another_program')")
        other.commit()
    before = file.read_bytes()
    with pytest.raises(SchemaError, match="of_another_program"):
        open_database(f"sqlite:///{file}")
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_tables_of_ours_without_a_version_are_refused(tmp_path):
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE models (id TEXT)")
    with pytest.raises(SchemaError, match="models"):
        open_database(f"sqlite:///{file}")


@pytest.mark.parametrize("content", [b"RIFF" + bytes(4096), b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_damaged_file_is_refused_in_words(tmp_path, content):
    file = tmp_path / "anc.db"
    file.write_bytes(content)
    with pytest.raises(SchemaError, match=r"anc\.db.*damaged.*backup"):
        open_database(f"sqlite:///{file}")
    assert file.read_bytes() == content


def test_without_leave_to_migrate_nothing_is_created(tmp_path):
    with pytest.raises(SchemaError, match="anc db upgrade"):
        open_database(f"sqlite:///{tmp_path / 'x' / 'anc.db'}", migrate=False)
    assert list(tmp_path.iterdir()) == []


def test_a_database_at_head_opens_without_leave_to_migrate(database, database_url, open_store):
    open_store(database_url, migrate=False)


def test_a_folder_in_place_of_the_file_is_refused(tmp_path):
    with pytest.raises(StoreError, match="is a folder"):
        open_database(f"sqlite:///{tmp_path}")


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be created"):
        open_database(f"sqlite:///{tmp_path / 'file' / 'anc.db'}")


def test_a_missing_server_is_transient():
    with pytest.raises(StoreBusyError, match="busy or away") as caught:
        open_database("postgresql://nobody@127.0.0.1:1/none")
    assert isinstance(caught.value, TransientError)


@pytest.mark.parametrize(
    "words", ["the database system is starting up", "the database system is shutting down"]
)
def test_a_server_that_restarts_is_transient(words):
    """It refuses connections in these words, without a code."""
    cause = sqlite3.OperationalError(
        f'connection failed: connection to "..." failed: FATAL:  {words}'
    )
    with pytest.raises(StoreBusyError, match="busy or away"), store_errors("postgresql://h/d"):
        raise OperationalError("SELECT 1", {}, cause)


@pytest.mark.postgres
def test_a_missing_postgres_database_is_not_transient(postgres_url):
    with pytest.raises(StoreError, match="does not exist") as caught:
        open_database(
            postgres_url + "x" if "?" not in postgres_url else postgres_url.replace("?", "x?")
        )
    assert not isinstance(caught.value, TransientError)


@pytest.mark.parametrize("url", ["mysql://h/d", "sqlite://", "sqlite:///:memory:", "no url"])
def test_other_urls_are_refused(url):
    with pytest.raises(InputError):
        open_database(url)


def test_processes_that_create_one_database_at_once_all_succeed(database_url):
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(4), context.Queue()
    workers = [
        context.Process(target=race_to_open, args=(database_url, barrier, answers))
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    assert [answers.get(timeout=60) for _ in workers] == ["ok"] * 4
    for worker in workers:
        worker.join()
    open_database(database_url, migrate=False).dispose()


def test_a_locked_database_is_transient(sqlite_url, open_store, monkeypatch):
    monkeypatch.setattr("anc_core.store.engine.BUSY_TIMEOUT_S", 0.05)
    one, two = open_store(sqlite_url), open_store(sqlite_url)
    with one.begin() as held:
        held.execute(text("SELECT 1"))  # a transaction begins with its first statement
        with pytest.raises(StoreBusyError, match="locked"), two.begin() as refused:
            refused.execute(text("SELECT 1"))


def test_readers_do_not_hold_up_a_writer_nor_the_other_way_round(database_url, open_store):
    one, two = open_store(database_url), open_store(database_url)
    with one.read() as reading, two.begin() as writing:
        reading.execute(text("SELECT 1 FROM batches")).all()
        writing.execute(text("DELETE FROM batches"))


def test_a_reading_transaction_cannot_write(database):
    with pytest.raises(StoreError), database.read() as db:
        db.execute(text("DELETE FROM batches"))
    with database.begin() as db:  # and the connection is not left read-only
        db.execute(text("DELETE FROM batches"))


def test_an_error_rolls_back(database):
    def insert_and_stop() -> None:
        with database.begin() as db:
            db.execute(text("INSERT INTO alembic_version VALUES ('x')"))
            raise KeyError

    with pytest.raises(KeyError):
        insert_and_stop()
    with database.read() as db:
        assert db.execute(text("SELECT count(*) FROM alembic_version")).scalar() == 1


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")
def test_a_forked_child_opens_its_own_connection(database, database_url):
    # In a process of its own: what else a test process has loaded need not survive a fork.
    script = (
        "import multiprocessing, sys\n"
        "from anc_core.store import open_database\n"
        "from store_samples import process\n"
        "database = open_database(sys.argv[1])\n"
        "process(database, 'before')\n"
        "fork = multiprocessing.get_context('fork')\n"
        "child = fork.Process(target=process, args=(database, 'child'))\n"
        "child.start(); child.join(60)\n"
        "process(database, 'after')\n"
        "sys.exit(child.exitcode)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, database_url],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    with database.read() as db:
        assert {s.fingerprint for s in list_sessions(db)} == {"before", "child", "after"}


def test_opening_leaves_the_file_where_the_url_says(tmp_path, monkeypatch, open_store):
    monkeypatch.chdir(tmp_path)
    open_store("sqlite:///relative.db")
    assert Path("relative.db").is_file()
