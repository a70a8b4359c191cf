"""Give back what a suppressor took of ridges that last: the layer that needs no recognition.

Context: whether a sound is an alarm is decided by rules, and rules miss some. A suppressor takes
every tone for noise. Decision: around every tonal track that lasts, and on pulses that come back
(:mod:`anc_core.emergency.lasting`), the difference between input and output is given back, cell by
cell. Consequence: no engine needs to know of it; where the engine kept the ridge by itself, as it
keeps the harmonics of a voice, nothing is given back, so that the noise between them stays out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anc_core.arrays import Chunk, check_chunk, check_sample_rate
from anc_core.dsp.buffer import SampleBuffer
from anc_core.dsp.finite import repair, tame
from anc_core.dsp.frames import fast_frame_length, spectra_of, sqrt_hann
from anc_core.processors.aligned import Undelayed
from anc_core.processors.base import Processor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anc_core.emergency.base import RidgeSource

_FRAME_S = 0.032
"""As in the analysis that found the ridges: a bin is 31 Hz at every rate."""
_BLOCK_FRAMES = 32
"""Counted from the start of the stream."""
_REACH_S = 2.5 / 64.0
"""Frames within this time of a point are on its ridge: two frames of the analysis and a half."""
_LONGEST_STEP_S = 1.5 / 64.0
"""So far the slope at a point foretells the pitch."""
_WIDTH = 2.0
"""Bins on either side of the peak: the main lobe of the window."""
_SMEAR_S = 1.0 / 128.0
"""A sweep is wider by what it covers in this time to either side."""


@dataclass(frozen=True, slots=True)
class _Bands:
    """The ridges of a block: frame, counted from its first, and place and half width in bins."""

    frame: NDArray[np.int64]
    centre: NDArray[np.float64]
    width: NDArray[np.float64]


class RidgeGuard:
    """Return the inner output, and around ridges what it lacks of the input.

    Parameters
    ----------
    inner : Processor
        A suppressor of any kind that keeps the phase; new or reset.
    source : RidgeSource
        Says where ridges are. Whoever drives this processor drives the source before it, with the
        same chunks, and resets both.
    sample_rate : float
        Hz.

    Notes
    -----
    In a cell on a ridge ``output = inner + a (input - inner)``. ``a`` is 0 where the inner gain at
    the peak is above -0.6 dB, 1 where it is below -2.7 dB, and a straight line between: the gain
    there never is below -0.9 dB. Off the ridges the inner output passes bit for bit. A ridge in any
    channel is one in all; how much is given back is each channel's own affair. There are ridges up
    to 4.5 kHz, whatever the rate: above, nothing is given back.
    """

    def __init__(self, inner: Processor, source: RidgeSource, sample_rate: float) -> None:
        # Brings compiled kernels: only who protects pays for loading them.
        from anc_core.dsp.ridge_mask import keep_ridges

        self._keep_ridges = keep_ridges
        self._inner = Undelayed(inner)
        self._source = source
        self._rate = check_sample_rate(sample_rate)
        self._window = sqrt_hann(fast_frame_length(_FRAME_S, self._rate))
        self._hop_length = len(self._window) // 2
        self._has_ended: bool = False
        self._original = SampleBuffer(inner.num_channels)
        self._processed = SampleBuffer(inner.num_channels)
        self.reset()

    @property
    def num_channels(self) -> int:
        """Columns of every chunk, in and out."""
        return self._inner.processor.num_channels

    @property
    def latency(self) -> int:
        """Delay in samples: that of the inner processor or of the ridges, and a block."""
        wait = int(np.ceil((self._source.look_ahead_s + _REACH_S) * self._rate))
        blocks = (_BLOCK_FRAMES + 2) * self._hop_length
        return max(self._inner.processor.latency, wait) + blocks

    @property
    def restored_s(self) -> float:
        """Time in which something was given back, in seconds."""
        return self._num_restored_frames * self._hop_length / self._rate

    @property
    def restored_share(self) -> float:
        """Share of all time-frequency cells in which something was given back, 0 to 1."""
        num_frames = -(-self._num_samples // self._hop_length) + 1
        num_cells = num_frames * (self._hop_length + 1) * self.num_channels
        return self._num_restored_cells / num_cells

    def process(self, chunk: Chunk) -> Chunk:
        """Take ``chunk`` (num_samples, num_channels), return what is decided, delayed by `latency`.

        Raises
        ------
        InputError
            If ``chunk`` has another shape or is not floating point.
        """
        if self._has_ended:
            self.reset()
        chunk = repair(check_chunk(chunk, self.num_channels))
        self._num_samples += len(chunk)
        self._original.put(chunk)
        self._processed.put(self._inner.process(chunk))
        return self._advance()

    def flush(self) -> Chunk:
        """Return the rest, so that in all num_samples + latency came out, and reset."""
        if self._has_ended:
            self.reset()
        self._processed.put(self._inner.flush())
        self._has_ended = True
        missing = -(self._num_samples + self._hop_length) % (_BLOCK_FRAMES * self._hop_length)
        for buffer in (self._original, self._processed):
            buffer.put_zeros(missing + (_BLOCK_FRAMES + 2) * self._hop_length)
        return self._advance()

    def reset(self) -> None:
        """Forget everything heard so far."""
        self._inner.reset()
        for buffer in (self._original, self._processed):
            buffer.clear()
            # The first frame begins half a frame early, so that every sample lies in two frames.
            buffer.put_zeros(self._hop_length)
        # What the last frame of the block before adds to the next samples, if it adds anything.
        self._tail: Chunk | None = None
        self._num_samples = 0
        self._num_emitted = 0
        self._num_frames = 0
        self._num_restored_frames = 0
        self._num_restored_cells = 0
        self._has_ended = False

    def _advance(self) -> Chunk:
        """Return all blocks that are ready, after the delay and not beyond the end."""
        outputs = []
        if not self._num_emitted:
            outputs.append(np.zeros((self.latency, self.num_channels), np.float32))
        while self._is_ready():
            outputs.append(self._next_block())
        if not outputs:
            return np.zeros((0, self.num_channels), np.float32)
        left = self._num_samples + self.latency - self._num_emitted
        output = np.concatenate(outputs)[:left]
        self._num_emitted += len(output)
        return output

    def _is_ready(self) -> bool:
        known = min(len(self._original), len(self._processed))
        if known < (_BLOCK_FRAMES + 1) * self._hop_length:
            return False
        if self._has_ended:
            return True
        last = self._num_frames + _BLOCK_FRAMES - 1
        return self._time_s(last) + _REACH_S < self._source.decided_s

    def _time_s(self, frame: int) -> float:
        """Return where the middle of ``frame`` is in the stream."""
        return frame * self._hop_length / self._rate

    def _next_block(self) -> Chunk:
        """Return the samples that the next block of frames completes."""
        first, hop = self._num_frames, self._hop_length
        length = _BLOCK_FRAMES * hop
        original = self._original.peek(length + hop)
        processed = self._processed.peek(length + hop)
        output = processed[:length]
        bands = self._bands(first)
        if self._tail is not None or len(bands.frame):
            output = output.copy()
        if self._tail is not None:
            output[:hop] += self._tail
            self._tail = None
        if len(bands.frame):
            self._restore(original, processed, bands, output)
        self._original.drop(length)
        self._processed.drop(length)
        self._num_frames += _BLOCK_FRAMES
        return output[hop:] if first == 0 else output

    def _bands(self, first: int) -> _Bands:
        """Return where the ridges are in the block that begins with frame ``first``."""
        hop_s = self._hop_length / self._rate
        start_s = self._time_s(first) - _REACH_S
        stop_s = self._time_s(first + _BLOCK_FRAMES - 1) + _REACH_S
        points = self._source.within(start_s, stop_s)
        if not len(points.time_s):
            return _Bands(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
        nearest = np.ceil((points.time_s - _REACH_S) / hop_s).astype(np.int64) - first
        frame = nearest[:, np.newaxis] + np.arange(int(2 * _REACH_S / hop_s) + 1)
        ahead_s = (frame + first) * hop_s - points.time_s[:, np.newaxis]
        is_near = (ahead_s <= _REACH_S) & (frame >= 0) & (frame < _BLOCK_FRAMES)
        slope = points.slope[:, np.newaxis]
        step_s = np.clip(ahead_s, -_LONGEST_STEP_S, _LONGEST_STEP_S)
        hertz = np.exp2(points.pitch[:, np.newaxis] + slope * step_s)
        width_hz = np.log(2.0) * np.abs(slope) * hertz * _SMEAR_S
        bin_hz = self._rate / len(self._window)
        return _Bands(
            np.ascontiguousarray(frame[is_near]),
            hertz[is_near] / bin_hz,
            _WIDTH + width_hz[is_near] / bin_hz,
        )

    def _restore(self, original: Chunk, processed: Chunk, bands: _Bands, output: Chunk) -> None:
        """Add to ``output`` what the inner output lacks on ``bands``, **in place**."""
        hop = self._hop_length
        with np.errstate(over="ignore", invalid="ignore"):
            lacking = tame(original - processed)
        frames, row = np.unique(bands.frame, return_inverse=True)
        is_restored = np.zeros(len(frames), np.bool_)
        tail = np.zeros((hop, self.num_channels), np.float32)
        for channel in range(self.num_channels):
            if not lacking[:, channel].any():
                continue
            difference = self._spectra(lacking[:, channel], frames)
            is_kept = np.zeros(len(frames), np.bool_)
            self._num_restored_cells += self._keep_ridges(
                self._spectra(tame(original[:, channel]), frames),
                difference,
                row,
                bands.centre,
                bands.width,
                is_kept,
            )
            kept = frames[is_kept]
            whole = np.fft.irfft(difference[is_kept], len(self._window), axis=1)
            samples = whole.astype(np.float32, copy=False) * self._window
            for frame, part in zip(kept.tolist(), samples, strict=True):
                output[frame * hop : (frame + 1) * hop, channel] += part[:hop]
                following = output[(frame + 1) * hop : (frame + 2) * hop, channel]
                (following if len(following) else tail[:, channel])[...] += part[hop:]
            is_restored |= is_kept
        self._num_restored_frames += int(is_restored.sum())
        if len(frames) and frames[-1] == _BLOCK_FRAMES - 1 and is_restored[-1]:
            self._tail = tail

    def _spectra(
        self, samples: NDArray[np.float32], frames: NDArray[np.int64]
    ) -> NDArray[np.complex64]:
        """Return the spectra of ``frames`` of a block, complex64, (len(frames), num_bins)."""
        hop = self._hop_length
        every = np.lib.stride_tricks.sliding_window_view(samples, 2 * hop)[::hop]
        return spectra_of(every[frames] * self._window)
