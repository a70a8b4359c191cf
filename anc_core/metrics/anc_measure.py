"""What the figures of a simulated ANC are made of: energies over time and spectra of one signal.

Every signal of a run is measured on one grid, so that their ratios compare the same samples:
frames of 25 ms for energies, and half-second Hann frames for spectra, of the whole recording and
of its end (the *steady stretch*, after the filter has settled). Signals are read a piece at a
time; memory does not grow with their length.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from anc_core.arrays import check_num_channels, check_sample_rate
from anc_core.dsp.third_octave import (
    BandSums,
    ThirdOctaveBands,
    power_spectrum_scale,
    third_octave_bands,
)
from anc_core.dsp.weighting import a_weighting_power
from anc_core.errors import InputError
from anc_core.metrics.frames import FRAME_S

Signal: TypeAlias = NDArray[np.floating[Any]]
Array: TypeAlias = NDArray[np.float64]

FRAMES_PER_LEVEL = 5
"""125 ms ("Fast", IEC 61672-1): levels over time are sums of so many frames."""

LOWEST_BAND_HZ = 25.0
_SPECTRUM_S = 0.5
_OVERLAP = 4
"""Squared Hann windows a quarter apart add up to a constant: no sample counts more than another."""
_BINS_PER_BAND = 2.0
"""A band narrower than this shares most of its power with its neighbours: it is left out."""
_PIECE = 1 << 18


@dataclass(frozen=True)
class AncGrid:
    """Where the frames of a run lie.

    Attributes
    ----------
    sample_rate, num_samples : int
    steady_start : int
        First sample of the steady stretch, a multiple of :attr:`frame_length`; it ends with the
        recording.
    """

    sample_rate: int
    num_samples: int
    steady_start: int

    @property
    def frame_length(self) -> int:
        """Samples of a frame of 25 ms; the last frame may be shorter."""
        return frame_length_of(self.sample_rate)

    @cached_property
    def n_fft(self) -> int:
        """Samples of a spectral frame: half a second, or what the steady stretch has."""
        steady = self.num_samples - self.steady_start
        return max(1, min(round(_SPECTRUM_S * self.sample_rate), steady))

    @cached_property
    def bands(self) -> ThirdOctaveBands:
        """The third-octave bands that a spectrum of this length can tell apart."""
        if self.n_fft < 2 * _OVERLAP:
            return third_octave_bands(self.sample_rate, lowest_hz=float(self.sample_rate))
        width = 10.0**0.05 - 10.0**-0.05  # of a band, relative to its centre
        resolved = _BINS_PER_BAND * self.sample_rate / self.n_fft / width
        return third_octave_bands(self.sample_rate, lowest_hz=max(LOWEST_BAND_HZ, resolved))

    @cached_property
    def a_weights(self) -> Array:
        """A-weighting of each bin, shape (n_fft // 2 + 1,)."""
        return a_weighting_power(np.fft.rfftfreq(self.n_fft, 1.0 / self.sample_rate))

    def band_powers(self, spectrum: Array) -> Array:
        """Return ``spectrum`` summed over the bands, shape (num_bands,)."""
        sums = BandSums(self.bands.edges_hz, sample_rate=self.sample_rate, n_fft=self.n_fft)
        return np.asarray(sums(spectrum[np.newaxis])[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalMeasure:
    """Sums over the channels of one signal, about the mean of each.

    Attributes
    ----------
    frame_energies : ndarray, shape (num_frames,)
        Sum of squares of each 25 ms frame; the last one may be shorter. Infinite throughout for
        a signal whose squares leave the range of float64 (it diverged); its spectra are zeros.
    spectrum, steady_spectrum : ndarray, shape (n_fft // 2 + 1,)
        Mean squares by bin, of the whole recording and of the steady stretch; zeros where no
        frame fits.
    non_finite : int
        Samples that are NaN or infinite. Nothing else is measured then: as zeros they would make
        a run that diverged look like one that cancels.
    """

    frame_energies: Array
    spectrum: Array
    steady_spectrum: Array
    non_finite: int


def frame_length_of(sample_rate: int) -> int:
    """Return the samples of a 25 ms frame."""
    return max(1, round(FRAME_S * check_sample_rate(sample_rate)))


def columns(samples: Signal, name: str) -> Signal:
    """Return ``samples`` of shape (n,) or (n, num_channels) with its channel axis.

    Raises
    ------
    InputError
        If it has another shape or is not floating point; the message calls it ``name``.
    """
    samples = np.asarray(samples)
    if samples.ndim not in {1, 2} or not np.issubdtype(samples.dtype, np.floating):
        msg = (
            f"{name} has shape {samples.shape} and dtype {samples.dtype}; it must be floating "
            "point, (num_samples,) or (num_samples, num_channels)"
        )
        raise InputError(msg)
    with_axis = samples[:, np.newaxis] if samples.ndim == 1 else samples
    check_num_channels(with_axis.shape[1])
    return with_axis


def measure_signal(samples: Signal, grid: AncGrid) -> SignalMeasure:
    """Measure one signal.

    Parameters
    ----------
    samples : ndarray, shape (num_samples, num_channels)
    grid : AncGrid

    Returns
    -------
    SignalMeasure
    """
    non_finite = count_non_finite(samples)
    empty = np.zeros(grid.n_fft // 2 + 1)
    if non_finite or not len(samples):
        return SignalMeasure(
            frame_energies=np.zeros(0),
            spectrum=empty,
            steady_spectrum=empty,
            non_finite=non_finite,
        )
    with np.errstate(over="ignore", invalid="ignore"):  # squares of what is beyond 1e150
        offset = np.asarray(np.mean(samples, axis=0, dtype=np.float64))
        energies = frame_energies(samples, grid.sample_rate, offset=offset)
        whole, steady = _spectra(samples, offset, grid)
        if not np.isfinite(np.sum(energies) + np.sum(whole) + np.sum(steady)):
            energies, whole, steady = np.full_like(energies, np.inf), empty, empty
    return SignalMeasure(
        frame_energies=energies, spectrum=whole, steady_spectrum=steady, non_finite=0
    )


def count_non_finite(samples: Signal) -> int:
    """Return how many samples are NaN or infinite."""
    return sum(
        int(np.count_nonzero(~np.isfinite(samples[start : start + _PIECE])))
        for start in range(0, len(samples), _PIECE)
    )


def frame_energies(samples: Signal, sample_rate: int, *, offset: Array | float = 0.0) -> Array:
    """Return the energy of each 25 ms frame, summed over the channels.

    Parameters
    ----------
    samples : ndarray, shape (num_samples, num_channels)
    sample_rate : int
        Hz.
    offset : ndarray, shape (num_channels,), or float
        Is taken off before.

    Returns
    -------
    ndarray, shape (ceil(num_samples / frame_length),)
        float64.
    """
    length = frame_length_of(sample_rate)
    piece = max(1, _PIECE // length) * length
    parts = []
    for start in range(0, len(samples), piece):
        part = samples[start : start + piece].astype(np.float64) - offset
        with np.errstate(over="ignore"):  # squares beyond float64 are infinite
            squares = np.sum(part**2, axis=1)
        parts.append(np.add.reduceat(squares, np.arange(0, len(squares), length)))
    return np.concatenate(parts) if parts else np.zeros(0)


def running_sums(energies: Array, count: int = FRAMES_PER_LEVEL) -> Array:
    """Return the sums of ``count`` neighbours, one for each place where they all exist.

    Summed anew each time: a running sum would carry the rounding of a loud passage for ever.
    """
    if len(energies) < count:
        return np.zeros(0)
    return np.asarray(sliding_window_view(energies, count).sum(axis=1))


def _spectra(samples: Signal, offset: Array, grid: AncGrid) -> tuple[Array, Array]:
    """Return the mean spectra of the whole and of the steady stretch.

    The frames are laid so that the last one ends with the recording: the steady stretch then
    holds at least one.
    """
    length = grid.n_fft
    hop = max(1, length // _OVERLAP)
    starts = np.arange((len(samples) - length) % hop, len(samples) - length + 1, hop)
    # Periodic Hann: only that one adds up to a constant.
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(length) / length)
    sums = np.zeros((2, length // 2 + 1))
    counts = np.zeros(2)
    batch = max(1, _PIECE // length)
    for first in range(0, len(starts), batch):
        some = starts[first : first + batch]
        steady = some >= grid.steady_start
        for channel in range(samples.shape[1]):
            stretch = samples[some[0] : some[-1] + length, channel] - offset[channel]
            frames = sliding_window_view(stretch, length)[::hop] * window
            powers = np.abs(np.fft.rfft(frames)) ** 2
            sums[0] += powers.sum(axis=0)
            sums[1] += powers[steady].sum(axis=0)
        counts += np.array([len(some), np.count_nonzero(steady)])
    if length < 2 * _OVERLAP:  # no bands then either
        return np.zeros(length // 2 + 1), np.zeros(length // 2 + 1)
    whole, end = (
        sums / np.maximum(counts, 1.0)[:, np.newaxis] * power_spectrum_scale(window, length)
    )
    return whole, end
