"""The command line, in this process: words, exit codes, and what goes to which stream."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from anc_core.errors import SourceChangedError
from anc_core.jobs.records import BatchSummary
from anc_core.records import SessionSummary
from tests.nasty import files
from tests.nasty.bench import Bench
from tests.recordings import noisy_voice

Anc = Callable[..., tuple[int, str, str]]


@pytest.fixture
def anc(bench: Bench, monkeypatch: pytest.MonkeyPatch, run_cli: Anc) -> Anc:
    """Call ``anc`` on the bench's store; returns exit code, standard output, standard error."""
    monkeypatch.setenv("ANC_DATABASE_URL", bench.settings.resolved_database_url)
    monkeypatch.setenv("ANC_RETRY_DELAY_S", "0")
    monkeypatch.chdir(bench.folder)

    return run_cli


@pytest.fixture
def source(bench: Bench) -> Path:
    return noisy_voice(bench.inputs / "x.wav", duration_s=1.5)


# ------------------------------------------------------------------ anc process


def test_a_recording_is_cleaned_into_the_folder(anc: Anc, bench: Bench, source: Path) -> None:
    code, out, err = anc("process", source, "-o", bench.outputs)
    assert (code, err) == (0, "")
    assert "ok" in out
    assert bench.delivered() == ["x.wav"]
    assert anc("process", source, "-o", bench.outputs)[0] == 0  # skipped is no failure


def test_json_is_the_record_that_was_stored(anc: Anc, bench: Bench, source: Path) -> None:
    code, out, err = anc("process", source, "-o", bench.outputs / "y.wav", "--json")
    summary = SessionSummary.from_json(out)
    assert (code, err, summary.status) == (0, "", "ok")
    assert summary == bench.session(summary.session_id)
    assert bench.delivered() == ["y.wav"]


def test_a_folder_may_have_a_suffix(anc: Anc, bench: Bench, source: Path) -> None:
    (bench.folder / "old.wav").mkdir()
    assert anc("process", source, "-o", bench.folder / "old.wav")[0] == 0
    assert (bench.folder / "old.wav" / "x.wav").is_file()


def test_the_name_of_the_output_tells_its_format(anc: Anc, bench: Bench) -> None:
    source = files.coded("PCM_16", "VOC")(bench.inputs / "x.voc")
    anc("process", source, "-o", bench.outputs)
    anc("process", source, "-o", bench.folder / "copy", "--analyse-only")
    assert bench.delivered() == ["x.wav"]
    assert (bench.folder / "copy" / "x.voc").read_bytes() == source.read_bytes()


def test_every_option_reaches_the_record(anc: Anc, bench: Bench, source: Path) -> None:
    hum = noisy_voice(bench.inputs / "hum.wav", duration_s=1.5, seed=9)
    code, out, _ = anc(
        *("process", source, "--no-output", "--json", "--preset", "gentle"),
        *("--mode", "cancel", "--reference", hum, "--chunk-size", "9000"),
        *("--session-id", "hall-1", "--device-id", "d", "--user-id", "u", "--site", "s"),
    )
    summary = SessionSummary.from_json(out)
    assert code == 0
    assert (summary.preset, summary.mode, summary.chunk_size) == ("gentle", "cancel", 9000)
    assert summary.session_id == "hall-1"
    assert (summary.device_id, summary.user_id, summary.site) == ("d", "u", "s")
    assert (summary.output_path, summary.reference_path) == (None, str(hum))


@pytest.mark.parametrize("command", ["process", "batch"])
def test_what_is_wanted_otherwise_than_the_preset_has_it(
    anc: Anc, bench: Bench, source: Path, command: str
) -> None:
    code, _, _ = anc(
        *(command, source, "-o", bench.outputs, "--preset", "gentle", "--link-channels"),
        *("--method", "spectral", "--strength", "0.5", "--max-attenuation", "6"),
    )
    summary = SessionSummary.from_json((bench.outputs / "x.wav.json").read_text())
    used = summary.parameters["preset"]["suppression"]
    assert code == 0
    assert (used["method"], used["strength"], used["max_attenuation_db"]) == ("spectral", 0.5, 6.0)
    assert used["link_channels"] is True
    assert summary.model_id is None
    quieter_db = summary.metrics.input_rms_dbfs - summary.metrics.output_rms_dbfs
    assert 0.0 < quieter_db <= 3.0


def test_a_bad_recording_is_exit_code_1_and_still_a_record(anc: Anc, bench: Bench) -> None:
    source = files.empty(bench.inputs / "x.wav")
    code, out, err = anc("process", source, "--json")
    summary = SessionSummary.from_json(out)
    assert (code, err, summary.error_code) == (1, "", "EMPTY_FILE")
    code, out, _ = anc("process", bench.inputs / "gone.wav")
    assert code == 1
    assert "NOT_FOUND" in out or "check the name" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--preset", "loud"], "call-centre"),
        (["--mode", "magic"], "suppress"),
        (["--mode", "cancel"], "reference"),
        (["--method", "magic"], "spectral"),
        (["--strength", "2"], "0.0<=x<=1.0"),
        (["--chunk-size", "7"], "8000 to 24000"),
        (["--chunk-size", "7.5"], "integer"),
        (["--chunk-size", "nan"], "integer"),
        (["--session-id", "../x"], "session_id"),
        (["--overwrite", "ask"], "replace"),
        (["--colour"], "--colour"),
    ],
)
def test_wrong_words_are_exit_code_2_and_one_sentence_on_standard_error(
    anc: Anc, source: Path, words: list[str], said: str
) -> None:
    code, out, err = anc("process", source, "--json", *words)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_what_did_not_pass_in_time_is_exit_code_1(
    anc: Anc, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import anc_core.jobs.direct as direct_module

    calls: list[int] = []

    def changing(*args: object, **kwargs: object) -> None:
        calls.append(1)
        raise SourceChangedError("x.wav: still\x1b[31m being copied")

    monkeypatch.setattr(direct_module, "run_recording", changing)
    code, out, err = anc("process", source, "--json")
    assert (code, out, len(calls)) == (1, "", 4)
    assert err.startswith("anc: CHANGED_DURING_READ: x.wav")
    assert "\x1b" not in err


def test_ctrl_c_is_130_and_says_how_to_go_on(
    anc: Anc, source: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    import anc_core.jobs.direct as direct_module

    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(direct_module, "run_recording", interrupted)
    code, out, err = anc("process", source, "--json")
    assert (code, out) == (130, "")
    assert "run the same command again" in err


# ------------------------------------------------------------------ anc batch


def test_a_batch_counts_in_json_and_nothing_else(anc: Anc, bench: Bench, source: Path) -> None:
    files.empty(bench.inputs / "empty.wav")
    code, out, err = anc("batch", bench.inputs, "-o", bench.outputs, "--json", "--workers", "1")
    summary = BatchSummary.from_json(out)
    assert (code, err) == (1, "")
    assert (summary.planned, summary.ok, summary.failed) == (2, 1, 1)
    assert bench.delivered() == ["x.wav"]
    # Allowed failures, a table for people, and nothing to do but the bad one again.
    code, out, _ = anc("batch", bench.inputs, "-o", bench.outputs, "--max-failures", "1")
    assert code == 0
    assert "planned 2 = 0 ok + 0 degraded + 1 skipped + 1 failed" in out


def test_a_dry_run_shows_the_plan_and_writes_nothing(anc: Anc, bench: Bench, source: Path) -> None:
    source.rename(bench.inputs / "a\x1b[31m\u202e.wav")
    before = sorted(bench.folder.rglob("*"))
    code, out, err = anc("batch", bench.inputs, "-o", bench.outputs, "--dry-run", "--json")
    summary = BatchSummary.from_json(out)
    assert (code, summary.planned, summary.dry_run) == (0, 1, True)
    assert " -> " in err
    assert "\x1b" not in err
    assert "\u202e" not in err
    assert [p for p in sorted(bench.folder.rglob("*")) if "anc.db" not in p.name] == [
        p for p in before if "anc.db" not in p.name
    ]
    assert bench.sessions() == []


@pytest.mark.parametrize(("words", "code"), [([], 0), (["--require-input"], 2)])
def test_an_empty_folder_is_nothing_to_do(
    anc: Anc, bench: Bench, words: list[str], code: int
) -> None:
    got, out, _ = anc("batch", bench.inputs, "--json", *words)
    assert (got, BatchSummary.from_json(out).nothing_to_do) == (code, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "at least one"),
        (["in", "--workers", "0"], "--workers"),
        (["in", "--workers", "-3"], "--workers"),
        (["in", "--max-failures", "10; DROP"], "--max-failures"),
        (["in", "--duplicates", "maybe"], "link"),
        (["in", "--preset", "loud"], "call-centre"),
        (["in", "-o", "/proc/none/out"], "NOT_WRITABLE"),
        (["in", "-o", "in"], "COLLISION"),
    ],
)
def test_a_batch_that_cannot_begin_is_exit_code_2(
    anc: Anc, bench: Bench, source: Path, words: list[str], said: str
) -> None:
    code, out, err = anc("batch", "--json", *words)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert bench.sessions() == []


# ------------------------------------------------------------------ the rest


def test_a_misspelt_setting_is_exit_code_2_with_the_right_name(
    anc: Anc, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANC_WORKRES", "2")
    code, out, err = anc("process", source, "--json")
    assert (code, out) == (2, "")
    assert "did you mean ANC_WORKERS" in err


def test_db_check_misses_outputs_that_are_gone(anc: Anc, bench: Bench, source: Path) -> None:
    anc("process", source, "-o", bench.outputs)
    assert anc("db", "check")[0] == 0
    (bench.outputs / "x.wav").unlink()
    code, out, _ = anc("db", "check")
    assert code == 1
    assert "x.wav is missing" in out


def test_db_upgrade_makes_a_database_and_hides_its_password(anc: Anc, tmp_path: Path) -> None:
    code, out, _ = anc("db", "upgrade", "--database-url", f"sqlite:///{tmp_path / 'new.db'}")
    assert code == 0
    assert (tmp_path / "new.db").is_file()
    assert "schema of this version" in out


@pytest.mark.parametrize("words", [["--help"], ["process", "--help"], ["batch", "-h"]])
def test_help_needs_nothing_but_click(anc: Anc, words: list[str]) -> None:
    code, out, err = anc(*words)
    assert (code, err) == (0, "")
    assert out.startswith("Usage: anc")


def test_an_error_of_ours_that_is_a_bug_is_not_hidden(
    anc: Anc, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import anc_core.jobs.direct as direct_module

    def broken(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(direct_module, "run_recording", broken)
    with pytest.raises(ZeroDivisionError):
        anc("process", source)
