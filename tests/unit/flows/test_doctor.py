"""The doctor finds what was broken on purpose, and says how to mend it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from anc_core.settings import Settings
from anc_core.store import open_database
from flows import doctor
from flows.cli import cli
from flows.doctor import Answer, examine
from tests.receiver import free_port


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Answer]:
    """Return the worst answer of a name; what takes long and is not asked for is left out."""

    def examined(name: str) -> Answer:
        every = doctor._questions(free_port())
        chosen = {key: value for key, value in every.items() if key in {name, "server"}}
        monkeypatch.setattr(doctor, "_questions", lambda _port: chosen)
        answers = [one for one in examine(1).answers if one.name == name]
        return max(answers, key=lambda one: doctor._RANK[one.verdict])

    return examined


def test_all_is_well_in_an_empty_home() -> None:
    result = CliRunner().invoke(cli, ["doctor", "--json", "--port", str(free_port())])
    told = json.loads(result.output)
    # Versions other than the tested ones are a warning and this machine's own affair.
    wrong = [a for a in told["answers"] if a["verdict"] != "ok" and a["name"] != "constraints"]
    assert wrong == []
    assert {"python", "packages", "database", "classifier", "suppressor", "codecs", "disk", "port",
            "clock", "alerts"} <= {a["name"] for a in told["answers"]}  # fmt: skip
    assert result.exit_code == {"ok": 0, "warning": 1}[told["verdict"]]
    assert not (Settings.load().home / "anc.db").exists()  # looking changes nothing


def test_a_package_that_does_not_fit_is_named(
    ask: Callable[[str], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = doctor._version
    other = {"fastapi": "0.165.0", "soundfile": None}
    monkeypatch.setattr(
        doctor, "_version", lambda name: other.get(name, "?") if name in other else real(name)
    )
    packages = ask("packages")
    assert packages.verdict == "error"
    assert "fastapi<0.151,>=0.139 (found: 0.165.0)" in packages.finding
    assert "soundfile>=0.13 (found: nothing)" in packages.finding
    assert "pip install" in str(packages.cure)
    assert "fastapi>=0.139,<0.151" in str(ask("fastapi").cure)


def test_a_sqlalchemy_that_stops_the_schedules_is_told(
    ask: Callable[[str], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_version", lambda _name: "2.1.9")
    answer = ask("sqlalchemy")
    assert (answer.verdict, "no schedule" in answer.finding) == ("error", True)


def test_a_mistyped_setting_is_told_and_ends_the_questions_about_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANC_DATABSE_URL", "sqlite:///x.db")
    diagnosis = examine(free_port())
    assert diagnosis.exit_code == 2
    (answer,) = [a for a in diagnosis.answers if a.name == "settings"]
    assert "did you mean ANC_DATABASE_URL" in answer.finding


def test_a_database_of_another_version_is_upgraded_by_hand(ask: Callable[[str], Answer]) -> None:
    url = Settings.load().resolved_database_url
    open_database(url).dispose()
    assert ask("database").verdict == "ok"
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v0000'")
    answer = ask("database")
    assert (answer.verdict, answer.cure) == ("error", "anc db upgrade")


def test_a_database_that_is_none_is_an_error(
    ask: Callable[[str], Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.db").write_text("this is no database, it is a letter to my aunt\n" * 50)
    monkeypatch.setenv("ANC_DATABASE_URL", f"sqlite:///{tmp_path}/text.db")
    assert ask("database").verdict == "error"


def test_a_server_that_is_away_is_an_error(
    ask: Callable[[str], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
    answer = ask("server")
    assert (answer.verdict, "does not answer" in answer.finding) == ("error", True)
    assert "anc serve" in str(answer.cure)


def test_a_webhook_without_a_key_is_an_error(
    ask: Callable[[str], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANC_ALERT_WEBHOOK_URL", "https://example.org/?token=not-for-logs")
    answer = ask("alerts")
    assert answer.verdict == "error"
    assert "ANC_ALERT_WEBHOOK_SECRET" in str(answer.cure)
    assert "not-for-logs" not in answer.to_json()


def test_a_full_disk_is_an_error_and_a_nearly_full_one_a_warning(
    ask: Callable[[str], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")  # noqa: PYI024
    for free, verdict in ((1 << 29, "error"), (1 << 32, "warning"), (1 << 40, "ok")):
        monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _place, f=free: usage(0, 0, f))
        assert ask("disk").verdict == verdict


def test_one_question_that_breaks_does_not_stop_the_others(
    ask: Callable[[str], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_settings: Settings) -> None:
        raise RuntimeError("surprise")

    monkeypatch.setattr(doctor, "_of_codecs", broken)
    assert ask("codecs").finding == "RuntimeError: surprise"
