"""ESC-10 in its own five folds: the figures that docs/classifier-training.md quotes."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
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


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory, esc10: Path) -> TrainingSpec:
    data = scan(esc10)
    made = TrainingSpec(
        data=data,
        num_folds=None,
        seed=1,
        num_trees=300,
        workers=2,
        home=tmp_path_factory.mktemp("training"),
    )
    cache = cache_of(made)
    parts = [data.clips[start::2] for start in range(2)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as workers:
        skipped = workers.map(extract, [data.root] * 2, parts, [cache] * 2)
        assert [*skipped] == [[], []]
    return made


@pytest.fixture(scope="module")
def esc10() -> Path:
    from tests.conftest import realdata

    folder = realdata.__wrapped__() / "esc10"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    return folder


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
