"""What a recording holds from moment to moment: music, bird song, clean speech, or neither.

Frames of 64 ms with half overlap, at the recording's own rate, are looked at up to 8 kHz; 16 of
them make a *segment* of about half a second. All channels are judged together, by the sum of their
powers, so that a stereo picture is never taken apart and no phase can cancel.

1. *Floor*: per bin, the least power within 6 segments (3 s) on either side. Steady noise and hum
   vanish in it, and with them all that a suppressor is meant to remove.
2. *Peaks* of what stands out of the floor, linked from frame to frame (``content_kernels``): notes
   stay where they are for 0.1 s or more and come at many pitches; harmonics of speech move at
   every frame; noise has peaks by chance, without a past. Bird song is a narrow line above
   1.5 kHz with little beside it.
3. *Features* of the 6 segments on either side (:data:`anc_core.dsp.content_model.FEATURES`), and
   from them three scores (:mod:`anc_core.dsp.content_model`).

References
----------
E. Scheirer, M. Slaney, "Construction and evaluation of a robust multifeature speech/music
discriminator", ICASSP 1997 (level modulation, spectral change). M. Seyerlehner, T. Pohle, M.
Schedl, G. Widmer, "Automatic music detection in television productions", DAFx 2007 (peaks that
continue from frame to frame).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.arrays import Chunk, check_chunk, check_num_channels, check_sample_rate
from anc_core.dsp.buffer import SampleBuffer
from anc_core.dsp.content_model import NUM_SCORES, UNKNOWN, scores_of
from anc_core.dsp.frames import analyse, fast_frame_length

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]
    DoubleArray = NDArray[np.float64]

FRAME_S = 0.064
"""Long enough to part the notes of a chord, short enough for the syllables of speech."""
SEGMENT_FRAMES = 16
HALF_WINDOW = 6
"""Segments (3 s) on either side that a floor and a score look at."""
MIN_AUDIBLE_FRAMES = 48
"""1.5 s: less sound than that within a window says nothing about what it is."""

_EMPHASIS_HZ = 500.0
_BAND_HZ = (90.0, 7_800.0)
_WINDOW_ENERGY = 384.0
"""That of a Hann window of 1024 samples: powers of noise are the same at every rate."""
_SILENCE = 2.0
"""Times the power that is added to every bin: below -113 dBFS a frame counts as silent."""


@dataclass(slots=True)
class _Segment:
    power: FloatArray
    audible: NDArray[np.bool_]


class ContentMeter:
    """Samples in, one row of scores per segment out, :attr:`look_ahead` samples later.

    Parameters
    ----------
    sample_rate : float
        Hz, 1 000 to 768 000.
    num_channels : int
        Judged together.

    Notes
    -----
    The answer does not depend on how the stream was split. Memory is constant: about 1 MB, and
    half a second of samples. Frames that the end of the stream cuts short take no part; what is
    left of the last segment counts as one.

    Examples
    --------
    >>> meter = ContentMeter(16_000, 1)
    >>> noise = np.random.default_rng(1).normal(0, 0.1, (80_000, 1)).astype(np.float32)
    >>> scores = np.concatenate([meter.push(noise), meter.flush()])
    >>> scores.shape, bool((scores < 0).all())
    ((10, 3), True)
    """

    def __init__(self, sample_rate: float, num_channels: int) -> None:
        # Loads numba: only when the first meter is built.
        from anc_core.dsp import content_kernels

        self._kernels = content_kernels
        self.sample_rate = check_sample_rate(sample_rate)
        self.num_channels = check_num_channels(num_channels)
        frame_length = fast_frame_length(FRAME_S, self.sample_rate)
        self._hop_length = frame_length // 2
        hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(frame_length) / frame_length)
        self._window = (hann * np.sqrt(_WINDOW_ENERGY / np.sum(hann**2))).astype(np.float32)
        self._num_bins = frame_length // 2 + 1
        frequency_hz = np.arange(content_kernels.NUM_BINS) * self.sample_rate / frame_length
        in_band = (frequency_hz > _BAND_HZ[0]) & (frequency_hz < _BAND_HZ[1])
        emphasis = (frequency_hz / (frequency_hz + _EMPHASIS_HZ)) ** 2
        self._weight = (in_band * emphasis).astype(np.float32)
        self._buffer = SampleBuffer(self.num_channels)
        self._band_power: DoubleArray = np.zeros(self._num_bins)
        self._num_audible: int = 0
        self._has_ended: bool = False
        self.reset()

    @property
    def segment_length(self) -> int:
        """Samples from one segment to the next."""
        return SEGMENT_FRAMES * self._hop_length

    @property
    def first_centre(self) -> int:
        """Sample in the middle of the first segment."""
        return (SEGMENT_FRAMES + 1) * self._hop_length // 2

    @property
    def look_ahead(self) -> int:
        """Samples beyond the end of a segment that its scores may depend on."""
        return 2 * HALF_WINDOW * self.segment_length + self._hop_length

    @property
    def mean_spectrum(self) -> DoubleArray:
        """Mean power spectrum so far, channels added, from 0 Hz to Nyquist; 0 before any sound."""
        return np.asarray(self._band_power / max(1, self._num_audible))

    def push(self, chunk: Chunk) -> DoubleArray:
        """Take ``chunk`` (num_samples, num_channels) and return the scores that are final.

        Returns
        -------
        float64, shape (num_segments, 3)
            Columns as in :data:`anc_core.dsp.content_model.SCORES`: log odds; ``-inf`` where
            there is too little sound to say. Often empty.
        """
        chunk = check_chunk(chunk, self.num_channels)
        limited = np.empty_like(chunk)
        self._kernels.limit(chunk, limited)
        self._buffer.put(limited)
        rows: list[DoubleArray] = []
        needed = (SEGMENT_FRAMES + 1) * self._hop_length
        while len(self._buffer) >= needed:
            self._take_segment(SEGMENT_FRAMES, rows)
        return _stacked(rows)

    def flush(self) -> DoubleArray:
        """Return the scores of the rest; only :attr:`mean_spectrum` remembers the stream then."""
        rows: list[DoubleArray] = []
        num_frames = len(self._buffer) // self._hop_length - 1
        if num_frames > 0:
            self._take_segment(num_frames, rows)
        while self._num_measured < self._num_segments:
            self._measure_next(rows)
        while self._num_scored < self._num_segments:
            rows.append(self._next_scores())
        spectrum, num_audible = self._band_power, self._num_audible
        self.reset()
        self._band_power, self._num_audible = spectrum, num_audible
        self._has_ended = True
        return _stacked(rows)

    def reset(self) -> None:
        """Forget everything heard so far."""
        num_bins = self._kernels.NUM_BINS
        self._buffer.clear()
        self._start_spectrum()
        self._places = np.zeros(num_bins, np.float32)
        self._ages = np.zeros(num_bins, np.float32)
        self._levels = np.zeros(3)
        # Segments whose floor is not known yet; minima and sums of the last whole window.
        self._waiting: deque[_Segment] = deque()
        self._lowest = _Surroundings(np.full(num_bins, np.inf, np.float32))
        self._sums = _Surroundings(np.zeros(self._kernels.NUM_SUMS))
        self._histograms = _Surroundings(np.zeros(num_bins))
        self._num_segments = 0
        self._num_measured = 0
        self._num_scored = 0

    def _start_spectrum(self) -> None:
        self._band_power = np.zeros(self._num_bins)
        self._num_audible = 0
        self._has_ended = False

    def _take_segment(self, num_frames: int, rows: list[DoubleArray]) -> None:
        """Analyse the next frames, and whatever they complete."""
        if self._has_ended:
            self._start_spectrum()
        samples = self._buffer.peek((num_frames + 1) * self._hop_length)
        power = np.full((num_frames, self._kernels.NUM_BINS), self._kernels.MIN_POWER)
        for channel in samples.T:
            spectra = analyse(np.ascontiguousarray(channel), self._window)
            self._kernels.add_power(spectra, power, self._band_power)
        audible = power.sum(axis=1) > _SILENCE * power.shape[1] * self._kernels.MIN_POWER
        self._num_audible += int(np.count_nonzero(audible))
        self._buffer.drop(num_frames * self._hop_length)
        self._kernels.least_power(power, audible, self._lowest.new_row(self._num_segments))
        self._waiting.append(_Segment(power, audible))
        self._num_segments += 1
        if self._num_segments - self._num_measured > HALF_WINDOW:
            self._measure_next(rows)

    def _measure_next(self, rows: list[DoubleArray]) -> None:
        """Measure the oldest waiting segment against the floor around it."""
        floor = self._lowest.around(self._num_measured).min(axis=0)
        # No three frames of sound in a row: then nothing is known to be steady.
        floor[np.isinf(floor)] = self._kernels.MIN_POWER
        segment = self._waiting.popleft()
        self._kernels.measure_frames(
            segment.power,
            segment.audible,
            floor,
            self._weight,
            self._places,
            self._ages,
            self._levels,
            self._sums.new_row(self._num_measured),
            self._histograms.new_row(self._num_measured),
        )
        self._num_measured += 1
        if self._num_measured - self._num_scored > HALF_WINDOW:
            rows.append(self._next_scores())

    def _next_scores(self) -> DoubleArray:
        """Return the scores of the oldest segment that has none, from the sums around it."""
        features = self._next_features()
        return UNKNOWN.copy() if features is None else scores_of(features)

    def _next_features(self) -> DoubleArray | None:
        sums = self._sums.around(self._num_scored)
        histograms = self._histograms.around(self._num_scored)
        self._num_scored += 1
        if sums[:, self._kernels.COUNT].sum() < MIN_AUDIBLE_FRAMES:
            return None
        features = np.empty(self._kernels.NUM_FEATURES)
        self._kernels.describe(sums, histograms, features)
        return features


class _Surroundings:
    """One row a segment; those of the last whole window are kept, in any order.

    Parameters
    ----------
    neutral : ndarray, shape (row_length,)
        What changes no minimum or sum: stands for segments that do not exist.
    """

    def __init__(self, neutral: NDArray[Any]) -> None:
        self._neutral = neutral
        self._rows = np.tile(neutral, (2 * HALF_WINDOW + 1, 1))
        self._newest = -1

    def new_row(self, index: int) -> NDArray[Any]:
        """Return the neutral row of segment ``index``, to be filled in."""
        row: NDArray[Any] = self._rows[index % len(self._rows)]
        row[:] = self._neutral
        self._newest = index
        return row

    def around(self, index: int) -> NDArray[Any]:
        """Return the rows within a half window of segment ``index``; ask in order."""
        if self._newest < index + HALF_WINDOW:  # the stream has ended
            self.new_row(index + HALF_WINDOW)
        return self._rows


def _stacked(rows: list[DoubleArray]) -> DoubleArray:
    return np.stack(rows) if rows else np.zeros((0, NUM_SCORES))
