"""A small training: three synthetic noises, four recordings of each."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile as sf

from anc_core.audio.synth import noise
from anc_core.classifier_training.extraction import extract
from anc_core.classifier_training.recordings import scan
from anc_core.classifier_training.records import TrainingSpec
from anc_core.classifier_training.steps import cache_of

KINDS = ("fan", "rain", "typing")


def write_clips(root: Path, kinds=KINDS, recordings: int = 4, duration_s: float = 1.5) -> Path:
    """Write ``recordings`` clips of each kind into a folder of its name."""
    for kind in kinds:
        (root / kind).mkdir(parents=True, exist_ok=True)
        for number in range(recordings):
            clip = noise(kind, duration_s, 16_000, seed=number)
            sf.write(root / kind / f"{kind}{number}-a.wav", clip, 16_000)
    return root


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
