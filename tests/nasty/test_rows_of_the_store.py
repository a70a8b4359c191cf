"""The rows of the table that reach further than a recording: store, report, export, maintenance."""

from __future__ import annotations

import csv
import io
import json
import logging
import pickle
import re
import sqlite3
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from anc_core.audio.synth import alarm
from anc_core.errors import ErrorCode, InputError, WarningCode
from anc_core.exchange.export import export_sessions
from anc_core.exchange.records import ExportRequest, Format
from anc_core.jobs.report import make_report
from anc_core.jobs.report_records import ReportFormat, ReportRequest
from anc_core.records import Status
from anc_core.sound_records import Calibration, SoundLevels
from anc_core.store import add_calibration, analyse_session
from tests.nasty import files
from tests.nasty.bench import Bench, all_finite, samples
from tests.nasty.files import RATE
from tests.recordings import noisy_voice

Anc = Callable[..., tuple[int, str, str]]


@pytest.fixture
def anc(bench: Bench, run_cli: Anc, monkeypatch: pytest.MonkeyPatch) -> Anc:
    """Call ``anc`` on the bench's store."""
    monkeypatch.setenv("ANC_DATABASE_URL", bench.settings.resolved_database_url)
    monkeypatch.setenv("ANC_RETRY_DELAY_S", "0")
    return run_cli


# ------------------------------------------------------------------ row 28: text of others

_TAG = "<script>alert(1)</script>"
HOSTILE = (
    '=HYPERLINK("http://x","y")',
    _TAG,
    "x'; DROP TABLE audio_sessions; --",
    "%s%n%d",
    "\x1b[31mred\x07",
    "{{ 7*7 }}{% raw %}",
)


def test_row_28_text_of_users_is_inert_everywhere(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "anc_core")
    for number, text in enumerate(HOSTILE):
        bad = bench.inputs / f"{number}.wav"
        bad.write_text("no audio" * (number + 1))
        for source in (bad, noisy_voice(bench.inputs / "x.wav", duration_s=0.5, seed=number)):
            # The report names the worst five sessions only: the device of each has the tag.
            device = text + _TAG
            done = bench.run(source, user_id=text, device_id=device, site=text, no_output=True)
            assert bench.session(done.session_id).user_id == text  # SQL has kept it as it is

    out = bench.folder / "export.zip"
    request = ExportRequest(output_path=out, format=Format.CSV)
    export_sessions(bench.settings, request, actor="test")
    with zipfile.ZipFile(out) as archive:
        body = archive.read("audio_sessions.csv").decode()
    cells = [row["user_id"] for row in csv.DictReader(io.StringIO(body, newline=""))]
    assert {cell.removeprefix("'") for cell in cells} == set(HOSTILE)
    assert not [cell for cell in cells if cell[0] in "=+-@\t\r"]

    report = make_report(
        ReportRequest(
            day=datetime.now(UTC).date(),
            output_dir=bench.folder / "report",
            formats=(ReportFormat.HTML, ReportFormat.MARKDOWN),
        ),
        bench.settings,
        bench.database,
        actor="test",
        now=datetime.now(UTC),
        missed=None,
    )
    page = Path(str(report.html_path)).read_text()
    assert "alert(1)" in page  # it is shown, as text
    assert "<script>alert" not in page + report.markdown
    assert "\x1b" not in page + report.markdown + caplog.text


# ------------------------------------------------------------------ row 33: the database


def test_row_33_a_newer_database_is_refused_in_words(bench: Bench, anc: Anc) -> None:
    source = files.good(bench.inputs / "x.wav")
    bench.database.dispose()
    with sqlite3.connect(bench.folder / "store" / "anc.db") as db:
        db.execute("UPDATE alembic_version SET version_num = 'v9999'")
    code, out, err = anc("process", source, "-o", bench.outputs, "--json")
    assert (code, out) == (2, "")
    assert "v9999" in err
    assert "Traceback" not in err
    assert not bench.outputs.exists()


@pytest.mark.parametrize("content", [b"no database " * 99, b"SQLite format 3\0" + bytes(5_000)])
def test_row_33_a_corrupt_database_is_refused_in_words(
    bench: Bench, anc: Anc, content: bytes
) -> None:
    source = files.good(bench.inputs / "x.wav")
    bench.database.dispose()
    for file in (bench.folder / "store").iterdir():
        file.unlink()
    (bench.folder / "store" / "anc.db").write_bytes(content)
    for words in (("process", source, "-o", bench.outputs), ("analyze",), ("cleanup", "old")):
        code, _, err = anc(*words)
        assert code == 2, err
        assert "anc.db" in err
        assert "Traceback" not in err
    assert (bench.folder / "store" / "anc.db").read_bytes() == content


# ------------------------------------------------------------------ row 36: clocks


def manifest(bench: Bench, *rows: str, header: str = "path,recorded_at") -> Path:
    path = bench.inputs / "list.csv"
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


@pytest.mark.parametrize("time", ["1970-01-01T00:00:05Z", "2099-12-31T23:59:59Z", "2000-01-01"])
def test_row_36_a_clock_that_cannot_be_right_is_remarked_on_and_the_recording_stays(
    bench: Bench, time: str
) -> None:
    files.good(bench.inputs / "x.wav")
    summary = bench.batch(manifest(bench, f"x.wav,{time}"))
    assert (summary.planned, summary.ok) == (1, 1)
    [session] = bench.sessions()
    [remark] = session.warnings
    assert remark.code is WarningCode.TIMESTAMP_SUSPECT
    assert time[:10] in remark.message
    assert "clock" in remark.message
    assert session.recorded_at is not None
    assert session.recorded_at.year == int(time[:4])


@pytest.mark.parametrize(
    ("time", "utc"),
    [
        ("2024-03-31T02:30:00", "2024-03-31T02:30:00+00:00"),  # no such hour in Berlin
        ("2024-10-27T02:30:00+02:00", "2024-10-27T00:30:00+00:00"),  # the first of two such hours
        ("2024-10-27T02:30:00+01:00", "2024-10-27T01:30:00+00:00"),
    ],
)
def test_row_36_naive_times_are_utc_and_zones_are_kept_apart(
    bench: Bench, time: str, utc: str
) -> None:
    files.good(bench.inputs / "x.wav")
    assert bench.batch(manifest(bench, f"x.wav,{time}")).ok == 1
    [session] = bench.sessions()
    assert session.recorded_at == datetime.fromisoformat(utc)
    assert session.warnings == ()


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_row_36_a_time_that_no_utc_can_hold_is_an_error_of_its_row(bench: Bench, time: str) -> None:
    for name in ("x.wav", "y.wav"):
        noisy_voice(bench.inputs / name, duration_s=1.0, seed=ord(name[0]))
    summary = bench.batch(manifest(bench, f"x.wav,{time}", "y.wav,"))
    assert (summary.ok, summary.failed) == (1, 1)
    assert summary.failures[0].error_code is ErrorCode.BAD_PARAMETER
    assert "row 2" in str(summary.failures[0].error_message)


# ------------------------------------------------------------------ row 37: wrong words

WRONG = {
    "cleanup, 0 days": (("cleanup", "old", "--older-than-days", "0"), "older_than_days"),
    "cleanup, negative": (("cleanup", "old", "--older-than-days", "-1"), "older"),
    "cleanup, NaN": (("cleanup", "old", "--older-than-days", "nan"), "older_than_days"),
    "cleanup, huge": (("cleanup", "old", "--older-than-days", "1e300"), "older_than_days"),
    "cleanup, SQL": (("cleanup", "old", "--max-delete", "10; DROP"), "10; DROP"),
    "failed, NaN": (("cleanup", "failed", "--older-than-hours", "nan"), "older_than_hours"),
    "report, zone": (("report", "--tz", "../../etc/passwd"), "../../etc/passwd"),
    "report, format": (("report", "--formats", "pdf"), "html"),
    "analyze, zone": (("analyze", "--tz", "Mars/Olympus"), "Mars/Olympus"),
    "analyze, id": (("analyze", "'; DROP TABLE audio_sessions; --"), "DROP"),
    "export, format": (("export", "-f", "10; DROP"), "jsonl"),
    "export, id": (("export", "../../etc/x"), "../../etc/x"),
    "export, period": (("export", "--from", "yesterday"), "yesterday"),
    "hold, id": (("hold", "../../etc/x"), "../../etc/x"),
}


@pytest.mark.parametrize(("words", "said"), WRONG.values(), ids=WRONG.keys())
def test_row_37_wrong_words_are_one_line_and_nothing_is_done(
    bench: Bench, anc: Anc, words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bench.folder)
    done = bench.run(files.good(bench.inputs / "x.wav"))
    before = sorted(bench.folder.rglob("*.*"))
    code, out, err = anc(*words)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert bench.session(done.session_id).status is Status.OK
    after = sorted(p for p in bench.folder.rglob("*.*") if not p.name.startswith("anc.db-"))
    assert after == [p for p in before if not p.name.startswith("anc.db-")]


# ------------------------------------------------------------------ row 38: models


class Bomb:
    """What a hostile pickle does when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_row_38_a_hostile_pickle_is_not_loaded_and_alarms_are_protected(bench: Bench) -> None:
    model = bench.folder / "model.joblib"
    model.write_bytes(pickle.dumps(Bomb(bench.folder / "exploded")))
    source = bench.inputs / "x.wav"
    sf.write(
        source, 0.3 * alarm("t3_3100", 8.0, RATE, seed=1) + files.noise(8 * RATE)[:, 0] / 9, RATE
    )
    settings = bench.settings.model_copy(update={"ml_model_path": model})
    summary = Bench(bench.folder, bench.database, settings).run(source)
    assert not (bench.folder / "exploded").exists()
    [remark] = [r for r in summary.warnings if r.code is WarningCode.MODEL_UNAVAILABLE]
    assert "MODEL_UNTRUSTED" in remark.message
    assert "--trust-pickle" in remark.message
    assert summary.status is Status.OK
    assert any(event.is_emergency for event in summary.events)
    assert summary.protected


# ------------------------------------------------------------------ row 42: odd sounds

TIME = np.arange(3 * RATE) / RATE
SOUNDS = {
    "infrasound": 0.5 * np.sin(2 * np.pi * 5 * TIME),
    "hum": 0.3 * np.sin(2 * np.pi * 50 * TIME) + 0.1 * np.sin(2 * np.pi * 150 * TIME),
    "near Nyquist": 0.3 * np.sin(2 * np.pi * 7_950 * TIME),
    "clicks": np.where(np.arange(3 * RATE) % 4_000 == 0, 0.9, 0.0),
    "tone": 0.5 * np.sin(2 * np.pi * 1_000 * TIME),
    "sweep": 0.5 * np.sin(2 * np.pi * (20 * TIME + 1_250 * TIME**2)),
    "white": files.noise(3 * RATE)[:, 0],
}


@pytest.mark.parametrize("sound", SOUNDS.values(), ids=SOUNDS.keys())
def test_row_42_odd_sounds_have_finite_figures_and_a_known_name(
    bench: Bench, sound: np.ndarray
) -> None:
    sf.write(bench.inputs / "x.wav", sound, RATE)
    summary = bench.run(bench.inputs / "x.wav")
    assert summary.status in {Status.OK, Status.DEGRADED}
    assert all_finite(summary)
    assert all(window.noise_type for window in summary.windows)
    assert np.isfinite(samples(bench.outputs / "x.wav")).all()


# ------------------------------------------------------------------ row 43: manifests


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_row_43_a_manifest_of_any_program_runs_its_good_rows(bench: Bench, separator: str) -> None:
    files.good(bench.inputs / "x.wav")
    noisy_voice(bench.inputs / "y.wav", duration_s=1.0, seed=9)
    rows = (("path", "preset"), ("x.wav", "gentle"), ("y.wav", "loud"), ("y.wav", "gentle"))
    text = "\r\n".join(separator.join(row) for row in rows) + "\r\n"
    path = bench.inputs / "list.csv"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    summary = bench.batch(path)
    assert (summary.planned, summary.ok, summary.failed) == (3, 2, 1)
    [failure] = summary.failures
    assert failure.error_code is ErrorCode.BAD_PARAMETER
    assert "row 3" in str(failure.error_message)
    assert "gentle" in str(failure.error_message)  # what is allowed


def test_row_43_a_manifest_without_its_column_is_refused_with_what_it_has(bench: Bench) -> None:
    with pytest.raises(InputError, match=r"list\.csv.*'path'.*\['file'\]"):
        bench.batch(manifest(bench, "x.wav", header="file"))
    assert bench.sessions() == []


# ------------------------------------------------------------------ row 44: nothing to tell


def test_row_44_an_empty_store_has_answers(bench: Bench, anc: Anc) -> None:
    for words in (
        ("analyze", "--json"),
        ("report", "-o", bench.folder / "report", "--json"),
        ("export", "-o", bench.folder / "out.json", "--json"),
        ("cleanup", "old", "--yes", "--json"),
        ("cleanup", "failed", "--yes", "--json"),
        ("vacuum", "--json"),
    ):
        code, out, err = anc(*words)
        assert code == 0, err
        assert "NaN" not in out
        json.loads(out)


def test_row_44_all_failed_and_all_null_have_answers(bench: Bench, anc: Anc) -> None:
    for number in range(3):
        (bench.inputs / f"{number}.wav").write_bytes(b"x" * number)
    assert bench.batch().failed == 3
    test_row_44_an_empty_store_has_answers(bench, anc)


# ------------------------------------------------------------------ rows 45 and 46

RECORDED = datetime(2026, 5, 4, 12, tzinfo=UTC)


def test_row_45_a_short_clip_gets_no_gain(bench: Bench) -> None:
    """No gain is ever applied, and no loudness told: a clip of 300 ms cannot get +52 dB."""
    source = noisy_voice(bench.inputs / "x.wav", duration_s=0.3)
    summary = bench.run(source)
    assert summary.status is Status.OK
    assert np.abs(samples(bench.outputs / "x.wav")).max() <= 1.1 * np.abs(samples(source)).max()
    for side in ("input", "output"):
        assert summary.metrics[f"{side}_loudness_lufs"] is None
        assert "400 ms" in summary.metrics.null_reasons[f"{side}_loudness_lufs"]
        assert summary.metrics[f"{side}_laeq_dbfs"] is not None
    assert all_finite(summary)


@pytest.mark.parametrize(
    ("calibrated", "recorded", "reason"),
    [
        (None, {}, "device 'mic' has no calibration"),
        ({"device_id": "other"}, {}, "device 'mic' has no calibration"),
        ({"channel": 1}, {}, "channel 0 of device 'mic' has no calibration"),
        ({"gain_setting": "high"}, {}, r"recorded at gain \(none\), calibrated at 'high'"),
        ({}, {"gain_setting": "high"}, r"recorded at gain 'high', calibrated at \(none\)"),
        ({"valid_until": RECORDED}, {}, "the calibration expired on 2026-05-04"),
        ({"valid_from": RECORDED + timedelta(days=1)}, {}, "recorded before the calibration"),
        ({}, {"recorded_at": None}, "the time of recording is not known"),
        ({}, {"device_id": None}, "the device is not known"),
    ],
)
def test_row_46_no_calibration_is_reused_for_anything_else(
    bench: Bench, calibrated: dict[str, Any] | None, recorded: dict[str, Any], reason: str
) -> None:
    """Sound pressure, percentiles, Lden and doses are null with the reason; dBFS stays dBFS."""
    told = _levels_under(bench, calibrated, recorded)
    assert told.unit == "dBFS (uncalibrated)"
    assert told.laeq_dbfs is not None
    for name in ("laeq_db", "la10_db", "lden_db", "niosh_dose_percent", "who_dose_percent"):
        assert told[name] is None
        assert re.search(reason, told.null_reasons[name])


def test_row_46_the_right_calibration_is_used(bench: Bench) -> None:
    told = _levels_under(bench, {}, {})
    assert told.laeq_dbfs is not None
    assert told.laeq_db == pytest.approx(told.laeq_dbfs + 120.0, abs=0.011)


def _levels_under(
    bench: Bench, calibrated: dict[str, Any] | None, recorded: dict[str, Any]
) -> SoundLevels:
    """Process a recording of ``mic``, keep a calibration, and return what the input's level is."""
    words = {"device_id": "mic", "recorded_at": RECORDED, **recorded}
    summary = bench.run(files.good(bench.inputs / "x.wav"), **words)
    fields = {"device_id": "mic", "channel": 0, "valid_from": RECORDED, "created_at": RECORDED}
    if calibrated is not None:
        if "valid_until" in calibrated:
            fields["valid_from"] = RECORDED - timedelta(days=9)
        one = Calibration(id="c", measured_dbfs=-26.0, **{**fields, **calibrated})
        with bench.database.begin() as db:
            add_calibration(db, one)
    with bench.database.read() as db:
        return analyse_session(db, summary.session_id).sound_levels[0]
