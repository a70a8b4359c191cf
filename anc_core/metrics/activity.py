"""The mask of the input: which frames are silence, noise alone, or activity above the noise.

Two-sided and without recursion: the class of a frame follows from the 3.75 s around it on either
side, so a recording may start with speech, the noise may come and go, and no split of the stream
changes a decision.

1. *Floor*: per band, the minimum over ±2 s of 125 ms means, corrected for the bias of a minimum
   (Martin 2001). Digital silence takes no part, or a gated telephone line would have no floor.
2. *Noise power*: per band, the mean over ±1.5 s of the frames whose likelihood ratio against that
   floor is small. Steady noise is so known to a few tenths of a dB, wherever the minima fell.
3. *Likelihood ratio* of activity per frame, the mean over the bands of
   ``snr - 1 - ln(snr)`` (Sohn, Kim & Sung 1999, Eq. 3 with the maximum-likelihood a-priori SNR,
   for bands above the noise only). Above the threshold: active.
4. *Speech*: active, and at least 10 dB above the noise in the speech band. *Noise alone*: no
   active frame within 100 ms after it and 200 ms before it, so onsets and tails stay out. What is
   neither is undecided.

"Speech" is any sound well above a steadier one: for music or a bird, read "active signal". Noise in
bursts (a jackhammer) is active; its pauses are the noise.

References
----------
R. Martin, "Noise power spectral density estimation based on optimal smoothing and minimum
statistics", IEEE Trans. Speech Audio Process. 9(5), 2001. J. Sohn, N. S. Kim, W. Sung, "A
statistical model-based voice activity detection", IEEE Signal Process. Lett. 6(1), 1999.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from anc_core.dsp.third_octave import BandSums
from anc_core.metrics.frames import FRAME_S, SPEECH_BAND_HZ, FrameGrid

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Lengths in frames of 25 ms. The floor window spans the longest stretch of running speech without
# a dip in some band; the noise window is as short as still averages 100 frames of steady noise.
_SMOOTH_HALF = 2
_FLOOR_HALF = 80
_NOISE_HALF = 60
_MIN_NOISE_FRAMES = 10
_SCORE_HALF = 1
_GUARD_BEFORE = 4
_GUARD_AFTER = 8
_CONTEXT = _SMOOTH_HALF + _FLOOR_HALF + _NOISE_HALF + _GUARD_AFTER
"""Frames on either side that a decision may depend on."""

# Thresholds of the mean log likelihood ratio. 99.9 % of the frames of steady noise stay below 0.12;
# chosen on LibriSpeech with 23 recorded noises at 0 to 20 dB (docs/metrics.md, "How good").
_SURELY_NOISE = 0.35
_ACTIVE = 0.25
_SNR_CAP = 10.0
"""One loud band shall not outvote all others: its SNR counts as 10 dB at most."""

SPEECH_SNR = 10.0
"""10 dB: removing all noise under such a frame changes its level by 0.41 dB at most."""

_FLOOR_DEVIATION = -2.3
"""Standard deviations by which the minimum of 4 s of smoothed noise lies below its mean."""
_HANN_SPREAD = 1.944
"""Variance of a sum of Hann-windowed bins over that of independent ones (neighbours correlate)."""

_BATCH_FRAMES = 500
_BAND_FLOOR = 1e-11
"""-110 dBFS, added to every band: what lies below 16-bit dither is no activity."""


class FrameClass(IntEnum):
    """What a frame of the input holds."""

    SILENCE = 0
    """Below -90 dBFS in every channel, DC apart."""
    NOISE = 1
    """Noise alone, clear of any activity."""
    UNDECIDED = 2
    """Close to activity, or no noise near enough to compare with."""
    ACTIVE = 3
    """Above the noise."""
    SPEECH = 4
    """At least 10 dB above the noise in the speech band."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Decided frames, in order.

    Attributes
    ----------
    classes : ndarray of int8, shape (num_frames,)
        Values of :class:`FrameClass`.
    speech_band : ndarray, shape (num_frames,)
        Power of the input in the speech band, channels added.
    noise_in_speech_band : ndarray, shape (num_frames,)
        Power of the noise there; ``inf`` where it is not known.
    """

    classes: NDArray[np.int8]
    speech_band: Array
    noise_in_speech_band: Array


class ActivityDetector:
    """Streaming mask: frames in, decisions out about 3.8 s later.

    Parameters
    ----------
    grid : FrameGrid
    """

    def __init__(self, grid: FrameGrid) -> None:
        edges = _band_edges(grid.sample_rate)
        transform = grid.frame_transform
        self._band_sums = BandSums(edges, sample_rate=grid.sample_rate, n_fft=transform.n_fft)
        self._bias = _minimum_bias(np.diff(edges) * FRAME_S)
        self._in_speech_band = (edges[:-1] >= SPEECH_BAND_HZ[0]) & (edges[:-1] < SPEECH_BAND_HZ[1])
        if not self._in_speech_band.any():
            self._in_speech_band[-1] = True
        self._powers = np.zeros((0, len(edges) - 1))
        self._audible = np.zeros(0, dtype=np.bool_)
        self._num_before = 0  # decided frames that are kept as context

    def push(self, spectra: Array, audible: Flags) -> Iterator[Decision]:
        """Take frames and yield what they decide.

        Parameters
        ----------
        spectra : ndarray, shape (num_frames, num_bins)
            Power spectra, channels added.
        audible : ndarray of bool, shape (num_frames,)
            False for digital silence and for frames that the recording's end cuts short.
        """
        self._powers = np.concatenate([self._powers, self._band_sums(spectra) + _BAND_FLOOR])
        self._audible = np.concatenate([self._audible, audible])
        while len(self._powers) - self._num_before >= _BATCH_FRAMES + _CONTEXT:
            yield self._decide(_BATCH_FRAMES)

    def flush(self) -> Iterator[Decision]:
        """Decide the rest."""
        while (rest := len(self._powers) - self._num_before) > 0:
            yield self._decide(min(rest, _BATCH_FRAMES))

    def _decide(self, count: int) -> Decision:
        first = self._num_before
        window = slice(0, first + count + _CONTEXT)
        decision = self._classify(
            self._powers[window], self._audible[window], slice(first, first + count)
        )
        keep_from = max(first + count - _CONTEXT, 0)
        self._powers = self._powers[keep_from:]
        self._audible = self._audible[keep_from:]
        self._num_before = first + count - keep_from
        return decision

    def _classify(self, powers: Array, audible: Flags, inner: slice) -> Decision:
        noise = self._noise_powers(powers, audible)
        known = np.isfinite(noise).all(axis=1)
        score = _likelihood_ratio(_mean_around(powers, audible, _SCORE_HALF), noise)
        active = (score > _ACTIVE) & audible & known
        band = powers[:, self._in_speech_band].sum(axis=1)
        noise_in_band = noise[:, self._in_speech_band].sum(axis=1)
        speech = active & (band >= SPEECH_SNR * noise_in_band)
        near = _count_around(active[:, np.newaxis], _GUARD_AFTER, _GUARD_BEFORE)[:, 0] > 0
        classes = np.full(len(powers), FrameClass.UNDECIDED, dtype=np.int8)
        classes[known & ~near] = FrameClass.NOISE
        classes[active] = FrameClass.ACTIVE
        classes[speech] = FrameClass.SPEECH
        classes[~audible] = FrameClass.SILENCE
        return Decision(classes[inner], band[inner], noise_in_band[inner])

    def _noise_powers(self, powers: Array, audible: Flags) -> Array:
        """Return the noise power per frame and band; ``inf`` where there is none to go by."""
        full = _count_around(audible[:, np.newaxis], _SMOOTH_HALF, _SMOOTH_HALF)
        smooth = np.where(
            full == 2 * _SMOOTH_HALF + 1, _mean_around(powers, audible, _SMOOTH_HALF), np.inf
        )
        floor = _minimum_around(smooth, _FLOOR_HALF) * self._bias
        score = _likelihood_ratio(_mean_around(powers, audible, _SCORE_HALF), floor)
        noisy = audible & (score < _SURELY_NOISE) & np.isfinite(floor).all(axis=1)
        count = _count_around(noisy[:, np.newaxis], _NOISE_HALF, _NOISE_HALF)
        return np.where(
            count >= _MIN_NOISE_FRAMES,
            np.maximum(_mean_around(powers, noisy, _NOISE_HALF), _BAND_FLOOR),
            floor,
        )


def _band_edges(sample_rate: int) -> Array:
    """Return edges from 100 Hz to 8 kHz: 160 Hz wide at first, later 22 % of their frequency."""
    top = min(8_000.0, 0.475 * sample_rate)
    edges = [100.0]
    while True:
        width = max(160.0, 0.22 * edges[-1])
        if edges[-1] + 1.5 * width > top:
            return np.array([*edges, top])
        edges.append(edges[-1] + width)


def _minimum_bias(bins_per_band: Array) -> Array:
    """Return mean over minimum of smoothed noise, per band.

    A smoothed band is chi-square distributed; the cube root of one is nearly normal
    (Wilson & Hilferty 1931), which gives the minimum from a number of standard deviations.
    """
    freedom = (2 * _SMOOTH_HALF + 1) * 2.0 * bins_per_band / _HANN_SPREAD
    spread = 2.0 / (9.0 * freedom)
    return np.asarray(1.0 / (1.0 - spread + _FLOOR_DEVIATION * np.sqrt(spread)) ** 3)


def _likelihood_ratio(powers: Array, noise: Array) -> Array:
    """Return the mean log likelihood ratio of activity; 0 where the noise is not known."""
    snr = np.clip(powers / noise, 1.0, _SNR_CAP)
    return np.asarray((snr - 1.0 - np.log(snr)).mean(axis=1))


def _sum_around(values: Array, before: int, after: int) -> Array:
    """Return sums over [t - before, t + after] along axis 0, cut at the ends."""
    cumulated = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=cumulated[1:])
    now = np.arange(len(values))
    return np.asarray(
        cumulated[np.minimum(now + after + 1, len(values))] - cumulated[np.maximum(now - before, 0)]
    )


def _count_around(flags: Flags, before: int, after: int) -> Array:
    # Sums of ones are exact in float64, so comparing them is safe.
    return _sum_around(flags.astype(np.float64), before, after)


def _mean_around(values: Array, which: Flags, half: int) -> Array:
    """Return means over ±half of the rows that ``which`` marks; 0 where it marks none."""
    marked = which[:, np.newaxis]
    count = _count_around(marked, half, half)
    total = _sum_around(np.where(marked, values, 0.0), half, half)
    # Differences of running sums leave rounding where all terms are tiny; powers are not negative.
    return np.asarray(np.maximum(total, 0.0) / np.maximum(count, 1.0))


def _minimum_around(values: Array, half: int) -> Array:
    """Return minima over ±half along axis 0: log2 passes of doubling length."""
    padding = np.full((half, values.shape[1]), np.inf)
    lowest = np.concatenate([padding, values, padding])
    width, reach = 2 * half + 1, 1
    while 2 * reach <= width:
        lowest = np.minimum(lowest[:-reach], lowest[reach:])
        reach *= 2
    rest = width - reach
    return lowest if rest == 0 else np.minimum(lowest[:-rest], lowest[rest:])
