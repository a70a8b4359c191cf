"""ESC-10 in its own five folds: the figures that docs/classifier-training.md quotes."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import pytest

from anc_core.classifier_training.extraction import extract
from anc_core.classifier_training.recordings import scan
from anc_core.classifier_training.records import TrainingSpec
from anc_core.classifier_training.steps import (
    cache_of,
    evaluate_model,
    fit_model,
    fold_of_clips,
)

pytestmark = [pytest.mark.realdata, pytest.mark.slow, pytest.mark.timeout(900)]


@cache
def _measured(folder: Path, home: Path) -> TrainingSpec:
    data = scan(folder)
    made = TrainingSpec(data=data, num_folds=None, seed=1, num_trees=300, workers=2, home=home)
    kept = cache_of(made)
    parts = [data.clips[start::2] for start in range(2)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as workers:
        skipped = workers.map(extract, [data.root] * 2, parts, [kept] * 2)
        assert [*skipped] == [[], []]
    return made


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("training")


@pytest.fixture
def spec(realdata: Path, home: Path) -> TrainingSpec:
    if not (realdata / "esc10").is_dir():
        pytest.skip(f"no {realdata / 'esc10'}")
    return _measured(realdata / "esc10", home)


def test_its_own_folds_are_kept(spec: TrainingSpec) -> None:
    folds = fold_of_clips(spec)
    assert len(folds) == 400
    told = {clip.recording: fold for clip, fold in zip(spec.data.clips, folds, strict=True)}
    assert sorted(told) == ["1", "2", "3", "4", "5"]
    assert len(set(told.values())) == 5


@pytest.mark.parametrize(("model", "least"), [("random_forest", 0.90), ("vote", 0.95)])
def test_noises_are_recognised(spec: TrainingSpec, model: str, least: float) -> None:
    fitted = fit_model(spec, model)
    found = evaluate_model(spec, fitted)
    assert found.accuracy >= least
    assert found.macro_f1 >= least - 0.005
    assert found.noise_accuracy["20"] >= 0.90
    assert found.noise_accuracy["10"] >= 0.80
    assert found.gain_agreement >= 0.995
    assert found.calibration_error <= 0.08
    assert found.window_calibration_error <= 0.08
    assert found.unknown.rejected >= 0.50
