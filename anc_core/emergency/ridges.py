"""Spectral ridges: the tonal peaks of every frame, measured against their own neighbourhood.

Alarms are narrow-band and loud against what surrounds them in frequency, whatever the level of the
recording. A peak is therefore a local maximum that stands :data:`MIN_PROMINENCE_DB` over the 40 %
quantile of the 23 bins around it; broadband noise and the dense harmonics of a low voice raise that
quantile and hide themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.frames import spectra_of, windowed
from anc_core.dsp.jit import jit, part_of_kernel
from anc_core.emergency.figure_names import FRAMES_PER_S, NUM_BANDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

ANALYSIS_RATE_HZ = 16_000
FRAME_LENGTH = 512
"""32 ms: parts a tone or a slow sweep from noise."""
FAST_FRAME_LENGTH = 256
"""16 ms: a yelp moves 8 octaves a second and would smear over many bins of a longer frame."""
HOP_LENGTH = ANALYSIS_RATE_HZ // FRAMES_PER_S
NUM_PEAKS = 6
"""Most prominent peaks kept of a frame."""
MIN_PROMINENCE_DB = 9.0
"""White noise alone makes 1.8 such peaks a frame; they form no lasting tracks."""

_LOW_HZ, _HIGH_HZ = 340.0, 4_500.0
_REACH = 11
"""Bins on either side that make the neighbourhood: +-344 Hz in the long frame."""
_STRIDE = 4
"""The neighbourhood changes slowly: every fourth bin is computed, the rest interpolated."""
_QUANTILE_RANK = 9
"""Of 23 bins: 40 %."""
_SILENCE_DB = -95.0
"""A peak below this level (dBFS) is the noise of the arithmetic or of an empty band."""
_RANGE_DB = 45.0
"""A peak further below the loudest bin of its frame is a side lobe or an artefact."""
_TINY_POWER = np.float32(1e-16)


@dataclass(frozen=True, slots=True)
class Ridges:
    """Peaks of consecutive frames, most prominent first; unused places hold NaN.

    Attributes
    ----------
    pitch : ndarray of float32, shape (num_frames, NUM_PEAKS)
        log2 of the frequency in Hz.
    level_db : ndarray of float32, shape (num_frames, NUM_PEAKS)
        dBFS.
    prominence_db : ndarray of float32, shape (num_frames, NUM_PEAKS)
        dB over the neighbourhood, at least :data:`MIN_PROMINENCE_DB`.
    """

    pitch: NDArray[np.float32]
    level_db: NDArray[np.float32]
    prominence_db: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Analysis:
    """What a frame length fixes."""

    window: NDArray[np.float32]
    power_scale: np.float32
    """A sine of amplitude 1 gives a peak of -3.01 dBFS (full-scale square = 0)."""
    bin_hz: float
    first_bin: int
    stop_bin: int


@lru_cache(maxsize=2)
def _analysis(frame_length: int) -> _Analysis:
    window = np.hanning(frame_length + 1)[:-1].astype(np.float32)
    bin_hz = ANALYSIS_RATE_HZ / frame_length
    return _Analysis(
        window=window,
        power_scale=np.float32(2.0 / float(np.sum(window)) ** 2),
        bin_hz=bin_hz,
        first_bin=int(_LOW_HZ / bin_hz),
        stop_bin=int(_HIGH_HZ / bin_hz) + 1,
    )


def bin_frequencies(frame_length: int) -> NDArray[np.float64]:
    """Return the frequencies (Hz) of the bins that :func:`ridges_and_power` returns."""
    analysis = _analysis(frame_length)
    bins = np.arange(analysis.first_bin, analysis.stop_bin)
    return np.asarray(bins * analysis.bin_hz, np.float64)


def find_ridges(samples: NDArray[np.float32], frame_length: int = FRAME_LENGTH) -> Ridges:
    """Return the peaks of all complete frames of ``samples``.

    Parameters
    ----------
    samples : ndarray of float32, shape (num_samples,)
        Finite, at :data:`ANALYSIS_RATE_HZ`, at least one frame. Frame ``i`` begins at
        ``i * HOP_LENGTH``.
    frame_length : int
        :data:`FRAME_LENGTH` or :data:`FAST_FRAME_LENGTH`, samples.

    Returns
    -------
    Ridges
        ``(num_samples - frame_length) // HOP_LENGTH + 1`` frames.
    """
    return ridges_and_power(samples, frame_length)[0]


def ridges_and_power(
    samples: NDArray[np.float32], frame_length: int
) -> tuple[Ridges, NDArray[np.float32]]:
    """Return what :func:`find_ridges` does, and the powers that the ridges were found in.

    Returns
    -------
    Ridges
    ndarray of float32, shape (num_frames, num_bins)
        A full-scale sine has 0.5 in its bin.
    """
    analysis = _analysis(frame_length)
    spectra = spectra_of(windowed(samples, analysis.window, HOP_LENGTH))
    num_frames, num_bins = len(spectra), analysis.stop_bin - analysis.first_bin
    power = np.empty((num_frames, num_bins), np.float32)
    level = np.empty((num_bins, num_frames), np.float32)
    _find_powers(spectra.view(np.float32), analysis.first_bin, analysis.power_scale, power, level)
    np.log10(level, out=level)
    level *= np.float32(10.0)
    places = np.full((3, num_frames, NUM_PEAKS), np.nan, np.float32)
    hertz = np.full((num_frames, NUM_PEAKS), np.nan)
    _pick(level, _background(level), analysis.first_bin, analysis.bin_hz, hertz, *places[1:])
    places[0] = np.log2(hertz)
    return Ridges(*places), power


def band_levels(power: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the level of bands of the spectrum, and of all of it.

    Parameters
    ----------
    power : ndarray of float32, shape (num_frames, num_bins)
        From :func:`ridges_and_power`.

    Returns
    -------
    bands : ndarray of float32, shape (num_frames, NUM_BANDS)
        dBFS, at least :data:`_SILENCE_DB`.
    total : ndarray of float32, shape (num_frames,)
    """
    edges = np.arange(NUM_BANDS) * power.shape[1] // NUM_BANDS
    bands = np.add.reduceat(power, edges, axis=1)
    floor = np.float32(10.0 ** (_SILENCE_DB / 10.0))
    return (
        np.float32(10.0) * np.log10(np.maximum(bands, floor)),
        np.float32(10.0) * np.log10(np.maximum(bands.sum(axis=1), floor)),
    )


@part_of_kernel
def _square(parts: NDArray[np.float32], first: int, squares: NDArray[np.float32]) -> None:
    for k in range(len(squares)):
        squares[k] = parts[first + 2 * k] * parts[first + 2 * k]


@jit("void(float32[:, ::1], int64, float32, float32[:, ::1], float32[:, ::1])")
def _find_powers(
    spectra: NDArray[np.float32],
    first_bin: int,
    scale: np.float32,
    power: NDArray[np.float32],
    level: NDArray[np.float32],
) -> None:
    """Write the power per frame and bin of the analysed band, and per bin and frame a bit more.

    ``spectra`` holds real and imaginary parts in turns. The second array is what logarithms are
    taken of, so that they exist; what follows looks at the same bin of many frames at once.
    """
    num_frames, num_bins = power.shape
    real, imag = np.empty(num_bins, np.float32), np.empty(num_bins, np.float32)
    for i in range(num_frames):
        _square(spectra[i], 2 * first_bin, real)
        _square(spectra[i], 2 * first_bin + 1, imag)
        for k in range(num_bins):
            power[i, k] = (real[k] + imag[k]) * scale
    for k in range(num_bins):
        for i in range(num_frames):
            level[k, i] = power[i, k] + _TINY_POWER


def _background(level: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the 40 % quantile of the neighbourhood of every fourth bin, in dB.

    ``level`` is (num_bins, num_frames), what is returned (num_places, num_frames).
    """
    neighbours = _neighbours(len(level))
    background = np.empty((len(neighbours), level.shape[1]), np.float32)
    _quantiles(level, neighbours, background)
    return background


@lru_cache(maxsize=2)
def _neighbours(num_bins: int) -> NDArray[np.intp]:
    """Return the bins around every fourth one, mirrored at the ends of the band."""
    centres = np.arange(0, num_bins + _STRIDE, _STRIDE)
    around = np.abs(centres[:, np.newaxis] + np.arange(-_REACH, _REACH + 1))
    last = num_bins - 1
    mirrored: NDArray[np.intp] = last - np.abs(last - around)
    return mirrored


@part_of_kernel
def _sort_in(new: NDArray[np.float32], smallest: NDArray[np.float32]) -> None:
    """Keep of ``new`` and the rows of ``smallest`` the smallest, **in place**, in order."""
    for rank in range(len(smallest)):
        row = smallest[rank]
        for i in range(len(new)):
            low, high = min(row[i], new[i]), max(row[i], new[i])
            row[i], new[i] = low, high


@jit("void(float32[:, ::1], int64[:, ::1], float32[:, ::1])")
def _quantiles(
    level: NDArray[np.float32], neighbours: NDArray[np.int64], background: NDArray[np.float32]
) -> None:
    """Write the value of rank :data:`_QUANTILE_RANK` among the neighbours of every place.

    ``level`` is (num_bins, num_frames), ``background`` (num_places, num_frames): the smallest
    values are sorted one by one, but for all frames at once, which becomes SIMD code and takes half
    the time of a selection for each.
    """
    num_frames = level.shape[1]
    smallest = np.empty((_QUANTILE_RANK + 1, num_frames), np.float32)
    for place in range(len(neighbours)):
        smallest[:] = np.inf
        for neighbour in neighbours[place]:
            _sort_in(level[neighbour].copy(), smallest)
        background[place] = smallest[_QUANTILE_RANK]


@part_of_kernel
def _raise_floor(level: NDArray[np.float32], floor: NDArray[np.float32]) -> None:
    for i in range(len(floor)):
        floor[i] = max(floor[i], level[i] - np.float32(_RANGE_DB))


@part_of_kernel
def _prominences(
    left: NDArray[np.float32],
    level: NDArray[np.float32],
    right: NDArray[np.float32],
    floor: NDArray[np.float32],
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    share: np.float32,
    prominence: NDArray[np.float32],
) -> None:
    """Write how far a bin stands over its background in each frame, 0 where it is no peak."""
    for i in range(len(level)):
        over = level[i] - (before[i] + (after[i] - before[i]) * share)
        is_peak = (level[i] > left[i]) & (level[i] >= right[i]) & (level[i] > floor[i])
        prominence[i] = over if is_peak else np.float32(0.0)


@jit(
    "void(float32[:, ::1], float32[:, ::1], int64, float64, float64[:, ::1], float32[:, ::1],"
    " float32[:, ::1])"
)
def _pick(
    level: NDArray[np.float32],
    background: NDArray[np.float32],
    first_bin: int,
    bin_hz: float,
    hertz: NDArray[np.float64],
    level_db: NDArray[np.float32],
    prominence_db: NDArray[np.float32],
) -> None:
    """Write the most prominent peaks of every frame, as far as there are any.

    ``level`` is (num_bins, num_frames), ``background`` (num_places, num_frames); the other arrays
    are (num_frames, NUM_PEAKS). Each peak is interpolated with a parabola through its three bins
    (Smith & Serra 1987).
    """
    num_bins, num_frames = level.shape
    floor = np.empty(num_frames, np.float32)
    for i in range(num_frames):
        floor[i] = np.float32(_SILENCE_DB)
    for k in range(1, num_bins - 1):
        _raise_floor(level[k], floor)
    bins = np.zeros((num_frames, NUM_PEAKS), np.int64)
    found = np.zeros(num_frames, np.int64)
    prominences = np.empty(num_frames, np.float32)
    for k in range(1, num_bins - 1):
        _prominences(
            level[k - 1],
            level[k],
            level[k + 1],
            floor,
            background[k // _STRIDE],
            background[k // _STRIDE + 1],
            np.float32(k % _STRIDE) / np.float32(_STRIDE),
            prominences,
        )
        for i in range(num_frames):
            prominence = prominences[i]
            if prominence < np.float32(MIN_PROMINENCE_DB):
                continue
            if found[i] == NUM_PEAKS and prominence <= prominence_db[i, NUM_PEAKS - 1]:
                continue
            place = min(found[i], NUM_PEAKS - 1)
            while place > 0 and prominence > prominence_db[i, place - 1]:
                prominence_db[i, place] = prominence_db[i, place - 1]
                bins[i, place] = bins[i, place - 1]
                place -= 1
            prominence_db[i, place], bins[i, place] = prominence, k
            found[i] = min(found[i] + 1, NUM_PEAKS)
    for i in range(num_frames):
        for place in range(found[i]):
            k = bins[i, place]
            left, top, right = level[k - 1, i], level[k, i], level[k + 1, i]
            curvature = min(left - np.float32(2.0) * top + right, np.float32(-1e-3))
            offset = np.float32(0.5) * (left - right) / curvature
            offset = min(max(offset, np.float32(-0.5)), np.float32(0.5))
            hertz[i, place] = (k + offset + first_bin) * bin_hz
            level_db[i, place] = top
