"""``anc metrics``: what it prints is what a hand-made store holds, as Prometheus reads it."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import delete

from anc_core.api_requests import ApiRequest
from anc_core.bundles.registry import shipped_models
from anc_core.maintenance.health.check import note_health
from anc_core.maintenance.health.questions import HealthReport, HealthStatus
from anc_core.monitoring.families import FAMILIES
from anc_core.records import Event, Metrics, SessionSummary, Status
from anc_core.settings import Settings
from anc_core.store import (
    ClaimRequest,
    Database,
    Owner,
    claim,
    finish,
    note_job_run,
    open_batch,
    open_database,
    record_api_requests,
    record_audit,
    roll_up,
)
from anc_core.store.tables import AudioSession
from tests.receiver import free_port

DEAD = 2**22 + 1
SIREN = Event(
    noise_type="siren",
    start_s=0,
    end_s=2,
    is_emergency=True,
    channels=(0,),
    peak_confidence=0.9,
    mean_confidence=0.9,
    window_count=2,
    max_attenuation_db=2.0,
)


@pytest.fixture
def database() -> Database:
    return open_database(Settings.load().resolved_database_url)


def begun(database: Database, name: str, owner: Owner, batch_id: str | None = None) -> str:
    wanted = ClaimRequest(fingerprint=name, source_path=f"/{name}.wav", batch_id=batch_id)
    with database.begin() as db:
        return claim(db, wanted, owner).session_id


def ended(database: Database, name: str, at: datetime, **words) -> None:
    owner = Owner.current()
    session_id = begun(database, name, owner)
    fields = {"status": Status.OK, "duration_s": 10.0, "metrics": Metrics(wall_s=0.5)} | words
    summary = SessionSummary(
        session_id=session_id,
        fingerprint=name,
        source_path=f"/{name}.wav",
        finished_at=at,
        **fields,
    )
    with database.begin() as db:
        finish(db, summary, owner)


def samples(text: str) -> dict[str, float]:
    """Return ``name{label=value,...}`` to value, as the client's own parser reads the text."""
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for one in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(one.labels.items()))
            found[f"{one.name}{{{labels}}}"] = one.value
    return found


def test_the_text_tells_what_the_store_holds(database, run_cli):
    now = datetime.now(UTC)
    ended(database, "a", now, events=(SIREN,))
    ended(database, "b", now - timedelta(hours=2))
    ended(database, "c", now, status=Status.FAILED, error_code="NOT_AUDIO", duration_s=None)
    ended(database, "old", now - timedelta(days=40))
    with database.begin() as db:
        open_batch(db, "batch", {}, 7, now=now - timedelta(minutes=10))
        note_job_run(db, "daily-report", {}, "x", now=now - timedelta(hours=3))
        note_job_run(db, "vacuum", {}, "x", failed=True, now=now - timedelta(hours=4))
        record_audit(db, "health", "degraded", {}, "health-check", now=now)
        record_api_requests(
            db,
            [
                ApiRequest(
                    requested_at=now, method="GET", path="/x", status_code=code, duration_ms=ms
                )
                for code, ms in ((200, 100.0), (404, 300.0), (500, 200.0))
            ],
        )
    begun(database, "here", Owner.current(), "batch")
    here = Owner.current()
    begun(database, "dead", Owner(here.host, DEAD, here.started_at), "batch")

    code, out, err = run_cli("metrics")
    assert (code, err) == (0, "")
    found = samples(out)
    expected = {
        "anc_store_up{}": 1,
        "anc_sessions_total{status=ok}": 3,
        "anc_sessions_total{status=degraded}": 0,
        "anc_sessions_total{status=failed}": 1,
        "anc_session_failures_total{error_code=NOT_AUDIO}": 1,
        "anc_audio_seconds_total{}": 30,
        "anc_processing_seconds_total{}": 1.5,
        "anc_emergency_events_total{event_type=siren}": 1,
        "anc_emergency_events_total{event_type=co_alarm}": 0,
        "anc_safety_violations_total{}": 1,
        "anc_recent_sessions{status=ok,window=1h}": 1,
        "anc_recent_sessions{status=ok,window=24h}": 2,
        "anc_recent_sessions{status=failed,window=1h}": 1,
        "anc_recent_audio_seconds{window=24h}": 20,
        "anc_recent_processing_seconds{window=1h}": 0.5,
        "anc_recent_safety_violations{window=1h}": 1,
        "anc_stored_sessions{status=ok}": 3,
        "anc_stored_sessions{status=running}": 2,
        "anc_running_sessions{}": 1,
        "anc_stale_sessions{}": 1,
        "anc_open_batches{}": 1,
        "anc_waiting_recordings{}": 5,
        "anc_alert_deliveries{status=pending}": 0,
        "anc_recent_api_requests{code_class=1xx-3xx,window=15m}": 1,
        "anc_recent_api_requests{code_class=4xx,window=15m}": 1,
        "anc_recent_api_requests{code_class=5xx,window=15m}": 1,
        "anc_recent_api_request_duration_seconds{quantile=0.5,window=15m}": 0.2,
        "anc_health_status{}": 1,
        "anc_model_ok{kind=suppressor}": 1,
    }
    assert {name: found.get(name) for name in expected} == pytest.approx(expected)
    assert found["anc_oldest_open_batch_age_seconds{}"] == pytest.approx(600, abs=60)
    job = "anc_job_last_success_timestamp_seconds{name=daily-report}"
    assert found[job] == pytest.approx((now - timedelta(hours=3)).timestamp())
    assert "anc_job_last_failure_timestamp_seconds{name=vacuum}" in found
    assert found["anc_database_bytes{}"] > 100_000
    assert found["anc_disk_free_bytes{place=home}"] > 0
    assert {f"# TYPE {family.name} {family.kind}" for family in FAMILIES} <= set(out.splitlines())


def test_counters_stay_when_sessions_go(database, run_cli):
    now = datetime.now(UTC)
    ended(database, "a", now - timedelta(days=3), events=(SIREN,))
    ended(database, "b", now)
    before = samples(run_cli("metrics")[1])
    with database.begin() as db:
        roll_up(db, (now - timedelta(days=3)).date())  # as cleanup does
        db.execute(delete(AudioSession))
    after = samples(run_cli("metrics")[1])
    counters = {name for name in before if "_total{" in name}
    assert {name: after[name] for name in counters} == {name: before[name] for name in counters}
    assert before["anc_sessions_total{status=ok}"] == 2


def test_words_that_came_with_an_import_are_no_labels(database, run_cli):
    strange = SIREN.model_copy(update={"noise_type": 'x"\n# HELP evil\\'})
    ended(database, "a", datetime.now(UTC), events=(strange,))
    out = run_cli("metrics")[1]
    assert "evil" not in out
    assert samples(out)["anc_emergency_events_total{event_type=other}"] == 1


def test_without_a_store_the_rest_is_told_and_nothing_is_made(run_cli, tmp_path, caplog):
    url = f"sqlite:///{tmp_path / 'none.db'}"
    code, out, _ = run_cli("metrics", "--database-url", url)
    found = samples(out)
    assert code == 1
    # Not standard error: where Prefect has been imported, its handler writes to that of then.
    assert "there is no database" in caplog.text
    assert found["anc_store_up{}"] == 0
    assert "anc_disk_free_bytes{place=database}" in found
    assert not [name for name in found if name.startswith("anc_sessions")]
    assert not (tmp_path / "none.db").exists()


def test_a_textfile_is_written_whole(database, run_cli, tmp_path):
    file = tmp_path / "anc.prom"
    code, out, _ = run_cli("metrics", "-o", file)
    assert (code, out) == (0, "")
    assert samples(file.read_text())["anc_store_up{}"] == 1
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".prom") == [
        "anc.prom"
    ]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-o", "metrics.txt"], "end in .prom"),
        (["-o", "nowhere/anc.prom"], "nowhere"),
        (["-o", "x.prom", "--serve", "9464"], "exclude each other"),
    ],
)
def test_what_cannot_be_written_is_said(words, complaint, database, run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run_cli("metrics", *words)
    assert code == 2
    assert complaint in err


def test_a_file_outside_of_the_allowed_folders_is_refused(database, run_cli, tmp_path, monkeypatch):
    monkeypatch.setenv("ANC_ALLOWED_ROOTS", str(tmp_path / "allowed"))
    code, _, err = run_cli("metrics", "-o", tmp_path / "anc.prom")
    assert code == 2
    assert "PERMISSION" in err
    assert not (tmp_path / "anc.prom").exists()


def test_a_taken_port_is_said(database, run_cli):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        code, _, err = run_cli("metrics", "--serve", str(taken.getsockname()[1]))
    assert code == 2
    assert "cannot be used" in err


def test_a_model_whose_file_was_changed_is_refused(database, run_cli):
    home = Settings.load().models_dir
    shutil.copytree(shipped_models() / "suppressor", home / "suppressor")
    (weights,) = home.glob("suppressor/*/*.onnx")
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes() + b"x")
    found = samples(run_cli("metrics")[1])
    assert found["anc_model_ok{kind=suppressor}"] == 0
    assert not [name for name in found if name.startswith("anc_model_info{kind=suppressor")]
    assert found["anc_model_ok{kind=emergency}"] == 1


def test_what_the_health_check_by_the_clock_said_is_told(database, run_cli):
    report = HealthReport(
        status=HealthStatus.CRITICAL, checks=(), active_sessions=(), num_active_sessions=0
    )
    note_health(Settings.load(), report)
    found = samples(run_cli("metrics")[1])
    assert found["anc_health_status{}"] == 2
    assert found["anc_health_timestamp_seconds{}"] == pytest.approx(time.time(), abs=60)


def test_a_store_that_cannot_be_written_fails_no_health_check(tmp_path):
    settings = Settings.load(database_url=f"sqlite:///{tmp_path / 'none.db'}")
    note_health(
        settings,
        HealthReport(status=HealthStatus.OK, checks=(), active_sessions=(), num_active_sessions=0),
    )
    assert not (tmp_path / "none.db").exists()
