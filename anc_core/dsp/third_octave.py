"""Third-octave bands (IEC 61260-1, base ten) and sums of spectra over bands that keep the power."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_NOMINAL = (1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0)
"""Nominal mid-band frequencies of one decade, IEC 61260-1:2014, Annex E (Renard series R10)."""

LOWEST_CENTRE_HZ = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ThirdOctaveBands:
    """Adjacent third-octave bands.

    Attributes
    ----------
    centres_hz : ndarray, shape (num_bands,)
        Exact mid-band frequencies, 1000 * 10**(x/10) Hz.
    edges_hz : ndarray, shape (num_bands + 1,)
        Band edges, 1000 * 10**((2 x ± 1)/20) Hz; the upper edge of a band is the lower of the next.
    labels : tuple of str
        Nominal frequencies in Hz as people write them: ``"31.5"``, ``"125"``, ``"1000"``.
    """

    centres_hz: NDArray[np.float64]
    edges_hz: NDArray[np.float64]
    labels: tuple[str, ...]


def third_octave_bands(
    sample_rate: int, *, lowest_hz: float = LOWEST_CENTRE_HZ
) -> ThirdOctaveBands:
    """Return the bands that lie wholly below the Nyquist frequency.

    Parameters
    ----------
    sample_rate : int
        Hz.
    lowest_hz : float
        The first band is the lowest whose nominal frequency is not below this, Hz.

    Returns
    -------
    ThirdOctaveBands
        Without any band if the rate is too low for the first.

    References
    ----------
    IEC 61260-1:2014, 5.2 to 5.5 (G = 10**(3/10)) and Annex E (nominal frequencies).

    Examples
    --------
    >>> third_octave_bands(1000, lowest_hz=100).labels
    ('100', '125', '160', '200', '250', '315', '400')
    """
    # Band numbers x relative to 1 kHz; half a band of slack keeps rounding out of the choice.
    first = round(10.0 * np.log10(lowest_hz / 1_000.0))
    last = int(np.floor(10.0 * np.log10(sample_rate / 2_000.0) - 0.5 + 1e-9))
    number = np.arange(first, last + 1)
    borders = np.arange(first, max(last, first - 1) + 2)
    return ThirdOctaveBands(
        centres_hz=1_000.0 * 10.0 ** (number / 10.0),
        edges_hz=1_000.0 * 10.0 ** ((2.0 * borders - 1.0) / 20.0),
        labels=tuple(_label(int(x)) for x in number),
    )


def _label(number: int) -> str:
    decade, step = divmod(number, 10)
    # Ten digits: no rounding noise (31.5), no exponents (160000).
    return f"{_NOMINAL[step] * 10.0 ** (decade + 3):.10g}"


def power_spectrum_scale(window: NDArray[np.floating], n_fft: int) -> NDArray[np.float64]:
    """Return the factors that turn ``|rfft(x * window, n_fft)|**2`` into powers.

    Parameters
    ----------
    window : ndarray, shape (frame_length,)
    n_fft : int
        >= frame_length; frames are padded with zeros at the end.

    Returns
    -------
    ndarray, shape (n_fft // 2 + 1,)
        float64. The scaled bins of one frame add up to ``sum((x * window)**2) / sum(window**2)``:
        an unbiased mean square for a stationary signal (Parseval; inner bins count twice because
        their mirror images are not in the one-sided spectrum).
    """
    sides = np.full(n_fft // 2 + 1, 2.0)
    sides[0] = 1.0
    if n_fft % 2 == 0:
        sides[-1] = 1.0
    return sides / (n_fft * np.sum(np.asarray(window, dtype=np.float64) ** 2))


class BandSums:
    """Sum the bins of one-sided power spectra into adjacent bands.

    Parameters
    ----------
    edges_hz : array_like, shape (num_bands + 1,)
        Ascending band edges in Hz, within 0 and the Nyquist frequency.
    sample_rate : int
        Hz.
    n_fft : int
        FFT length of the spectra.

    Notes
    -----
    A bin stands for the frequencies nearer to it than to its neighbours; it is shared among bands
    in proportion, so bands that cover 0 Hz to Nyquist keep the whole power. Sums of stretches
    instead of a matrix product: faster, and no BLAS threads that spin on other people's cores.
    """

    def __init__(self, edges_hz: ArrayLike, *, sample_rate: int, n_fft: int) -> None:
        borders = (np.arange(n_fft // 2 + 2) - 0.5) * (sample_rate / n_fft)
        borders[0], borders[-1] = 0.0, sample_rate / 2.0
        position = np.interp(
            np.asarray(edges_hz, dtype=np.float64), borders, np.arange(len(borders))
        )
        # An edge at Nyquist takes the whole of the last bin rather than none of one beyond.
        self._bin = np.minimum(np.floor(position).astype(np.intp), n_fft // 2)
        self._share = position - self._bin

    def __call__(self, powers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the band powers.

        Parameters
        ----------
        powers : ndarray, shape (num_spectra, n_fft // 2 + 1)

        Returns
        -------
        ndarray, shape (num_spectra, num_bands)
            float64, >= 0; exact to about 1e-15 of the spectrum's whole power.
        """
        first, last = self._bin[:-1], self._bin[1:]
        whole = np.add.reduceat(powers, self._bin, axis=1)[:, :-1]
        # Where no edge of a bin lies within a band, reduceat returns the bin that holds it.
        whole[:, first == last] = 0.0
        parts = self._share * powers[:, self._bin]
        return np.asarray(np.maximum(whole - parts[:, :-1] + parts[:, 1:], 0.0))
