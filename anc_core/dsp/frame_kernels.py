"""What happens to frames before and after their transform, without arrays in between: kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anc_core.dsp.jit import jit, part_of_kernel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]


@part_of_kernel
def _times(samples: FloatArray, window: FloatArray, out: FloatArray) -> None:
    for n in range(len(window)):
        out[n] = samples[n] * window[n]


@jit("void(float32[::1], float32[::1], int64, float32[:, ::1])")
def window_frames(
    samples: FloatArray, window: FloatArray, hop_length: int, frames: FloatArray
) -> None:
    """Write frames of ``samples``, one every ``hop_length``, times ``window``."""
    length = len(window)
    for i in range(len(frames)):
        start = i * hop_length
        _times(samples[start : start + length], window, frames[i])
