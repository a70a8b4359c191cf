"""What the engines that work frame by frame share: blocks counted from the start of the stream.

An engine says how many frames it takes at once and how far it looks ahead; the bookkeeping that
makes any split of the input give the same output, with as many samples out as in, is here.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np

from anc_core.arrays import Chunk, check_chunk, check_num_channels, check_sample_rate
from anc_core.dsp.buffer import SampleBuffer
from anc_core.dsp.finite import repair, tame
from anc_core.dsp.frames import fast_frame_length, sqrt_hann
from anc_core.presets import SuppressionParameters


class FramewiseSuppressor(ABC):
    """A suppressor over half-overlapping frames with a square-root Hann window.

    Parameters
    ----------
    sample_rate : float
        Hz, 1 000 to 768 000.
    num_channels : int
        Each has gains of its own, unless ``parameters.link_channels``.
    parameters : SuppressionParameters, optional
        All numbers; default those of the preset ``default``.
    frame_s : float
        Duration of a frame; rounded up to a fast FFT length.
    default_max_attenuation_db : float
        Where ``parameters`` names none.

    Notes
    -----
    Non-finite samples count as 0, and magnitudes above 1e9 as 1e9. Where :attr:`is_bypass`, every
    finite sample passes bit for bit, with the same latency. Subclasses call :meth:`reset` at the
    end of their ``__init__``.
    """

    def __init__(
        self,
        sample_rate: float,
        num_channels: int,
        parameters: SuppressionParameters | None,
        *,
        frame_s: float,
        default_max_attenuation_db: float,
    ) -> None:
        self._sample_rate = check_sample_rate(sample_rate)
        self._num_channels = check_num_channels(num_channels)
        self.parameters = parameters or SuppressionParameters()
        self._is_linked = self.parameters.link_channels and self._num_channels > 1
        given_db = self.parameters.max_attenuation_db
        max_attenuation_db = default_max_attenuation_db if given_db is None else given_db
        self._min_gain = 10.0 ** (-max_attenuation_db / 20.0)  # amplitude
        self._window = sqrt_hann(fast_frame_length(frame_s, self._sample_rate))
        self._hop_length = len(self._window) // 2
        self._buffer = SampleBuffer(self._num_channels)

    @property
    def num_channels(self) -> int:
        """Columns of every chunk, in and out."""
        return self._num_channels

    @property
    def is_bypass(self) -> bool:
        """Whether the parameters ask for no change at all."""
        return self.parameters.strength == 0.0 or self._min_gain == 1.0

    @property
    @abstractmethod
    def latency(self) -> int:
        """Delay in samples."""

    def process(self, chunk: Chunk) -> Chunk:
        """Take ``chunk`` (num_samples, num_channels), return what is ready, delayed by `latency`.

        Raises
        ------
        InputError
            If ``chunk`` has another shape or is not floating point.
        """
        chunk = check_chunk(chunk, self._num_channels)
        self._num_samples += len(chunk)
        if self.is_bypass:
            return self._emit([repair(chunk)])
        self._buffer.put(tame(chunk))
        return self._emit(self._ready_blocks())

    def flush(self) -> Chunk:
        """Return the rest, so that in all num_samples + latency came out, and reset."""
        outputs: list[Chunk] = []
        if not self.is_bypass and self._num_samples:
            num_frames = math.ceil(self._num_samples / self._hop_length) + 1
            self._buffer.put_zeros(2 * len(self._window))
            outputs = self._last_blocks(num_frames)
        rest = self._emit(outputs)
        self.reset()
        return rest

    def reset(self) -> None:
        """Forget everything heard so far."""
        self._num_samples: int = 0
        self._num_frames_done: int = 0
        # Samples of the delayed output: its latency, then the input's length.
        self._num_emitted: int = 0
        self._buffer.clear()
        # The first frame begins half a frame early, so that every sample lies in two frames.
        self._buffer.put_zeros(self._hop_length)

    @abstractmethod
    def _ready_blocks(self) -> list[Chunk]:
        """Return the output of all blocks for which enough samples wait, and count them as done."""

    @abstractmethod
    def _last_blocks(self, num_frames: int) -> list[Chunk]:
        """Return the output of what is missing of ``num_frames``; zeros follow the samples."""

    def _count_done(self, output: Chunk, num_frames: int) -> Chunk:
        """Note that ``num_frames`` are done; return their ``output`` from the first sample on."""
        is_first = self._num_frames_done == 0
        self._num_frames_done += num_frames
        return output[self._hop_length :] if is_first else output

    def _emit(self, outputs: list[Chunk]) -> Chunk:
        """Return ``outputs`` as one chunk, after the delay and not beyond the end of the input."""
        if self._num_emitted == 0:
            outputs = [np.zeros((self.latency, self._num_channels), np.float32), *outputs]
        if not outputs:
            return np.zeros((0, self._num_channels), np.float32)
        output = np.concatenate(outputs)[: self._num_samples + self.latency - self._num_emitted]
        self._num_emitted += len(output)
        return output
