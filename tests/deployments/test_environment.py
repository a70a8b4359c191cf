"""The environment of what ``anc serve`` starts."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from anc_core.settings import Settings
from deployments.environment import Place, environment
from flows.serve_command import serve


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANC_HOME")


def made(host: str = "127.0.0.1", **words: object) -> dict[str, str]:
    present = {"PATH": "/bin"} | {k: str(v) for k, v in words.items()}
    return environment(Place(settings=Settings.load(), host=host, port=4300), present)


def test_the_users_prefect_stays_out_of_it(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"ANC_HOME={tmp_path}/home\n")
    mine = made(
        PREFECT_HOME="/mine", PREFECT_API_URL="https://cloud", PREFECT_API_KEY="k",
        PREFECT_PROFILE="mine",
    )  # fmt: skip
    assert mine["PREFECT_HOME"] == f"{tmp_path}/home/prefect"
    assert mine["PREFECT_API_URL"] == "http://127.0.0.1:4300/api"
    assert not {"PREFECT_API_KEY", "PREFECT_PROFILE"} & set(mine)


def test_a_server_whose_database_is_away_is_asked_again() -> None:
    assert made()["PREFECT_CLIENT_RETRY_EXTRA_CODES"] == "500"
    assert made(PREFECT_CLIENT_RETRY_EXTRA_CODES="404")["PREFECT_CLIENT_RETRY_EXTRA_CODES"] == "404"


def test_the_pages_ask_the_port_that_is_served() -> None:
    assert made()["PREFECT_SERVER_UI_API_URL"] == "http://127.0.0.1:4300/api"


def test_whoever_listens_everywhere_is_called_by_his_name() -> None:
    import platform

    found = made("0.0.0.0")
    assert found["PREFECT_API_URL"] == "http://127.0.0.1:4300/api"
    assert found["PREFECT_SERVER_UI_API_URL"] == f"http://{platform.node()}:4300/api"


def test_behind_a_proxy_the_pages_ask_the_proxy() -> None:
    place = Place(
        settings=Settings.load(), host="0.0.0.0", port=4300, address="https://anc.example.org/"
    )
    found = environment(place, {})
    assert found["PREFECT_UI_URL"] == "https://anc.example.org"
    assert found["PREFECT_SERVER_UI_API_URL"] == "https://anc.example.org/api"
    assert found["PREFECT_API_URL"] == "http://127.0.0.1:4300/api"


def test_a_public_address_without_a_scheme_is_refused() -> None:
    with pytest.raises(click.BadParameter, match="is not http"):
        serve.make_context("serve", ["--public-url", "anc.example.org"])


_HOSTS = {"127.0.0.1": True, "::1": True, "localhost": True}
_HOSTS |= {"0.0.0.0": False, "10.0.0.7": False, "anc.example.org": False}


@pytest.mark.parametrize(("host", "is_private"), _HOSTS.items())
def test_only_loopback_is_private(host: str, is_private: bool) -> None:
    assert Place(settings=Settings.load(), host=host, port=4300).is_private is is_private


def test_what_is_said_here_is_true_in_the_folder_of_a_run(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ANC_DATABASE_URL=sqlite:///my.db\nANC_WORKERS=3\nOTHER=1\n")
    found = made()
    assert found["ANC_DATABASE_URL"] == f"sqlite:///{tmp_path}/my.db"
    assert found["ANC_WORKERS"] == "3"
    assert "OTHER" not in found


def test_taste_is_the_users() -> None:
    assert made()["PREFECT_WORKER_WEBSERVER_HOST"] == "127.0.0.1"
    assert made(PREFECT_WORKER_QUERY_SECONDS=9)["PREFECT_WORKER_QUERY_SECONDS"] == "9"


def test_every_name_is_a_setting_of_this_prefect() -> None:
    import prefect.settings

    named = {n for n in made() if n.startswith("PREFECT_") and not n.startswith("PREFECT__")}
    assert [name for name in sorted(named) if not hasattr(prefect.settings, name)] == []


def test_another_database_of_prefects_is_handed_on() -> None:
    place = Place(
        settings=Settings.load(), host="127.0.0.1", port=1, prefect_database_url="postgresql://x"
    )
    assert environment(place, {})["PREFECT_SERVER_DATABASE_CONNECTION_URL"] == "postgresql://x"
