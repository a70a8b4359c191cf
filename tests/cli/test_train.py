"""``anc train`` in this process: words, exit codes, and what goes to which stream."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.training_artifacts import NoiseTrainingResult
from tests.noise_clips import write_clips

Anc = Callable[..., tuple[int, str, str]]


@pytest.fixture
def anc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_cli: Anc) -> Anc:
    """Call ``anc train`` in a folder with clips/."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANC_WORKERS", "1")
    write_clips(tmp_path / "clips")
    return functools.partial(run_cli, "train")


@pytest.mark.usefixtures("prefect_server")
def test_a_table_for_people_and_a_record_for_programs(anc: Anc) -> None:
    code, out, _ = anc("clips", "--trees", "8", "--version", "one", "--model", "lda")
    assert code == 0
    assert "lda: 12 clips, 3 categories, 4 folds" in out
    assert "unknown rejected" in out
    assert ": in use; " in out
    code, out, _ = anc("clips", "--trees", "8", "--version", "two", "--promote", "never", "--json")
    result = NoiseTrainingResult.from_json(out)
    assert code == 0
    assert (result.version, result.promoted, result.model) == ("two", False, "random_forest")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "does not exist"),
        ([], "FOLDER"),
        (["clips", "--model", "magic"], "magic"),
        (["clips", "--folds", "1"], "--folds"),
        (["clips", "--trees", "0"], "--trees"),
        (["clips", "--promote", "perhaps"], "perhaps"),
    ],
)
def test_wrong_usage_is_exit_code_2(anc: Anc, words: list[str], said: str) -> None:
    code, out, err = anc(*words)
    assert (code, out) == (2, "")
    assert said in err
