"""Statistics that merge: measured on parts and merged, they equal the statistics of the whole.

Each holds sums in float64, so ``merge`` is an addition; ``compute`` turns the sums into figures and
changes nothing. Memory does not grow with the length of the recording.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from anc_core.arrays import Chunk, check_chunk, check_num_channels
from anc_core.dsp.levels import level_db
from anc_core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_CANCELLED = 1e-11
"""A variance this far below the mean square is what rounding leaves of a constant."""


class PowerStatistics:
    """Sums of samples and of their squares, per channel: mean, power and power without DC.

    Parameters
    ----------
    num_channels : int

    Attributes
    ----------
    count : int
        Samples per channel.
    sums, squares : ndarray, shape (num_channels,)
        float64 sums of samples and of squared samples.
    """

    def __init__(self, num_channels: int) -> None:
        self.count = 0
        self.sums = np.zeros(check_num_channels(num_channels))
        self.squares = np.zeros(num_channels)

    def add(self, count: int, sums: NDArray[np.float64], squares: NDArray[np.float64]) -> None:
        """Add the sums of ``count`` more samples; ``sums`` and ``squares``: (n, num_channels)."""
        self.count += count
        self.sums += sums.sum(axis=0)
        self.squares += squares.sum(axis=0)

    def update(self, chunk: Chunk) -> None:
        """Add ``chunk``, shape (num_samples >= 0, num_channels)."""
        exact = check_chunk(chunk, len(self.sums)).astype(np.float64)
        self.add(len(exact), exact, exact**2)

    def merge(self, other: Self) -> Self:
        """Return the statistics of both together; neither changes."""
        _check_alike(len(self.sums), len(other.sums), "num_channels")
        both = type(self)(len(self.sums))
        both.count = self.count + other.count
        both.sums = self.sums + other.sums
        both.squares = self.squares + other.squares
        return both

    def mean(self) -> NDArray[np.float64]:
        """Return the mean (DC offset) per channel, full scale 1; zeros without samples."""
        return self.sums / max(self.count, 1)

    def power(self) -> float:
        """Return the mean square over all samples and channels; 0 without samples."""
        return float(self.squares.mean()) / max(self.count, 1)

    def channel_power_about(self, offset: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean square of ``x - offset`` per channel.

        Parameters
        ----------
        offset : ndarray, shape (num_channels,)
            Usually the DC offset of the whole recording, while these sums are those of a part.
        """
        count = max(self.count, 1)
        about = (self.squares - 2.0 * offset * self.sums) / count
        about += offset**2 * (self.count > 0)
        return np.where(about > _CANCELLED * self.squares / count, about, 0.0)

    def power_about(self, offset: NDArray[np.float64]) -> float:
        """Return the mean of :meth:`channel_power_about` over the channels."""
        return float(self.channel_power_about(offset).mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Levels of a stretch of audio; ``None`` for digital silence and for no audio at all.

    Attributes
    ----------
    rms_dbfs : float or None
        Level of the mean square over all channels, DC included.
    peak_dbfs : float or None
        Level of the largest sample of any channel.
    dc_offset : tuple of float
        Mean per channel, full scale 1.
    """

    rms_dbfs: float | None
    peak_dbfs: float | None
    dc_offset: tuple[float, ...]


class LevelStatistics:
    """RMS, peak and DC offset.

    Parameters
    ----------
    num_channels : int

    Examples
    --------
    >>> statistics = LevelStatistics(1)
    >>> statistics.update(np.array([[0.5], [-0.5]], dtype=np.float32))
    >>> round(statistics.compute().rms_dbfs, 2)
    -6.02
    """

    def __init__(self, num_channels: int) -> None:
        self.power = PowerStatistics(num_channels)
        self.peak = np.zeros(num_channels)

    def add(
        self,
        count: int,
        sums: NDArray[np.float64],
        squares: NDArray[np.float64],
        peak: NDArray[np.float64],
    ) -> None:
        """Add sums as :meth:`PowerStatistics.add`, and the largest magnitudes per channel."""
        self.power.add(count, sums, squares)
        self.peak = np.maximum(self.peak, peak)

    def update(self, chunk: Chunk) -> None:
        """Add ``chunk``, shape (num_samples >= 0, num_channels)."""
        self.power.update(chunk)
        self.peak = np.maximum(self.peak, np.abs(chunk).max(axis=0, initial=0.0))

    def merge(self, other: Self) -> Self:
        """Return the statistics of both together; neither changes."""
        both = type(self)(len(self.peak))
        both.power = self.power.merge(other.power)
        both.peak = np.maximum(self.peak, other.peak)
        return both

    def compute(self) -> Levels:
        """Return the levels of everything added so far."""
        return Levels(
            rms_dbfs=level_db(self.power.power()),
            peak_dbfs=level_db(float(self.peak.max()) ** 2),
            dc_offset=tuple(self.power.mean().tolist()),
        )


class SpectralStatistics:
    """Mean of power spectra (or of band powers).

    Parameters
    ----------
    num_bins : int
    """

    def __init__(self, num_bins: int) -> None:
        self.num_frames = 0
        self.sums = np.zeros(num_bins)

    def update(self, powers: NDArray[np.floating]) -> None:
        """Add ``powers``, shape (num_frames >= 0, num_bins)."""
        if powers.ndim != 2 or powers.shape[1] != len(self.sums):
            msg = f"powers has shape {powers.shape}; it must be (num_frames, {len(self.sums)})"
            raise InputError(msg)
        self.num_frames += len(powers)
        self.sums += powers.sum(axis=0, dtype=np.float64)

    def merge(self, other: Self) -> Self:
        """Return the statistics of both together; neither changes."""
        _check_alike(len(self.sums), len(other.sums), "num_bins")
        both = type(self)(len(self.sums))
        both.num_frames = self.num_frames + other.num_frames
        both.sums = self.sums + other.sums
        return both

    def compute(self) -> NDArray[np.float64]:
        """Return the mean power per bin, shape (num_bins,); zeros without frames."""
        return self.sums / max(self.num_frames, 1)


class Histogram:
    """Counts of values in equal bins: quantiles in constant memory.

    Parameters
    ----------
    low, high : float
        The range that is resolved; values outside are counted as "below" and "above".
    width : float
        Width of a bin: the resolution of the quantiles.
    """

    def __init__(self, low: float, high: float, width: float) -> None:
        num_bins = round((high - low) / width)
        if not (width > 0 and num_bins >= 1):
            msg = f"a histogram from {low} to {high} in steps of {width} has no bins"
            raise InputError(msg)
        self.low, self.width = low, width
        # The first and the last count hold what lies below and above the range.
        self.counts = np.zeros(num_bins + 2, dtype=np.int64)

    def update(self, values: ArrayLike) -> None:
        """Add ``values`` (any shape, no NaN)."""
        position = np.floor((np.asarray(values, dtype=np.float64).ravel() - self.low) / self.width)
        index = np.clip(position + 1, 0, len(self.counts) - 1).astype(np.intp)
        self.counts += np.bincount(index, minlength=len(self.counts))

    def merge(self, other: Self) -> Self:
        """Return the histogram of both together; neither changes."""
        if (self.low, self.width, len(self.counts)) != (
            other.low,
            other.width,
            len(other.counts),
        ):
            msg = "histograms with different bins cannot be merged"
            raise InputError(msg)
        both = type(self)(self.low, self.low + self.width * (len(self.counts) - 2), self.width)
        both.counts = self.counts + other.counts
        return both

    def quantile(self, share: float) -> float | None:
        """Return the value that ``share`` (0 to 1) of all values lie below.

        Returns
        -------
        float or None
            To within one bin, interpolated inside it. ``None`` without values, or if the quantile
            lies outside the range.
        """
        total = int(self.counts.sum())
        if total == 0:
            return None
        cumulated = np.cumsum(self.counts)
        index = int(np.searchsorted(cumulated, share * total, side="left"))
        if not 0 < index < len(self.counts) - 1:
            return None
        inside = (share * total - cumulated[index - 1]) / self.counts[index]
        return float(self.low + (index - 1 + inside) * self.width)


def _check_alike(mine: int, its: int, what: str) -> None:
    if mine != its:
        msg = f"{what} is {mine} on one side and {its} on the other; they must agree to be merged"
        raise InputError(msg)
