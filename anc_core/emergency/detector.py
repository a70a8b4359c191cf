"""The alarm detector: rules over ridges, streaming, any rate, any number of channels.

Context: a recording is processed once, alarms must survive from their first moment, and a T3 alarm
shows itself only after some seconds. Decision: the detector decides every half second with 8 s of
look-ahead (:attr:`AlarmDetector.latency`), back-dates what it finds, and analyses at 16 kHz in
blocks of one second that are aligned to the start of the stream, whatever chunks come in.
Consequence: decisions do not depend on the chunks, memory is constant but for the windows and
events themselves, and the guard behind it holds some ten seconds of samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import soxr

from anc_core.arrays import Chunk, check_chunk, check_num_channels, check_sample_rate
from anc_core.dsp.finite import energy
from anc_core.emergency.choice import HeadChoice, choose_head
from anc_core.emergency.decisions import (
    CELLS_PER_S,
    LOOKAHEAD_CELLS,
    CellBoard,
    WindowLog,
)
from anc_core.emergency.events import EventLog
from anc_core.emergency.figure_names import CELL_FRAMES
from anc_core.emergency.lasting import LastingRidges
from anc_core.emergency.listener import BLOCK_ADVANCE, BLOCK_FRAMES, BLOCK_LENGTH, Listener
from anc_core.emergency.ridges import ANALYSIS_RATE_HZ, FRAME_LENGTH, HOP_LENGTH
from anc_core.emergency.scorer import SCORE_LAG_CELLS, CellScorer
from anc_core.emergency.yelps import YelpTracer
from anc_core.presets import ProtectionParameters
from anc_core.records import Event, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from anc_core.emergency.findings import Finding

MIN_SAMPLE_RATE_HZ = 4_000
"""Below this there is no room for the carriers of alarms, and the detector says nothing."""
_MAX_AMPLITUDE = 16.0
"""Float files may exceed full scale; what exceeds it 16-fold is damage and would hide the rest."""
_CELL_SAMPLES = ANALYSIS_RATE_HZ // CELLS_PER_S
_SETTLING_S = 1.0
"""Allowance for the delay of the resampler and the length of a frame."""


class AlarmDetector:
    """Recognises alarms by rhythm and sweep; an :class:`~anc_core.emergency.EmergencyDetector`.

    Parameters
    ----------
    sample_rate : float
        Hz. Below 4 kHz nothing is ever detected.
    num_channels : int
        An alarm on any channel protects all.
    parameters : ProtectionParameters, optional
        Threshold and guard; with ``enabled=False`` alarms are reported and not protected.
    start_s : float
        Time of the first sample, added to the times of windows and events.
    keep_ridges : bool, default False
        Also say where ridges last, as ``parameters.ridges`` has it: for a guard.
    choice : HeadChoice, optional
        The learned head; by default the one that ships. Without one (a fault) everything is
        protected, and events are those of the rules.

    Raises
    ------
    InputError
        If the rate or the number of channels is out of range.

    Notes
    -----
    Non-finite samples count as 0. Events are counted at a score of 0.6 or more; protection begins
    at ``parameters.threshold``. After :meth:`flush` windows, events and protection stay readable
    until :meth:`reset` or the next :meth:`process`, which begins a new stream.
    """

    def __init__(
        self,
        sample_rate: float,
        num_channels: int = 1,
        *,
        parameters: ProtectionParameters | None = None,
        start_s: float = 0.0,
        keep_ridges: bool = False,
        choice: HeadChoice | None = None,
    ) -> None:
        self._choice = choose_head() if choice is None else choice
        self._rate = check_sample_rate(sample_rate)
        self._num_channels = check_num_channels(num_channels)
        self._parameters = parameters or ProtectionParameters()
        self._start_s = start_s
        self._listeners = [Listener() for _ in range(num_channels)]
        self._is_deaf = self._rate < MIN_SAMPLE_RATE_HZ
        self._ridges = None
        if keep_ridges and self._parameters.ridges != "off" and not self._is_deaf:
            self._ridges = LastingRidges(
                self._num_channels, self._parameters.ridges, is_scored=self._choice.head is not None
            )
        self.reset()

    @property
    def num_channels(self) -> int:
        """Columns of every chunk."""
        return self._num_channels

    @property
    def latency(self) -> int:
        """Samples after which a sample is certainly decided."""
        if self._is_deaf:
            return 0
        # A sample waits for its block of input, for the block of frames that ends after it, for the
        # look-ahead, and for what a guard before a later detection could reach.
        blocks_s = 2.0 + _SETTLING_S
        cells_s = (LOOKAHEAD_CELLS + 1) / CELLS_PER_S
        return int(np.ceil((blocks_s + cells_s + self._parameters.guard_s) * self._rate))

    @property
    def num_decided(self) -> int:
        """Samples from the start of the stream whose protection is final."""
        if self._has_ended or self._is_deaf:
            return self._num_heard
        seconds = self._board.num_decided / CELLS_PER_S - self._parameters.guard_s
        return max(0, min(self._num_heard, int(seconds * self._rate)))

    @property
    def ridges(self) -> LastingRidges | None:
        """Where tones and sweeps last, on any channel; None if that was not asked for."""
        return self._ridges

    @property
    def fault(self) -> str | None:
        """Why no head listens, so that everything is protected; None where all is well."""
        return self._choice.fault

    @property
    def windows(self) -> tuple[Window, ...]:
        """Decisions so far, in order of time (complete after ``flush``)."""
        return tuple(sorted(self._windows.windows, key=lambda w: (w.start_s, w.channel, w.end_s)))

    @property
    def events(self) -> tuple[Event, ...]:
        """Merged events so far, in order of time (complete after ``flush``)."""
        return self._events.events(self._windows.windows)

    def reset(self) -> None:
        """Forget everything heard and found."""
        threshold = self._parameters.threshold
        for listener in self._listeners:
            listener.reset()
        if self._ridges is not None:
            self._ridges.reset()
        self._resampler = self._new_resampler()
        self._input = np.zeros((0, self._num_channels), np.float32)
        self._analysed = np.zeros((0, self._num_channels), np.float32)
        head = self._choice.head
        self._board = CellBoard(
            self._num_channels, threshold, None if head is None else head.thresholds
        )
        self._scorer = None if head is None else CellScorer(head.trees, self._num_channels)
        self._tracers = [YelpTracer(head.thresholds) for _ in self._listeners if head is not None]
        self._windows = WindowLog(threshold, self._start_s)
        self._events = EventLog(threshold, self._start_s)
        self._powers: list[NDArray[np.float64]] = []
        self._stretches: list[tuple[int, int]] = []
        self._num_heard = 0
        self._num_frames = 0
        self._has_ended = False

    def process(self, chunk: Chunk) -> None:
        """Listen to ``chunk`` (num_samples >= 0, num_channels).

        Raises
        ------
        InputError
            If ``chunk`` has another shape or is not floating point.
        """
        chunk = check_chunk(chunk, self._num_channels)
        if self._has_ended:
            self.reset()
        self._num_heard += len(chunk)
        if self._is_deaf:
            return
        self._input = np.concatenate([self._input, chunk])
        # Blocks of one second from the start of the stream: what the resampler returns, and when,
        # then does not depend on the chunks.
        while len(self._input) >= self._rate:
            self._take(self._input[: self._rate])
            self._input = self._input[self._rate :]

    def flush(self) -> None:
        """Decide all that was heard; the next :meth:`process` begins a new stream."""
        if not self._has_ended and not self._is_deaf and self._num_heard:
            self._take(self._input, is_last=True)
            self._hear_rest()
            end_s = self._num_heard / self._rate
            num_cells = int(np.ceil(end_s * CELLS_PER_S))
            self._judge(num_cells, is_last=True)
            self._decide(num_cells, num_cells)
            self._windows.flush(end_s)
            self._events.flush(end_s)
        self._has_ended = True

    def protected(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Return the protected stretches within [start, stop), sorted, disjoint, in samples.

        Only for ``stop <= num_decided``.
        """
        if not self._parameters.enabled:
            return []
        if self._choice.head is None and not self._is_deaf:
            return [(start, stop)] if start < stop else []
        guard_s = self._parameters.guard_s
        found: list[tuple[int, int]] = []
        for first, last in _near(self._stretches, start, stop, self._rate, guard_s):
            begin = max(start, int(np.floor((first / CELLS_PER_S - guard_s) * self._rate)))
            end = min(stop, int(np.ceil((last / CELLS_PER_S + guard_s) * self._rate)))
            if begin >= end:
                continue
            if found and begin <= found[-1][1]:
                begin = found.pop()[0]
            found.append((begin, end))
        return found

    def _new_resampler(self) -> soxr.ResampleStream | None:
        if self._is_deaf or self._rate == ANALYSIS_RATE_HZ:
            return None
        return soxr.ResampleStream(
            self._rate, ANALYSIS_RATE_HZ, self._num_channels, dtype="float32", quality="MQ"
        )

    def _take(self, block: Chunk, *, is_last: bool = False) -> None:
        """Bring a block to the analysis rate and judge all complete blocks of frames."""
        # Written so that NaN counts as too loud.
        if not np.abs(block).max(initial=0.0) <= _MAX_AMPLITUDE:
            block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
            block = np.clip(block, -_MAX_AMPLITUDE, _MAX_AMPLITUDE)
        if self._resampler is not None:
            block = self._resampler.resample_chunk(block, last=is_last)
        self._analysed = np.concatenate([self._analysed, block.reshape(-1, self._num_channels)])
        while len(self._analysed) >= BLOCK_LENGTH:
            self._hear(self._analysed[:BLOCK_LENGTH], BLOCK_FRAMES)
            self._analysed = self._analysed[BLOCK_ADVANCE:]
            self._decide_heard()

    def _hear(self, samples: Chunk, num_frames: int, *, is_last: bool = False) -> None:
        columns = np.ascontiguousarray(samples.T)
        for begin in range(0, num_frames * HOP_LENGTH, _CELL_SAMPLES):
            cell = columns[:, begin : min(begin + _CELL_SAMPLES, num_frames * HOP_LENGTH)]
            self._powers.append(np.array([energy(part) for part in cell]) / cell.shape[1])
        for channel, listener in enumerate(self._listeners):
            findings = listener.hear(columns[channel], is_last=is_last)
            if self._scorer is not None:
                self._scorer.take(channel, listener.figures)
                self._tracers[channel].take(listener.fast_power)
            self._note(channel, findings)
            if self._ridges is not None and listener.heard is not None:
                self._ridges.add(channel, *listener.heard)
        self._num_frames += num_frames

    def _note(self, channel: int, findings: Sequence[Finding]) -> None:
        for finding in findings:
            self._board.paint(channel, finding)
            self._events.note(finding)

    def _hear_rest(self) -> None:
        """Judge what is left, with silence after it so that every sample lies in a frame."""
        while len(self._analysed):
            num_frames = min(BLOCK_FRAMES, -(-len(self._analysed) // HOP_LENGTH))
            length = (num_frames - 1) * HOP_LENGTH + FRAME_LENGTH
            missing = max(0, length - len(self._analysed))
            samples = np.pad(self._analysed, ((0, missing), (0, 0)))[:length]
            self._analysed = self._analysed[num_frames * HOP_LENGTH :]
            self._hear(samples, num_frames, is_last=not len(self._analysed))

    def _decide_heard(self) -> None:
        horizon = self._num_frames // CELL_FRAMES
        self._judge(horizon - SCORE_LAG_CELLS, is_last=False)
        self._decide(horizon - LOOKAHEAD_CELLS, horizon)

    def _judge(self, num_cells: int, *, is_last: bool) -> None:
        """Let the head score the cells before ``num_cells``, trace yelps, say which ridges last."""
        scores: list[float] = []
        if self._scorer is not None:
            scores = self._scorer.score(self._board, num_cells, is_last=is_last)
        for channel, tracer in enumerate(self._tracers):
            self._note(channel, tracer.trace(scores))
        if self._ridges is not None:
            self._ridges.judge(scores, is_last=is_last)

    def _decide(self, stop: int, horizon: int) -> None:
        end_s = self._num_heard / self._rate
        silence = np.zeros(self._num_channels)
        for decision in self._board.decide(stop, horizon):
            power = self._powers.pop(0) if self._powers else silence
            self._windows.add(decision, power, end_s)
            self._events.add(decision, end_s)
            if decision.is_protected:
                begin = decision.cell
                if self._stretches and self._stretches[-1][1] == begin:
                    begin = self._stretches.pop()[0]
                self._stretches.append((begin, decision.cell + 1))


def _near(
    stretches: Sequence[tuple[int, int]], start: int, stop: int, rate: int, guard_s: float
) -> Sequence[tuple[int, int]]:
    """Return the stretches (cells) that can reach into [start, stop) with their guards."""
    low = (start / rate - guard_s) * CELLS_PER_S - 1
    high = (stop / rate + guard_s) * CELLS_PER_S + 1
    first = len(stretches)
    while first and stretches[first - 1][1] >= low:
        first -= 1
    return [s for s in stretches[first:] if s[0] <= high]
