"""``analyze_session_data`` as a caller sees it: a real run on Prefect's test server."""

from __future__ import annotations

from datetime import date

import pytest

from anc_core.analysis_records import PeriodAnalysis, SessionAnalysis
from anc_core.errors import SessionNotFoundError
from anc_core.jobs.seed import SeedRequest, seed_store
from anc_core.store import open_database
from tests.flows.prefect_records import artifacts_of

pytestmark = [pytest.mark.usefixtures("prefect_server")]


@pytest.fixture
def seeded(store_url: str) -> None:
    database = open_database(store_url)
    seed_store(database, SeedRequest(sessions=40, days=2, last_day=date(2026, 5, 31)))
    database.dispose()


@pytest.mark.usefixtures("seeded")
def test_a_period_is_a_record_with_a_page() -> None:
    from flows import analyze_session_data

    state = analyze_session_data(
        since="2026-05-30",
        until="2026-06-01",
        group_by="device",
        filters={"status": ["ok", "failed"]},
        return_state=True,
    )
    found = state.result()
    assert isinstance(found, PeriodAnalysis)
    assert found["performance_statistics"].sessions > 30
    assert found.noise_distribution
    assert found.groups[0].key["device"].startswith("recorder-")
    pages = artifacts_of(state)
    assert "sessions finished" in pages["session-analysis"]["data"]
    assert found.noise_distribution[0].noise_type in pages["noise-distribution"]["data"]


@pytest.mark.usefixtures("seeded")
def test_a_session_is_a_record_and_an_unknown_one_an_error() -> None:
    from flows import analyze_session_data

    found = analyze_session_data(session_id="seed-1-00000003")
    assert isinstance(found, SessionAnalysis)
    assert found.model_dump()["session_id"] == "seed-1-00000003"
    with pytest.raises(SessionNotFoundError, match="nix"):
        analyze_session_data(session_id="nix")


def test_pages_are_inert() -> None:
    from anc_core.analysis_records import PerformanceStatistics, Period
    from anc_core.store.noise_view import NoiseStatistics
    from flows.analytics import markdown

    bad = "<script>|`"
    found = PeriodAnalysis(
        period=Period.of_day(date(2026, 5, 1)),
        performance_statistics=PerformanceStatistics(sessions=1),
        noise_statistics=NoiseStatistics(
            top_sources=({"device_id": bad, "noise_type": bad, "seconds": 1.0},)
        ),
    )
    page = markdown(found)
    assert "<script>" not in page
    assert "&lt;script&gt;&#124;&#96;" in page
