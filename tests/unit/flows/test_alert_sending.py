"""One pass of the sender, with a receiver that is there, away, or says no."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile as sf

from anc_core.audio.synth import alarm
from anc_core.records import SessionSummary
from anc_core.settings import Settings
from anc_core.store import Delivery, list_deliveries
from flows.alert_delivery import patience
from flows.alert_sending import send_after_run, send_outstanding, send_test
from tests.nasty.bench import Bench
from tests.receiver import free_port, receiver

Heard = Callable[..., SessionSummary]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench.at(tmp_path / "bench")


@pytest.fixture
def hear(bench: Bench) -> Heard:
    """Process a recording of a smoke alarm; each seed is another recording."""

    def process(seed: int = 0, **words: Any) -> SessionSummary:
        source = bench.inputs / f"alarm-{seed}.wav"
        sf.write(source, alarm("t3_3100", 9.0, 16_000, seed=seed, level_dbfs=-20.0), 16_000)
        summary = bench.run(source, no_output=True, **words)
        assert sum(event.is_emergency for event in summary.events) == 1
        return summary

    return process


def telling(bench: Bench, url: str, **words: Any) -> Settings:
    found = {"alert_webhook_url": url, "alert_webhook_secret": "top-secret", **words}
    return Settings.load(database_url=bench.settings.database_url, **found)


def log(bench: Bench) -> tuple[Delivery, ...]:
    with bench.database.read() as db:
        return list_deliveries(db).deliveries


def test_every_event_is_sent_once_however_often_it_is_tried(bench: Bench, hear: Heard) -> None:
    hear(0)
    hear(1)
    with receiver() as got:
        settings = telling(bench, got.url)
        first = send_outstanding(settings, bench.database)
        hear(0)  # skipped: done before
        again = send_outstanding(settings, bench.database)
    assert (first.delivered, again.delivered, len(got.requests)) == (2, 0, 2)
    keys = {headers["Idempotency-Key"] for headers, _ in got.requests}
    assert keys == {line.idempotency_key for line in log(bench)}
    assert len(keys) == 2


def test_while_the_receiver_is_away_all_wait_and_then_all_are_sent(
    bench: Bench, hear: Heard
) -> None:
    hear(0)
    hear(1)
    port = free_port()
    settings = telling(bench, f"http://127.0.0.1:{port}/alerts")
    away = send_outstanding(settings, bench.database)
    assert (away.delivered, away.waiting) == (0, 2)
    assert away.problem == "the receiver could not be reached: ConnectError"
    assert sorted(line.attempts for line in log(bench)) == [0, 1]  # no storm on one that is down
    with receiver(503, port=port) as got:
        assert send_outstanding(settings, bench.database).waiting == 2
        assert send_outstanding(settings, bench.database).delivered == 2
    assert len(got.requests) == 3


def test_one_that_is_refused_does_not_hold_up_the_others(bench: Bench, hear: Heard) -> None:
    hear(0)
    hear(1)
    with receiver(404) as got:
        settings = telling(bench, got.url)
        report = send_outstanding(settings, bench.database)
        assert (report.refused, report.delivered, report.waiting) == (1, 1, 0)
        assert send_outstanding(settings, bench.database, retry_failed=True).delivered == 1
    assert [line.status for line in log(bench)] == ["delivered", "delivered"]


def test_a_second_alarm_within_the_cooldown_is_kept_in_the_log(bench: Bench, hear: Heard) -> None:
    hear(0, device_id="7")
    hear(1, device_id="7")
    with receiver() as got:
        report = send_outstanding(telling(bench, got.url, alert_cooldown_s=60.0), bench.database)
    assert (report.delivered, report.suppressed, len(got.requests)) == (1, 1, 1)


def test_without_a_receiver_they_wait_and_the_log_stays_empty(bench: Bench, hear: Heard) -> None:
    hear(0)
    report = send_outstanding(bench.settings, bench.database)
    assert (report.waiting, report.problem) == (1, "ANC_ALERT_WEBHOOK_URL is not set")
    assert log(bench) == ()


def test_after_a_run_of_the_command_line_no_error_is_one(bench: Bench, hear: Heard) -> None:
    hear(0)
    nobody = telling(bench, f"http://127.0.0.1:{free_port()}/")
    words = send_after_run(nobody)
    assert words is not None
    assert words.startswith("1 alerts wait (the receiver could not be reached: ConnectError)")
    unsigned = nobody.model_copy(update={"alert_webhook_secret": None})
    assert "ANC_ALERT_WEBHOOK_SECRET is not set" in str(send_after_run(unsigned))
    with receiver() as got:
        assert send_after_run(telling(bench, got.url)) is None
    assert len(got.requests) == 1


def test_a_test_is_sent_once_and_never_repeated(bench: Bench) -> None:
    with receiver(503) as got:
        settings = telling(bench, got.url)
        failed = send_test(settings, bench.database)
        arrived = send_test(settings, bench.database)
        assert send_outstanding(settings, bench.database).delivered == 0
    assert (failed.status, failed.response_code) == ("failed", 503)
    assert (arrived.status, arrived.is_test, len(got.requests)) == ("delivered", True, 2)


@pytest.mark.parametrize(
    ("retry_for_s", "retries"), [(0.0, 0), (30.0, 5), (63.0, 6), (64.0, 7), (6 * 3600.0, 365)]
)
def test_the_flow_tries_as_long_as_it_is_told_to(retry_for_s: float, retries: int) -> None:
    # After 1 + 2 + 4 + 8 + 16 + 32 = 63 s it tries every minute.
    assert patience(retry_for_s) == {
        "retries": retries,
        "retry_delay_seconds": [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0],
    }
