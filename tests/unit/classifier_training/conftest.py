"""A small training: three synthetic noises, four recordings of each."""

from __future__ import annotations

import pytest

from anc_core.classifier_training.extraction import extract
from anc_core.classifier_training.recordings import scan
from anc_core.classifier_training.records import TrainingSpec
from anc_core.classifier_training.steps import cache_of
from tests.noise_clips import write_clips


@pytest.fixture(autouse=True)
def _few_subspaces(monkeypatch) -> None:
    """Fit few discriminants: the mean of twenty is more accurate and takes seconds."""
    monkeypatch.setattr("anc_core.classifier_training.estimators.NUM_SUBSPACES", 2)


@pytest.fixture(scope="package")
def spec(tmp_path_factory) -> TrainingSpec:
    """Return a training whose features are measured."""
    folder = tmp_path_factory.mktemp("training")
    data = scan(write_clips(folder / "clips"))
    made = TrainingSpec(
        data=data, num_folds=None, seed=1, num_trees=10, workers=1, home=folder / "home"
    )
    assert extract(data.root, data.clips, cache_of(made)) == []
    return made


@pytest.fixture
def fresh(spec, tmp_path) -> TrainingSpec:
    """Return the same training with its features, but nothing fitted yet."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "noise-features").symlink_to(spec.home / "noise-features")
    return spec.model_copy(update={"home": home})
