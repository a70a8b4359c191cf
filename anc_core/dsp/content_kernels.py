"""Kernels of the content meter: what stands out of the floor, and which of it are lasting tones.

Every frame is compared with a *floor*, the smallest power that its bins have within some seconds.
What is steady, noise or hum alike, is so taken away; what is left is called the *excess*. Peaks of
the spectrum that stand out of their neighbourhood are linked from frame to frame: one that stays
where it was grows old (a note), one that is found close by has moved (a voice), one with nothing
near is new (noise, an onset).

The spectrum covers :data:`NUM_BINS` bins of about 15.6 Hz at every sample rate; bins that a
recording does not have hold 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.finite import MIN_MAGNITUDE
from anc_core.dsp.jit import jit, part_of_kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]
    DoubleArray = NDArray[np.float64]

NUM_BINS = 512
"""0 to 8 kHz in steps of 15.6 Hz."""

MIN_POWER = np.float32(1e-9)
"""Added to every bin, of frames whose window has an energy of 384: -116 dBFS of white noise."""

_MAX_MAGNITUDE = np.float32(1e6)
"""+120 dBFS: squares of powers still fit float32."""

_FIRST_BIN = 6
"""94 Hz: rumble and hum below it say nothing about music."""
_HIGH_BIN = 96
"""1.5 kHz: bird song lies above it, most of the power of voices and machines below."""
_NARROW_BINS = 26
"""400 Hz: as far as a chirp moves within a frame."""
_FLOOR_BIAS = np.float32(5.0)
"""Mean over minimum of 200 frames of steady noise, each a mean over three frames."""
_STANDS_OUT = np.float32(8.0)
"""Power of a peak over the mean of the bins 3 and 4 away on either side, where a Hann window has
faded: 9 dB, which 6 bins in 100 of white noise reach by chance."""
_SAME_BINS = np.float32(0.3)
_SAME_SHARE = np.float32(0.004)
"""A peak has stayed if it is off by less than 0.3 bins (5 Hz) and 0.4 % (7 cents)."""
_REACH_BINS = np.float32(1.5)
_REACH_SHARE = np.float32(0.03)
"""It has moved if it is off by no more than this: half a semitone a frame."""
_FLOOR_STANDS_OUT = np.float32(3.0)

_0 = np.float32(0.0)
_QUARTER = np.float32(0.25)
_TINY = np.float32(1e-20)

NUM_SUMS = 28
(
    COUNT,
    EXCESS,
    POWER,
    FLOOR,
    HIGH,
    PEAKS,
    PEAKS_4,
    PEAKS_8,
    PEAKS_16,
    MOVED,
    NEW,
    HIGH_PEAKS,
    HIGH_PEAKS_8,
    TOP,
    NARROW,
    SPREAD,
    HIGH_POWER,
    HIGH_NARROW,
    HIGH_ACTIVE,
    NUM_PEAKS,
    ON_FLOOR,
    PEAK_SPREAD,
    LEVEL,
    LEVEL_SQUARED,
    HIGH_LEVEL,
    HIGH_LEVEL_SQUARED,
    STEP,
    HIGH_STEP,
) = range(NUM_SUMS)
"""Columns of the sums over the frames of a segment; see :func:`measure_frames`."""

NUM_FEATURES = 24


@jit("void(float32[:, ::1], float32[:, ::1])")
def limit(samples: FloatArray, limited: FloatArray) -> None:
    """Write ``samples`` to ``limited``: NaN, infinities and what is below -300 dBFS as 0.

    Like :func:`anc_core.dsp.finite.tame` with a lower limit, and in one pass.
    """
    flat, out = samples.reshape(samples.size), limited.reshape(limited.size)
    for n in range(len(flat)):
        magnitude = abs(flat[n])
        usable = (magnitude >= MIN_MAGNITUDE) & (magnitude < np.float32(np.inf))
        out[n] = max(min(flat[n], _MAX_MAGNITUDE), -_MAX_MAGNITUDE) if usable else _0


@jit("void(complex64[:, ::1], float32[:, ::1], float64[::1])")
def add_power(spectra: NDArray[np.complex64], power: FloatArray, band_power: DoubleArray) -> None:
    """Add squared magnitudes to ``power`` (num_frames, NUM_BINS) and ``band_power`` (num_bins,)."""
    num_bins = spectra.shape[1]
    kept = min(num_bins, NUM_BINS)
    squares = np.empty(num_bins, np.float32)
    for i in range(spectra.shape[0]):
        for k in range(num_bins):
            y = spectra[i, k]
            squares[k] = y.real * y.real + y.imag * y.imag
        for k in range(kept):
            power[i, k] += squares[k]
        for k in range(num_bins):
            band_power[k] += squares[k]


@jit("void(float32[:, ::1], boolean[::1], float32[::1])")
def least_power(power: FloatArray, audible: NDArray[np.bool_], lowest: FloatArray) -> None:
    """Write the minima over time of means over three frames to ``lowest`` (NUM_BINS,).

    Means that reach a frame of digital silence or beyond the segment do not count; ``inf`` where
    there are none.
    """
    third = np.float32(1.0 / 3.0)
    for k in range(NUM_BINS):
        lowest[k] = np.inf
    for i in range(1, power.shape[0] - 1):
        if audible[i - 1] and audible[i] and audible[i + 1]:
            for k in range(NUM_BINS):
                mean = (power[i - 1, k] + power[i, k] + power[i + 1, k]) * third
                lowest[k] = min(lowest[k], mean)


@part_of_kernel
def _find_peaks(p: FloatArray, floor: FloatArray, is_peak: NDArray[np.bool_]) -> None:
    """Say which bins are peaks that stand out, without a branch: few are."""
    for k in range(_FIRST_BIN + 6, NUM_BINS - 8):
        beside = (p[k - 4] + p[k - 3] + p[k + 3] + p[k + 4]) * _QUARTER
        is_highest = (p[k] > p[k - 1]) & (p[k] >= p[k + 1])
        stands_out = (p[k] > np.float32(2.0) * floor[k]) & (p[k] > _STANDS_OUT * beside)
        is_peak[k] = is_highest & stands_out


@jit(
    "void(float32[:, ::1], boolean[::1], float32[::1], float32[::1], float32[::1], float32[::1],"
    " float64[::1], float64[::1], float64[::1])"
)
def measure_frames(  # noqa: PLR0912, PLR0915 - one recipe: excess, then peaks, then sums
    power: FloatArray,
    audible: NDArray[np.bool_],
    lowest: FloatArray,
    weight: FloatArray,
    places: FloatArray,
    ages: FloatArray,
    levels: DoubleArray,
    sums: DoubleArray,
    histogram: DoubleArray,
) -> None:
    """Add up what the frames of a segment show; **changes the last five arrays in place**.

    Parameters
    ----------
    power : float32, shape (num_frames, NUM_BINS)
    audible : bool, shape (num_frames,)
        Frames of digital silence are passed over and end all tones.
    lowest : float32, shape (NUM_BINS,)
        Least power around the segment, finite.
    weight : float32, shape (NUM_BINS,)
        Of power: takes away the fall of natural spectra, and the bins that are left out.
    places, ages : float32, shape (NUM_BINS,)
        Where in the last frame (in bins) the peak of a bin was, 0 for none; frames it has lasted.
    levels : float64, shape (3,)
        Of the last audible frame: level and level above 1.5 kHz in dB; 1 if there was one.
    sums : float64, shape (NUM_SUMS,)
        Amplitudes are weighted square roots of the excess: PEAKS those within a bin of a peak,
        PEAKS_4 of peaks at least 4 frames old and so on, NEW and MOVED of young ones, HIGH above
        1.5 kHz. TOP, NARROW, SPREAD, HIGH_POWER: power ratios times amplitude. Levels in dB.
    histogram : float64, shape (NUM_BINS,)
        Amplitude of the peaks by bin.
    """
    floor = np.empty(NUM_BINS, np.float32)
    weighted_floor = _0
    high_floor = _0
    for k in range(NUM_BINS):
        floor[k] = lowest[k] * _FLOOR_BIAS
        if k >= _FIRST_BIN:
            weighted_floor += floor[k] * weight[k]
        if k >= _HIGH_BIN:
            high_floor += floor[k] * weight[k]
    excess = np.zeros(NUM_BINS, np.float32)
    amplitude = np.zeros(NUM_BINS, np.float32)
    new_places = np.empty(NUM_BINS, np.float32)
    new_ages = np.empty(NUM_BINS, np.float32)
    is_peak = np.zeros(NUM_BINS, np.bool_)
    last = NUM_BINS - 7
    for i in range(power.shape[0]):
        if not audible[i]:
            places[:] = _0
            ages[:] = _0
            levels[2] = 0.0
            continue
        p = power[i]
        total = _0
        whole = _0
        squared = _0
        for k in range(_FIRST_BIN, last):
            x = max(p[k] - floor[k], _0) * weight[k]
            excess[k] = x
            whole += x
            squared += x * x
            a = np.sqrt(x)
            amplitude[k] = a
            total += a
        high = _0
        high_whole = _0
        for k in range(_HIGH_BIN, last):
            high += amplitude[k]
            high_whole += excess[k]
        narrow = _0
        moving_sum = _0
        for k in range(_HIGH_BIN, last):
            moving_sum += excess[k]
            if k >= _HIGH_BIN + _NARROW_BINS:
                moving_sum -= excess[k - _NARROW_BINS]
            narrow = max(narrow, moving_sum)

        for k in range(NUM_BINS):
            new_places[k] = _0
            new_ages[k] = _0
        top = _0
        peaks = 0.0
        peaks_squared = 0.0
        _find_peaks(p, floor, is_peak)
        for k in range(_FIRST_BIN + 6, last - 1):
            if not is_peak[k]:
                continue
            # Vertex of the parabola through the logarithms of three bins.
            left = np.log(p[k - 1] + _TINY)
            middle = np.log(p[k] + _TINY)
            right = np.log(p[k + 1] + _TINY)
            bend = left - np.float32(2.0) * middle + right - np.float32(1e-9)
            place = np.float32(k) + np.float32(0.5) * (left - right) / bend
            tolerance = _SAME_BINS + _SAME_SHARE * np.float32(k)
            reach = int(_REACH_BINS + _REACH_SHARE * np.float32(k))
            age = _0
            has_moved = False
            for j in range(max(0, k - reach), min(NUM_BINS, k + reach + 1)):
                if places[j] > _0:
                    if abs(places[j] - place) < tolerance:
                        age = max(age, ages[j])
                    else:
                        has_moved = True
            new_places[k] = place
            new_ages[k] = age + np.float32(1.0)
            around = float(amplitude[k - 1] + amplitude[k] + amplitude[k + 1])
            peaks += around
            peaks_squared += around * around
            histogram[k] += around
            sums[NUM_PEAKS] += 1.0
            on_floor = False
            for j in range(k - 1, k + 2):
                side = (floor[j - 4] + floor[j - 3] + floor[j + 3] + floor[j + 4]) * _QUARTER
                on_floor = on_floor or floor[j] > _FLOOR_STANDS_OUT * side
            if on_floor:
                sums[ON_FLOOR] += around
            if age >= np.float32(3.0):
                sums[PEAKS_4] += around
            if age >= np.float32(7.0):
                sums[PEAKS_8] += around
            if age >= np.float32(15.0):
                sums[PEAKS_16] += around
            if age == _0:
                if has_moved:
                    sums[MOVED] += around
                else:
                    sums[NEW] += around
            if k >= _HIGH_BIN:
                sums[HIGH_PEAKS] += around
                if age >= np.float32(7.0):
                    sums[HIGH_PEAKS_8] += around
                lobe = (p[k - 2] + p[k - 1] + p[k] + p[k + 1] + p[k + 2]) * weight[k]
                top = max(top, lobe)
        places[:] = new_places
        ages[:] = new_ages

        sums[COUNT] += 1.0
        sums[EXCESS] += total
        sums[POWER] += whole
        sums[FLOOR] += weighted_floor
        sums[HIGH] += high
        sums[PEAKS] += peaks
        sums[PEAK_SPREAD] += peaks * (peaks * peaks / (peaks_squared + 1e-20))
        share = total / (whole + _TINY)
        sums[TOP] += share * top
        sums[NARROW] += share * narrow
        sums[HIGH_POWER] += share * high_whole
        sums[SPREAD] += total * np.sqrt(whole * whole / (squared + _TINY))
        sums[HIGH_NARROW] += high * narrow / (high_whole + np.float32(0.3) * high_floor + _TINY)
        if narrow > np.float32(3.0) * high_floor:
            sums[HIGH_ACTIVE] += 1.0
        level = 10.0 * np.log10(float(whole) + 0.2 * float(weighted_floor) + 1e-9)
        high_level = 10.0 * np.log10(float(high_whole) + 0.2 * float(high_floor) + 1e-9)
        sums[LEVEL] += level
        sums[LEVEL_SQUARED] += level * level
        sums[HIGH_LEVEL] += high_level
        sums[HIGH_LEVEL_SQUARED] += high_level * high_level
        if levels[2] > 0.0:
            sums[STEP] += abs(level - levels[0])
            sums[HIGH_STEP] += abs(high_level - levels[1])
        levels[0] = level
        levels[1] = high_level
        levels[2] = 1.0


@jit("void(float64[:, ::1], float64[:, ::1], float64[::1])")
def describe(sums: DoubleArray, histograms: DoubleArray, features: DoubleArray) -> None:
    """Write what neighbouring segments show together to ``features`` (NUM_FEATURES,).

    Parameters
    ----------
    sums : float64, shape (num_segments, NUM_SUMS)
        With at least one frame in all.
    histograms : float64, shape (num_segments, NUM_BINS)
    features : float64, shape (NUM_FEATURES,)
        In the order of :data:`anc_core.dsp.content_model.FEATURES`.
    """
    s = np.zeros(NUM_SUMS)
    for i in range(sums.shape[0]):
        for j in range(NUM_SUMS):
            s[j] += sums[i, j]
    heard = 0.0
    squared = 0.0
    for k in range(NUM_BINS):
        h = 0.0
        for i in range(histograms.shape[0]):
            h += histograms[i, k]
        heard += h
        squared += h * h
    # As many bins as would hold the same amplitude if it were spread evenly.
    num_pitches = heard * heard / (squared + 1e-12)
    count = s[COUNT]
    total = s[EXCESS] + 1e-12
    high = s[HIGH] + 1e-12
    peaks = s[PEAKS] + 1e-12
    share_high = s[HIGH] / total
    variance = s[LEVEL_SQUARED] / count - (s[LEVEL] / count) ** 2
    high_variance = s[HIGH_LEVEL_SQUARED] / count - (s[HIGH_LEVEL] / count) ** 2
    snr = (s[POWER] + 1e-9 * count) / (s[FLOOR] + 1e-9 * count)
    features[0] = np.log(s[PEAKS] / total + 0.02)
    features[1] = np.log(s[PEAKS_4] / total + 0.005)
    features[2] = np.log(s[PEAKS_8] / total + 0.003)
    features[3] = np.log(s[PEAKS_16] / total + 0.002)
    features[4] = np.log(s[MOVED] / total + 0.01)
    features[5] = np.log(s[NEW] / total + 0.01)
    features[6] = np.log((share_high + 0.01) / (1.01 - share_high))
    features[7] = np.log(s[HIGH_PEAKS] / high + 0.02)
    features[8] = np.log(s[HIGH_PEAKS_8] / high + 0.003)
    features[9] = np.log(s[TOP] / total + 0.01)
    features[10] = np.log(s[NARROW] / total + 0.01)
    features[11] = np.log(s[SPREAD] / total + 1.0)
    features[12] = np.log(s[HIGH_POWER] / total + 0.02)
    features[13] = np.log(s[HIGH_NARROW] / high + 0.02)
    features[14] = s[HIGH_ACTIVE] / count
    features[15] = min(max(np.log(snr), -3.0), 14.0)
    features[16] = np.log(np.sqrt(max(variance, 0.0)) + 0.3)
    features[17] = np.log(np.sqrt(max(high_variance, 0.0)) + 0.3)
    features[18] = np.log(s[STEP] / count + 0.1)
    features[19] = np.log(s[HIGH_STEP] / count + 0.1)
    features[20] = np.log(s[NUM_PEAKS] / count + 1.0)
    features[21] = s[ON_FLOOR] / peaks
    features[22] = np.log(num_pitches / (s[PEAK_SPREAD] / peaks + 1.0) + 0.3)
    features[23] = np.log(num_pitches + 1.0)
