"""The figures of cells, as the detector takes them."""

from __future__ import annotations

import numpy as np
import pytest

from anc_core.emergency import AlarmDetector
from anc_core.emergency.choice import HeadChoice, choose_head
from anc_core.emergency.figure_names import CELL_FIGURES, HEAD_FIGURES, NUM_HEAD_FIGURES
from anc_core.emergency.head import Head
from tests.unit.emergency import alarm_sounds as sounds

RATE = 16_000


class Kept:
    """A model that keeps what it is asked."""

    def __init__(self) -> None:
        self.rows: list[np.ndarray] = []

    def scores(self, figures: np.ndarray) -> np.ndarray:
        self.rows.append(figures)
        return np.zeros(len(figures))


def rows_of(samples: np.ndarray, cuts: list[int] | None = None) -> np.ndarray:
    kept = Kept()
    thresholds = choose_head().head.thresholds
    detector = AlarmDetector(RATE, choice=HeadChoice(Head(kept, thresholds, "kept")))
    for part in np.split(samples.astype(np.float32)[:, np.newaxis], cuts or []):
        detector.process(part)
    detector.flush()
    return np.concatenate(kept.rows)


def wail_in_noise(seconds: float) -> np.ndarray:
    rng = np.random.default_rng(5)
    wail = sounds.wail(seconds, RATE)
    return 0.1 * wail + 0.01 * rng.standard_normal(len(wail))


@pytest.mark.parametrize("seconds", [0.1, 0.5, 1.0, 4.0, 4.2, 9.9])
def test_every_half_second_is_described_once(seconds):
    rows = rows_of(wail_in_noise(seconds))
    assert rows.shape == (int(np.ceil(2 * seconds)), NUM_HEAD_FIGURES)
    assert np.isfinite(rows).all()


def test_the_split_does_not_matter():
    samples = wail_in_noise(7.3)
    cuts = [1, 17, 16_000, 16_001, 40_000, 90_001]
    np.testing.assert_array_equal(rows_of(samples, cuts), rows_of(samples))


def test_the_level_does_not_matter():
    samples = wail_in_noise(6.0)
    loud, soft = rows_of(samples), rows_of(samples / 4)
    # float32 resolves levels to 1e-5 dB; a peak at a limit may fall to either side. Softer ones
    # come to what counts as silence (-95 dBFS in a bin).
    assert np.mean(np.abs(loud - soft) < 2e-3) > 0.995


def test_silence_is_described_with_numbers():
    assert np.isfinite(rows_of(np.zeros(3 * RATE))).all()


def test_a_wail_moves_smoothly_and_a_tone_does_not_move():
    time_s = np.arange(8 * RATE) / RATE
    noise = 0.003 * np.random.default_rng(6).standard_normal(len(time_s))
    tone = rows_of(0.1 * np.sin(2 * np.pi * 970 * time_s) + noise)[8]
    wail = rows_of(0.1 * sounds.wail(8.0, RATE)[: len(time_s)] + noise)[8]
    for name in ("slow_voiced", "fast_voiced"):
        assert tone[HEAD_FIGURES.index(name)] > 0.95 < wail[HEAD_FIGURES.index(name)]
    still, span = HEAD_FIGURES.index("slow_step_still"), HEAD_FIGURES.index("slow_range")
    assert tone[still] > 0.9 > wail[still]
    assert tone[span] < 0.01 < 0.2 < wail[span]


def test_names_are_unique():
    assert len(set(CELL_FIGURES)) == len(CELL_FIGURES)
