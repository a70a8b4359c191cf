from __future__ import annotations

import pytest

from anc_core.errors import InputError
from anc_core.store.engine import make_engine, parse_url


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_takes_psycopg(scheme):
    url = parse_url(f"{scheme}://user:secret@host:5433/name?sslmode=require")
    assert url.drivername == "postgresql+psycopg"
    assert (url.host, url.port, url.database, url.password) == ("host", 5433, "name", "secret")


def test_sqlite_urls_stay_as_they_are():
    assert parse_url("sqlite:////a/b c.db").database == "/a/b c.db"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://host/name", "choose sqlite or postgresql"),
        ("postgresql+asyncpg://host/name", "choose sqlite or postgresql"),
        ("sqlite://", "name a file"),
        ("sqlite:///:memory:", "name a file"),
        ("just words", "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_other_urls_are_refused_with_the_cure(url, message):
    with pytest.raises(InputError, match=message):
        parse_url(url)


def test_a_password_is_in_no_message():
    with pytest.raises(InputError) as caught:
        parse_url("mysql://user:secret@host/name")
    assert "secret" not in str(caught.value)


def test_making_an_engine_opens_nothing(tmp_path):
    make_engine(parse_url(f"sqlite:///{tmp_path / 'anc.db'}"))
    assert list(tmp_path.iterdir()) == []
