"""What all training sounds are made of: a moving pitch, overtones, and noise with a colour.

A generator of its own, wider and rougher than :mod:`anc_core.audio.synth`, on which the result is
tested: a detector that is trained and tested on one generator knows the generator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.audio.synth.signals import fast_length

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    Samples: TypeAlias = NDArray[np.float64]


RATE = 16_000
"""Hz: the detector's own."""
_TOP_HZ = 7_600.0
_CONTROL_HZ = 500
"""Envelopes and pitches are drawn at this rate and interpolated."""


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def control_times(num_samples: int) -> Samples:
    """Return the instants (s) at which pitches and envelopes are given."""
    return np.arange(num_samples * _CONTROL_HZ // RATE + 2) / _CONTROL_HZ


def to_samples(control: Samples, num_samples: int) -> Samples:
    """Interpolate what is given at :func:`control_times`."""
    place = np.arange(num_samples) * (_CONTROL_HZ / RATE)
    samples: Samples = np.interp(place, np.arange(len(control)), control)
    return samples


def wander(rng: np.random.Generator, num: int, width_s: float) -> Samples:
    """Return a slow random walk of about unit size, at the control rate."""
    num_knots = max(2, int(num / (width_s * _CONTROL_HZ)) + 3)
    knots = rng.standard_normal(num_knots)
    return np.interp(np.linspace(0, num_knots - 1, num), np.arange(num_knots), knots)


def tone(pitch_hz: Samples, overtones: Samples, num_samples: int) -> Samples:
    """Return a sound of ``overtones`` (amplitudes of 1 f, 2 f, ...) on a pitch at control rate.

    Overtones end below the Nyquist frequency.
    """
    hertz = to_samples(pitch_hz, num_samples)
    phase = 2.0 * np.pi * np.cumsum(hertz) / RATE
    lowest = float(hertz.min())
    sound = np.zeros(num_samples)
    # sin(k x) by recurrence: sin(k x) = 2 cos(x) sin((k - 1) x) - sin((k - 2) x).
    before, now = np.zeros(num_samples), np.sin(phase)
    twice = 2.0 * np.cos(phase)
    for order, amplitude in enumerate(overtones, start=1):
        if order * lowest > _TOP_HZ:
            break
        if amplitude:
            highest = order * hertz
            if order * float(hertz.max()) < _TOP_HZ - 300.0:
                sound += amplitude * now
            else:
                sound += amplitude * np.clip((_TOP_HZ - highest) / 300.0, 0.0, 1.0) * now
        before, now = now, twice * now - before
    return sound


def overtones(rng: np.random.Generator, slope_db: float, num: int = 20) -> Samples:
    """Return amplitudes that fall by about ``slope_db`` an octave, uneven, some of them missing."""
    order = np.arange(1, num + 1)
    level = -slope_db * np.log2(order) + rng.normal(0.0, 4.0, num)
    amplitudes = 10.0 ** (level / 20.0)
    if rng.random() < 0.3:  # odd ones only, as of a square wave
        amplitudes[1::2] *= rng.uniform(0.0, 0.2)
    scaled: Samples = amplitudes / np.sqrt(np.sum(amplitudes**2))
    return scaled


def coloured(rng: np.random.Generator, num_samples: int, knots_hz: Samples, db: Samples) -> Samples:
    """Return noise whose spectrum runs through ``db`` at ``knots_hz``, unit RMS."""
    length = fast_length(num_samples)
    spectrum = np.fft.rfft(rng.standard_normal(length))
    hertz = np.fft.rfftfreq(length, 1.0 / RATE)
    shape = np.interp(np.log(hertz + 1.0), np.log(knots_hz + 1.0), db)
    sound = np.fft.irfft(spectrum * 10.0 ** (shape / 20.0), length)[:num_samples]
    return unit(sound)


def equalised(rng: np.random.Generator, sound: Samples, size_db: float) -> Samples:
    """Return ``sound`` through a random smooth response."""
    knots = np.array([0.0, 150.0, 400.0, 900.0, 1_800.0, 3_200.0, 5_500.0, 8_000.0])
    return shaped(sound, knots, rng.normal(0.0, size_db, len(knots)))


def shaped(sound: Samples, knots_hz: Samples, db: Samples) -> Samples:
    """Return ``sound`` through the response that runs through ``db`` at ``knots_hz``."""
    length = fast_length(len(sound) + RATE // 20)
    spectrum = np.fft.rfft(sound, length)
    hertz = np.fft.rfftfreq(length, 1.0 / RATE)
    response = np.interp(np.log(hertz + 1.0), np.log(np.asarray(knots_hz) + 1.0), db)
    return np.fft.irfft(spectrum * 10.0 ** (response / 20.0), length)[: len(sound)]


def unit(sound: Samples) -> Samples:
    """Return ``sound`` at unit RMS over what is not silence."""
    power = np.square(sound)
    if len(power) >= 320:
        frames = power[: len(power) // 320 * 320].reshape(-1, 320).mean(axis=1)
        power = frames[frames >= frames.max() * 1e-4]
    scaled: Samples = sound / (np.sqrt(power.mean()) + 1e-12)
    return scaled


def gated(num_samples: int, stretches: list[tuple[float, float]], edge_s: float) -> Samples:
    """Return an envelope that is 1 in the stretches (s), with edges of ``edge_s`` inside."""
    time_s = np.arange(num_samples) / RATE
    envelope = np.zeros(num_samples)
    for start, stop in stretches:
        first, last = int(start * RATE), min(num_samples, int(np.ceil(stop * RATE)))
        if first >= last:
            continue
        part = time_s[first:last]
        depth = np.clip(np.minimum(part - start, stop - part) / edge_s, 0.0, 1.0)
        envelope[first:last] = np.maximum(envelope[first:last], np.sin(0.5 * np.pi * depth) ** 2)
    return envelope
