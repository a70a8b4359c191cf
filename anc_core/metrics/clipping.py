"""Clipped samples: runs at full scale, found across chunk borders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_RUN = 3
"""A single sample at full scale may be a peak; three in a row are a flat top."""

FULL_SCALE_LOW = 1.0 - 1.5 / 32_768.0
"""16-bit audio peaks at 1 - 1/32768; half a step of tolerance below it."""

FULL_SCALE_HIGH = 1.0
"""Float samples above full scale are over range, but not clipped."""

_MARGIN = MIN_RUN - 1


class ClipCounter:
    """Count samples in runs of at least 3 at full scale, per channel.

    Parameters
    ----------
    num_channels : int

    Attributes
    ----------
    counts : ndarray of int64, shape (num_channels,)
        Complete only after :meth:`flush`.
    """

    def __init__(self, num_channels: int) -> None:
        self.counts = np.zeros(num_channels, dtype=np.int64)
        # The last two samples before the next to be counted, and up to two not counted yet.
        self._recent = np.zeros((num_channels, 2 * _MARGIN), dtype=np.bool_)

    def update(self, samples: NDArray[np.float32]) -> None:
        """Take ``samples``, shape (num_channels, num_samples)."""
        if samples.shape[1] == 0:
            return
        magnitude = np.abs(samples)
        at_full_scale = (magnitude >= FULL_SCALE_LOW) & (magnitude <= FULL_SCALE_HIGH)
        flags = np.concatenate([self._recent, at_full_scale], axis=1)
        if flags.any():
            self.counts += _count_decided(flags)
        self._recent = flags[:, -2 * _MARGIN :].copy()

    def flush(self) -> None:
        """Count the last samples; nothing follows them."""
        after = np.zeros((len(self.counts), _MARGIN), dtype=np.bool_)
        self.counts += _count_decided(np.concatenate([self._recent, after], axis=1))
        self._recent[:] = False


def _count_decided(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count flags in runs >= 3, without the first and last two, which are only looked at."""
    length = flags.shape[1]
    run = flags[:, :-2] & flags[:, 1:-1] & flags[:, 2:]  # a run begins at this sample
    inside = np.zeros_like(flags)
    for shift in range(MIN_RUN):
        inside[:, shift : shift + run.shape[1]] |= run
    return np.asarray(np.count_nonzero(inside[:, _MARGIN : length - _MARGIN], axis=1))
