"""What every frame of a signal looks like: one spectrum, all that is read off it.

Nothing here depends on the level: powers of bands are kept as powers (a level is taken off them
later, over a whole window), all else is a ratio within the frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from anc_core.features.filterbanks import mel_filters, octave_bins

FloatArray = NDArray[np.float32]

SAMPLE_RATE = 22_050
"""Hz: recordings of another rate are resampled first."""
FRAME_LENGTH = 1_024
HOP_LENGTH = 441
"""20 ms."""
FRAMES_PER_S = SAMPLE_RATE // HOP_LENGTH
FAST_PER_FRAME = 9
NUM_BINS = FRAME_LENGTH // 2 + 1

NUM_MELS = 64
MEL_RANGE_HZ = (30.0, 10_500.0)

BAND_EDGES_HZ = (60.0, 200.0, 400.0, 800.0, 1_600.0, 3_200.0, 6_400.0, 10_500.0)
"""Octaves for contrast and flatness."""
NUM_BANDS = len(BAND_EDGES_HZ) - 1

SCALARS = (
    "flatness",
    "centroid",
    "bandwidth",
    "rolloff_50",
    "rolloff_85",
    "rolloff_95",
    "zero_crossings",
    "crest",
    "harmonicity",
    "pitch",
)
"""One figure a frame each, see :class:`FrameFeatures`."""

_CONTRAST_SHARE = 0.1
"""Of the bins of a band: what counts as its peaks and as its valleys."""
_FLOOR_SHARE = np.float32(1e-7)
"""Of the mean power of a frame (-70 dB), added to every bin."""
_SILENCE = np.float32(1e-20)
_ROLLOFF_SHARES = (0.5, 0.85, 0.95)
_PITCH_HZ = (70.0, 1_000.0)
_BLOCK_FRAMES = 64


@dataclass(frozen=True, slots=True)
class FrameFeatures:
    """Figures of consecutive frames, each float32 of shape (number of them, num_frames).

    Attributes
    ----------
    mel_power : (NUM_MELS, num_frames)
        Power in mel bands.
    power : (num_frames,)
        Mean power of a bin.
    contrast : (NUM_BANDS, num_frames)
        Peaks over valleys of each octave, dB: the mean power of the highest tenth of its bins over
        that of the lowest (Jiang et al., "Music type classification by spectral contrast feature",
        ICME 2002, with the mean of powers instead of that of logarithms).
    band_flatness : (NUM_BANDS, num_frames)
        Geometric over arithmetic mean of the powers of each octave, dB, <= 0.
    scalars : (len(SCALARS), num_frames)
        flatness: that of the whole spectrum, dB. centroid, rolloff_*: mean frequency, and the one
        below which 50, 85, 95 % of the power lies, octaves above 50 Hz. bandwidth: standard
        deviation about the centroid, share of the Nyquist frequency. zero_crossings: share of
        samples with another sign than the one before. crest: highest bin over the mean, dB.
        harmonicity: largest autocorrelation between the lags of 1 kHz and 70 Hz, about 0 to 1.
        pitch: frequency of that lag, octaves above 50 Hz.
    fast_power : (2, num_frames * FAST_PER_FRAME)
        Power of the samples and of their differences (what is high-pitched), every 2.2 ms from the
        beginning of the first frame on: blades and motors pulse too fast for the frames.
    """

    mel_power: FloatArray
    power: FloatArray
    contrast: FloatArray
    band_flatness: FloatArray
    scalars: FloatArray
    fast_power: FloatArray

    @property
    def num_frames(self) -> int:
        """Columns of every array."""
        return int(self.mel_power.shape[1])


def frame_features(samples: FloatArray) -> FrameFeatures:
    """Return the figures of all whole frames in ``samples``.

    Parameters
    ----------
    samples : float32, shape (num_samples,)
        At SAMPLE_RATE, finite; frame k begins at sample ``k * HOP_LENGTH``.

    Returns
    -------
    FrameFeatures
        Of ``num_whole_frames(num_samples)`` frames.
    """
    num_frames = num_whole_frames(len(samples))
    found = FrameFeatures(
        mel_power=np.empty((NUM_MELS, num_frames), np.float32),
        power=np.empty(num_frames, np.float32),
        contrast=np.empty((NUM_BANDS, num_frames), np.float32),
        band_flatness=np.empty((NUM_BANDS, num_frames), np.float32),
        scalars=np.empty((len(SCALARS), num_frames), np.float32),
        fast_power=np.empty((2, num_frames * FAST_PER_FRAME), np.float32),
    )
    if not num_frames:
        return found
    from anc_core.features import frame_kernels  # only who works pays for loading them

    samples = np.ascontiguousarray(samples)
    frame_kernels.short_powers(samples, HOP_LENGTH // FAST_PER_FRAME, found.fast_power)
    crossings = found.scalars[SCALARS.index("zero_crossings")]
    frame_kernels.crossing_shares(samples, FRAME_LENGTH, HOP_LENGTH, crossings)
    frames = sliding_window_view(samples, FRAME_LENGTH)[::HOP_LENGTH]
    # Of a size that stays in the cache; the figures of a frame do not depend on the others.
    for start in range(0, num_frames, _BLOCK_FRAMES):
        now = slice(start, min(start + _BLOCK_FRAMES, num_frames))
        _fill(found, now, frames[now])
    return found


def num_whole_frames(num_samples: int) -> int:
    """Return how many frames ``num_samples`` hold.

    Examples
    --------
    >>> num_whole_frames(1_023), num_whole_frames(1_024), num_whole_frames(1_465)
    (0, 1, 2)
    """
    return max(0, (num_samples - FRAME_LENGTH) // HOP_LENGTH + 1)


def _fill(found: FrameFeatures, now: slice, frames: FloatArray) -> None:
    from anc_core.features import frame_kernels

    tables = _tables()
    spectra = np.fft.rfft(frames * tables.window, axis=-1)
    power = np.square(spectra.real)
    power += np.square(spectra.imag)
    mean = power.mean(axis=1)
    found.power[now] = mean
    found.mel_power[:, now] = tables.mel @ power.T
    power += (_FLOOR_SHARE * mean + _SILENCE)[:, np.newaxis]
    decibels = np.log10(power)
    decibels *= np.float32(10.0)
    total = power.sum(axis=1)
    mean_db = 10.0 * np.log10(total / NUM_BINS)

    octaves = power[:, : tables.octaves[-1]]
    widths = np.diff(tables.octaves)
    band_db = 10.0 * np.log10(np.add.reduceat(octaves, tables.octaves[:-1], axis=1) / widths)
    log_mean = np.add.reduceat(decibels[:, : tables.octaves[-1]], tables.octaves[:-1], axis=1)
    found.band_flatness[:, now] = (log_mean / widths - band_db).T
    for band, (low, high) in enumerate(zip(tables.octaves, tables.octaves[1:], strict=False)):
        found.contrast[band, now] = _contrast(power[:, low:high])

    scalars = found.scalars[:, now]
    scalars[0] = decibels.mean(axis=1) - mean_db
    moments = power @ tables.moments
    moments /= total[:, np.newaxis]
    centroid = moments[:, 0]
    scalars[1] = _octaves(centroid)
    spread = np.maximum(moments[:, 1] - np.square(centroid), 0.0)
    scalars[2] = np.sqrt(spread) / np.float32(SAMPLE_RATE / 2)
    rolloffs = np.empty((len(_ROLLOFF_SHARES), len(power)), np.float32)
    frame_kernels.rolloff_bins(power, total, np.array(_ROLLOFF_SHARES, np.float32), rolloffs)
    scalars[3:6] = _octaves(rolloffs * np.float32(SAMPLE_RATE / FRAME_LENGTH))
    scalars[7] = decibels.max(axis=1) - mean_db
    scalars[8], scalars[9] = _harmonicity(power)


def _contrast(power: FloatArray) -> FloatArray:
    """Return the peaks of a band over its valleys, dB, shape (num_frames,)."""
    num = max(1, round(_CONTRAST_SHARE * power.shape[1]))
    ordered = np.sort(power, axis=1)
    peaks, valleys = ordered[:, -num:].mean(axis=1), ordered[:, :num].mean(axis=1)
    ratio: FloatArray = np.log10(peaks / valleys)
    return np.float32(10.0) * ratio


def _harmonicity(power: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the largest normalised autocorrelation and its frequency in octaves above 50 Hz.

    Of the windowed frame, over that of the window (P. Boersma, "Accurate short-term analysis of
    the fundamental frequency", IFA Proceedings 17, 1993, Eq. 9).
    """
    tables = _tables()
    lags = tables.lags
    correlation = np.fft.irfft(power, FRAME_LENGTH, axis=1)
    normalised = correlation[:, lags] * tables.window_correlation
    best = np.argmax(normalised, axis=1)
    frequency = (SAMPLE_RATE / (best + lags.start)).astype(np.float32)
    return normalised.max(axis=1) / correlation[:, 0], _octaves(frequency)


def _octaves(frequency_hz: FloatArray) -> FloatArray:
    return np.log2(np.maximum(frequency_hz, np.float32(25.0)) / np.float32(50.0))


@dataclass(frozen=True, slots=True)
class _Tables:
    window: FloatArray
    mel: FloatArray
    octaves: NDArray[np.int64]
    moments: FloatArray
    lags: slice
    window_correlation: FloatArray
    """Inverse, at ``lags``."""


@cache
def _tables() -> _Tables:
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME_LENGTH) / FRAME_LENGTH)
    frequency = np.arange(NUM_BINS) * (SAMPLE_RATE / FRAME_LENGTH)
    correlation = np.fft.irfft(np.square(np.abs(np.fft.rfft(window))))
    low_hz, high_hz = _PITCH_HZ
    lags = slice(round(SAMPLE_RATE / high_hz), round(SAMPLE_RATE / low_hz) + 1)
    return _Tables(
        window=window.astype(np.float32),
        mel=mel_filters(SAMPLE_RATE, FRAME_LENGTH, NUM_MELS, *MEL_RANGE_HZ),
        octaves=octave_bins(SAMPLE_RATE, FRAME_LENGTH, BAND_EDGES_HZ),
        moments=np.stack([frequency, np.square(frequency)], axis=1).astype(np.float32),
        lags=lags,
        window_correlation=(correlation[0] / correlation[lags]).astype(np.float32),
    )
