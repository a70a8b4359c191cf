"""What the head would see of a piece of sound: taken from the detector itself, not rebuilt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.emergency import AlarmDetector
from anc_core.emergency.choice import HeadChoice, Thresholds
from anc_core.emergency.head import Head
from anc_core.emergency_training.tones import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray


class _Recorder:
    """Stands where the trees would, and keeps what they would be asked."""

    def __init__(self) -> None:
        self.rows: list[NDArray[np.float32]] = []

    def scores(self, figures: NDArray[np.float32]) -> NDArray[np.float64]:
        self.rows.append(figures)
        return np.zeros(len(figures))


def cell_rows(samples: NDArray[np.float32], sample_rate: int = RATE) -> NDArray[np.float32]:
    """Return the figures of every half second of one channel, shape (num_cells, num_figures)."""
    recorder = _Recorder()
    thresholds = Thresholds(protect=0.0, hold=0.0, count=0.0)
    choice = HeadChoice(Head(recorder, thresholds, "recorder"))
    detector = AlarmDetector(sample_rate, choice=choice)
    detector.process(samples[:, np.newaxis])
    detector.flush()
    return np.concatenate(recorder.rows)
