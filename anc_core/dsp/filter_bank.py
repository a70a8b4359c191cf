"""A bank of fixed control filters, and which of them suits a noise by its band energies.

Selective fixed-filter ANC: the filters are computed beforehand, each as the best causal one for a
class of noise, and the noise at the reference chooses among them. Nothing adapts, so the filter is
right as soon as the noise is known, and a loudspeaker that is driven by a fixed filter can't
diverge.

Context: the published selectors are neural networks that are trained on one bank.
Decision: choose by physics. With the paths known, each filter's effect on a third octave is known
too, so the energies of the reference's bands tell what every filter would leave; the least is
chosen, and no filter at all is a candidate. Consequence: nothing to train, and a noise of no known
class gets the filter that harms it the least. On recorded noises in a measured duct this chose
better than the distance of band levels to those of the class, and much better than effects weighted
with the class's own spectrum.

References
----------
D. Shi, W.-S. Gan, B. Lam & S. Wen, "Feedforward selective fixed-filter active noise control:
Algorithm and implementation", IEEE/ACM Trans. Audio Speech Lang. Process. 28 (2020) 1479.
D. Shi, B. Lam, K. Ooi, X. Shen & W.-S. Gan, "Selective fixed-filter active noise control based on
convolutional neural network", Signal Process. 190 (2022) 108317.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anc_core.arrays import check_sample_rate
from anc_core.dsp.paths import as_matrix
from anc_core.dsp.third_octave import BandSums, power_spectrum_scale, third_octave_bands
from anc_core.errors import InputError

Array = NDArray[np.float64]

_HOPS_A_SECOND = 16
NUM_SEGMENTS = 7
"""Segments of two hops whose mean is judged: 0.5 s in all."""

_LOWEST_HZ = 50.0
"""Below, segments of 0.125 s could not tell third octaves apart; they are one band."""

_BATCH = 256
"""Segments that are transformed at once."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilterBank:
    """Fixed control filters for classes of noise, made for one pair of paths.

    Attributes
    ----------
    sample_rate : int
        Hz.
    filters : ndarray, shape (num_filters, num_sources, num_references, num_taps)
        First tap first.
    profiles_db : ndarray, shape (num_filters, num_bands)
        Band levels of the noise each filter was made for, relative to its whole power; mean over
        the references.
    noise_s : ndarray, shape (num_filters,)
        Seconds of noise behind each filter.
    primary_digest, secondary_digest : str
        Of the paths, see :func:`path_digest`.
    """

    sample_rate: int
    filters: Array
    profiles_db: Array
    noise_s: Array
    primary_digest: str
    secondary_digest: str

    def __post_init__(self) -> None:
        """Check shapes and values: a bank may come out of a file."""
        check_sample_rate(self.sample_rate)
        bands = BandMeter(self.sample_rate).num_bands
        number = len(self.filters) if self.filters.ndim == 4 and self.filters.size else -1
        for name, shape in (("profiles_db", (number, bands)), ("noise_s", (number,))):
            if getattr(self, name).shape != shape:
                msg = (
                    f"filters has shape {self.filters.shape}, {name} "
                    f"{getattr(self, name).shape}; they must be (num_filters, num_sources, "
                    f"num_references, num_taps) and {shape}"
                )
                raise InputError(msg)
        for name in ("filters", "profiles_db", "noise_s"):
            if not np.isfinite(getattr(self, name)).all():
                raise InputError(f"{name} holds NaN or an infinity")

    def __len__(self) -> int:
        """Return the number of filters."""
        return len(self.filters)

    @property
    def num_taps(self) -> int:
        """Of each filter."""
        return int(self.filters.shape[3])

    @property
    def band_labels(self) -> tuple[str, ...]:
        """What the bands of the profiles are called: nominal Hz; the outer two collect the rest."""
        labels = third_octave_bands(self.sample_rate, lowest_hz=_LOWEST_HZ).labels
        return (f"<{labels[0]}", *labels, f">{labels[-1]}")

    def check_fits(self, sample_rate: int, primary_path: Array, secondary_path: Array) -> None:
        """Refuse paths that the bank was not made for.

        Parameters
        ----------
        sample_rate : int
            Hz.
        primary_path, secondary_path : ndarray, shape (M, J, .) and (M, K, .)
            As the controller believes them, with the delay of the device.

        Raises
        ------
        InputError
            Says what differs.
        """
        if sample_rate != self.sample_rate:
            msg = f"filter bank is for {self.sample_rate} Hz, the paths are at {sample_rate} Hz"
            raise InputError(msg)
        if path_digest(primary_path) != self.primary_digest:
            raise InputError("filter bank was made for another primary path; build one for this")
        if path_digest(secondary_path) != self.secondary_digest:
            msg = (
                "filter bank was made for another secondary path; build one for this (a delay of "
                "the device and an error of the estimate belong to it)"
            )
            raise InputError(msg)


def path_digest(path: ArrayLike) -> str:
    """Return what identifies a path: a digest of its shape and its taps.

    Examples
    --------
    >>> path_digest([0.0, 1.0]) == path_digest([[[0.0, 1.0]]])
    True
    """
    taps = as_matrix(path)
    digest = hashlib.blake2b(repr(taps.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(taps, "<f8").tobytes())
    return digest.hexdigest()


class BandMeter:
    """Powers of third octaves in segments of 0.125 s, one every 62.5 ms.

    Parameters
    ----------
    sample_rate : int
        Hz.

    Attributes
    ----------
    hop, segment : int
        Samples.
    edges_hz : ndarray, shape (num_bands + 1,)
        0 Hz to Nyquist: what lies outside of the third octaves makes two bands more, so that no
        power gets lost.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.hop = max(1, round(sample_rate / _HOPS_A_SECOND))
        self.segment = 2 * self.hop
        bands = third_octave_bands(sample_rate, lowest_hz=_LOWEST_HZ)
        self.edges_hz = np.concatenate([[0.0], bands.edges_hz, [sample_rate / 2.0]])
        self._window = np.hanning(self.segment + 1)[:-1]
        self._scale = power_spectrum_scale(self._window, self.segment)
        self._sums = BandSums(self.edges_hz, sample_rate=sample_rate, n_fft=self.segment)

    @property
    def num_bands(self) -> int:
        """Third octaves and the two outer bands."""
        return len(self.edges_hz) - 1

    def __call__(self, segments: NDArray[Any]) -> Array:
        """Return the band powers of segments (num_segments, segment): (num_segments, num_bands)."""
        spectra = np.fft.rfft(segments * self._window)
        return self._sums(np.abs(spectra) ** 2 * self._scale)

    def of_signal(self, samples: NDArray[Any]) -> Array:
        """Return the band powers of all whole segments of one signal, one every hop."""
        if len(samples) < self.segment:
            return np.zeros((0, self.num_bands))
        every = np.lib.stride_tricks.sliding_window_view(samples, self.segment)[:: self.hop]
        parts = [self(every[at : at + _BATCH]) for at in range(0, len(every), _BATCH)]
        return np.concatenate(parts)


def band_effects(
    filters: Array, primary_path: Array, secondary_path: Array, meter: BandMeter
) -> Array:
    r"""Return by how much each filter changes the power of each band, from reference to error.

    Parameters
    ----------
    filters : ndarray, shape (num_filters, K, J, num_taps)
    primary_path, secondary_path : ndarray, shape (M, J, .) and (M, K, .)
    meter : BandMeter

    Returns
    -------
    ndarray, shape (num_filters, J, num_bands)
        Mean over the band's frequencies of
        :math:`\sum_m |P_{mj} + \sum_k S_{mk} W_{kj}|^2`: power at the error microphones over that
        of the reference, for noise that is flat within the band and foreign to other references.
    """
    length = max(primary_path.shape[2], secondary_path.shape[2] + filters.shape[3] - 1)
    # No response wraps around, and the lowest band has several bins.
    n_fft = 1 << max(length - 1, 4 * meter.segment - 1).bit_length()
    sums = BandSums(meter.edges_hz, sample_rate=meter.sample_rate, n_fft=n_fft)
    primary, secondary = np.fft.rfft(primary_path, n_fft), np.fft.rfft(secondary_path, n_fft)
    widths = sums(np.ones((1, n_fft // 2 + 1)))
    effects = []
    for one in filters:
        left = primary + np.einsum("mkf,kjf->mjf", secondary, np.fft.rfft(one, n_fft))
        effects.append(sums(np.sum(np.abs(left) ** 2, axis=0)) / widths)
    return np.stack(effects)
