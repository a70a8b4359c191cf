"""Keep of a difference of spectra what lies on ridges that would be lost without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.jit import jit

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KEPT_GAIN = np.float32(0.93)
"""-0.6 dB: a ridge that has this gain was kept by the processor itself."""
_LOST_GAIN = np.float32(0.73)
"""-2.7 dB: a ridge that has less gets all of the difference."""
_SMALLEST_POWER = np.float32(1e-20)


@jit(
    "int64(complex64[:, ::1], complex64[:, ::1], int64[::1], float64[::1], float64[::1],"
    " boolean[::1])"
)
def keep_ridges(
    original: NDArray[np.complex64],
    difference: NDArray[np.complex64],
    row: NDArray[np.int64],
    centre: NDArray[np.float64],
    width: NDArray[np.float64],
    is_kept: NDArray[np.bool_],
) -> int:
    """Set ``difference`` to 0 but for the ridges, **in place**; return how many cells are left.

    Parameters
    ----------
    original, difference : complex64, shape (num_frames, num_bins)
        Spectra of the input, and of what the output lacks of it.
    row : int64, shape (num_ridges,)
        Frame of every ridge.
    centre, width : float64, shape (num_ridges,)
        Its place and half width, in bins.
    is_kept : bool, shape (num_frames,)
        Set to True where something is left.

    Notes
    -----
    The gain at a ridge is that of its peak and the bin on either side. Where ridges overlap the
    larger share counts.
    """
    num_frames, num_bins = original.shape
    share = np.zeros((num_frames, num_bins), np.float32)
    for r in range(len(row)):
        i, peak = row[r], int(np.rint(centre[r]))
        before = after = np.float32(0.0)
        for k in range(max(0, peak - 1), min(num_bins, peak + 2)):
            whole, taken = original[i, k], difference[i, k]
            left = whole - taken
            before += whole.real * whole.real + whole.imag * whole.imag
            after += left.real * left.real + left.imag * left.imag
        gain = np.sqrt(after / max(before, _SMALLEST_POWER))
        wanted = (_KEPT_GAIN - gain) / (_KEPT_GAIN - _LOST_GAIN)
        wanted = min(max(wanted, np.float32(0.0)), np.float32(1.0))
        low = max(0, int(np.ceil(centre[r] - width[r])))
        for k in range(low, min(num_bins, int(np.floor(centre[r] + width[r])) + 1)):
            share[i, k] = max(share[i, k], wanted)
    num_kept = 0
    for i in range(num_frames):
        for k in range(num_bins):
            difference[i, k] *= share[i, k]
            if share[i, k] > 0.0:
                num_kept += 1
                is_kept[i] = True
    return num_kept
