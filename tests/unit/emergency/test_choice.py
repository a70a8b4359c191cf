"""Without a head nothing is suppressed, and the reason is known."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from anc_core.bundles.bundle import seal
from anc_core.bundles.registry import Registry, shipped_models
from anc_core.emergency import AlarmDetector
from anc_core.emergency.choice import (
    KIND,
    MODEL_FILE,
    REFUSED,
    HeadChoice,
    choose_head,
    head_id,
)
from anc_core.emergency.head import Head
from anc_core.presets import ProtectionParameters

RATE = 16_000


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Return a registry that holds a copy of the head that ships."""
    shutil.copytree(shipped_models() / KIND, tmp_path / KIND)
    return tmp_path


def folder(models: Path) -> Path:
    bundle = Registry(models).active(KIND)
    assert bundle is not None
    return bundle.path


def lose(models: Path) -> None:
    (folder(models) / MODEL_FILE).unlink()


def tamper(models: Path) -> None:
    path = folder(models) / MODEL_FILE
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def truncate(models: Path) -> None:
    path = folder(models) / MODEL_FILE
    path.write_bytes(path.read_bytes()[:1_000])


def reseal(models: Path, change: Callable[[dict], object]) -> None:
    bundle = Registry(models).active(KIND)
    card = dict(bundle.card)
    change(card)
    seal(bundle.path, card)


def other_figures(models: Path) -> None:
    reseal(models, lambda card: card.update(feature_schema="cells-3/1/0"))


def no_threshold(models: Path) -> None:
    reseal(models, lambda card: card.pop("thresholds"))


def threshold_is_no_number(models: Path) -> None:
    thresholds = {"protect": "nan", "hold": 0.0, "count": 0.0}
    reseal(models, lambda card: card.update(thresholds=thresholds))


def promoted_and_gone(models: Path) -> None:
    shutil.rmtree(folder(models))


FAULTS = (
    *(lose, tamper, truncate, other_figures),
    *(no_threshold, threshold_is_no_number, promoted_and_gone),
)


def protected_of_noise(detector: AlarmDetector) -> list[tuple[int, int]]:
    noise = 0.05 * np.random.default_rng(1).standard_normal((5 * RATE, 1))
    detector.process(noise.astype(np.float32))
    detector.flush()
    return detector.protected(0, 5 * RATE)


def test_the_head_that_ships_is_in_use_and_lets_noise_be_suppressed(models: Path):
    choice = choose_head(models)
    assert choice.fault is None
    assert choice.head.model_id == head_id(models) == head_id()
    assert protected_of_noise(AlarmDetector(RATE, choice=choice)) == []


@pytest.mark.parametrize("damage", FAULTS)
def test_a_damaged_head_protects_everything_and_says_why(damage, models: Path):
    damage(models)
    choice = choose_head(models)
    assert choice.head is None
    assert "MODEL_" in choice.fault
    assert head_id(models) == REFUSED
    detector = AlarmDetector(RATE, choice=choice)
    assert detector.fault == choice.fault
    assert protected_of_noise(detector) == [(0, 5 * RATE)]


def test_a_detector_that_is_switched_off_stays_off_without_a_head():
    off = ProtectionParameters(enabled=False)
    detector = AlarmDetector(RATE, parameters=off, choice=HeadChoice(fault="gone"))
    assert protected_of_noise(detector) == []


class Nothing:
    """A model that answers with what is no number."""

    def scores(self, figures: np.ndarray) -> np.ndarray:
        return np.full(len(figures), np.nan)


def test_what_is_no_number_is_protected():
    thresholds = choose_head().head.thresholds
    choice = HeadChoice(Head(Nothing(), thresholds, "x"))
    assert protected_of_noise(AlarmDetector(RATE, choice=choice)) == [(0, 5 * RATE)]
