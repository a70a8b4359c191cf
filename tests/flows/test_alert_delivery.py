"""Emergencies as Prefect sees them: one event each, and a run that waits for the receiver."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import soundfile as sf

from anc_core.alerts import ALERT_EVENT, EmergencyAlert
from anc_core.audio.synth import alarm
from anc_core.store import open_database
from tests.receiver import free_port, receiver

pytestmark = [pytest.mark.usefixtures("prefect_server")]

_PATIENCE_S = 30.0


def smoke_alarm(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, alarm("t3_3100", 9.0, 16_000, seed=seed, level_dbfs=-20.0), 16_000)
    return path


def emitted(session_ids: set[str], *, at_least: int = 0) -> list[dict[str, Any]]:
    """Return Prefect's events of these sessions, once they are so many."""
    from prefect.client.orchestration import get_client

    resources = [f"anc.session.{session_id}" for session_id in session_ids]
    words = {"filter": {"event": {"name": [ALERT_EVENT]}, "resource": {"id": resources}}}
    deadline = time.monotonic() + _PATIENCE_S
    with get_client(sync_client=True) as client:
        while True:
            found: list[dict[str, Any]] = client.request(
                "POST", "/events/filter", json=words
            ).json()["events"]
            if len(found) >= at_least or time.monotonic() > deadline:
                return found
            time.sleep(0.1)


def test_an_emergency_is_one_event_however_often_the_recording_is_run(
    tmp_path: Path, store_url: str
) -> None:
    from flows import process_audio_file

    source = smoke_alarm(tmp_path / "alarm.wav")
    state = process_audio_file(file_path=source, device_id="7", return_state=True)
    summary = state.result()
    (event,) = emitted({summary.session_id}, at_least=1)
    alert = EmergencyAlert.model_validate(event["payload"])
    assert event["id"] == str(alert.alert_id)
    assert (alert.session_id, alert.place) == (summary.session_id, "device 7")
    assert alert.flow_run_id == str(state.state_details.flow_run_id)
    assert alert.start_s == summary.events[0].start_s

    assert process_audio_file(file_path=source, device_id="7").status == "skipped"
    other = process_audio_file(file_path=smoke_alarm(tmp_path / "other.wav", seed=1))
    both = {summary.session_id, other.session_id}
    assert len(emitted(both, at_least=2)) == 2  # the other's came, no second of the first


def test_the_shards_of_a_batch_tell_of_each_emergency(tmp_path: Path, store_url: str) -> None:
    from flows import batch_process_files

    for seed in range(3):
        smoke_alarm(tmp_path / "in" / f"{seed}.wav", seed)
    summary = batch_process_files(file_paths=[tmp_path / "in"])
    sessions = {str(line.session_id) for line in summary.results}
    events = emitted(sessions, at_least=3)
    assert {event["payload"]["session_id"] for event in events} == sessions
    assert len(events) == summary.events == 3


def test_a_session_stands_though_nobody_can_be_told(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import alerting, process_audio_file

    def broken(*_args: object, **_words: object) -> None:
        raise RuntimeError("no server")

    monkeypatch.setattr(alerting, "emit_event", broken)
    assert process_audio_file(file_path=smoke_alarm(tmp_path / "alarm.wav")).status == "ok"


def test_a_run_waits_until_the_receiver_is_back_and_sends_once(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from anc_core.jobs.records import RecordingJob
    from anc_core.jobs.run import run_recording
    from anc_core.settings import Settings
    from flows import deliver_emergency_alert

    port = free_port()
    monkeypatch.setenv("ANC_ALERT_WEBHOOK_URL", f"http://127.0.0.1:{port}/alerts")
    monkeypatch.setenv("ANC_ALERT_WEBHOOK_SECRET", "top-secret")
    job = RecordingJob(source=smoke_alarm(tmp_path / "alarm.wav"))
    run_recording(job, database=open_database(store_url), settings=Settings.load())
    reports: list[Any] = []
    run = threading.Thread(target=lambda: reports.append(deliver_emergency_alert()))
    run.start()
    time.sleep(3.0)  # at least one try that nobody hears
    with receiver(port=port) as got:
        run.join(_PATIENCE_S)
        assert [report.delivered for report in reports] == [1]
        assert deliver_emergency_alert().delivered == 0
    assert len(got.requests) == 1
