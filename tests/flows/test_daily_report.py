"""``generate_daily_report`` as a caller sees it: a real run on Prefect's test server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flows.prefect_records import artifacts_of, task_names_of

pytestmark = [pytest.mark.usefixtures("prefect_server")]


def test_a_report_is_a_record_with_an_artifact_and_delivery_cannot_lose_it(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import generate_daily_report

    monkeypatch.setenv("ANC_REPORT_WEBHOOK_URL", "http://127.0.0.1:9/hook?token=secret")
    monkeypatch.setenv("ANC_RETRIES", "0")
    state = generate_daily_report(
        date="2026-11-03", formats=["html", "json"], output_dir=tmp_path, return_state=True
    )
    result = state.result()
    assert state.name == "CompletedWithErrors"
    assert "not delivered by webhook" in state.message
    assert result.verdict == "AMBER"
    assert result.reasons[0].startswith("No data")
    assert Path(result.html_path).is_file()
    assert result.figures.missed_runs == ()  # Prefect was asked and missed nothing
    artifact = artifacts_of(state)["daily-report"]
    assert "AMBER: ANC daily report" in artifact["data"]
    assert Path(result.html_path).as_uri() in artifact["data"]
    assert set(task_names_of(state, last="deliver the report")) == {
        "make the report",
        "publish the report",
        "deliver the report",
    }
