"""``anc train`` in this process: words, exit codes, and what goes to which stream."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anc_core.classifier_training.records import (
    ClassScores,
    Comparison,
    NoiseEvaluation,
    Skipped,
    UnknownScores,
)
from flows import model_training
from flows.training_artifacts import NoiseTrainingResult

Anc = Callable[..., tuple[int, str, str]]

EVALUATION = NoiseEvaluation(
    model="lda",
    accuracy=0.75,
    accuracy_interval=(0.5, 0.9),
    macro_f1=0.7,
    train_accuracy=1.0,
    window_accuracy=0.6,
    calibration_error=0.05,
    window_calibration_error=0.06,
    temperature=1.5,
    noise_accuracy={"20": 0.7, "10": 0.6},
    gain_agreement=1.0,
    novelty_threshold=2.0,
    unknown=UnknownScores(rejected=None, auroc=None),
    classes=(
        ClassScores(
            category="dog\x1b[31m",
            num_clips=4,
            num_recordings=4,
            precision=None,
            precision_interval=None,
            recall=0.25,
            recall_interval=(0.05, 0.7),
        ),
    ),
    confusion=((1,),),
    num_folds=4,
    candidates={"lda": 0.75},
)
RESULT = NoiseTrainingResult(
    version="one",
    model_id="noise-classifier/one@0123456789ab",
    model="lda",
    test_accuracy=0.75,
    train_accuracy=1.0,
    macro_f1=0.7,
    num_samples=4,
    num_features=799,
    categories=["dog\x1b[31m"],
    confusion_matrix=[[1]],
    model_path=Path("models/one/model.onnx"),
    scaler_path=Path("models/one/scaler.npz"),
    promoted=False,
    comparison=Comparison(
        active_model_id="noise-classifier/zero@ba",
        active_accuracy=0.8,
        candidate_accuracy=0.75,
        basis="both held out",
    ),
    evaluation=EVALUATION,
    data_digest="00",
    skipped=[Skipped(path="dog/\x1b.wav", reason="is no audio")],
    confusion_picture=Path("models/confusion.png"),
)


@pytest.fixture
def asked() -> list[dict[str, Any]]:
    """Return what the flow was called with."""
    return []


@pytest.fixture
def anc(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run_cli: Anc,
    asked: list[dict[str, Any]],
) -> Anc:
    """Call ``anc train`` in a folder with clips/; the flow itself has its own tests."""

    def flow(folder: Path, **parameters: Any) -> NoiseTrainingResult:
        asked.append({"folder": folder, **parameters})
        return RESULT

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(model_training, "train_noise_classifier", flow)
    for category in ("fan", "rain"):
        folder = tmp_path / "clips" / category
        folder.mkdir(parents=True)
        for recording in ("a1", "a2"):
            (folder / f"{recording}-x.wav").write_bytes(f"{category} {recording}".encode())
    return functools.partial(run_cli, "train")


def test_the_flow_gets_the_words(anc: Anc, asked: list[dict[str, Any]]) -> None:
    assert anc("clips")[0] == 0
    words = ("--model", "auto", "--folds", "3", "--groups", "^(a.)", "--seed", "2", "--trees", "9")
    assert anc("clips", *words, "--version", "v", "--promote", "never", "--models-dir", "m")[0] == 0
    assert asked[0] == {
        "folder": Path("clips"),
        "model": "random_forest",
        "folds": None,
        "groups": None,
        "seed": 1,
        "trees": 300,
        "version": None,
        "models_dir": None,
        "promote": "if_better",
    }
    assert asked[1] == {
        "folder": Path("clips"),
        "model": "auto",
        "folds": 3,
        "groups": "^(a.)",
        "seed": 2,
        "trees": 9,
        "version": "v",
        "models_dir": Path("m"),
        "promote": "never",
    }


def test_a_table_for_people_with_inert_names(anc: Anc) -> None:
    code, out, err = anc("clips")
    assert code == 0
    assert "lda: 4 clips, 1 categories, 4 folds" in out
    assert "unknown rejected     -" in out
    assert "in use before: noise-classifier/zero@ba, accuracy 0.800 (both held out)" in out
    assert "registered, not in use; models/one" in out
    assert "is no audio" in err
    assert "\x1b" not in out + err


def test_json_is_the_record_and_nothing_else(anc: Anc) -> None:
    code, out, err = anc("clips", "--json")
    assert (code, err) == (0, "")
    assert NoiseTrainingResult.from_json(out) == RESULT


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "is no folder"),
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


def test_a_folder_that_cannot_be_trained_on_is_one_sentence_and_no_run(
    anc: Anc, asked: list[dict[str, Any]]
) -> None:
    code, out, err = anc("clips", "--groups", "^(a)")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "category 'fan' has a single recording, 'a'" in err
    assert not asked
