"""Alarms and sirens to learn from: every family of them, far wider than any standard allows.

Each function takes a number of samples and a generator and returns the sound at unit RMS. Families
follow specification 1 (ISO 8201, NFPA 72, UL 2034, 13 CCR 1021, DIN 14610, NEN 2575, DIN 33404,
AS 2220, BS 5839, NF S 32-001); the numbers around them are spread by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from anc_core.emergency_training.tones import (
    RATE,
    control_times,
    gated,
    log_uniform,
    overtones,
    to_samples,
    tone,
    unit,
    wander,
)

if TYPE_CHECKING:
    from anc_core.emergency_training.tones import Samples

Maker = Callable[[int, np.random.Generator], "Samples"]


def _horn_overtones(rng: np.random.Generator) -> Samples:
    return overtones(rng, rng.uniform(4.0, 20.0))


def _swing(place: Samples, rise: float, bend: float, kind: int) -> Samples:
    """Return the height (0 to 1) at a place (0 to 1) within a cycle."""
    part = np.where(place < rise, place / rise, (place - rise) / (1.0 - rise))
    if kind == 0:  # a capacitor charged and discharged
        curve = -np.expm1(-bend * part) / -np.expm1(-bend)
    elif kind == 1:
        curve = part
    else:
        curve = 0.5 - 0.5 * np.cos(np.pi * part)
    height: Samples = np.where(place < rise, curve, 1.0 - curve)
    return height


def _swept(
    num_samples: int,
    rng: np.random.Generator,
    rate_hz: tuple[float, float],
    octaves: tuple[float, float],
) -> tuple[Samples, Samples]:
    """Return pitch (Hz, control rate) and cycles of a sweep that goes up and down."""
    time_s = control_times(num_samples)
    rate = log_uniform(rng, *rate_hz)
    drift = 1.0 + 0.05 * rng.random() * wander(rng, len(time_s), 3.0)
    cycles = rng.random() + np.cumsum(rate * np.clip(drift, 0.5, 1.5)) / 500.0
    rise = float(np.clip(rng.normal(0.42, 0.15), 0.08, 0.92))
    height = _swing(np.mod(cycles, 1.0), rise, rng.uniform(0.3, 3.5), int(rng.integers(3)))
    low = log_uniform(rng, 300.0, 1_000.0)
    height *= rng.uniform(*octaves)
    if rng.random() < 0.3:  # held at the top or at the bottom, as wound-up rotors are
        cut = rng.uniform(0.6, 0.95) * height.max()
        height = np.minimum(height, cut) if rng.random() < 0.7 else np.maximum(height, 0.2 * cut)
    return low * 2.0**height, cycles


def wail(num_samples: int, rng: np.random.Generator) -> Samples:
    """Slow sweeps."""
    pitch, _ = _swept(num_samples, rng, (0.07, 0.8), (0.3, 1.6))
    return unit(tone(pitch, _horn_overtones(rng), num_samples))


def yelp(num_samples: int, rng: np.random.Generator) -> Samples:
    """Fast sweeps, now and then as fast as a phaser."""
    rate = (1.5, 6.0) if rng.random() < 0.8 else (6.0, 16.0)
    pitch, _ = _swept(num_samples, rng, rate, (0.4, 1.5))
    return unit(tone(pitch, _horn_overtones(rng), num_samples))


def one_way(num_samples: int, rng: np.random.Generator) -> Samples:
    """Whoops: up with a pause or a jump back, or down as in DIN 33404."""
    time_s = control_times(num_samples)
    cycle_s = log_uniform(rng, 0.4, 5.0)
    share = rng.uniform(0.75, 1.0)
    place = np.mod(time_s / cycle_s + rng.random(), 1.0)
    part = np.minimum(place / share, 1.0)
    if rng.random() < 0.3:
        part = 1.0 - part
    low, octaves = log_uniform(rng, 350.0, 900.0), rng.uniform(0.5, 1.6)
    linear = rng.random() < 0.5
    high = low * 2.0**octaves
    pitch = low + (high - low) * part if linear else low * 2.0 ** (octaves * part)
    sound = tone(pitch, _horn_overtones(rng), num_samples)
    sound *= to_samples((place <= share).astype(float), num_samples)
    return unit(sound)


def two_tone(num_samples: int, rng: np.random.Generator) -> Samples:
    """Two tones in turn, quick to very slow, with clean or slurred steps; sometimes three."""
    time_s = control_times(num_samples)
    note_s = log_uniform(rng, 0.22, 2.2)
    share = rng.choice([0.5, rng.uniform(0.2, 0.8)], p=[0.75, 0.25])
    low = log_uniform(rng, 330.0, 1_200.0)
    ratio = rng.choice([1.06, 1.122, 1.19, 1.26, 1.335, 1.5, rng.uniform(1.06, 1.7)])
    place = np.mod(time_s / (2.0 * note_s) + rng.random(), 1.0)
    is_high = (place >= share).astype(float)
    if rng.random() < 0.15:  # high-high-low, a d a
        is_high *= 1.0 + 0.5 * (np.mod(np.floor(time_s / (2.0 * note_s)), 2.0) > 0)
    glide = int(rng.choice([1, 4, 12, 40], p=[0.4, 0.3, 0.2, 0.1]))
    is_high = np.convolve(is_high, np.ones(glide) / glide, mode="same")
    pitch = low * ratio**is_high
    sound = tone(pitch, overtones(rng, rng.uniform(-2.0, 14.0)), num_samples)
    if rng.random() < 0.35:  # air horns and electronic ones pause between the notes
        on = rng.uniform(0.8, 0.98)
        gate = (np.mod(place / share, 1.0) < on) if share == 0.5 else np.ones_like(place)
        sound *= to_samples(gate.astype(float), num_samples)
    return unit(sound)


def mechanical(num_samples: int, rng: np.random.Generator) -> Samples:
    """Return a rotor with one or two rows of ports: wound up, held, run down."""
    time_s = control_times(num_samples)
    speed = np.empty(len(time_s))
    now, target, until = rng.uniform(0.3, 1.0), 1.0, 0.0
    up_s, down_s = rng.uniform(0.7, 3.0), rng.uniform(1.5, 6.0)
    driven = rng.random() < 0.6
    for i, at in enumerate(time_s):
        if at >= until:
            driven = not driven
            target = rng.uniform(0.85, 1.0) if driven else rng.uniform(0.2, 0.5)
            until = at + rng.uniform(1.0, 7.0)
        now += (target - now) / (500.0 * (up_s if target > now else down_s))
        speed[i] = now
    top = log_uniform(rng, 450.0, 1_100.0)
    sound = tone(top * speed, overtones(rng, rng.uniform(2.0, 10.0)), num_samples)
    if rng.random() < 0.7:
        ratio = rng.choice([5 / 6, 4 / 5, 3 / 4, 2 / 3, 9 / 8, 6 / 5])
        other = tone(top * ratio * speed, overtones(rng, rng.uniform(2.0, 10.0)), num_samples)
        sound = sound + rng.uniform(0.3, 1.0) * other
    return unit(sound * to_samples(0.3 + 0.7 * speed, num_samples))


def mixed(num_samples: int, rng: np.random.Generator) -> Samples:
    """Return what a driver does who switches: one siren after the other."""
    makers: list[Maker] = [wail, yelp, wail, yelp, two_tone, air_horn]
    parts = []
    left = num_samples
    while left > 0:
        length = min(left, int(rng.uniform(1.5, 6.0) * RATE))
        maker = makers[int(rng.integers(len(makers)))] if left < num_samples else wail
        parts.append(maker(max(length, 400), rng)[:length])
        left -= length
    return np.concatenate(parts)


def air_horn(num_samples: int, rng: np.random.Generator) -> Samples:
    """Return an electronic air horn, a part of other sirens only: alone it is a lorry's."""
    pitch = np.full(len(control_times(num_samples)), log_uniform(rng, 250.0, 500.0))
    return unit(tone(pitch, overtones(rng, 3.0), num_samples))


def rumbler(num_samples: int, rng: np.random.Generator) -> Samples:
    """Return a siren doubled two octaves lower, to be felt inside cars."""
    pitch, _ = _swept(num_samples, rng, (0.1, 5.0), (0.5, 1.3))
    upper = tone(pitch, _horn_overtones(rng), num_samples)
    lower = tone(pitch / 4.0, overtones(rng, rng.uniform(2.0, 8.0)), num_samples)
    return unit(upper + rng.uniform(0.5, 1.5) * lower)


def _pulsed(
    num_samples: int, rng: np.random.Generator, on_s: list[tuple[float, float]], cycle_s: float
) -> Samples:
    """Return the envelope of a rhythm that begins anywhere."""
    shift = rng.uniform(0.0, cycle_s)
    num_cycles = int(num_samples / RATE / cycle_s) + 2
    stretches = [
        (n * cycle_s + a - shift, n * cycle_s + b - shift)
        for n in range(num_cycles)
        for a, b in on_s
    ]
    return gated(
        num_samples, [(max(a, 0.0), b) for a, b in stretches if b > 0], rng.uniform(0.002, 0.02)
    )


def _sounder(num_samples: int, rng: np.random.Generator, carrier_hz: float) -> Samples:
    """Return an unbroken sounder: a piezo is nearly a sine, a square wave wakes sleepers."""
    drift = 1.0 + rng.uniform(0.0, 0.003) * wander(rng, len(control_times(num_samples)), 0.5)
    if carrier_hz < 1_500.0:
        order = np.arange(1, 16)
        amplitudes = np.where(order % 2, 1.0 / order, rng.uniform(0.0, 0.3) / order)
    else:
        amplitudes = 10.0 ** (-np.array([0.0, rng.uniform(12, 35)]) / 20.0)
    return tone(carrier_hz * drift, amplitudes, num_samples)


def _carrier(rng: np.random.Generator) -> float:
    return float(
        rng.choice(
            [
                3_100.0 * rng.uniform(0.93, 1.07),
                520.0 * rng.uniform(0.9, 1.1),
                log_uniform(rng, 400.0, 4_000.0),
            ],
            p=[0.5, 0.3, 0.2],
        )
    )


def t3(num_samples: int, rng: np.random.Generator) -> Samples:
    """ISO 8201: three pulses and a pause."""
    on, off, rest = 0.5 * rng.uniform(0.9, 1.1, 3) * [1.0, 1.0, 3.0]
    beeps = [(n * (on + off), n * (on + off) + on) for n in range(3)]
    cycle_s = 3 * on + 2 * off + rest
    return unit(
        _sounder(num_samples, rng, _carrier(rng)) * _pulsed(num_samples, rng, beeps, cycle_s)
    )


def t4(num_samples: int, rng: np.random.Generator) -> Samples:
    """UL 2034: four quick beeps, then about five seconds of silence."""
    on, off = 0.1 * rng.uniform(0.85, 1.3, 2)
    beeps = [(n * (on + off), n * (on + off) + on) for n in range(4)]
    cycle_s = beeps[-1][1] + rng.uniform(4.5, 5.5)
    carrier = float(rng.choice([log_uniform(rng, 2_700.0, 3_600.0), _carrier(rng)], p=[0.8, 0.2]))
    return unit(_sounder(num_samples, rng, carrier) * _pulsed(num_samples, rng, beeps, cycle_s))


def sounder(num_samples: int, rng: np.random.Generator) -> Samples:
    """Continuous evacuation tones: 970 Hz held, or 800 and 970 Hz in turn or swept."""
    carrier = 970.0 * rng.uniform(0.97, 1.03)
    kind = rng.integers(4)
    time_s = control_times(num_samples)
    if kind == 0:
        return unit(_sounder(num_samples, rng, carrier))
    ratio = rng.uniform(0.78, 0.88)
    rate = log_uniform(rng, 0.8, 4.0) if kind == 1 else log_uniform(rng, 0.8, 9.0)
    place = np.mod(time_s * rate + rng.random(), 1.0)
    height = (place < 0.5).astype(float) if kind == 1 else place
    return unit(tone(carrier * ratio ** (1.0 - height), overtones(rng, 8.0, 12), num_samples))


SIRENS: tuple[tuple[Maker, float], ...] = (
    (wail, 0.24),
    (yelp, 0.16),
    (two_tone, 0.18),
    (mechanical, 0.08),
    (mixed, 0.08),
    (rumbler, 0.03),
    (one_way, 0.06),
    (t3, 0.07),
    (t4, 0.05),
    (sounder, 0.05),
)
"""What to choose from, and how often."""
