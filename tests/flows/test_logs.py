"""The lines of a run, from the flow to the worker processes: JSON, and whose they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.recordings import noisy_voice

pytestmark = [pytest.mark.usefixtures("prefect_server")]

RUN, OF_RECORDING = {"flow_run_id", "task_run_id"}, {"session_id", "batch_id"}


def test_every_line_of_a_recording_says_whose_it_is(
    tmp_path: Path,
    store_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from flows import batch_process_files

    monkeypatch.setenv("ANC_LOG_JSON", "1")
    monkeypatch.setenv("ANC_ALERT_WEBHOOK_URL", "http://127.0.0.1:9/token-of-the-hook")
    monkeypatch.setenv("ANC_ALERT_WEBHOOK_SECRET", "key-of-the-signature")
    source = noisy_voice(tmp_path / "a.wav")
    (tmp_path / "bad\n2026 INFO forged.wav").write_text("no audio")
    summary = batch_process_files(file_paths=[tmp_path], output_dir=tmp_path / "out")

    assert (summary.ok, summary.failed) == (1, 1)
    err = capfd.readouterr().err
    lines = [json.loads(line) for line in err.splitlines()]  # every one, Prefect's too
    assert "token-of-the-hook" not in err
    assert "key-of-the-signature" not in err
    for line in lines:
        assert {"timestamp", "level", "logger", "message"} <= line.keys()
        assert line["timestamp"].endswith("+00:00")
    by_core = [line for line in lines if line["logger"] == "anc_core.jobs.run"]
    assert {line["session_id"] for line in by_core} == {r.session_id for r in summary.results}
    assert len(by_core) == 4  # the worker's: claimed and done, twice
    for line in by_core:
        assert line.keys() >= (RUN | OF_RECORDING)
        assert line["batch_id"] == summary.batch_id
    (good,) = [r.session_id for r in summary.results if r.source_path == str(source)]
    assert [x["facts"]["status"] for x in by_core if x["session_id"] == good and "facts" in x] == [
        "ok"
    ]
    (told,) = [x for x in lines if x["level"] == "ERROR" and "NOT_AUDIO" in x["message"]]
    assert told["session_id"] == summary.failures[0].session_id  # by the flow, of the recording
    assert told.keys() >= (RUN | OF_RECORDING)
    run_ids = {line["flow_run_id"] for line in lines if "flow_run_id" in line}
    assert len(run_ids) == 1
