from __future__ import annotations

import io
import json
import sys
import unicodedata
from pathlib import Path

import pytest

from anc_core.errors import ErrorCode, WarningCode
from anc_core.jobs.records import BatchPlan, BatchSummary, RecordingJob, RecordingResult
from anc_core.records import Event, Metrics, Remark, SessionSummary, Status
from anc_core.store import BatchProgress
from flows import console

SUMMARY = SessionSummary(
    status=Status.OK,
    session_id="s-1",
    source_path="/in/x.wav",
    output_path="/out/x.wav",
    duration_s=12.34,
    sample_rate=16_000,
    num_channels=2,
    container="WAV",
    subtype="PCM_16",
    metrics=Metrics(input_rms_dbfs=-30.0, output_rms_dbfs=-41.5, cancellation_db=11.5, speed_x=99),
    events=(
        Event(
            noise_type="fire_alarm",
            start_s=1.0,
            end_s=5.0,
            is_emergency=True,
            channels=(0,),
            peak_confidence=1.0,
            mean_confidence=1.0,
            window_count=4,
            evidence="T3 rhythm",
        ),
    ),
    warnings=(Remark(code=WarningCode.CLIPPED, message="12"),),
)
HOSTILE = "/in/\x1b]0;title\x07\x9b31m[red]\u202egnp.exe\r\n\x0e\u2028녹음 😀 שלום.wav"


def batch(**fields: object) -> BatchSummary:
    return BatchSummary(batch_id="b-1", **fields)


def result(**fields: object) -> RecordingResult:
    known = {"source_path": "/in/x.wav", "status": Status.OK}
    return RecordingResult(**(known | fields))


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")


# ----------------------------------------------------------------------------- json


def test_json_is_the_record_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json(SUMMARY)
    captured = capsys.readouterr()
    assert SessionSummary.from_json(captured.out) == SUMMARY
    assert captured.err == ""


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
@pytest.mark.parametrize("name", ["/in/녹음.wav", "/in/caf\udce9.wav", HOSTILE])
def test_json_passes_every_console(
    encoding: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    console.print_json(SUMMARY.model_copy(update={"source_path": name}))
    sys.stdout.flush()
    assert json.loads(raw.getvalue().decode(encoding))["source_path"] == name
    assert b"\x1b" not in raw.getvalue()


# ----------------------------------------------------------------------------- what is safe


def test_name_from_outside_cannot_act_on_the_terminal() -> None:
    shown = console.safe(HOSTILE).plain
    assert {unicodedata.category(char) for char in shown} & {"Cc", "Cs", "Zl", "Zp"} == set()
    assert "\u202e" not in shown
    assert "[red]" in shown  # text, no markup
    assert "녹음 😀 שלום.wav" in shown  # names in any script stay readable


def test_undecodable_bytes_are_shown_as_escapes() -> None:
    assert console.safe("caf\udce9.wav").plain == "caf\\udce9.wav"


@pytest.mark.parametrize("joined", ["👨\u200d👩\u200d👧", "می\u200cخواهم", "e\u0301"])
def test_joiners_that_scripts_need_are_kept(joined: str) -> None:
    assert console.safe(joined).plain == joined


def test_tables_show_hostile_names_inert(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_session(SUMMARY.model_copy(update={"output_path": HOSTILE}))
    line = result(source_path=HOSTILE, status=Status.FAILED, error_message=HOSTILE)
    console.print_batch(batch(planned=1, failed=1, results=(line,)))
    out = capsys.readouterr().out
    assert not any(char in out for char in "\x1b\x07\x9b\u202e\r\x0e\u2028")


# ----------------------------------------------------------------------------- sessions


def test_session_shows_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_session(SUMMARY)
    out = capsys.readouterr().out
    for words in (
        "ok",
        "s-1",
        "/out/x.wav",
        "12.3 s, 16000 Hz, 2 ch, WAV PCM_16",
        "-30.0 -> -41.5 dBFS",
        "11.5 dB of noise",
        "99 x real time",
        "CLIPPED",
        "1.0-5.0 s fire_alarm: T3 rhythm",
    ):
        assert words in out


def test_failed_session_shows_why_and_no_empty_figures(capsys: pytest.CaptureFixture[str]) -> None:
    failed = SessionSummary(
        status=Status.FAILED,
        session_id="s-2",
        source_path="x",
        error_code=ErrorCode.EMPTY_FILE,
        error_message="x.wav: the file is empty",
    )
    console.print_session(failed)
    out = capsys.readouterr().out
    assert "x.wav: the file is empty" in out
    assert "None" not in out
    assert "cancellation" not in out


# ----------------------------------------------------------------------------- batches


def test_counts_of_a_batch_are_one_line_that_adds_up() -> None:
    line = console.describe(
        batch(planned=10, ok=4, degraded=3, skipped=1, failed=1, duplicates=1, audio_s=90, wall_s=2)
    )
    assert line.startswith("planned 10 = 4 ok + 3 degraded + 1 skipped + 1 failed + 1 duplicates")
    assert "1.5 min of audio in 2.0 s" in line


def test_speed_is_shown_where_it_is_known() -> None:
    assert "(45 x real time)" in console.describe(batch(speed_x=45.2))
    assert "real time" not in console.describe(batch())


def test_dry_run_says_that_nothing_was_written() -> None:
    line = console.describe(
        batch(planned=2, dry_run=True, estimated_s=7, estimated_bytes=3 * 10**6)
    )
    assert "about 7 s of work, 3.0 MB of output; nothing was written" in line


def test_nothing_to_do_is_said_in_words() -> None:
    assert console.describe(batch(nothing_to_do=True)) == "nothing to do: no recording was found"


def test_batch_shows_each_recording_relative_to_what_they_share(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = (
        result(source_path="/in/a/x.wav", cancellation_db=9.8),
        result(source_path="/in/b/y.wav", status=Status.FAILED, error_code=ErrorCode.NOT_AUDIO),
        result(source_path="/in/b/z.wav", status=Status.SKIPPED, duplicate_of="/in/a/x.wav"),
        result(source_path="list.csv:3", status=Status.FAILED, error_message="row 3: no path"),
    )
    console.print_batch(batch(planned=4, ok=1, failed=2, duplicates=1, results=lines))
    out = capsys.readouterr().out
    assert "/in/" not in out
    for words in ("a/x.wav", "9.8", "NOT_AUDIO", "b/z.wav", "duplicate", "row 3: no path"):
        assert words in out


def test_long_batch_is_cut_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    lines = tuple(result(source_path=f"/in/{index}.wav") for index in range(70))
    console.print_batch(batch(planned=70, ok=70, results=lines))
    out = capsys.readouterr().out
    assert out.count(".wav") == 60
    assert "and 10 more" in out


def test_batch_without_results_is_printed_too(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_batch(batch(nothing_to_do=True))
    assert "nothing to do" in capsys.readouterr().out


def test_plan_is_listed_with_its_outputs() -> None:
    jobs = (
        RecordingJob(source=Path("a.wav"), sink=Path("out/a.wav")),
        RecordingJob(source=Path("b.wav")),
    )
    assert console.describe_plan(BatchPlan(batch_id="b", jobs=jobs)) == [
        ("a.wav", "out/a.wav"),
        ("b.wav", "-"),
    ]


# ----------------------------------------------------------------------------- bars


@pytest.mark.parametrize("quiet", [True, False])
def test_bars_leave_standard_output_alone_and_are_silent_without_a_terminal(
    quiet: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = BatchPlan(batch_id="b", jobs=(RecordingJob(source=Path("a.wav")),))
    with console.batch_bar(quiet=quiet) as show:
        show(plan, BatchProgress(done=1, failed=0, running=0, audio_s=1.0))
    with console.recording_bar(100, 16_000, quiet=quiet) as advance:
        advance(50)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
