"""``anc simulate --sweep``, in this process and with one worker process."""

from __future__ import annotations

import csv
import functools
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from anc_core.jobs.sweep_records import SweepResult
from tests.acoustics import write_duct, write_noise
from tests.sweeps import NUM_CELLS, bench

Anc = Callable[..., tuple[int, str, str]]

GRID = "num_taps = [8, 16]\n[paths]\nprimary = 'primary.wav'\nsecondary = 'secondary.wav'\n"


@pytest.fixture
def anc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Anc) -> Anc:
    """Call ``anc simulate`` in a folder with noise/0.wav, a duct, grid.toml and small.toml."""
    monkeypatch.chdir(tmp_path)
    bench(tmp_path, duration_s=1.0)
    (tmp_path / "small.toml").write_text(GRID)
    return functools.partial(run_cli, "simulate")


SMALL = ("noise", "--sweep", "small.toml", "--workers", "1")


def test_a_sweep_is_a_table_files_and_exit_code_0(anc: Anc, tmp_path: Path) -> None:
    code, out, err = anc("noise", "--sweep", "grid.toml", "--workers", "1", "-o", "out")
    assert (code, err) == (0, "")
    assert f"{NUM_CELLS} cells on 1 recording: {NUM_CELLS} ok" in out
    assert "holds up best: " in out
    for name in ("results.csv", "sweep.json", "index.html"):
        assert f"out/{name}" in out
        assert (tmp_path / "out" / name).is_file()


def test_json_is_the_record_and_nothing_else_and_a_second_run_resumes(anc: Anc) -> None:
    code, out, err = anc(*SMALL, "--json")
    result = SweepResult.from_json(out)
    assert (code, err) == (0, "")
    assert (result.planned, result.ok, result.resumed) == (2, 2, 0)
    # Without -o the folder is called sweep.
    assert json.loads(Path("sweep/sweep.json").read_text()) == json.loads(out)
    code, out, _ = anc(*SMALL, "--json")
    assert (code, SweepResult.from_json(out).resumed) == (0, 2)


def test_online_identification_under_run_gives_its_columns(anc: Anc) -> None:
    text = f"{GRID}[run]\nonline_identification = true\n[recording]\nrepeat_to_s = 12.0\n"
    Path("small.toml").write_text(text)
    code, _, _ = anc(*SMALL)
    assert code == 0
    with Path("sweep/results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    for row in rows:
        assert float(row["misalignment_db"]) < -10.0
        assert float(row["auxiliary_db"]) < -3.0


def test_a_bad_recording_is_exit_code_1_and_named(anc: Anc) -> None:
    Path("noise/bad\x1b[31m.wav").write_bytes(b"no sound at all" * 9)
    code, out, _ = anc(*SMALL)
    assert code == 1
    assert "4 cells on 2 recordings: 2 ok, 2 failed" in out
    assert "NOT_AUDIO" in out
    assert "\x1b" not in out
    with Path("sweep/results.csv").open(newline="", encoding="utf-8") as file:
        statuses = sorted(row["status"] for row in csv.DictReader(file))
    assert statuses == ["failed", "ok", "ok"]


def test_a_dry_run_counts_and_writes_nothing(anc: Anc, tmp_path: Path) -> None:
    before = set(tmp_path.rglob("*"))
    code, out, _ = anc(*SMALL, "--dry-run")
    assert code == 0
    assert "2 cells on 1 recording" in out
    assert "nothing was written" in out
    assert set(tmp_path.rglob("*")) == before


def test_an_empty_folder_is_exit_code_2(anc: Anc) -> None:
    Path("none").mkdir()
    code, out, _ = anc("none", *SMALL[1:])
    assert code == 2
    assert "no recording was found" in out


def test_subfolders_and_the_number_of_recordings_are_options(anc: Anc, tmp_path: Path) -> None:
    for index in (1, 2):
        write_noise(tmp_path / "noise" / "deep" / f"{index}.wav", duration_s=0.5, seed=index)
    for words, recordings in (((), 3), (("--flat",), 1), (("--max-files", "2"), 2)):
        code, out, _ = anc(*SMALL, "--dry-run", "--json", *words)
        result = SweepResult.from_json(out)
        assert (code, result.recordings, result.planned) == (0, recordings, 2 * recordings)


def test_options_win_over_the_paths_of_the_grid(anc: Anc, tmp_path: Path) -> None:
    write_duct(tmp_path / "other", sample_rate=8_000)
    words = ("--primary", "other/primary.wav", "--secondary", "other/secondary.wav")
    code, out, _ = anc(*SMALL, *words, "--dry-run", "--json")
    assert (code, SweepResult.from_json(out).sample_rate) == (0, 8_000)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mu = 0.1\n", "grid.toml: line 1: 'mu' is unknown; did you mean 'step_size'?"),
        ("\nio_delay = -1\n", "grid.toml: line 2: io_delay[0] is -1; it must be at least 0"),
        ("algorithm = [\n", "grid.toml: is no TOML"),
        ("step_size = 0.1\n", "no primary path; name it with --primary or as primary under"),
    ],
)
def test_what_is_wrong_with_the_grid_is_exit_code_2_and_one_sentence(
    anc: Anc, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "grid.toml").write_text(text)
    code, out, err = anc("noise", "--sweep", "grid.toml", "--json")
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["noise", "--sweep", "none.toml"], "NOT_FOUND"),
        (["none", "--sweep", "small.toml"], "none: is no folder"),
        (["noise/0.wav", "--sweep", "small.toml"], "is no folder"),
        ([*SMALL, "--taps", "8"], "--taps is for one recording; in a sweep it is num_taps of"),
        ([*SMALL, "--no-guard"], "--no-guard is for one recording; in a sweep it is guard under"),
        ([*SMALL, "--seed", "0"], "seed under [run] of the grid"),
        ([*SMALL, "--start", "0"], "start_s under [recording] of the grid"),
        ([*SMALL, "--export", "c"], "simulate the best setting of the sweep with it"),
        ([*SMALL, "--workers", "0"], "--workers"),
        ([*SMALL, "-o", "/proc/none/out"], "NOT_WRITABLE"),
        (["noise/0.wav", "--workers", "1"], "--workers belongs to a sweep"),
        (["noise/0.wav", "--max-files", "1"], "--max-files belongs to a sweep"),
        (["noise/0.wav", "--flow"], "--flow belongs to a sweep; name its grid with --sweep"),
    ],
)
def test_wrong_words_are_exit_code_2_and_one_sentence(
    anc: Anc, words: list[str], said: str
) -> None:
    code, out, err = anc(*words, "--json")
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_a_name_that_is_no_text_cannot_be_a_parameter_of_the_flow(anc: Anc) -> None:
    name = os.fsdecode(b"noise\xff")
    Path(name).mkdir()
    code, out, err = anc(name, *SMALL[1:], "--flow")
    assert (code, out) == (2, "")
    assert "leave out --flow" in err
    # Without the flow it is a folder like others, here an empty one.
    assert anc(name, *SMALL[1:])[0] == 2
