"""A PostgreSQL of our own that has ``pg_trgm``, which Prefect's database needs.

The server of the pip package that the store's tests use has no extensions; those of Linux
distributions have them, at times in a package of their own (``postgresql-contrib``).
"""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.receiver import free_port

_SCRIPT = Path(__file__).parents[1] / "deployments" / "containers" / "postgres-init.sh"
_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
_EXTENSION = "extension/pg_trgm.control"


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    """A server on loopback with the two databases that ``postgres-init.sh`` makes."""

    binaries: Path
    folder: Path
    port: int
    user: str | None
    """Whose processes they are, where we are root: ``initdb`` refuses that."""
    password: str

    @property
    def store_url(self) -> str:
        """For ``--database-url``."""
        return f"postgresql://anc:{self.password}@127.0.0.1:{self.port}/anc"

    @property
    def prefect_url(self) -> str:
        """For ``--prefect-database-url``."""
        return f"postgresql+asyncpg://prefect:{self.password}@127.0.0.1:{self.port}/prefect"

    def create(self) -> None:
        """Make the cluster, start it, and have the script of the containers make the databases."""
        self._run("initdb", "--username=postgres", "--auth-local=trust", "--encoding=UTF8",
                  "--auth-host=scram-sha-256", "--locale=C.UTF-8", "--no-sync")  # fmt: skip
        self.start()
        environment = {
            "PATH": f"{self.binaries}:{os.defpath}",
            "PGHOST": str(self.folder),
            "PGPORT": str(self.port),
            "POSTGRES_USER": "postgres",
            "ANC_DB_PASSWORD": self.password,
            "PREFECT_DB_PASSWORD": self.password,
        }
        subprocess.run(["sh", str(_SCRIPT)], env=environment, check=True, capture_output=True)

    def start(self) -> None:
        """Start it and return once it lets somebody in."""
        words = f"-k {self.folder} -p {self.port} -c listen_addresses=127.0.0.1"
        log = str(self.folder / "log")
        self._run("pg_ctl", "start", "--wait", f"--log={log}", f"--options={words}")

    def stop(self) -> None:
        """Stop it as its service does: clients are thrown out."""
        self._run("pg_ctl", "stop", "--wait", "--mode=fast")

    def kill(self) -> None:
        """Kill all of its processes, the first one first."""
        first = psutil.Process(int((self._data / "postmaster.pid").read_text().split()[0]))
        family = [first, *first.children(recursive=True)]
        for process in family:
            process.kill()
        psutil.wait_procs(family, timeout=10)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _run(self, tool: str, *words: str) -> None:
        owner: dict[str, Any] = {}
        if self.user is not None:
            group = pwd.getpwnam(self.user).pw_gid
            owner = {"user": self.user, "group": group, "extra_groups": []}
        # What is started lives on and would hold a pipe open.
        with (self.folder / f"{tool}.log").open("ab") as log:
            done = subprocess.run(
                [self.binaries / tool, f"--pgdata={self._data}", *words],
                cwd=self.folder, stdout=log, stderr=log, check=False, **owner,
            )  # fmt: skip
        assert done.returncode == 0, (self.folder / f"{tool}.log").read_text()


def _version(binaries: Path) -> int:
    said = subprocess.run(
        [binaries / "postgres", "--version"], capture_output=True, text=True, check=False
    ).stdout
    found = re.search(r"\d+", said)
    return int(found[0]) if found else 0


def _has_extension(binaries: Path) -> bool:
    config = binaries / "pg_config"
    if not config.is_file():
        return False
    shared = subprocess.run([config, "--sharedir"], capture_output=True, text=True, check=False)
    return (Path(shared.stdout.strip()) / _EXTENSION).is_file()


def newest_with_extensions() -> Path | None:
    """Return the folder of the newest server's programs that has ``pg_trgm``."""
    places = {place for pattern in _PLACES for place in Path("/").glob(pattern[1:])}
    if on_path := shutil.which("initdb"):
        places.add(Path(on_path).resolve().parent)
    able = [place for place in places if (place / "initdb").is_file() and _has_extension(place)]
    return max(able, key=_version, default=None)


@contextmanager
def own_postgres() -> Iterator[Postgres]:
    """Yield a fresh server, or skip where none with ``pg_trgm`` is installed."""
    binaries = newest_with_extensions()
    if binaries is None:
        pytest.skip("no PostgreSQL server with pg_trgm is installed (postgresql-contrib)")
    # Not in pytest's own folder: it may run as another user, and a socket's name must be short.
    folder = Path(tempfile.mkdtemp(prefix="anc-pg-", dir="/tmp"))
    user = "postgres" if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(folder, user)
    server = Postgres(
        binaries=binaries,
        folder=folder,
        port=free_port(),
        user=user,
        password=secrets.token_hex(8),
    )
    try:
        server.create()
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
