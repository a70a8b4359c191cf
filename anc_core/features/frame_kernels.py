"""What is read off a frame sample by sample or bin by bin: kernels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anc_core.dsp.jit import jit

FloatArray = NDArray[np.float32]


@jit("void(float32[:, ::1], float32[::1], float32[::1], float32[:, :])")
def rolloff_bins(
    power: FloatArray, total: FloatArray, shares: FloatArray, bins: FloatArray
) -> None:
    """Write the first bin up to which a share of the power lies; **changes ``bins``**.

    ``power`` has shape (num_frames, num_bins), ``total``, its sums, (num_frames,), ``shares``, 0 to
    1 and rising, (num_shares,), ``bins`` (num_shares, num_frames).
    """
    num_frames, num_bins = power.shape
    for frame in range(num_frames):
        summed = power[frame, 0]
        k = 0
        for row in range(shares.shape[0]):
            wanted = shares[row] * total[frame]
            while summed < wanted and k < num_bins - 1:
                k += 1
                summed += power[frame, k]
            bins[row, frame] = np.float32(k)


@jit("void(float32[::1], int64, int64, float32[:])")
def crossing_shares(
    samples: FloatArray, frame_length: int, hop_length: int, share: FloatArray
) -> None:
    """Write the share of samples with another sign than the one before; **changes ``share``**.

    Frame ``i`` begins at ``i * hop_length``; ``share`` has shape (num_frames,).
    """
    for frame in range(share.shape[0]):
        start = frame * hop_length
        count = np.int32(0)
        for i in range(start + 1, start + frame_length):
            count += np.int32((samples[i] < 0) != (samples[i - 1] < 0))
        share[frame] = np.float32(count) / np.float32(frame_length)


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
