"""The way from sounds to a head: the same seed, the same head; the trees say what was fitted."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from anc_core.emergency.choice import KIND, Thresholds, check_card
from anc_core.emergency.figure_names import NUM_HEAD_FIGURES
from anc_core.emergency.head import load_head
from anc_core.emergency_training.fit import FitParameters, fit_trees
from anc_core.emergency_training.lookalikes import LOOKALIKES
from anc_core.emergency_training.pool import Pool
from anc_core.emergency_training.scenes import CELL, scene
from anc_core.emergency_training.sirens import SIRENS
from anc_core.emergency_training.tones import RATE
from anc_core.emergency_training.training import (
    TrainingParameters,
    draw_cells,
    train_head,
)
from anc_core.errors import InputError
from anc_core.training_recordings import COLUMNS, read_table

MAKERS = [maker for maker, _ in (*SIRENS, *LOOKALIKES)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of four short recordings and their table."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(2)
    rows = []
    for kind in ("speech", "noise"):
        for split in ("train", "validation"):
            name = f"{kind}-{split}.wav"
            syllables = 1.0 + np.sin(np.arange(3 * RATE) / 900.0)
            sf.write(folder / name, 0.05 * syllables * rng.standard_normal(3 * RATE), RATE)
            rows.append([name, kind, name, split, "CC-BY 4.0", "nobody"])
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "kind", "group", "split", "licence", "credit"], *rows])
    return folder


@pytest.mark.parametrize("maker", MAKERS, ids=[maker.__name__ for maker in MAKERS])
@pytest.mark.parametrize("num_samples", [16_000, 48_000])
def test_every_sound_is_finite_and_as_long_as_asked(maker, num_samples):
    sound = maker(num_samples, np.random.default_rng(4))
    assert sound.shape == (num_samples,)
    assert np.isfinite(sound).all()


def test_a_scene_depends_on_its_number_alone(root: Path):
    pool = Pool([root / "speech-train.wav"])
    one, again = scene(7, 1, pool, pool), scene(7, 1, pool, pool)
    np.testing.assert_array_equal(one.samples, again.samples)
    assert not np.array_equal(scene(8, 1, pool, pool).samples[:100], one.samples[:100])


def test_scenes_have_a_label_for_every_half_second(root: Path):
    pool = Pool([root / "noise-train.wav"])
    scenes = [scene(number, 3, pool, pool) for number in range(12)]
    for one in scenes:
        assert len(one.is_alarm) == len(one.counts) == -(-len(one.samples) // CELL)
        assert np.abs(one.samples).max() <= 1.0
    assert {one.is_alarm.any() for one in scenes} == {True, False}


def test_the_trees_say_what_was_fitted():
    rng = np.random.default_rng(5)
    figures = rng.standard_normal((3_000, NUM_HEAD_FIGURES)).astype(np.float32)
    is_alarm = figures[:, 10] + 0.3 * rng.standard_normal(3_000) > 0.5
    # fit_trees() itself compares the arrays with the estimator.
    trees = fit_trees(figures, is_alarm, np.ones(3_000), FitParameters(num_trees=20))
    assert np.mean((trees.scores(figures) > 0) == is_alarm) > 0.85


def test_the_same_seed_gives_the_same_head_in_any_number_of_processes(root: Path, tmp_path: Path):
    parameters = TrainingParameters(
        num_scenes=28,
        num_validation=2,
        seed=1,
        thresholds=Thresholds(protect=0.0, hold=-1.0, count=1.0),
        fit=FitParameters(num_trees=5, min_cells=5),
    )
    rows = read_table(root / "table.csv", required=COLUMNS)
    bundles = [
        train_head(
            rows,
            root,
            tmp_path / f"{processes}",
            parameters,
            version_name="1",
            command="anc train-emergency",
            processes=processes,
            report=lambda _: None,
        )
        for processes in (1, 2)
    ]
    assert bundles[0].digest == bundles[1].digest
    assert bundles[0].kind == KIND
    assert check_card(bundles[0]) == parameters.thresholds
    assert bundles[0].card["data"]["restricted_licences"] == []
    assert len(load_head(bundles[0]).trees.start) == 5


def test_a_table_without_validation_is_refused(root: Path, tmp_path: Path):
    lines = (root / "table.csv").read_text().splitlines()
    short = tmp_path / "short.csv"
    short.write_text("\n".join(line for line in lines if "speech-validation" not in line))
    with pytest.raises(InputError, match="no speech for validation"):
        read_table(short, required=COLUMNS)


def test_cells_of_scenes_are_in_the_order_of_their_numbers(root: Path):
    rows = read_table(root / "table.csv", required=COLUMNS)
    draw = {"split": "train", "seed": 1, "processes": 1, "report": lambda _: None}
    few = draw_cells(rows, root, num_scenes=2, **draw)
    more = draw_cells(rows, root, num_scenes=3, **draw)
    np.testing.assert_array_equal(more.figures[: len(few.figures)], few.figures)
