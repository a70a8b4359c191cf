"""A sine sweep that passes every octave in the same time: the signal that measures paths best.

References
----------
A. Farina, Simultaneous measurement of impulse response and distortion with a swept-sine technique,
AES 108th Convention, 2000, Preprint 5093.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anc_core.arrays import check_sample_rate
from anc_core.errors import InputError

Signal = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExponentialSweep:
    """A sweep to be played, made by :func:`exponential_sweep`.

    Attributes
    ----------
    signal : float64, shape (num_samples,)
        The sweep, then silence in which the path can ring out.
    sample_rate : int
        Hz.
    start_hz, stop_hz : float
    duration_s : float
        Without the silence.
    """

    signal: Signal
    sample_rate: int
    start_hz: float
    stop_hz: float
    duration_s: float

    def lead_of(self, order: int) -> float:
        """Return by how many samples distortion of this order comes before the linear response.

        Farina 2000, Eq. 11: T·ln(order) / ln(stop/start).
        """
        octaves = math.log(self.stop_hz / self.start_hz)
        return self.sample_rate * self.duration_s * math.log(order) / octaves


def exponential_sweep(
    sample_rate: float,
    *,
    duration_s: float = 5.0,
    start_hz: float = 20.0,
    stop_hz: float | None = None,
    amplitude: float = 0.5,
    silence_s: float = 0.5,
) -> ExponentialSweep:
    """Return a sine sweep that passes every octave in the same time.

    Parameters
    ----------
    sample_rate : float
        Hz.
    duration_s : float
        0.1 to 120 s. Twice the time gains 3 dB over the noise.
    start_hz, stop_hz : float
        First and last frequency; Nyquist if ``stop_hz`` is not given. Paths are known only
        between them.
    amplitude : float
        Peak, above 0 to 1.
    silence_s : float
        0 to 60 s; at least as long as the path.

    Raises
    ------
    InputError
        If a value breaks its rule.

    Notes
    -----
    x(t) = sin[(2π·f₁·T / ln(f₂/f₁))·(exp(t·ln(f₂/f₁)/T) - 1)] (Farina 2000, Eq. 5), faded in over
    two periods of ``start_hz`` and out over 5 ms, each at most a tenth of the sweep.

    Examples
    --------
    >>> exponential_sweep(8_000, duration_s=1.0, silence_s=0.25).signal.shape
    (10000,)
    """
    rate = check_sample_rate(sample_rate)
    stop_hz = rate / 2.0 if stop_hz is None else stop_hz
    _check_range("duration_s", duration_s, 0.1, 120.0)
    _check_range("silence_s", silence_s, 0.0, 60.0)
    if not 0.0 < amplitude <= 1.0:
        msg = f"amplitude is {amplitude}; it must be above 0 and at most 1"
        raise InputError(msg)
    if not 0.0 < start_hz < stop_hz <= rate / 2.0:
        msg = (
            f"the sweep is to go from {start_hz} to {stop_hz} Hz; it must rise, from above 0 to at "
            f"most {rate / 2:g} Hz"
        )
        raise InputError(msg)
    num_samples = round(duration_s * rate)
    octaves = math.log(stop_hz / start_hz)
    time = np.arange(num_samples) / rate
    growth = np.expm1(time * (octaves / duration_s))
    sweep = amplitude * np.sin(2.0 * np.pi * start_hz * duration_s / octaves * growth)
    longest = num_samples // 10
    _fade(sweep, min(round(2.0 * rate / start_hz), longest))
    _fade(sweep[::-1], min(round(0.005 * rate), longest))
    return ExponentialSweep(
        signal=np.concatenate([sweep, np.zeros(round(silence_s * rate))]),
        sample_rate=rate,
        start_hz=start_hz,
        stop_hz=stop_hz,
        duration_s=duration_s,
    )


def _fade(signal: Signal, num_samples: int) -> None:
    """Fade in, in place."""
    signal[:num_samples] *= np.sin(0.5 * np.pi * (np.arange(num_samples) + 0.5) / num_samples) ** 2


def _check_range(name: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        msg = f"{name} is {value}; it must be from {lowest:g} to {highest:g}"
        raise InputError(msg)
