"""Whether a canceller took from the voice, told by where the reference is quiet.

A loud noise that comes and goes passes for a voice where there is but one signal; its level then
falls by as much as was rightly cancelled. With a reference the two can be told apart: where the
recording is far louder, compared with the reference, than in its noise, somebody speaks near its
microphone, and what is lost there is lost of the voice.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.levels import SILENCE_POWER, ratio_db

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anc_core.arrays import Chunk

_SLOT_S = 0.125
_MIN_S = 2.0
"""Of voice, from which a figure is given."""
_ABOVE_DB = 10
"""The noise is then at most a tenth: cancelling all of it changes the level by 0.46 dB."""
_NOISE_QUANTILE = 0.2
_RANGE_DB = 150


class VoiceWitness:
    """Compares input and output where the voice is much louder than the noise.

    Parameters
    ----------
    sample_rate : int
        Hz.

    Notes
    -----
    Slots of 125 ms are counted by the ratio of recording and reference, in steps of 1 dB: memory
    does not grow with the recording.
    """

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._slot_length = round(_SLOT_S * sample_rate)
        self._inputs = _SlotPowers(self._slot_length)
        self._references = _SlotPowers(self._slot_length)
        self._outputs = _SlotPowers(self._slot_length)
        self._count = np.zeros(2 * _RANGE_DB + 1, np.int64)
        self._power_in = np.zeros(2 * _RANGE_DB + 1)
        self._power_out = np.zeros(2 * _RANGE_DB + 1)

    def add(self, primary: Chunk, reference: Chunk, output: Chunk) -> None:
        """Take the next samples of each, from the beginning; the output may lag behind."""
        self._inputs.add(primary)
        self._references.add(reference)
        self._outputs.add(output)
        for before, heard, after in self._complete():
            if before <= SILENCE_POWER:
                continue
            ratio = ratio_db(before, heard)
            place = _RANGE_DB if ratio is None else int(np.clip(ratio, -_RANGE_DB, _RANGE_DB))
            self._count[place + _RANGE_DB] += 1
            self._power_in[place + _RANGE_DB] += before
            self._power_out[place + _RANGE_DB] += after

    def level_change_db(self) -> float | None:
        """Return the change of the voice's level; None with less than 2 s of it."""
        below = np.cumsum(self._count)
        noise = int(np.searchsorted(below, _NOISE_QUANTILE * below[-1]))
        voice = slice(noise + _ABOVE_DB, None)
        if np.sum(self._count[voice]) * _SLOT_S < _MIN_S:
            return None
        return ratio_db(float(np.sum(self._power_out[voice])), float(np.sum(self._power_in[voice])))

    def _complete(self) -> list[tuple[float, float, float]]:
        waiting = [one.ready for one in (self._inputs, self._references, self._outputs)]
        return [
            (waiting[0].popleft(), waiting[1].popleft(), waiting[2].popleft())
            for _ in range(min(map(len, waiting)))
        ]


class _SlotPowers:
    """Cuts a stream into slots; the mean square of each, summed over the channels."""

    def __init__(self, slot_length: int) -> None:
        self._slot_length = slot_length
        self._rest: NDArray[np.float64] = np.zeros(0)
        self.ready: deque[float] = deque()

    def add(self, chunk: Chunk) -> None:
        squares = np.zeros(len(chunk))
        for channel in chunk.T.astype(np.float64):  # faster than an einsum that converts
            squares += channel * channel
        squares = np.concatenate([self._rest, squares])
        num_slots = len(squares) // self._slot_length
        whole = squares[: num_slots * self._slot_length]
        self.ready.extend(whole.reshape(num_slots, self._slot_length).mean(axis=1).tolist())
        self._rest = squares[len(whole) :]
