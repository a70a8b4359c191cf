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

from anc_core.dsp.frames import spectra_of
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
    power = _powers(samples, analysis)
    level: NDArray[np.float32] = np.log10(power + _TINY_POWER)
    level *= np.float32(10.0)
    places = np.full((3, len(level), NUM_PEAKS), np.nan, np.float32)
    hertz = np.full((len(level), NUM_PEAKS), np.nan)
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


def _powers(samples: NDArray[np.float32], analysis: _Analysis) -> NDArray[np.float32]:
    """Return the power per frame and bin of the analysed band."""
    length = len(analysis.window)
    frames = np.lib.stride_tricks.sliding_window_view(samples, length)[::HOP_LENGTH]
    spectrum = spectra_of(frames * analysis.window)
    spectrum = spectrum[:, analysis.first_bin : analysis.stop_bin]
    power = spectrum.real**2 + spectrum.imag**2
    power *= analysis.power_scale
    return np.asarray(power, np.float32)


def _background(level: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the 40 % quantile of the neighbourhood of every fourth bin, in dB."""
    neighbours = _neighbours(level.shape[1])
    background = np.empty((len(neighbours), len(level)), np.float32)
    _quantiles(np.ascontiguousarray(level.T), neighbours, background)
    return np.ascontiguousarray(background.T)


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

    Each is interpolated with a parabola through its three bins (Smith & Serra 1987).
    """
    num_bins = level.shape[1]
    bins = np.zeros(NUM_PEAKS, np.int64)
    for i in range(len(level)):
        row, behind, best = level[i], background[i], prominence_db[i]
        floor = np.float32(_SILENCE_DB)
        for k in range(1, num_bins - 1):
            floor = max(floor, row[k] - np.float32(_RANGE_DB))
        found = 0
        for k in range(1, num_bins - 1):
            if not (row[k] > row[k - 1] and row[k] >= row[k + 1] and row[k] > floor):
                continue
            before, after = behind[k // _STRIDE], behind[k // _STRIDE + 1]
            share = np.float32(k % _STRIDE) / np.float32(_STRIDE)
            prominence = row[k] - (before + (after - before) * share)
            if prominence < np.float32(MIN_PROMINENCE_DB):
                continue
            if found == NUM_PEAKS and prominence <= best[found - 1]:
                continue
            place = min(found, NUM_PEAKS - 1)
            while place > 0 and prominence > best[place - 1]:
                best[place], bins[place] = best[place - 1], bins[place - 1]
                place -= 1
            best[place], bins[place] = prominence, k
            found = min(found + 1, NUM_PEAKS)
        for place in range(found):
            k = bins[place]
            left, top, right = row[k - 1], row[k], row[k + 1]
            curvature = min(left - np.float32(2.0) * top + right, np.float32(-1e-3))
            offset = np.float32(0.5) * (left - right) / curvature
            offset = min(max(offset, np.float32(-0.5)), np.float32(0.5))
            hertz[i, place] = (k + offset + first_bin) * bin_hz
            level_db[i, place] = top
