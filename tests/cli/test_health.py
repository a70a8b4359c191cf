"""``anc health`` finds each planted fault, says how bad it is, and never takes ten seconds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import psutil
import pytest

from anc_core.alerts import EmergencyAlert
from anc_core.bundles.registry import shipped_models
from anc_core.maintenance.health import check, hearing, questions, storage, upkeep
from anc_core.maintenance.health.questions import Answer, HealthStatus, Question, ask_all
from anc_core.settings import Settings
from anc_core.store import (
    ClaimRequest,
    Owner,
    claim,
    enlist,
    note_job_run,
    open_database,
    settle,
    take,
)
from anc_core.store.vitals import database_file
from flows import prefect_health
from flows.standing_server import StandingServer, note_of

GIB = 1 << 30


@pytest.fixture
def settings() -> Settings:
    settings = Settings.load()
    open_database(settings.resolved_database_url).dispose()
    return settings


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what costs seconds and is tested by itself."""
    monkeypatch.setattr(check, "hearing_questions", lambda _: [])


@pytest.fixture(autouse=True)
def _ample_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    fill(monkeypatch, free=500 * GIB)


def fill(monkeypatch, *, free, size=1000 * GIB, inodes=0.5):
    found = SimpleNamespace(
        f_frsize=4096,
        f_bavail=free // 4096,
        f_blocks=size // 4096,
        f_files=1000,
        f_favail=int(1000 * inodes),
    )
    monkeypatch.setattr(storage.os, "statvfs", lambda _: found)


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever other tests of this process have started: no server is configured here."""
    monkeypatch.setattr(prefect_health, "server_is_configured", lambda: False)


def health(run_cli, *words):
    start = time.monotonic()
    code, out, _ = run_cli("health", "--json", *words)
    assert time.monotonic() - start < 10
    report = json.loads(out)
    return code, {one["name"]: one for one in report["checks"]}, report


def taken(settings, *, ago):
    """Note in the delivery log that the receiver took an alert."""
    alert = EmergencyAlert(
        alert_id=uuid4(),
        session_id="s",
        source_path="s.wav",
        event_type="siren",
        start_s=1.0,
        end_s=4.0,
        peak_confidence=0.9,
    )
    then = datetime.now(UTC) - ago
    with open_database(settings.resolved_database_url).begin() as db:
        enlist(db, [alert], now=then)
        take(db, alert, now=then, lease_s=60.0, cooldown_s=0.0)
        settle(db, alert, "delivered", now=then)


def test_all_is_well_on_a_new_installation(settings, run_cli, unhurried):
    code, checks, report = health(run_cli)
    assert [name for name, one in checks.items() if one["status"] != "ok"] == []
    assert (code, report["status"], report["active_sessions"]) == (0, "ok", [])
    assert {"database", "disk of home", "output writable", "clock"} <= set(checks)


def test_models_codecs_and_golden_clips_are_well(settings):
    # Without its time limit: a loaded machine may need longer, and says so then.
    answers = {one.name: one.ask() for one in hearing.hearing_questions(settings)}
    assert {name: one.message for name, one in answers.items() if one.status != "ok"} == {}
    assert set(answers) == {"noise classifier", "suppressor", "golden clips", "codecs"}


def test_answer_that_is_late_is_degraded_where_that_is_less_bad():
    (one,) = ask_all(
        [
            Question(
                name="slow",
                ask=lambda: time.sleep(60),
                limit_s=0.1,
                if_unknown=HealthStatus.CRITICAL,
                if_late=HealthStatus.DEGRADED,
            )
        ]
    )
    assert one.status is HealthStatus.DEGRADED


def test_nothing_is_left_on_the_disk(settings, run_cli, unhurried):
    before = sorted(settings.home.iterdir())
    health(run_cli)
    assert sorted(settings.home.iterdir()) == before


@pytest.mark.usefixtures("unhurried")
class TestDatabase:
    def test_missing(self, run_cli):
        code, checks, _ = health(run_cli)
        assert code == 2
        assert "anc db upgrade" in checks["database"]["message"]
        assert not Settings.load().home.joinpath("anc.db").exists()

    def test_read_only(self, settings, run_cli):
        # Root may write to any file; but a file whose header demands a newer writer
        # (format 3.0, byte 18) is read-only for everybody.
        file = database_file(settings.resolved_database_url)
        with file.open("r+b") as raw:
            raw.seek(18)
            raw.write(b"\x03")
        code, checks, _ = health(run_cli)
        assert code == 2
        assert checks["database write"]["status"] == "critical"
        assert "readonly" in checks["database write"]["message"]

    def test_damaged(self, settings, run_cli):
        file = database_file(settings.resolved_database_url)
        with file.open("r+b") as raw:
            raw.seek(4096 * 3)
            raw.write(os.urandom(4096 * 4))
        code, checks, _ = health(run_cli)
        assert code == 2
        assert checks["database integrity"]["status"] == "critical"

    def test_log_that_grows_without_end(self, settings, run_cli, monkeypatch):
        monkeypatch.setattr(storage, "MAX_WAL_BYTES", -1)
        assert health(run_cli)[1]["database log"]["status"] == "degraded"

    def test_session_of_a_dead_worker_is_reported_and_marked_only_if_asked(self, settings, run_cli):
        here = Owner.current()
        database = open_database(settings.resolved_database_url)
        with database.begin() as db:
            for number, pid in enumerate((2**22 + 1, here.pid)):
                owner = Owner(here.host, pid, here.started_at)
                request = ClaimRequest(fingerprint=f"f{number}", source_path="/a.wav")
                claim(db, request, owner)
        code, checks, report = health(run_cli)
        assert (code, checks["heartbeats"]["value"]) == (1, "1 dead")
        assert (report["num_active_sessions"], report["interrupted"]) == (1, 0)
        assert health(run_cli, "--reconcile")[2]["interrupted"] == 1
        assert health(run_cli)[0] == 0

    def test_output_in_the_future(self, settings, run_cli, monkeypatch):
        monkeypatch.setattr(
            upkeep, "latest_moment", lambda _: datetime.now(UTC) + timedelta(hours=1)
        )
        code, checks, _ = health(run_cli)
        assert (code, checks["clock"]["status"]) == (1, "degraded")


@pytest.mark.usefixtures("unhurried")
class TestDisks:
    @pytest.mark.parametrize(
        ("free", "size", "inodes", "code"),
        [
            (GIB // 2, 1 * GIB, 0.5, 2),
            (10 * GIB, 1000 * GIB, 0.5, 2),
            (4 * GIB, 10 * GIB, 0.5, 1),
            (90 * GIB, 1000 * GIB, 0.5, 1),
            (120 * GIB, 1000 * GIB, 0.5, 0),
            (500 * GIB, 1000 * GIB, 0.05, 1),
            (500 * GIB, 1000 * GIB, 0.0, 2),
        ],
    )
    def test_full(self, settings, run_cli, monkeypatch, free, size, inodes, code):
        fill(monkeypatch, free=free, size=size, inodes=inodes)
        assert health(run_cli)[0] == code

    def test_tenth_of_a_large_disk_is_ample(self, settings, run_cli, monkeypatch):
        fill(monkeypatch, free=200 * GIB, size=10_000 * GIB)
        assert health(run_cli)[0] == 0

    def test_output_that_cannot_be_written(self, settings, run_cli, monkeypatch):
        def refuse(self, _):
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr(Path, "write_bytes", refuse)
        code, checks, _ = health(run_cli)
        assert (code, checks["output writable"]["status"]) == (2, "critical")

    def test_every_allowed_root_is_looked_at(self, settings, run_cli, monkeypatch, tmp_path):
        monkeypatch.setenv("ANC_ALLOWED_ROOTS", str(tmp_path))
        assert f"disk of {tmp_path}" in health(run_cli)[1]


class TestHearing:
    def test_named_classifier_that_is_missing(self, settings, monkeypatch, tmp_path):
        monkeypatch.setenv("ML_MODEL_PATH", str(tmp_path / "gone"))
        asked = hearing.hearing_questions(Settings.load())
        (one,) = ask_all([one for one in asked if one.name == "noise classifier"])
        assert (one.status, "gone" in one.message) == (HealthStatus.DEGRADED, True)

    def test_weights_that_were_changed(self, settings):
        folder = settings.models_dir / "suppressor"
        shutil.copytree(shipped_models() / "suppressor", folder)
        weights = next(folder.rglob("model.onnx"))
        weights.write_bytes(weights.read_bytes()[:-1] + b"x")
        (one,) = ask_all([q for q in hearing.hearing_questions(settings) if q.name == "suppressor"])
        assert one.status is HealthStatus.DEGRADED

    def test_alarm_that_is_not_heard(self, settings, monkeypatch):
        monkeypatch.setattr(hearing, "_ALARMS", (("t4", "smoke_alarm"),))
        answer = hearing.golden_clips(settings)
        assert (answer.status, "t4: not detected" in answer.message) == ("critical", True)

    def test_alarm_that_is_lowered(self, settings, monkeypatch):
        clean = hearing._cleaned
        monkeypatch.setattr(
            hearing, "_cleaned", lambda s, c: (0.8 * clean(s, c)[0], *clean(s, c)[1:])
        )
        answer = hearing.golden_clips(settings)
        assert (answer.status, "attenuated by 1.9 dB" in answer.message) == ("critical", True)

    def test_noise_that_stays(self, settings, monkeypatch):
        monkeypatch.setattr(hearing, "_ALARMS", (("t4", "co_alarm"),))
        clean = hearing._cleaned
        monkeypatch.setattr(hearing, "_cleaned", lambda s, c: (c, *clean(s, c)[1:]))
        assert hearing.golden_clips(settings).status is HealthStatus.DEGRADED


@pytest.mark.usefixtures("unhurried")
class TestJobs:
    def noted(self, settings, job, *, ago, failed=False):
        database = open_database(settings.resolved_database_url)
        with database.begin() as db:
            note_job_run(db, job, {}, "test", failed=failed, now=datetime.now(UTC) - ago)

    def answers(self, settings):
        return {
            one.name: one
            for one in ask_all(upkeep.upkeep_questions(settings, expected=True))
            if one.name.startswith("job ")
        }

    def test_missed(self, settings):
        self.noted(settings, "cleanup-old", ago=timedelta(days=9))
        self.noted(settings, "cleanup-failed", ago=timedelta(days=1))
        answers = self.answers(settings)
        assert answers["job cleanup-old"].status is HealthStatus.DEGRADED
        assert answers["job cleanup-failed"].status is HealthStatus.OK
        # Never ran, and the installation is older than its period.
        assert answers["job vacuum"].message.startswith("missed")

    def test_not_due_yet(self, settings):
        assert {one.status for one in self.answers(settings).values()} == {HealthStatus.OK}

    def test_failed(self, settings):
        self.noted(settings, "vacuum", ago=timedelta(days=2))
        self.noted(settings, "vacuum", ago=timedelta(days=1), failed=True)
        assert "failed" in self.answers(settings)["job vacuum"].message

    def test_without_schedules_nothing_is_missed(self, settings, run_cli):
        self.noted(settings, "cleanup-old", ago=timedelta(days=90))
        assert health(run_cli)[0] == 0

    def channel(self, run_cli):
        return health(run_cli)[1]["alert channel"]

    def test_alert_channel(self, settings, run_cli, monkeypatch):
        assert "not configured" in self.channel(run_cli)["message"]
        monkeypatch.setenv("ANC_ALERT_WEBHOOK_URL", "http://127.0.0.1:9/alerts")
        assert self.channel(run_cli)["value"] == "never"
        assert self.channel(run_cli)["status"] == "degraded"
        taken(settings, ago=timedelta(days=40))
        assert "anc alert test" in self.channel(run_cli)["message"]
        taken(settings, ago=timedelta(days=2))
        assert self.channel(run_cli)["status"] == "ok"


@pytest.mark.usefixtures("unhurried")
class TestPrefect:
    def test_server_that_is_expected_and_not_named(self, settings, run_cli, monkeypatch):
        def unnamed():
            msg = "PREFECT_API_URL is not set"
            raise ConnectionError(msg)

        monkeypatch.setenv("ANC_SCHEDULES_EXPECTED", "1")
        monkeypatch.setattr(prefect_health, "_client", unnamed)
        code, checks, _ = health(run_cli)
        assert (code, checks["prefect api"]["status"]) == (2, "critical")

    def test_server_that_is_not_expected(self, settings, run_cli):
        assert "not configured" in health(run_cli)[1]["prefect"]["message"]


# ------------------------------------------------------------------- asking


def test_question_that_hangs_holds_up_nothing_and_is_not_ok():
    start = time.monotonic()
    first, second = ask_all(
        [
            Question(name="hangs", ask=lambda: time.sleep(60), limit_s=0.3),
            Question(name="answers", ask=lambda: Answer.ok("here")),
        ]
    )
    assert time.monotonic() - start < 2
    assert (first.status, first.value) == (HealthStatus.DEGRADED, "unknown")
    assert second.status is HealthStatus.OK


def test_question_that_fails_is_an_answer():
    def fail():
        raise RuntimeError("boom")

    (one,) = ask_all([Question(name="x", ask=fail, if_unknown=HealthStatus.CRITICAL)])
    assert (one.status, one.message) == (HealthStatus.CRITICAL, "RuntimeError: boom")


def test_all_questions_together_stay_below_ten_seconds(settings):
    every = [
        *storage.database_questions(settings),
        *storage.disk_questions(settings),
        *hearing.hearing_questions(settings),
        *upkeep.upkeep_questions(settings, expected=True),
    ]
    assert max(one.limit_s for one in every) <= questions.TOTAL_S < 9


def test_question_that_hangs_does_not_change_the_exit_code(tmp_path):
    # Native code that hangs aborts the interpreter while it ends; 99 stands for that.
    code = (
        "import atexit, os, sys, threading, time\n"
        "from flows import cli\n"
        "atexit.register(os._exit, 99)\n"
        "hangs = threading.Thread(target=time.sleep, args=(60,), name='health: x', daemon=True)\n"
        "hangs.start()\n"
        "cli.main = lambda: (print('all that was said'), sys.exit(1))\n"
        "cli.program()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, b"all that was said\n")


def test_the_server_of_this_home_is_asked_without_being_named(
    settings, run_cli, unhurried, monkeypatch
):
    monkeypatch.setenv("PREFECT_API_URL", "")  # so that it is as before afterwards
    monkeypatch.delenv("PREFECT_API_URL")
    asked = []
    monkeypatch.setattr(
        prefect_health,
        "server_is_configured",
        lambda: asked.append(os.environ.get("PREFECT_API_URL")),
    )
    me = psutil.Process()
    server = StandingServer(pid=me.pid, started_at=me.create_time(), url="http://127.0.0.1:9")
    note_of(settings).write_text(server.to_json())
    health(run_cli)
    assert asked == ["http://127.0.0.1:9/api"]
