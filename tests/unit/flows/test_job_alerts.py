"""A scheduled job that failed is told in the same way as an emergency."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from flows.job_alerts import FailedJob, post_failed_job
from flows.webhook import ReceiverAwayError
from tests.receiver import receiver

FAILED = FailedJob(
    alert_id=UUID(int=5), job="vacuum-database", run_name="vacuum", state="Failed", message="disk"
)


def test_it_is_posted_signed_under_the_id_of_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver(204, 503) as got:
        monkeypatch.setenv("ANC_ALERT_WEBHOOK_URL", got.url)
        monkeypatch.setenv("ANC_ALERT_WEBHOOK_SECRET", "top-secret")
        post_failed_job.fn(FAILED)
        with pytest.raises(ReceiverAwayError):  # Prefect tries again
            post_failed_job.fn(FAILED)
    headers, body = got.requests[0]
    assert headers["Idempotency-Key"] == str(UUID(int=5))
    assert headers["X-ANC-Signature"].startswith("v1=")
    told = json.loads(body)
    assert (told["kind"], told["job"], told["message"]) == ("job_failed", "vacuum-database", "disk")


def test_without_a_receiver_it_is_only_logged() -> None:
    post_failed_job.fn(FAILED)
