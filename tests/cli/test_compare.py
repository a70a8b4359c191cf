"""``anc compare`` in this process: words, exit codes, and what goes to which stream."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from anc_core.jobs.compare_records import DEFAULT_SYSTEMS, Comparison
from anc_core.metrics.quality import Dnsmos, FigureUnavailableError
from flows import compare_command
from tests.recordings import noisy_voice

Anc = Callable[..., tuple[int, str, str]]


@pytest.fixture
def anc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Anc) -> Anc:
    """Call ``anc compare``; returns exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def left_out(_: object) -> None:
        raise FigureUnavailableError("left out")

    monkeypatch.setattr(Dnsmos, "__init__", left_out)

    return functools.partial(run_cli, "compare")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    noisy_voice(tmp_path / "in" / "a\x1b[31m.wav", duration_s=2.0)
    return tmp_path / "in"


def test_a_table_for_people(anc: Anc, folder: Path, tmp_path: Path) -> None:
    code, out, err = anc(folder, "-s", "spectral,preset:gentle", "-o", tmp_path / "out")
    assert (code, err) == (0, "")
    assert "preset:gentle" in out
    assert "pesq was not measured: no folder of clean references was given" in out
    assert "1 of 1 recordings" in out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "audition.html",
        "comparison.json",
        "files.csv",
    }


def test_json_is_the_record_and_nothing_else(anc: Anc, folder: Path, tmp_path: Path) -> None:
    code, out, err = anc(folder, "-s", "spectral", "--json", "--examples", "0", "-o", "out")
    result = Comparison.from_json(out)
    assert (code, err) == (0, "")
    assert [system.system for system in result.systems] == ["spectral"]
    assert json.loads((tmp_path / "out/comparison.json").read_text()) == json.loads(out)


def test_what_failed_is_exit_code_1_and_its_reason_is_shown(anc: Anc, folder: Path) -> None:
    (folder / "bad\x1b[31m.wav").touch()
    code, out, _ = anc(folder, "-s", "spectral,onnx:none.onnx", "--examples", "0")
    assert code == 1
    assert "EMPTY_FILE" in out
    assert "no such model file" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "is no folder"),
        (["in", "-s", "magic"], "'magic' is unknown"),
        (["in", "-s", ","], "at least one system"),
        (["in", "-s", "preset:loud"], "call-centre"),
        (["in", "--clean", "none"], "is no folder"),
        (["in", "--max-seconds", "0"], "--max-seconds"),
        (["in", "--max-files", "0"], "--max-files"),
        (["in", "-o", "/proc/none/out"], "NOT_WRITABLE"),
        ([], "FOLDER"),
    ],
)
def test_wrong_words_are_exit_code_2_and_one_sentence(
    anc: Anc, folder: Path, words: list[str], said: str
) -> None:
    code, out, err = anc(*words, "--json", *([] if "-s" in words else ["-s", "spectral"]))
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_an_empty_folder_is_exit_code_2(anc: Anc, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    code, out, _ = anc("none", "--json", "-s", "spectral")
    assert (code, Comparison.from_json(out).nothing_to_do) == (2, True)


def test_a_path_with_a_comma_has_an_option_of_its_own(anc: Anc, folder: Path) -> None:
    code, out, _ = anc(
        folder, "-s", "spectral", "--system", "onnx:a,b.onnx", "--json", "--examples", "0"
    )
    assert code == 1
    assert [s.system for s in Comparison.from_json(out).systems] == ["spectral", "onnx:a,b.onnx"]


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom flows import cli\nsys.argv = ['anc', 'compare', '--help']\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'pydantic', 'onnxruntime', 'matplotlib', 'jinja2', 'prefect', 'scipy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: anc")
    assert "audition.html" in done.stdout


def test_the_default_systems_are_those_of_the_flow() -> None:
    assert compare_command.compare.params[2].default == ",".join(DEFAULT_SYSTEMS)
