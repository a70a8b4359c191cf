"""``anc alert``, and the alerts of a run without Prefect."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile as sf

from anc_core.audio.synth import alarm
from tests.nasty.bench import Bench
from tests.receiver import Receiver, free_port, receiver

Anc = Callable[..., tuple[int, str, str]]


@pytest.fixture
def anc(bench: Bench, monkeypatch: pytest.MonkeyPatch, run_cli: Anc) -> Anc:
    monkeypatch.setenv("ANC_DATABASE_URL", bench.settings.resolved_database_url)
    monkeypatch.chdir(bench.folder)
    return run_cli


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def tell(url: str) -> None:
        monkeypatch.setenv("ANC_ALERT_WEBHOOK_URL", url)
        monkeypatch.setenv("ANC_ALERT_WEBHOOK_SECRET", "top-secret")

    return tell


def keys(got: Receiver) -> list[str]:
    return [headers["Idempotency-Key"] for headers, _ in got.requests]


def test_a_test_alert_arrives_and_stands_in_the_log(anc: Anc, told: Callable[[str], None]) -> None:
    with receiver() as got:
        told(got.url)
        assert anc("alert", "test") == (0, "delivered: HTTP 204\n", "")
        code, out, _ = anc("alert", "test", "--json")
    assert (code, json.loads(out)["status"]) == (0, "delivered")
    code, out, _ = anc("alert", "list", "--json")
    assert [d["idempotency_key"] for d in json.loads(out)["deliveries"]] == keys(got)[::-1]
    assert "delivered" in anc("alert", "list")[1]


def test_a_test_alert_that_nobody_takes_is_exit_code_one(
    anc: Anc, told: Callable[[str], None]
) -> None:
    told(f"http://127.0.0.1:{free_port()}/?token=not-for-logs")
    code, out, err = anc("alert", "test")
    assert (code, err) == (1, "")
    assert out == "failed: the receiver could not be reached: ConnectError\n"
    assert anc("alert", "list", "--status", "delivered", "--json")[1].split() == [
        "{", '"deliveries":', "[]", "}",
    ]  # fmt: skip


def test_without_a_receiver_the_message_names_the_setting(anc: Anc) -> None:
    code, _, err = anc("alert", "test")
    assert code == 2
    assert "ANC_ALERT_WEBHOOK_URL is not set" in err


def test_a_run_without_prefect_sends_what_it_heard(
    anc: Anc, told: Callable[[str], None], bench: Bench
) -> None:
    source = bench.inputs / "alarm.wav"
    sf.write(source, alarm("t3_3100", 9.0, 16_000, seed=0, level_dbfs=-20.0), 16_000)
    port = free_port()
    told(f"http://127.0.0.1:{port}/alerts")
    code, _, err = anc("process", source, "--no-output", "-q")
    assert code == 0
    assert "1 alerts wait" in err
    assert anc("alert", "send-pending")[0] == 1
    with receiver(port=port) as got:
        code, out, err = anc("process", source, "--no-output", "-q", "--json")
        assert (code, json.loads(out)["status"], err) == (0, "skipped", "")
        assert anc("alert", "send-pending")[:2] == (0, "nothing to send\n")
    assert len(got.requests) == 1


def test_a_batch_without_prefect_sends_what_it_heard(
    anc: Anc, told: Callable[[str], None], bench: Bench, tmp_path: Path
) -> None:
    sf.write(
        bench.inputs / "alarm.wav", alarm("t3_3100", 9.0, 16_000, seed=0, level_dbfs=-20.0), 16_000
    )
    with receiver() as got:
        told(got.url)
        assert anc("batch", bench.inputs, "--no-output", "-q", "--dry-run")[0] == 0
        assert got.requests == []
        assert anc("batch", bench.inputs, "--no-output", "-q")[0] == 0
    assert len(got.requests) == 1
