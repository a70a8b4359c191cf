"""The few tools that all synthesisers share: lengths, levels, shaped noise, grains, harmonics."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from anc_core.arrays import check_sample_rate
from anc_core.errors import InputError

Samples: TypeAlias = NDArray[np.float64]
"""One channel while it is being computed: float64, shape (num_samples,)."""

Audio: TypeAlias = NDArray[np.float32]
"""One channel as it is handed out: float32, shape (num_samples,), full scale +-1."""

Seed: TypeAlias = int | np.random.Generator
"""A whole number >= 0, or a generator that is advanced."""

Shape: TypeAlias = Callable[[Samples], Samples]
"""Frequencies in Hz, shape (num_bins,) -> amplitudes of a spectrum, the same shape."""

MAX_DURATION_S = 3_600.0


def count_samples(duration_s: float, sample_rate: float) -> int:
    """Return the number of samples in ``duration_s`` seconds, at least one.

    Raises
    ------
    InputError
        If ``duration_s`` is not above 0 and at most one hour, or ``sample_rate`` is no sample rate.
    """
    if not 0 < duration_s <= MAX_DURATION_S:
        msg = f"duration_s is {duration_s}; it must be above 0 and at most {MAX_DURATION_S:.0f} s"
        raise InputError(msg)
    return max(1, round(duration_s * check_sample_rate(sample_rate)))


def time_axis(num_samples: int, sample_rate: float) -> Samples:
    """Return the instants of the samples in s, shape (num_samples,)."""
    return np.arange(num_samples) / sample_rate


def fast_length(num_samples: int) -> int:
    """Return the smallest 2^a 3^b 5^c that is not below ``num_samples``: an FFT length."""
    best = 1 << max(num_samples - 1, 0).bit_length()
    for fives in range(int(math.log(num_samples, 5)) + 1):
        for threes in range(int(math.log(num_samples, 3)) + 1):
            odd = 5**fives * 3**threes
            rest = -(-num_samples // odd)
            best = min(best, odd << max(rest - 1, 0).bit_length())
    return best


def rms(audio: NDArray[Any]) -> float:
    """Return the root mean square of all samples (0 for none)."""
    return math.sqrt(float(np.mean(np.square(audio, dtype=np.float64)))) if audio.size else 0.0


def bins_hz(length: int, sample_rate: float) -> Samples:
    """Return the frequencies in Hz of the bins of a real transform, shape (length // 2 + 1,)."""
    return np.arange(length // 2 + 1, dtype=np.float64) * (sample_rate / length)


def from_db(level_db: float) -> float:
    """Return the amplitude ratio of ``level_db``."""
    return float(10.0 ** (level_db / 20.0))


def check_level(level_dbfs: float) -> float:
    """Return ``level_dbfs`` (-200 to 0, full-scale square = 0), or raise :class:`InputError`."""
    if not -200.0 <= level_dbfs <= 0.0:
        msg = f"level_dbfs is {level_dbfs}; it must be from -200 to 0 dBFS"
        raise InputError(msg)
    return level_dbfs


def at_level(samples: Samples, level_dbfs: float, *, reference_rms: float | None = None) -> Audio:
    """Return float32 ``samples`` scaled so that their RMS (or ``reference_rms``) is at the level.

    Silence stays silence.
    """
    measured = rms(samples) if reference_rms is None else reference_rms
    gain = from_db(check_level(level_dbfs)) / measured if measured > 0.0 else 0.0
    return (samples * gain).astype(np.float32)


def shaped_noise(
    num_samples: int,
    sample_rate: float,
    rng: np.random.Generator,
    amplitude: Shape,
) -> Samples:
    """Return Gaussian noise of unit RMS whose spectrum follows ``amplitude``."""
    length = fast_length(num_samples)
    spectrum = np.fft.rfft(rng.standard_normal(length))
    spectrum *= amplitude(bins_hz(length, sample_rate))
    spectrum[0] = 0.0
    noise = np.fft.irfft(spectrum, length)[:num_samples]
    return noise / max(rms(noise), np.finfo(np.float64).tiny)


def power_law(slope_db_per_octave: float, *, low_cut_hz: float) -> Shape:
    """Return the amplitude f^(slope/6.02) above ``low_cut_hz``, falling to 0 below it."""
    exponent = slope_db_per_octave / (20.0 * math.log10(2.0))

    def amplitude(frequency_hz: Samples) -> Samples:
        law: Samples = (np.maximum(frequency_hz, low_cut_hz) / low_cut_hz) ** exponent
        below: Samples = np.minimum(frequency_hz / low_cut_hz, 1.0) ** 2
        return law * below

    return amplitude


def hump(centre_hz: float, *, below_db: float, above_db: float) -> Shape:
    """Return an amplitude that peaks at ``centre_hz`` and falls by so many dB an octave.

    The two slopes meet in a rounded top, 3 dB below their crossing.
    """
    tiny_hz = 1e-3

    def amplitude(frequency_hz: Samples) -> Samples:
        octaves = np.log2(np.maximum(frequency_hz, tiny_hz) / centre_hz)
        below = 10.0 ** (-below_db * octaves / 10.0)
        above = 10.0 ** (above_db * octaves / 10.0)
        return np.sqrt(1.0 / (below + above))

    return amplitude


def wander(
    num_samples: int, sample_rate: float, rng: np.random.Generator, *, period_s: float
) -> Samples:
    """Return a slow random curve: about normal, one new value every ``period_s``, no kinks."""
    position = np.arange(num_samples) / (sample_rate * period_s) + rng.random()
    knots = rng.standard_normal(int(position[-1]) + 2)
    index = position.astype(np.int64)
    blend = 0.5 - 0.5 * np.cos(np.pi * (position - index))
    return knots[index] * (1.0 - blend) + knots[index + 1] * blend


def scatter_add(num_samples: int, starts: NDArray[np.int64], grains: NDArray[Any]) -> Samples:
    """Return the sum of ``grains`` (num_grains, grain_length), each added at its start.

    What lies outside [0, num_samples) is cut off.
    """
    positions = starts[:, np.newaxis] + np.arange(grains.shape[1])
    inside = (positions >= 0) & (positions < num_samples)
    total: Samples = np.bincount(
        positions[inside], weights=grains[inside], minlength=num_samples
    ).astype(np.float64)
    return total


def harmonic_sum(cycles: Samples, weights: NDArray[np.complex128]) -> Samples:
    """Return sum_k Re(weights[k-1] exp(2 pi i k cycles)), k = 1, 2, ... (Horner's rule).

    Parameters
    ----------
    cycles : ndarray, shape (num_samples,)
        Phase of the fundamental in cycles.
    weights : ndarray, shape (num_harmonics,)
        Complex amplitude of every harmonic.
    """
    phasor = np.exp(2j * np.pi * cycles)
    total = np.zeros_like(phasor)
    for weight in weights[::-1]:
        total += weight
        total *= phasor
    real: Samples = total.real
    return real


def random_phases(amplitudes: Samples, rng: np.random.Generator) -> NDArray[np.complex128]:
    """Return ``amplitudes`` turned by random phases, so that harmonics do not add up to a spike."""
    turned: NDArray[np.complex128] = amplitudes * np.exp(2j * np.pi * rng.random(len(amplitudes)))
    return turned


def convolve(samples: Samples, response: Samples) -> Samples:
    """Return the causal convolution, cut to the length of ``samples``."""
    length = fast_length(len(samples) + len(response) - 1)
    product = np.fft.rfft(samples, length) * np.fft.rfft(response, length)
    return np.fft.irfft(product, length)[: len(samples)]


def filter_spectrum(samples: Samples, sample_rate: float, amplitude: Shape) -> Samples:
    """Return ``samples`` filtered without phase shift by ``amplitude`` (see shaped_noise)."""
    length = fast_length(len(samples) + round(0.1 * sample_rate))
    spectrum = np.fft.rfft(samples, length)
    spectrum *= amplitude(bins_hz(length, sample_rate))
    return np.fft.irfft(spectrum, length)[: len(samples)]


def resample(samples: Samples, from_rate: int, to_rate: int, num_samples: int) -> Samples:
    """Return ``samples`` at another rate, ideally band-limited, ``num_samples`` long.

    The transform spans whole seconds, which are a whole number of samples at either rate, with at
    least half a second of silence so that the end does not ring into the beginning.
    """
    seconds = math.ceil(len(samples) / from_rate + 0.5)
    spectrum = np.fft.rfft(samples, seconds * from_rate)
    num_bins = min(seconds * from_rate, seconds * to_rate) // 2
    resampled = np.fft.irfft(spectrum[:num_bins], seconds * to_rate)
    return resampled[:num_samples] * (to_rate / from_rate)


def fade_edges(samples: Samples, sample_rate: float, *, fade_s: float = 0.005) -> Samples:
    """Return ``samples`` with raised-cosine edges, so that neither end clicks."""
    length = min(round(fade_s * sample_rate), len(samples) // 2)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / max(length, 1))
    faded = samples.copy()
    faded[:length] *= ramp
    faded[len(samples) - length :] *= ramp[::-1]
    return faded
