"""The grid on which everything is measured: frames of 25 ms, slots of 125 ms, blocks of frames.

Frames stand side by side from sample 0, whatever the chunks; a block is a fixed number of frames,
so sums are always formed in the same order and no split of the stream changes a digit.

* a *frame* (25 ms) gets one class of the activity mask and one power per channel;
* a *slot* (5 frames = 125 ms, "Fast") gets the level for L10/L50/L90 and the third-octave
  spectrum, which 25 ms could not resolve at low frequencies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anc_core.arrays import check_num_channels, check_sample_rate
from anc_core.dsp.frames import spectra_of
from anc_core.dsp.third_octave import (
    BandSums,
    ThirdOctaveBands,
    power_spectrum_scale,
    third_octave_bands,
)
from anc_core.dsp.weighting import a_weighting_power

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAME_S = 0.025
FRAMES_PER_SLOT = 5
SPEECH_BAND_HZ = (200.0, 7_000.0)
"""Where a voice is judged: above rumble and hum, up to the edge of wideband telephony (G.722)."""

LOWEST_THIRD_OCTAVE_HZ = 50.0
"""Below, a band is narrower than the main lobe of a 125 ms Hann window can tell apart."""

_FRAMES_PER_BLOCK = 250
_MAX_BLOCK_SAMPLES = 2**21
_LARGEST_SAMPLE = 1e12
"""Spectra are formed in float32, whose squares end at 1e38; only damaged files come near."""


def _fast_length(least: int) -> int:
    """Return the least 2**a * 3**b * 5**c that is not below ``least``: prime lengths are slow."""
    length = least
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1


class Transform:
    """Power spectra of equal stretches, summed over channels.

    Parameters
    ----------
    length : int
        Samples per stretch; the window is a Hann window of that length.
    sample_rate : int
        Hz.
    """

    def __init__(self, length: int, sample_rate: int) -> None:
        self.length = length
        self.n_fft = _fast_length(length)
        window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(length) / length)
        self._window = window.astype(np.float32)
        self._scale = power_spectrum_scale(window, self.n_fft)
        self.frequencies_hz = np.arange(self.n_fft // 2 + 1) * (sample_rate / self.n_fft)

    def powers(self, samples: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return power spectra, mean square per bin.

        Parameters
        ----------
        samples : ndarray, shape (num_channels, num_stretches * length)

        Returns
        -------
        ndarray, shape (num_stretches, n_fft // 2 + 1)
            Powers of the channels are added, so a phase-inverted pair does not vanish; the mean of
            each stretch is removed first, so DC does not leak into the lowest bands.
        """
        # Loads numba: only when something is measured.
        from anc_core.metrics.frame_kernels import add_powers, centre_and_window

        num_stretches = samples.shape[1] // self.length
        powers = np.zeros((num_stretches, self.n_fft // 2 + 1))
        # Zeros beyond the window: where the transform is longer.
        windowed = np.zeros((num_stretches, self.n_fft), np.float32)
        for channel in samples:  # one by one: memory stays small with many channels
            stretches = channel[: num_stretches * self.length].reshape(-1, self.length)
            centre_and_window(stretches, self._window, windowed)
            add_powers(spectra_of(windowed).view(np.float32), self._scale, powers)
        return powers


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over the samples of each frame, and the largest magnitudes of the block.

    ``sums`` and ``squares`` have shape (num_frames, num_channels), ``peak`` (num_channels,).
    """

    sums: NDArray[np.float64]
    squares: NDArray[np.float64]
    peak: NDArray[np.float64]


class FrameGrid:
    """Lengths, transforms and bands for one sample rate.

    Parameters
    ----------
    sample_rate : int
        Hz.
    num_channels : int

    Attributes
    ----------
    frame_length, slot_length : int
        Samples; a frame is 25 ms rounded to whole samples, a slot is exactly 5 frames.
    frames_per_block : int
        A multiple of 5: 6.2 s of audio, less where many channels or high rates need the memory.
    third_octaves : ThirdOctaveBands
    """

    def __init__(self, sample_rate: int, num_channels: int) -> None:
        self.sample_rate = check_sample_rate(sample_rate)
        self.num_channels = check_num_channels(num_channels)
        self.frame_length = round(FRAME_S * sample_rate)
        self.slot_length = FRAMES_PER_SLOT * self.frame_length
        affordable = _MAX_BLOCK_SAMPLES // (self.slot_length * num_channels)
        slots = _FRAMES_PER_BLOCK // FRAMES_PER_SLOT
        self.frames_per_block = FRAMES_PER_SLOT * min(slots, max(affordable, 1))
        self.frame_transform = Transform(self.frame_length, self.sample_rate)
        self._slot_transform = Transform(self.slot_length, self.sample_rate)
        self.third_octaves: ThirdOctaveBands = third_octave_bands(
            self.sample_rate, lowest_hz=LOWEST_THIRD_OCTAVE_HZ
        )
        speech_band = (SPEECH_BAND_HZ[0], min(SPEECH_BAND_HZ[1], sample_rate / 2.0))
        self._band_sums = [
            BandSums(edges, sample_rate=self.sample_rate, n_fft=self._slot_transform.n_fft)
            for edges in (self.third_octaves.edges_hz, speech_band)
        ]
        self._a_weights = a_weighting_power(self._slot_transform.frequencies_hz)

    def moments(self, samples: NDArray[np.float32]) -> Moments:
        """Return the sums of ``samples``, shape (num_channels, num_frames * frame_length)."""
        from anc_core.metrics.frame_kernels import add_up

        frames = samples.reshape(len(samples), -1, self.frame_length)
        sums = np.empty(frames.shape[:2])
        squares = np.empty(frames.shape[:2])
        for channel, columns in enumerate(frames):
            add_up(columns, sums[channel], squares[channel])
        peak = np.maximum(samples.max(axis=1), -samples.min(axis=1)).astype(np.float64)
        return Moments(np.ascontiguousarray(sums.T), np.ascontiguousarray(squares.T), peak)

    def slot_powers(self, samples: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return per whole slot the third-octave powers, the A-weighted one, the speech band's.

        Returns
        -------
        ndarray, shape (num_slots, num_bands + 2)
        """
        spectra = self._slot_transform.powers(_bounded(samples))
        third_octaves, speech_band = (sums(spectra) for sums in self._band_sums)
        a_weighted = np.einsum("sb,b->s", spectra, self._a_weights)[:, np.newaxis]
        return np.concatenate([third_octaves, a_weighted, speech_band], axis=1)

    def frame_powers(self, samples: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the power spectrum of each frame, shape (num_frames, n_fft // 2 + 1)."""
        return self.frame_transform.powers(_bounded(samples))


def _bounded(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    if max(samples.max(initial=0.0), -samples.min(initial=0.0)) <= _LARGEST_SAMPLE:
        return samples
    return np.clip(samples, -_LARGEST_SAMPLE, _LARGEST_SAMPLE)
