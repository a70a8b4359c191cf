"""From the figures of cells to the learned score: in order, smoothed, all channels together.

Context: a cell is described 2 s after it was heard, the rules speak some seconds later, and the
detector decides 8 s late anyway. Decision: the head scores a cell :data:`SCORE_LAG_CELLS` after it
was heard, with what the rules have said by then, and averages over half a second on either side.
Consequence: no latency is added, and 3 s of scores are known ahead of every decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.emergency.decisions import CellBoard
from anc_core.emergency.figure_names import NUM_CELL_FIGURES, NUM_HEAD_FIGURES, RULE_REACH
from anc_core.emergency.head import CellModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SCORE_LAG_CELLS = 8
SMOOTHING_CELLS = 1
"""Cells on either side that a score is averaged over."""


class CellScorer:
    """Scores the cells of all channels as soon as their figures and their rules are there."""

    def __init__(self, model: CellModel, num_channels: int) -> None:
        self._model = model
        self._figures: list[list[NDArray[np.float32]]] = [[] for _ in range(num_channels)]
        self._raw: list[float] = []
        self._num_scored = 0
        self._num_smoothed = 0

    def take(self, channel: int, figures: Sequence[NDArray[np.float32]]) -> None:
        """Keep the figures of the next cells of a channel."""
        self._figures[channel] += figures

    def score(self, board: CellBoard, stop: int, *, is_last: bool) -> list[float]:
        """Score the cells before ``stop``, tell ``board`` the averages that are complete.

        Returns
        -------
        list of float
            Those averages, log-odds, of the next cells in order.
        """
        averages = []
        described = min(map(len, self._figures))
        num = min(stop - self._num_scored, described)
        stop = self._num_scored + num
        if num > 0:
            rows = np.empty((len(self._figures), num, NUM_HEAD_FIGURES), np.float32)
            for channel, figures in enumerate(self._figures):
                rows[channel, :, :NUM_CELL_FIGURES] = figures[:num]
                rows[channel, :, NUM_CELL_FIGURES:] = board.rule_scores(
                    channel, self._num_scored, stop, RULE_REACH
                )
            scores = self._model.scores(rows.reshape(-1, NUM_HEAD_FIGURES))
            # An alarm on any channel protects all.
            self._raw += scores.reshape(len(self._figures), num).max(axis=0).tolist()
            for figures in self._figures:
                del figures[:num]
            self._num_scored = stop
        ready = self._num_scored if is_last else self._num_scored - SMOOTHING_CELLS
        for cell in range(self._num_smoothed, ready):
            first = max(0, cell - SMOOTHING_CELLS)
            begin = self._num_scored - len(self._raw)
            near = self._raw[first - begin : cell + SMOOTHING_CELLS + 1 - begin]
            averages.append(sum(near) / len(near))
            board.learn(cell, averages[-1])
        self._num_smoothed = max(self._num_smoothed, ready)
        keep = self._num_scored - max(0, self._num_smoothed - SMOOTHING_CELLS)
        self._raw = self._raw[-keep:] if keep else []
        return averages
