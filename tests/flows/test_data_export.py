"""``export_session_data`` as a caller sees it: a real run on Prefect's test server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flows.prefect_records import artifacts_of

pytestmark = [pytest.mark.usefixtures("prefect_server", "store_url")]


def test_an_export_is_a_record_with_a_table_and_an_unknown_id_an_error(tmp_path: Path) -> None:
    from anc_core.errors import SessionNotFoundError
    from flows import export_session_data

    state = export_session_data(
        output_path=tmp_path / "x.zip", format="csv", start="2024-05-01", return_state=True
    )
    result = state.result()
    assert (result["output_path"], result.sessions) == (str(tmp_path / "x.zip"), 0)
    assert result.exported_at.utcoffset() is not None
    assert (tmp_path / "x.zip").exists()
    assert "audio_sessions" in artifacts_of(state)["session-export"]["data"]
    with pytest.raises(SessionNotFoundError, match="nope"):
        export_session_data(session_id="nope", output_path=tmp_path / "y")


def test_access_logs_are_a_flow_too(tmp_path: Path) -> None:
    from flows import import_api_requests

    (tmp_path / "a.log").write_text(
        'h - - [01/May/2024:12:00:00 +0000] "GET /<b> HTTP/1.1" 200 5 "-" "-" 0.5\n'
    )
    state = import_api_requests([tmp_path / "a.log", tmp_path / "none"], return_state=True)
    assert (state.result().requests, state.result().failed) == (1, 1)
    assert "a.log" in artifacts_of(state)["access-logs"]["data"]
