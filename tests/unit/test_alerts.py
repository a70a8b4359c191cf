from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from anc_core.alerts import EmergencyAlert, alerts_of
from anc_core.records import Event, SessionSummary, Status


def event(noise_type: str = "siren", start_s: float = 1.0, **words: Any) -> Event:
    fields: dict[str, Any] = {
        "end_s": start_s + 2.0,
        "is_emergency": True,
        "channels": (0, 1),
        "peak_confidence": 0.93,
        "mean_confidence": 0.8,
        "window_count": 4,
        "evidence": "T3 rhythm",
        "max_attenuation_db": 0.1,
    }
    return Event(noise_type=noise_type, start_s=start_s, **(fields | words))


def session(*events: Event, **words: Any) -> SessionSummary:
    fields: dict[str, Any] = {"session_id": "s-1", "source_path": "/audio/a.wav"}
    return SessionSummary(status=Status.OK, events=events, **(fields | words))


def test_an_alert_tells_what_a_receiver_must_know() -> None:
    (alert,) = alerts_of(session(event(), device_id="mic 7", site="hall", batch_id="b-1"))
    told = json.loads(alert.to_json())
    assert {name: told[name] for name in told if name != "alert_id"} == {
        "version": 1,
        "kind": "emergency",
        "session_id": "s-1",
        "source_path": "/audio/a.wav",
        "event_type": "siren",
        "start_s": 1.0,
        "end_s": 3.0,
        "start_at": None,
        "end_at": None,
        "peak_confidence": 0.93,
        "evidence": "T3 rhythm",
        "channels": [0, 1],
        "max_attenuation_db": 0.1,
        "device_id": "mic 7",
        "site": "hall",
        "batch_id": "b-1",
        "flow_run_id": None,
        "is_test": False,
    }
    assert EmergencyAlert.from_json(alert.to_json()) == alert


def test_the_id_is_made_of_session_sound_and_start_and_never_changes() -> None:
    (alert,) = alerts_of(session(event()))
    assert str(alert.alert_id) == "ccc4025c-ea12-5d4c-af2c-0256e02aa1c5"
    others = [
        session(event(), session_id="s-2"),
        session(event("fire_alarm")),
        session(event(start_s=1.001)),
    ]
    ids = {other.alert_id for summary in others for other in alerts_of(summary)}
    assert len(ids | {alert.alert_id}) == 4


def test_other_events_before_it_do_not_change_the_id() -> None:
    (alone,) = alerts_of(session(event()))
    (behind,) = alerts_of(session(event("fan", 0.0, is_emergency=False), event()))
    assert behind.alert_id == alone.alert_id


def test_two_events_that_begin_together_are_two_alerts() -> None:
    first, second = alerts_of(session(event(channels=(0,)), event(channels=(1,))))
    assert first.alert_id != second.alert_id


def test_the_hour_is_told_where_it_is_known() -> None:
    began = datetime(2026, 5, 1, 23, 59, 59, tzinfo=UTC)
    (alert,) = alerts_of(session(event(start_s=2.0), recorded_at=began))
    assert alert.start_at == datetime(2026, 5, 2, 0, 0, 1, tzinfo=UTC)
    assert alert.end_at == datetime(2026, 5, 2, 0, 0, 3, tzinfo=UTC)


def test_a_name_that_is_no_text_becomes_text() -> None:
    (alert,) = alerts_of(session(event(), source_path="/audio/\udcff.wav"))
    assert alert.source_path == "/audio/\\udcff.wav"
    alert.to_json().encode()


def test_the_place_is_device_before_site_before_recording() -> None:
    known = [{"device_id": "7", "site": "hall"}, {"site": "hall"}, {}]
    places = [alerts_of(session(event(), **words))[0].place for words in known]
    assert places == ["device 7", "site hall", "file /audio/a.wav"]
