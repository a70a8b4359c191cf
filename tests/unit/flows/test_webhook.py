"""The request that a receiver gets, and what its answers mean."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from uuid import UUID

import pytest

from anc_core.alerts import EmergencyAlert
from anc_core.errors import SettingsError
from anc_core.settings import Settings
from flows.webhook import Receiver, ReceiverAwayError, RefusedError, post
from tests.receiver import free_port, receiver

NOW = datetime(2026, 5, 1, 12, 0, 0, 500_000, tzinfo=UTC)
ALERT = EmergencyAlert(
    alert_id=UUID(int=7),
    session_id="s-1",
    source_path="/audio/a.wav",
    event_type="siren",
    start_s=1.0,
    end_s=3.0,
    peak_confidence=0.9,
)

BODY = ALERT.to_json().encode()


def at(url: str, timeout_s: float = 5.0) -> Receiver:
    return Receiver(
        url=url, setting="ANC_ALERT_WEBHOOK_URL", secret="top-secret", timeout_s=timeout_s
    )


def test_a_receiver_can_check_who_sent_it_and_when() -> None:
    with receiver() as got:
        assert post(at(got.url), ALERT.alert_id, BODY, now=NOW) == 204
    ((headers, body),) = got.requests
    assert body == BODY
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == str(ALERT.alert_id)
    assert headers["X-ANC-Timestamp"] == "1777636800"
    digest = hmac.new(b"top-secret", b"1777636800." + body, hashlib.sha256).hexdigest()
    assert headers["X-ANC-Signature"] == f"v1={digest}"


@pytest.mark.parametrize("code", [408, 425, 429, 500, 503])
def test_these_answers_mean_later(code: int) -> None:
    with receiver(code) as got, pytest.raises(ReceiverAwayError) as err:
        post(at(got.url), ALERT.alert_id, BODY, now=NOW)
    assert err.value.response_code == code


@pytest.mark.parametrize("code", [301, 400, 401, 404, 410])
def test_these_answers_mean_never(code: int) -> None:
    with receiver(code) as got, pytest.raises(RefusedError) as err:
        post(at(got.url), ALERT.alert_id, BODY, now=NOW)
    assert err.value.response_code == code


def test_no_answer_means_later_and_does_not_tell_the_address() -> None:
    url = f"http://127.0.0.1:{free_port()}/?token=not-for-logs"
    with pytest.raises(ReceiverAwayError, match="ConnectError") as err:
        post(at(url), ALERT.alert_id, BODY, now=NOW)
    assert "not-for-logs" not in str(err.value)
    assert err.value.__cause__ is None


@pytest.mark.parametrize(
    "url", ["http://host:x/not-for-logs", "ftp://not-for-logs/", "not-for-logs"]
)
def test_what_is_no_address_is_an_error_that_names_the_setting(url: str) -> None:
    with pytest.raises(SettingsError, match="ANC_ALERT_WEBHOOK_URL is no address") as err:
        post(at(url), ALERT.alert_id, BODY, now=NOW)
    assert "not-for-logs" not in str(err.value)


def test_a_receiver_without_a_key_is_an_error_and_none_at_all_is_none() -> None:
    assert Receiver.of_alerts(Settings()) is None
    with pytest.raises(SettingsError, match="ANC_ALERT_WEBHOOK_SECRET is not set"):
        Receiver.of_alerts(Settings(alert_webhook_url="https://example.org/x"))


def test_neither_key_nor_address_show_in_what_may_be_logged() -> None:
    settings = Settings(
        alert_webhook_url="https://example.org/?token=abc123", alert_webhook_secret="top-secret"
    )
    found = Receiver.of_alerts(settings)
    for shown in (repr(settings), str(settings), settings.model_dump_json(), repr(found)):
        assert "abc123" not in shown
        assert "top-secret" not in shown
