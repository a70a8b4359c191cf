"""Loss inside protected stretches: what an emergency sound lost, at worst, in any 100 ms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.levels import POWER_FLOOR, SILENCE_POWER

if TYPE_CHECKING:
    from numpy.typing import NDArray

Stretch = tuple[int, int]
"""(start, stop) in samples from the beginning of the recording, half open."""

MAX_STRETCHES = 4_096
_WINDOW_FRAMES = 4


class StretchTable:
    """Largest loss per protected stretch, with bounded memory.

    Stretches arrive in pieces, as chunks do; pieces that touch are one stretch. Beyond 4096
    stretches neighbours are merged (the larger loss stands for both).
    """

    def __init__(self, frame_length: int, num_channels: int) -> None:
        self._frame_length = frame_length
        self._results: list[tuple[Stretch, float | None]] = []
        self._current: Stretch | None = None
        self._loss: float | None = None
        # Energies (in, out) of the last frames of the current stretch: windows cross block borders.
        self._recent = np.zeros((2, 0, num_channels))
        self._measured = False

    def add(
        self, stretch: Stretch, energy_in: NDArray[np.float64], energy_out: NDArray[np.float64]
    ) -> None:
        """Add a piece of a stretch.

        Parameters
        ----------
        stretch : tuple of int
            The piece, in samples.
        energy_in, energy_out : ndarray, shape (num_frames, num_channels)
            Sums of squares of the piece's samples, frame by frame.
        """
        if self._current is None or stretch[0] > self._current[1]:
            self.close()
            self._current = stretch
        else:
            self._current = (self._current[0], stretch[1])
        energies = np.concatenate([self._recent, np.stack([energy_in, energy_out])], axis=1)
        if energies.shape[1] >= _WINDOW_FRAMES:
            self._measure(energies, _WINDOW_FRAMES)
        self._recent = energies[:, -(_WINDOW_FRAMES - 1) :]

    def _measure(self, energies: NDArray[np.float64], width: int) -> None:
        self._measured = True
        windows = np.lib.stride_tricks.sliding_window_view(energies, width, axis=1).sum(axis=-1)
        power_in, power_out = windows / (width * self._frame_length)
        audible = power_in > SILENCE_POWER
        if audible.any():
            # An output of nothing is a loss of up to 200 dB: large, and still a number.
            ratios = power_in[audible] / np.maximum(power_out[audible], POWER_FLOOR)
            worst = 10.0 * math.log10(float(ratios.max()))
            self._loss = worst if self._loss is None else max(self._loss, worst)

    def close(self) -> None:
        """End the current stretch; the next piece begins a new one."""
        if self._current is None:
            return
        if not self._measured:  # shorter than 100 ms: judged as a whole
            self._measure(self._recent, self._recent.shape[1])
        self._results.append((self._current, self._loss))
        self._current = self._loss = None
        self._measured = False
        self._recent = self._recent[:, :0]
        if len(self._results) > MAX_STRETCHES:
            self._results = _merge_pairs(self._results)

    def compute(self) -> tuple[tuple[Stretch, float | None], ...]:
        """Return ((start, stop), loss in dB) per closed stretch; loss ``None`` = it was silent."""
        return tuple(self._results)


def _merge_pairs(
    results: list[tuple[Stretch, float | None]],
) -> list[tuple[Stretch, float | None]]:
    merged: list[tuple[Stretch, float | None]] = []
    for index in range(0, len(results), 2):
        pair = results[index : index + 2]
        losses = [loss for _, loss in pair if loss is not None]
        merged.append(((pair[0][0][0], pair[-1][0][1]), max(losses, default=None)))
    return merged


class StretchQueue:
    """Protected stretches of the samples that wait to be measured: sorted, disjoint, merged."""

    def __init__(self) -> None:
        self._waiting: list[Stretch] = []

    def put(self, stretches: Sequence[Stretch], start: int, stop: int) -> None:
        """Add the parts of ``stretches`` that lie in the new samples [start, stop)."""
        for first, last in sorted(stretches):
            piece = (max(first, start), min(last, stop))
            if piece[0] >= piece[1]:
                continue
            if self._waiting and piece[0] <= self._waiting[-1][1]:
                previous = self._waiting[-1]
                self._waiting[-1] = (previous[0], max(previous[1], piece[1]))
            else:
                self._waiting.append(piece)

    def take(self, stop: int) -> list[Stretch]:
        """Remove and return what lies before ``stop``; the rest of a cut stretch stays."""
        taken = [(first, min(last, stop)) for first, last in self._waiting if first < stop]
        self._waiting = [(max(first, stop), last) for first, last in self._waiting if last > stop]
        return taken
