"""How much later a sound reaches one microphone than another, and whether their clocks agree.

The phases of the cross-spectrum alone are transformed back (GCC-PHAT): a sharp peak at the delay
whatever the spectrum of the noise, and little disturbed by a voice that only one of the microphones
hears. Excerpts all over a recording are correlated one by one; where their peaks lie on a line that
is not level, the clocks differ.

References
----------
C. Knapp, G. Carter, "The generalized correlation method for estimation of time delay", IEEE Trans.
Acoust. Speech Signal Process. 24 (1976) 320.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anc_core.arrays import check_sample_rate
from anc_core.errors import InputError

Array = NDArray[Any]

WINDOW_S = 2.5
"""Length of an excerpt: longer ones are smeared where clocks differ by 50 ppm."""

MAX_WINDOWS = 48
"""Excerpts kept of a recording; of a longer one every second is dropped, again and again."""

_CLEAR = 9.0
"""Peak over the background's standard deviation from which a delay counts as found: the largest of
32 000 values of noise reaches 4.2 on average and 6 in one case of 10 000."""

_CLEAR_ALONE = 7.0
"""The same for one excerpt: there are others to agree with."""

_MIN_WINDOWS = 4
_MIN_SPAN_S = 15.0
_MAX_DRIFT = 150e-6
"""Crystals keep 100 ppm; faster drift smears the peak within an excerpt."""
_LINE_WIDTH_S = 1e-3
_MIN_ON_LINE = 0.6
_MIN_GAIN = 1.05

_OPPOSITE = -0.7
"""Correlation of two channels below which one of them has its wires swapped."""

_FAINT = 1e-8
"""Power of a bin, relative to the strongest, whose phase is rounding noise."""

_CONSTANT = 1e-12
"""Swing, relative to the mean, that is rounding noise of a constant."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where the reference belongs.

    Attributes
    ----------
    delay_s : float
        The primary hears at time t what the reference heard at ``t - delay_s``, at t = 0.
        Negative: the reference hears it later.
    drift_ppm : float
        How much this delay grows, in µs each second; 0 where the clocks agree.
    clarity : float
        Peak of the correlation over the standard deviation of its background.
    is_found : bool
        Whether the peak is clear; if not, delay and drift are 0.
    """

    delay_s: float = 0.0
    drift_ppm: float = 0.0
    clarity: float = 0.0
    is_found: bool = False


class DelaySearch:
    """Collects excerpts of two recordings and finds the delay between them.

    Parameters
    ----------
    sample_rate : float
        Hz, of both.
    max_delay_s : float, default 1.0
        Above 0 and at most 1.25 s: delays are looked for from minus to plus this.
    may_drift : bool, default False
        Two recorders: look for a difference of their clocks, too.

    Notes
    -----
    :meth:`wants` tells which excerpts are needed; memory does not grow with the recording.
    """

    def __init__(
        self, sample_rate: float, *, max_delay_s: float = 1.0, may_drift: bool = False
    ) -> None:
        self.sample_rate = check_sample_rate(sample_rate)
        if not 0 < max_delay_s <= WINDOW_S / 2:
            msg = f"max_delay_s is {max_delay_s}; it must be above 0 and at most {WINDOW_S / 2:g} s"
            raise InputError(msg)
        self.max_lag = max(1, round(max_delay_s * self.sample_rate))
        self.may_drift = may_drift
        self._stride = 1
        self._curves: dict[int, Array] = {}

    @property
    def window_length(self) -> int:
        """Samples of an excerpt."""
        return round(WINDOW_S * self.sample_rate)

    def wants(self, number: int) -> bool:
        """Return whether excerpt ``number`` (from ``number * window_length`` on) is needed."""
        return number % self._stride == 0

    def add(self, number: int, primary: Array, reference: Array) -> None:
        """Correlate one excerpt.

        Parameters
        ----------
        number : int
            It begins at sample ``number * window_length``.
        primary, reference : floating point, (num_samples, num_channels)
            Of one length, up to ``window_length``; finite.

        Notes
        -----
        What is not longer than the largest delay is passed over, and so is less than half an
        excerpt after the first: its curve is a spike around 0 whatever it holds.
        """
        is_short = number > 0 and len(primary) < self.window_length // 2
        if is_short or len(primary) <= self.max_lag or not self.wants(number):
            return
        curve = _correlation(primary, reference, self.max_lag)
        if curve is None:
            return
        self._curves[number] = curve
        while len(self._curves) > MAX_WINDOWS:
            self._stride *= 2
            self._curves = {n: c for n, c in self._curves.items() if n % self._stride == 0}

    def find(self) -> Alignment:
        """Return what the excerpts so far say."""
        if not self._curves:
            return Alignment()
        level = np.mean(list(self._curves.values()), axis=0)
        lag, clarity = _peak(level)
        drift = 0.0
        if self.may_drift:
            lag, clarity, drift = self._tilted(lag, clarity)
        if clarity < _CLEAR:
            return Alignment(clarity=clarity)
        return Alignment(lag / self.sample_rate, 1e6 * drift, clarity, is_found=True)

    def _tilted(self, lag: float, clarity: float) -> tuple[float, float, float]:
        """Return lag at the start, clarity and drift, if the peaks lie on a line that is tilted."""
        level = lag, clarity, 0.0
        peaks = {number: _peak(curve) for number, curve in self._curves.items()}
        clear = {n: peak[0] for n, peak in peaks.items() if peak[1] >= _CLEAR_ALONE}
        # An excerpt's own delay is that of its middle.
        times = (np.array(sorted(clear)) + 0.5) * self.window_length
        lags = np.array([clear[n] for n in sorted(clear)])
        if len(lags) < _MIN_WINDOWS or np.ptp(times) < _MIN_SPAN_S * self.sample_rate:
            return level
        slope, start = _line(times, lags)
        width = _LINE_WIDTH_S * self.sample_rate
        on_line = np.abs(lags - start - slope * times) < width
        if np.mean(on_line) < _MIN_ON_LINE or np.sum(on_line) < _MIN_WINDOWS:
            return level
        slope, start = _line(times[on_line], lags[on_line])
        if abs(slope) > _MAX_DRIFT or abs(slope) * np.ptp(times) < 1.0:
            return level
        together = self._along(start, slope)
        _, tilted_clarity = _peak(together)
        if tilted_clarity < _MIN_GAIN * clarity:
            return level
        return start, tilted_clarity, slope

    def _along(self, start: float, slope: float) -> Array:
        """Return the mean curve after each was moved to where the line has its beginning."""
        moved = []
        for number, curve in self._curves.items():
            shift = start + slope * (number + 0.5) * self.window_length
            moved.append(np.roll(curve, -round(shift)))
        return np.asarray(np.mean(moved, axis=0))


def find_delay(
    primary: Array,
    reference: Array,
    sample_rate: float,
    *,
    max_delay_s: float = 1.0,
    may_drift: bool = True,
) -> Alignment:
    """Find the delay between two recordings that are in memory.

    Parameters
    ----------
    primary, reference : floating point, shape (n, num_channels) each
        Any two lengths; finite.
    sample_rate : float
        Hz, of both.
    max_delay_s, may_drift
        See :class:`DelaySearch`.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(40_000, 1))
    >>> late = np.concatenate([np.zeros((800, 1)), noise[:-800]])
    >>> round(find_delay(late, noise, 8_000).delay_s, 4)
    0.1
    """
    search = DelaySearch(sample_rate, max_delay_s=max_delay_s, may_drift=may_drift)
    num_samples = min(len(primary), len(reference))
    length = search.window_length
    for number in range(max(1, math.ceil(num_samples / length))):
        part = slice(number * length, min((number + 1) * length, num_samples))
        search.add(number, primary[part], reference[part])
    return search.find()


def _correlation(primary: Array, reference: Array, max_lag: int) -> Array | None:
    """Return the mean GCC-PHAT curve of all pairs of channels, lags -max_lag to max_lag."""
    from scipy import fft

    width = fft.next_fast_len(len(primary) + max_lag + 1, real=True)
    spectra = [
        [_phases(column, width) for column in _in_one_polarity(np.asarray(signal, np.float64)).T]
        for signal in (primary, reference)
    ]
    pairs = [p * np.conj(r) for p, r in product(*spectra) if p is not None and r is not None]
    if not pairs:
        return None
    curve = fft.irfft(np.mean(pairs, axis=0), n=width)
    return np.concatenate([curve[-max_lag:], curve[: max_lag + 1]])


def _in_one_polarity(signal: Array) -> Array:
    """Turn channels over that are the first one's opposite: in a mean they would annul it."""
    products = signal.T @ signal[:, 0]
    sizes = np.linalg.norm(signal, axis=0) * np.linalg.norm(signal[:, 0])
    return np.where(products < _OPPOSITE * sizes, -signal, signal)


def _phases(signal: Array, width: int) -> Array | None:
    from scipy import fft

    mean = float(np.mean(signal))
    swing = signal - mean
    if float(np.max(np.abs(swing))) <= _CONSTANT * abs(mean):
        return None
    spectrum = fft.rfft(swing, n=width)
    size = np.abs(spectrum)
    loudest = float(np.max(size))
    if loudest <= 0.0 or not math.isfinite(loudest):
        return None
    audible = size > math.sqrt(_FAINT) * loudest
    return np.where(audible, spectrum / np.where(audible, size, 1.0), 0.0)


def _peak(curve: Array) -> tuple[float, float]:
    """Return the lag of the largest magnitude, between the samples, and its clarity."""
    size = np.abs(curve)
    top = int(np.argmax(size))
    # Of Gaussian noise the median of the magnitude is 0.6745 standard deviations.
    spread = float(np.median(size)) / 0.6745
    clarity = float(size[top]) / spread if spread > 0.0 else 0.0
    lag = float(top - len(curve) // 2)
    if 0 < top < len(curve) - 1:
        before, here, after = (float(v) for v in size[top - 1 : top + 2])
        bend = before - 2.0 * here + after
        lag += 0.5 * (before - after) / bend if bend < 0.0 else 0.0
    return lag, clarity


def _line(times: Array, lags: Array) -> tuple[float, float]:
    """Return slope and value at 0 of the line of Theil and Sen: a third may be wrong."""
    later, earlier = np.nonzero(times[:, np.newaxis] > times)
    # scipy.stats has the same, and takes a second to load.
    slope = float(np.median((lags[later] - lags[earlier]) / (times[later] - times[earlier])))
    return slope, float(np.median(lags) - slope * np.median(times))
