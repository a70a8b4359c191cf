"""What is read off a frame sample by sample or bin by bin: kernels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anc_core.dsp.jit import jit, part_of_kernel

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

_DB = np.float32(10.0 / math.log(10.0))
"""Of a natural logarithm of a power."""


@part_of_kernel
def _sum(row: FloatArray) -> np.float32:
    total = np.float32(0.0)
    for k in range(len(row)):
        total += row[k]
    return total


@part_of_kernel
def _dot(row: FloatArray, weights: FloatArray) -> np.float32:
    total = np.float32(0.0)
    for k in range(len(row)):
        total += row[k] * weights[k]
    return total


@part_of_kernel
def _add_scaled(row: FloatArray, weight: float, sums: FloatArray) -> None:
    for n in range(len(row)):
        sums[n] += weight * row[n]


@part_of_kernel
def _crossings(samples: FloatArray) -> np.int64:
    count = np.int32(0)
    for i in range(1, len(samples)):
        count += np.int32((samples[i] < 0) != (samples[i - 1] < 0))
    return np.int64(count)


@jit(
    "void(float32[:, ::1], int64[::1], int64[::1], float32[::1], float32, float32,"
    " float32[:, ::1], float32[:], float32[:, :])"
)
def powers_and_mels(
    spectra: FloatArray,
    first: IntArray,
    ends: IntArray,
    weights: FloatArray,
    floor_share: np.float32,
    silence: np.float32,
    power: FloatArray,
    mean: FloatArray,
    mel: FloatArray,
) -> None:
    """Write the powers of spectra, their means and mel bands; **changes the last three**.

    ``spectra`` (num_frames, 2 * num_bins) holds real and imaginary parts in turns. Band ``b`` is
    the sum of the bins from ``first[b]`` on, times ``weights[ends[b - 1] : ends[b]]``. ``power``
    (num_frames, num_bins) gets a floor on top of every bin, ``mean`` (num_frames,) and ``mel``
    (num_bands, num_frames) are without it.
    """
    num_frames, num_bins = power.shape
    num_bands = len(ends)
    for frame in range(num_frames):
        parts, row = spectra[frame], power[frame]
        for k in range(num_bins):
            row[k] = parts[2 * k] * parts[2 * k] + parts[2 * k + 1] * parts[2 * k + 1]
        total = _sum(row)
        mean[frame] = total / np.float32(num_bins)
        start = 0
        for band in range(num_bands):
            size = ends[band] - start
            mel[band, frame] = _dot(
                row[first[band] : first[band] + size], weights[start : ends[band]]
            )
            start = ends[band]
        floor = floor_share * mean[frame] + silence
        for k in range(num_bins):
            row[k] += floor


@jit("void(float32[:, ::1], float32[:, ::1], int64[::1], int64[::1], float32[:, :], float32[:, :])")
def octave_shapes(
    ordered: FloatArray,
    logs: FloatArray,
    octaves: IntArray,
    num_extreme: IntArray,
    contrast: FloatArray,
    flatness: FloatArray,
) -> None:
    """Write peaks over valleys and flatness of each octave, dB; **changes the last two**.

    Octave ``o`` begins at bin ``octaves[o]``. ``ordered`` (num_frames, num_bins) holds the powers,
    rising within each octave, ``logs`` their natural logarithms in any order; ``num_extreme[o]``
    bins are the peaks of an octave, as many its valleys. ``contrast`` and ``flatness`` have shape
    (num_octaves, num_frames).
    """
    for frame in range(len(ordered)):
        for o in range(len(num_extreme)):
            start, stop, num = octaves[o], octaves[o + 1], num_extreme[o]
            row = ordered[frame, start:stop]
            peaks = _sum(row[len(row) - num :])
            contrast[o, frame] = _DB * np.float32(math.log(peaks / _sum(row[:num])))
            size = np.float32(stop - start)
            mean_log = _sum(logs[frame, start:stop]) / size
            flatness[o, frame] = _DB * (mean_log - np.float32(math.log(_sum(row) / size)))


@jit("void(float32[:, ::1], float32[:, ::1], float32, float32[::1], float32[:, :])")
def spectral_shapes(
    power: FloatArray, logs: FloatArray, bin_hz: np.float32, shares: FloatArray, shape: FloatArray
) -> None:
    """Write flatness (dB), centroid and bandwidth (Hz), crest (dB), rolloffs (bins).

    ``power`` and its natural logarithms ``logs`` have shape (num_frames, num_bins), ``shares``, 0
    to 1 and rising, (num_shares,); ``shape`` (4 + num_shares, num_frames) **is changed**. A rolloff
    is the first bin up to which its share of the power lies.
    """
    num_frames, num_bins = power.shape
    for frame in range(num_frames):
        row, log_row = power[frame], logs[frame]
        total = _sum(row)
        first = np.float32(0.0)
        second = np.float32(0.0)
        highest = log_row[0]
        for k in range(num_bins):
            place = np.float32(k)
            first += place * row[k]
            second += place * place * row[k]
        for k in range(num_bins):
            highest = max(highest, log_row[k])
        mean_log = np.float32(math.log(total / np.float32(num_bins)))
        centroid = first / total
        shape[0, frame] = _DB * (_sum(log_row) / np.float32(num_bins) - mean_log)
        shape[1, frame] = centroid * bin_hz
        spread = max(second / total - centroid * centroid, np.float32(0.0))
        shape[2, frame] = np.float32(math.sqrt(spread)) * bin_hz
        shape[3, frame] = _DB * (highest - mean_log)
        summed = row[0]
        k = 0
        for number in range(len(shares)):
            wanted = shares[number] * total
            while summed < wanted and k < num_bins - 1:
                k += 1
                summed += row[k]
            shape[4 + number, frame] = np.float32(k)


@jit("void(float32[:, ::1], int64, float32[::1], float32[:], float32[:])")
def highest_lags(
    correlation: FloatArray,
    shortest: int,
    weights: FloatArray,
    strength: FloatArray,
    lag: FloatArray,
) -> None:
    """Write the largest autocorrelation of each frame and its lag; **changes the last two**.

    ``correlation`` has shape (num_frames, num_lags); lags from ``shortest`` on count, each times
    one of ``weights``. ``strength`` is relative to lag 0.
    """
    weighted = np.empty_like(weights)
    for frame in range(len(correlation)):
        row = correlation[frame, shortest : shortest + len(weights)]
        for k in range(len(weights)):
            weighted[k] = row[k] * weights[k]
        highest = weighted[0]
        for k in range(len(weights)):
            highest = max(highest, weighted[k])
        best = 0
        while best < len(weights) - 1 and weighted[best] != highest:
            best += 1
        strength[frame] = highest / correlation[frame, 0]
        lag[frame] = np.float32(shortest + best)


@jit("void(float32[:, ::1], float32[:, ::1], float32[:, ::1])")
def weighted_sums(weights: FloatArray, rows: FloatArray, sums: FloatArray) -> None:
    """Write ``weights`` (m, k) times ``rows`` (k, n) into ``sums`` (m, n).

    A matrix this small is not worth the threads that a BLAS library wakes for it: on a busy machine
    they wait for each other a hundred times as long as they work.
    """
    for i in range(len(weights)):
        out = sums[i]
        out[:] = np.float32(0.0)
        for k in range(len(rows)):
            _add_scaled(rows[k], weights[i, k], out)


@jit("void(float32[::1], int64, int64, float32[:])")
def crossing_shares(
    samples: FloatArray, frame_length: int, hop_length: int, share: FloatArray
) -> None:
    """Write the share of samples with another sign than the one before; **changes ``share``**.

    Frame ``i`` begins at ``i * hop_length``; ``share`` has shape (num_frames,). A frame is longer
    than a hop and no longer than two.
    """
    overlap = frame_length - hop_length
    begun = _crossings(samples[:overlap])
    for frame in range(len(share)):
        start = frame * hop_length
        # From the last sample before each part on: the step into it belongs to it.
        middle = _crossings(samples[start + overlap - 1 : start + hop_length])
        shared = _crossings(samples[start + hop_length - 1 : start + frame_length])
        share[frame] = np.float32(begun + middle + shared) / np.float32(frame_length)
        # The next frame does not know the sample before its first.
        step = (samples[start + hop_length] < 0) != (samples[start + hop_length - 1] < 0)
        begun = shared - np.int64(step)


@jit("void(float32[::1], int64, float32[:, ::1])")
def short_powers(samples: FloatArray, length: int, power: FloatArray) -> None:
    """Write the mean square of the samples and of their differences; **changes ``power``**.

    Of every ``length`` samples; ``power`` has shape (2, num), ``samples`` one more than they need.
    """
    scale = np.float32(1.0 / length)
    for number in range(power.shape[1]):
        start = number * length
        level = np.float32(0.0)
        change = np.float32(0.0)
        for i in range(start, start + length):
            level += samples[i] * samples[i]
            step = samples[i + 1] - samples[i]
            change += step * step
        power[0, number] = level * scale
        power[1, number] = change * scale
