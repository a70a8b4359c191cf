"""What every frame of a signal looks like: one spectrum, all that is read off it.

Nothing here depends on the level: powers of bands are kept as powers (a level is taken off them
later, over a whole window), all else is a ratio within the frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from anc_core.dsp.frames import spectra_of, windowed
from anc_core.features.filterbanks import mel_filters, octave_bins

FloatArray = NDArray[np.float32]

SAMPLE_RATE = 16_000
"""Hz: recordings of another rate are resampled first. What lies above 8 kHz would add a point of
accuracy and double the time."""
FRAME_LENGTH = 512
HOP_LENGTH = 320
"""20 ms."""
FRAMES_PER_S = SAMPLE_RATE // HOP_LENGTH
FAST_PER_FRAME = 10
NUM_BINS = FRAME_LENGTH // 2 + 1
_BIN_HZ = np.float32(SAMPLE_RATE / FRAME_LENGTH)

NUM_MELS = 64
MEL_RANGE_HZ = (30.0, 7_900.0)

BAND_EDGES_HZ = (60.0, 200.0, 400.0, 800.0, 1_600.0, 3_200.0, 5_000.0, 7_900.0)
"""Octaves for contrast and flatness, the last of them in two."""
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
_BLOCK_FRAMES = 48


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
        Power of the samples and of their differences (what is high-pitched), every 2 ms from the
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
    # Of a size that stays in the cache; the figures of a frame do not depend on the others.
    for start in range(0, num_frames, _BLOCK_FRAMES):
        now = slice(start, min(start + _BLOCK_FRAMES, num_frames))
        end = (now.stop - 1) * HOP_LENGTH + FRAME_LENGTH
        _fill(found, now, samples[start * HOP_LENGTH : end])
    return found


def num_whole_frames(num_samples: int) -> int:
    """Return how many frames ``num_samples`` hold.

    Examples
    --------
    >>> num_whole_frames(511), num_whole_frames(512), num_whole_frames(832)
    (0, 1, 2)
    """
    return max(0, (num_samples - FRAME_LENGTH) // HOP_LENGTH + 1)


def _fill(found: FrameFeatures, now: slice, samples: FloatArray) -> None:
    """Write the figures of the frames ``now``, which are those of ``samples``."""
    from scipy import fft  # several frames at once in SIMD registers, which numpy does not

    from anc_core.features import frame_kernels as kernels

    tables = _tables()
    spectra = spectra_of(windowed(samples, tables.window, HOP_LENGTH))
    power = np.empty((len(spectra), NUM_BINS), np.float32)
    kernels.powers_and_mels(
        spectra.view(np.float32),
        tables.mel_first,
        tables.mel_ends,
        tables.mel_weights,
        _FLOOR_SHARE,
        _SILENCE,
        power,
        found.power[now],
        found.mel_power[:, now],
    )
    logs, ordered = np.log(power), power.copy()
    for low, high in zip(tables.octaves[:-1], tables.octaves[1:], strict=True):
        ordered[:, low:high].sort(axis=1)
    kernels.octave_shapes(
        ordered,
        logs,
        tables.octaves,
        tables.num_extreme,
        found.contrast[:, now],
        found.band_flatness[:, now],
    )
    shapes = np.empty((4 + len(_ROLLOFF_SHARES), len(spectra)), np.float32)
    kernels.spectral_shapes(power, logs, _BIN_HZ, np.array(_ROLLOFF_SHARES, np.float32), shapes)
    scalars = found.scalars[:, now]
    flatness, centroid, bandwidth, crest = shapes[:4]
    scalars[0] = flatness
    scalars[1] = _octaves(centroid)
    scalars[2] = bandwidth / np.float32(SAMPLE_RATE / 2)
    scalars[3:6] = _octaves(shapes[4:] * _BIN_HZ)
    scalars[7] = crest
    # The autocorrelation is the cosine transform of the power, which is real and even.
    correlation = fft.dct(power, type=1, axis=-1, overwrite_x=True)
    lags = np.empty(len(spectra), np.float32)
    kernels.highest_lags(correlation, tables.lags.start, tables.lag_weights, scalars[8], lags)
    scalars[9] = _octaves(np.float32(SAMPLE_RATE) / lags)


def _octaves(frequency_hz: FloatArray) -> FloatArray:
    return np.log2(np.maximum(frequency_hz, np.float32(25.0)) / np.float32(50.0))


@dataclass(frozen=True, slots=True)
class _Tables:
    """What does not depend on the samples; see :mod:`anc_core.features.frame_kernels`."""

    window: FloatArray
    mel_first: NDArray[np.int64]
    mel_ends: NDArray[np.int64]
    mel_weights: FloatArray
    octaves: NDArray[np.int64]
    num_extreme: NDArray[np.int64]
    lags: slice
    lag_weights: FloatArray
    """Inverse autocorrelation of the window at ``lags``: P. Boersma, "Accurate short-term analysis
    of the fundamental frequency", IFA Proceedings 17, 1993, Eq. 9."""


@cache
def _tables() -> _Tables:
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME_LENGTH) / FRAME_LENGTH)
    correlation = np.fft.irfft(np.square(np.abs(np.fft.rfft(window))))
    low_hz, high_hz = _PITCH_HZ
    lags = slice(round(SAMPLE_RATE / high_hz), round(SAMPLE_RATE / low_hz) + 1)
    mel = mel_filters(SAMPLE_RATE, FRAME_LENGTH, NUM_MELS, *MEL_RANGE_HZ)
    spans = [np.flatnonzero(row) for row in mel]
    octaves = octave_bins(SAMPLE_RATE, FRAME_LENGTH, BAND_EDGES_HZ)
    return _Tables(
        window=window.astype(np.float32),
        mel_first=np.array([span[0] for span in spans]),
        mel_ends=np.cumsum([len(span) for span in spans]),
        mel_weights=np.concatenate([row[span] for row, span in zip(mel, spans, strict=True)]),
        octaves=octaves,
        num_extreme=np.maximum(1, np.rint(_CONTRAST_SHARE * np.diff(octaves))).astype(np.int64),
        lags=lags,
        lag_weights=(correlation[0] / correlation[lags]).astype(np.float32),
    )
