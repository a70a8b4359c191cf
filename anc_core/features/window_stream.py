"""Features of one-second windows of a stream, a window every half second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anc_core.arrays import Chunk, check_chunk, check_num_channels, check_sample_rate
from anc_core.audio.resample import StreamResampler
from anc_core.dsp.buffer import SampleBuffer
from anc_core.dsp.finite import tame
from anc_core.features.frame_features import (
    FRAME_LENGTH,
    FRAMES_PER_S,
    HOP_LENGTH,
    SAMPLE_RATE,
    frame_features,
    num_whole_frames,
)
from anc_core.features.vectors import MIN_SAMPLES, window_vectors

FloatArray = NDArray[np.float32]

WINDOW_FRAMES = FRAMES_PER_S
HOP_FRAMES = FRAMES_PER_S // 2

_WINDOWS_AT_ONCE = 32
_FEWEST_NEW_FRAMES = 5
"""0.1 s: an end shorter than that gets no window of its own."""


@dataclass(frozen=True, slots=True)
class WindowVectors:
    """Consecutive windows.

    Attributes
    ----------
    start_s : float64, shape (num_windows,)
    length_s : float
        Of each; 1 s but for a stream that is shorter.
    vectors : float32, shape (num_windows, num_channels, NUM_FEATURES)
    """

    start_s: NDArray[np.float64]
    length_s: float
    vectors: FloatArray

    def __len__(self) -> int:
        return len(self.start_s)


class WindowFeatures:
    """Samples in, one vector a window and channel out.

    Parameters
    ----------
    sample_rate : float
        Hz, 1 000 to 768 000; resampled to SAMPLE_RATE inside.
    num_channels : int
        Each has vectors of its own.

    Notes
    -----
    Windows of one second, one every half second, are taken 32 at a time, counted from the start of
    the stream: any split gives the same bits. What is left at the end is heard by a last window
    that ends with the stream. Less than a second is one window. At most 17 s of samples wait
    inside.

    Examples
    --------
    >>> windows = WindowFeatures(16_000)
    >>> hiss = np.random.default_rng(1).normal(0, 0.1, (44_000, 1)).astype(np.float32)  # 2.75 s
    >>> found = [*windows.process(hiss), *windows.flush()]
    >>> [start for some in found for start in some.start_s.tolist()]
    [0.0, 0.5, 1.0, 1.5, 1.72]
    """

    def __init__(self, sample_rate: float, num_channels: int = 1) -> None:
        from anc_core.features import frame_kernels  # noqa: F401 - loaded before the stream begins

        self._num_channels = check_num_channels(num_channels)
        self._resampler = StreamResampler(
            int(check_sample_rate(sample_rate)), SAMPLE_RATE, num_channels
        )
        self._buffer = SampleBuffer(num_channels)
        self._first_frame: int = 0  # of the buffer
        self._num_past: int = 0  # frames at its head before the window that is due

    def process(self, chunk: Chunk) -> list[WindowVectors]:
        """Take ``chunk`` (num_samples, num_channels); return the windows that are ready.

        Raises
        ------
        InputError
            If ``chunk`` has another shape or is not floating point.
        """
        return self.process_tame(tame(check_chunk(chunk, self._num_channels)))

    def process_tame(self, chunk: Chunk) -> list[WindowVectors]:
        """Do the same for a chunk that :func:`anc_core.dsp.finite.tame` has seen already."""
        self._buffer.put(self._resampler.process(chunk))
        ready = []
        needed = (_WINDOWS_AT_ONCE - 1) * HOP_FRAMES + WINDOW_FRAMES
        while self._num_frames_known - self._num_past >= needed:
            ready.append(self._full_windows(_WINDOWS_AT_ONCE))
            # A window's worth of what is done stays, for one that ends with the stream.
            drop = self._num_past + _WINDOWS_AT_ONCE * HOP_FRAMES - WINDOW_FRAMES
            self._buffer.drop(drop * HOP_LENGTH)
            self._first_frame += drop
            self._num_past = WINDOW_FRAMES
        return ready

    def flush(self) -> list[WindowVectors]:
        """Return the windows of the rest, and begin anew."""
        self._buffer.put(self._resampler.flush())
        ready = self._last_windows() if len(self._buffer) else []
        self.reset()
        return ready

    def reset(self) -> None:
        """Forget everything heard so far."""
        self._resampler.reset()
        self._buffer.clear()
        self._first_frame = self._num_past = 0

    @property
    def _num_frames_known(self) -> int:
        return num_whole_frames(len(self._buffer))

    def _last_windows(self) -> list[WindowVectors]:
        num_known = self._num_frames_known
        if num_known < WINDOW_FRAMES:  # all there ever was
            self._buffer.put_zeros(max(0, MIN_SAMPLES - len(self._buffer)))
            num_known = self._num_frames_known
            return [self._windows(np.zeros(1, np.int64), num_known)]
        num_full = max(0, (num_known - self._num_past - WINDOW_FRAMES) // HOP_FRAMES + 1)
        ready = [self._full_windows(num_full)] if num_full else []
        end = self._num_past + (num_full - 1) * HOP_FRAMES + WINDOW_FRAMES
        if num_known - end >= _FEWEST_NEW_FRAMES:
            ready.append(self._windows(np.array([num_known - WINDOW_FRAMES]), WINDOW_FRAMES))
        return ready

    def _full_windows(self, num: int) -> WindowVectors:
        starts = self._num_past + HOP_FRAMES * np.arange(num)
        return self._windows(starts, WINDOW_FRAMES)

    def _windows(self, starts: NDArray[np.int64], length: int) -> WindowVectors:
        """Return the windows of ``length`` frames at ``starts``, frames of the buffer."""
        first, end = int(starts[0]), int(starts[-1]) + length
        samples = self._buffer.peek((end - 1) * HOP_LENGTH + FRAME_LENGTH)[first * HOP_LENGTH :]
        vectors = [
            window_vectors(frame_features(np.ascontiguousarray(column)), starts - first, length)
            for column in samples.T
        ]
        return WindowVectors(
            (self._first_frame + starts) / FRAMES_PER_S,
            length / FRAMES_PER_S,
            np.stack(vectors, axis=1),
        )
