"""What is wrong with Prefect's own database is said in a line, before its server starts."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from anc_core.errors import InputError
from anc_core.store.engine import parse_url
from deployments.prefect_store import check_prefect_database
from tests.receiver import free_port
from tests.store.conftest import fresh_postgres, postgres_server  # noqa: F401 - a fixture


def as_prefect_writes_it(url: str, **options: str) -> str:
    """Return the URL for asyncpg."""
    parsed = make_url(url).set(drivername="postgresql+asyncpg")
    return parsed.update_query_dict(options).render_as_string(hide_password=False)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "cannot be read"),
        ("postgresql://anc@db/prefect", "'postgresql' is not supported; write postgresql.asyncpg"),
        ("mysql://anc@db/prefect", "'mysql' is not supported"),
    ],
)
def test_another_kind_of_url_is_refused(url: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        check_prefect_database(url)


def test_sqlite_is_not_asked() -> None:
    check_prefect_database("sqlite+aiosqlite:////nowhere/prefect.db")


def test_a_server_that_is_away_is_named_without_the_password() -> None:
    url = f"postgresql+asyncpg://prefect:secret@127.0.0.1:{free_port()}/prefect"
    with pytest.raises(InputError, match=r"cannot be used.*Connect call failed") as caught:
        check_prefect_database(url)
    assert "secret" not in str(caught.value)


@pytest.mark.postgres
def test_a_server_without_the_extension_is_refused(postgres_server: str) -> None:  # noqa: F811
    """That of the pip package has none; should it ever bring it, the answer changes."""
    admin = create_engine(parse_url(postgres_server))
    with admin.connect() as db:
        query = "SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm'"
        has_it = db.execute(text(query)).scalar()
    admin.dispose()
    with fresh_postgres(postgres_server) as url:
        if has_it:
            check_prefect_database(as_prefect_writes_it(url))
        else:
            with pytest.raises(InputError, match=r"lacks pg_trgm.*postgresql-contrib"):
                check_prefect_database(as_prefect_writes_it(url))


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("nowhere", {}, 'database "nowhere" does not exist'),
        ("postgres", {"sslmode": "disable"}, "unexpected keyword argument 'sslmode'"),
    ],
)
def test_what_the_server_says_is_passed_on(
    postgres_server: str,  # noqa: F811
    name: str,
    options: dict[str, str],
    says: str,
) -> None:
    url = make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
    with pytest.raises(InputError, match=says):
        check_prefect_database(as_prefect_writes_it(url, **options))
