"""What is taken for an alarm and is none: horns, music, cries, beeps, whines, birds, engines."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from anc_core.audio.synth.signals import fast_length
from anc_core.emergency_training.tones import (
    RATE,
    coloured,
    control_times,
    equalised,
    gated,
    log_uniform,
    overtones,
    shaped,
    to_samples,
    tone,
    unit,
    wander,
)

if TYPE_CHECKING:
    from anc_core.emergency_training.tones import Samples

Maker = Callable[[int, np.random.Generator], "Samples"]
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9), (0, 3, 5, 6, 7, 10))


def car_horn(num_samples: int, rng: np.random.Generator) -> Samples:
    """Two reeds about a third apart, hundreds of milliseconds to seconds, in a random rhythm."""
    time_s = control_times(num_samples)
    low = log_uniform(rng, 250.0, 600.0)
    ratios = [1.0]
    if rng.random() < 0.8:
        ratios.append(float(rng.choice([1.19, 1.22, 1.26, 1.33, 1.5])) * rng.uniform(0.99, 1.01))
    if rng.random() < 0.15:
        ratios.append(ratios[-1] * 1.2)
    at, stretches = rng.uniform(0.0, 1.0), list[tuple[float, float]]()
    while at < num_samples / RATE:
        long = log_uniform(rng, 0.12, 4.0)
        stretches.append((at, at + long))
        at += long + log_uniform(rng, 0.1, 4.0)
    # The pitch settles as the membrane starts.
    droop = 1.0 + rng.uniform(0.0, 0.01) * wander(rng, len(time_s), 0.3)
    passing = 1.0 + rng.choice([0.0, 0.05]) * np.tanh(
        (time_s - time_s.mean()) / rng.uniform(0.3, 2.0)
    )
    sound = sum(
        tone(low * r * droop / passing, overtones(rng, rng.uniform(-3.0, 8.0)), num_samples)
        for r in ratios
    )
    return unit(sound * gated(num_samples, stretches, rng.uniform(0.005, 0.08)))


def music(num_samples: int, rng: np.random.Generator) -> Samples:
    """One to four instruments in one key: melodies, chords, a bass, drums."""
    key = log_uniform(rng, 200.0, 500.0)
    scale = _SCALES[int(rng.integers(len(_SCALES)))]
    beat_s = rng.uniform(0.25, 0.8)
    sound = np.zeros(num_samples)
    for _ in range(int(rng.integers(1, 4))):
        kind = rng.integers(4)
        part = (
            _melody(num_samples, rng, key, scale, beat_s)
            if kind < 2
            else _chords(num_samples, rng, key, scale, beat_s)
        )
        sound += unit(equalised(rng, part, 4.0)) * 10 ** (rng.uniform(-12, 0) / 20)
    if rng.random() < 0.5:
        sound += _bass(num_samples, rng, key, scale, beat_s) * 10 ** (rng.uniform(-10, 5) / 20)
    if rng.random() < 0.5:
        sound += _drums(num_samples, rng, beat_s) * 10 ** (rng.uniform(-15, 3) / 20)
    return unit(sound)


def _degree(scale: tuple[int, ...], degree: int) -> float:
    octave, step = divmod(degree, len(scale))
    return float(2.0 ** (octave + scale[step] / 12.0))


def _melody(
    num_samples: int, rng: np.random.Generator, key: float, scale: tuple[int, ...], beat_s: float
) -> Samples:
    time_s = control_times(num_samples)
    pitch, loud = np.full(len(time_s), key), np.zeros(len(time_s))
    register = float(rng.choice([1.0, 2.0, 4.0], p=[0.4, 0.45, 0.15]))
    decay_s = log_uniform(rng, 0.1, 1.0) if rng.random() < 0.4 else 30.0
    attack_s = 0.005 if decay_s < 5 else rng.uniform(0.01, 0.12)
    degree, at = int(rng.integers(0, 7)), -rng.uniform(0.0, beat_s)
    while at < time_s[-1]:
        long = beat_s * float(
            rng.choice([0.25, 0.5, 1.0, 1.5, 2.0, 4.0], p=[0.1, 0.3, 0.3, 0.1, 0.15, 0.05])
        )
        now = (time_s >= at) & (time_s < at + long)
        degree = int(np.clip(degree + rng.integers(-3, 4), -2, 10))
        if rng.random() < 0.88:
            pitch[now] = key * register * _degree(scale, degree)
            age = time_s[now] - at
            loud[now] = (
                np.minimum(age / attack_s, 1.0) * np.exp(-age / decay_s) * rng.uniform(0.5, 1.0)
            )
        at += long
    glide = int(log_uniform(rng, 1.0, 60.0))  # portamento
    pitch = np.exp(np.convolve(np.log(pitch), np.ones(glide) / glide, mode="same"))
    pitch[: glide + 1], pitch[-glide - 1 :] = pitch[glide + 1], pitch[-glide - 2]
    if rng.random() < 0.6:
        depth = rng.uniform(0.0, 0.035)
        pitch = pitch * (1.0 + depth * np.sin(2 * np.pi * rng.uniform(4.0, 7.5) * time_s))
    pitch = pitch * (1.0 + 0.002 * wander(rng, len(time_s), 0.1))
    smooth = np.convolve(loud, np.ones(6) / 6, mode="same")
    sound = tone(pitch, overtones(rng, rng.uniform(2.0, 18.0)), num_samples)
    return sound * to_samples(smooth, num_samples)


def _chords(
    num_samples: int, rng: np.random.Generator, key: float, scale: tuple[int, ...], beat_s: float
) -> Samples:
    time_s = control_times(num_samples)
    long = beat_s * float(rng.choice([1.0, 2.0, 4.0]))
    place = np.floor(time_s / long).astype(int)
    degrees = rng.integers(-3, 4, place.max() + 1)[place]
    age = np.mod(time_s, long)
    loud = np.exp(-age / log_uniform(rng, 0.2, 8.0)) * np.minimum(age / 0.01, 1.0)
    sound = np.zeros(num_samples)
    for third in range(int(rng.integers(2, 5))):
        pitch = key * np.array([_degree(scale, int(d) + 2 * third) for d in degrees])
        sound += tone(pitch, overtones(rng, rng.uniform(3.0, 15.0), 12), num_samples)
    return sound * to_samples(loud, num_samples)


def _bass(
    num_samples: int, rng: np.random.Generator, key: float, scale: tuple[int, ...], beat_s: float
) -> Samples:
    return unit(_melody(num_samples, rng, key / 8.0, scale, beat_s))


def _drums(num_samples: int, rng: np.random.Generator, beat_s: float) -> Samples:
    sound = np.zeros(num_samples)
    for start, every, decay_s, knots in (
        (0.0, beat_s, 0.12, [6.0, 6.0, -6.0, -20.0]),
        (beat_s, 2 * beat_s, 0.1, [-10.0, 0.0, 2.0, 0.0]),
        (0.0, beat_s / 2, 0.03, [-40.0, -30.0, -10.0, 4.0]),
    ):
        hit = coloured(rng, RATE // 2, np.array([0.0, 200.0, 1_500.0, 7_000.0]), np.array(knots))
        hit = hit * np.exp(-np.arange(len(hit)) / (decay_s * RATE))
        at = start
        while at < num_samples / RATE:
            first = int(at * RATE)
            part = sound[first : first + len(hit)]
            part += hit[: len(part)] * rng.uniform(0.5, 1.0)
            at += every
    return unit(sound + 1e-6 * rng.standard_normal(num_samples))


def cries(num_samples: int, rng: np.random.Generator) -> Samples:
    """Babies, children, gulls, cats: arcs of pitch with many overtones, rough at times."""
    time_s = control_times(num_samples)
    base = log_uniform(rng, 250.0, 1_300.0)
    length_s, gap_s = log_uniform(rng, 0.2, 1.8), log_uniform(rng, 0.1, 1.5)
    pitch, loud = np.full(len(time_s), base), np.zeros(len(time_s))
    at = rng.uniform(0.0, 0.5)
    while at < time_s[-1]:
        long = length_s * rng.uniform(0.6, 1.4)
        now = (time_s >= at) & (time_s < at + long)
        part = (time_s[now] - at) / long
        peak, height = rng.uniform(0.15, 0.6), rng.uniform(0.05, 0.6)
        arc = np.where(part < peak, part / peak, (1.0 - part) / (1.0 - peak))
        pitch[now] = base * 2.0 ** (height * (arc - 0.5) + rng.normal(0.0, 0.1))
        loud[now] = np.clip(arc * 3.0, 0.0, 1.0) * rng.uniform(0.4, 1.0)
        at += long + gap_s * rng.uniform(0.4, 2.0)
    jitter = log_uniform(rng, 0.002, 0.03)
    pitch = pitch * (1.0 + jitter * wander(rng, len(time_s), 0.02))
    sound = tone(pitch, overtones(rng, rng.uniform(0.0, 10.0)), num_samples)
    if rng.random() < 0.4:
        sound *= 1.0 + 0.6 * to_samples(wander(rng, len(time_s), 0.008), num_samples)
    sound = equalised(rng, sound, 6.0)
    breath = coloured(
        rng,
        num_samples,
        np.array([0.0, 800.0, 3_000.0, 8_000.0]),
        np.array([-30.0, -6.0, 0.0, -6.0]),
    )
    sound = unit(sound) + rng.uniform(0.0, 0.2) * breath
    return unit(sound * to_samples(np.convolve(loud, np.ones(8) / 8, mode="same"), num_samples))


def beeps(num_samples: int, rng: np.random.Generator) -> Samples:
    """Reversing lorries, ovens, alarm clocks, doorbells, low batteries: rhythms, but not those."""
    kind = rng.integers(7)
    duration_s = num_samples / RATE
    carrier = log_uniform(rng, 600.0, 4_000.0)
    second, edge = carrier, rng.uniform(0.002, 0.02)
    stretches: list[tuple[float, float]] = []
    if kind == 0:  # reversing
        carrier = second = log_uniform(rng, 900.0, 2_900.0)
        on, off = rng.uniform(0.25, 0.6), rng.uniform(0.25, 0.6)
        stretches = [(at, at + on) for at in np.arange(rng.uniform(0, 1), duration_s, on + off)]
    elif kind == 1:  # an oven: two to six beeps, once
        on, num, at = (
            rng.uniform(0.1, 0.9),
            int(rng.integers(2, 7)),
            rng.uniform(0.0, 0.5 * duration_s),
        )
        stretches = [(at + n * 2 * on, at + n * 2 * on + on) for n in range(num)]
    elif kind == 2:  # an alarm clock: groups of two to four, every second
        on, num, every = rng.uniform(0.04, 0.12), int(rng.integers(2, 5)), rng.uniform(0.8, 1.3)
        stretches = [
            (at + n * 2 * on, at + n * 2 * on + on)
            for at in np.arange(rng.uniform(0, 1), duration_s, every)
            for n in range(num)
        ]
    elif kind == 3:  # low battery: one chirp
        at, on = rng.uniform(0.0, duration_s), rng.uniform(0.03, 0.25)
        stretches = [(at, at + on)]
    elif kind == 4:  # doorbell: two or three strokes that ring
        second = carrier * float(rng.choice([0.794, 0.75, 0.67, 1.26]))
        at, gap = rng.uniform(0.0, 0.6 * duration_s), rng.uniform(0.3, 0.9)
        time_s = np.arange(num_samples) / RATE
        sound = np.zeros(num_samples)
        for n in range(int(rng.integers(2, 7))):
            age = time_s - at - n * gap
            ring = np.where(age > 0, np.exp(-np.maximum(age, 0) / rng.uniform(0.15, 0.8)), 0.0)
            sound += ring * np.sin(2 * np.pi * (carrier if n % 2 == 0 else second) * age)
        return unit(sound)
    elif kind == 5:  # keys, one pitch each, at random
        at = rng.uniform(0.0, 0.5)
        sound = np.zeros(num_samples)
        while at < duration_s:
            on = rng.uniform(0.06, 0.3)
            hertz = rng.choice([697, 770, 852, 941]), rng.choice([1_209, 1_336, 1_477])
            gate = gated(num_samples, [(at, at + on)], edge)
            sound += gate * sum(
                np.sin(2 * np.pi * f * np.arange(num_samples) / RATE) for f in hertz
            )
            at += on + rng.uniform(0.05, 1.0)
        return unit(sound)
    else:  # a telephone: a warble, with the cadence of its country
        on, off = rng.choice([0.4, 1.0, 2.0]), rng.choice([0.2, 2.0, 4.0])
        second = carrier * rng.uniform(1.1, 1.4)
        stretches = [(at, at + on) for at in np.arange(rng.uniform(0, 1), duration_s, on + off)]
        time_s = control_times(num_samples)
        warble = np.mod(time_s * rng.uniform(10.0, 30.0), 1.0) < 0.5
        ring = tone(np.where(warble, carrier, second), overtones(rng, 10.0, 8), num_samples)
        return unit(ring * gated(num_samples, stretches, edge))
    tones = tone(
        np.full(len(control_times(num_samples)), carrier), overtones(rng, 15.0, 6), num_samples
    )
    return unit(tones * gated(num_samples, stretches, edge))


def whines(num_samples: int, rng: np.random.Generator) -> Samples:
    """Drills, saws, vacuum cleaners, fans: a stack of overtones on a motor, in its own noise."""
    time_s = control_times(num_samples)
    base = log_uniform(rng, 40.0, 900.0)
    load = np.convolve(
        wander(rng, len(time_s), log_uniform(rng, 0.2, 4.0)), np.ones(40) / 40, mode="same"
    )
    pitch = base * 2.0 ** (log_uniform(rng, 0.003, 0.4) * load)
    if rng.random() < 0.35:  # started and stopped, or revved
        on = np.convolve(
            (wander(rng, len(time_s), rng.uniform(0.3, 2.0)) > 0).astype(float),
            np.exp(-np.arange(400) / rng.uniform(30.0, 200.0)),
            mode="full",
        )[: len(time_s)]
        pitch = pitch * (0.3 + 0.7 * on / max(on.max(), 1e-9))
    pitch = pitch * (1.0 + log_uniform(rng, 0.0005, 0.01) * wander(rng, len(time_s), 0.02))
    sound = equalised(
        rng,
        tone(np.maximum(pitch, 25.0), overtones(rng, rng.uniform(-2.0, 6.0), 40), num_samples),
        8.0,
    )
    hiss = noise(num_samples, rng)
    return unit(unit(sound) + 10.0 ** (rng.uniform(-25.0, 10.0) / 20.0) * hiss)


def engines(num_samples: int, rng: np.random.Generator) -> Samples:
    """Idling engines, hammers, pumps: pulses through resonances, over rumble and hiss."""
    time_s = control_times(num_samples)
    rate = log_uniform(rng, 6.0, 120.0)
    drift = 1.0 + log_uniform(rng, 0.002, 0.1) * wander(
        rng, len(time_s), log_uniform(rng, 0.05, 2.0)
    )
    turns = np.cumsum(to_samples(rate * np.clip(drift, 0.3, 2.0), num_samples)) / RATE
    pulse_at = np.flatnonzero(np.diff(np.floor(turns)) > 0)
    # Every firing of a cylinder is like itself and unlike its neighbours.
    strength = np.resize(rng.uniform(0.3, 1.0, int(rng.integers(1, 7))), len(pulse_at))
    pulses = np.zeros(num_samples)
    pulses[pulse_at] = strength * (1.0 + 0.2 * rng.standard_normal(len(pulse_at)))
    length = RATE // 10
    age_s = np.arange(length) / RATE
    response = np.zeros(length)
    for _ in range(int(rng.integers(2, 7))):
        hertz, decay_s = log_uniform(rng, 60.0, 4_000.0), log_uniform(rng, 0.001, 0.03)
        ring = np.exp(-age_s / decay_s) * np.sin(2 * np.pi * hertz * age_s + rng.uniform(0.0, 6.3))
        response += rng.uniform(0.2, 1.0) * ring
    size = fast_length(num_samples + length)
    sound = np.fft.irfft(np.fft.rfft(pulses, size) * np.fft.rfft(response, size), size)[
        :num_samples
    ]
    sound = unit(sound) + 10.0 ** (rng.uniform(-25.0, 10.0) / 20.0) * noise(num_samples, rng)
    if rng.random() < 0.4:
        sound = unit(sound) + 10.0 ** (rng.uniform(-25.0, 0.0) / 20.0) * whines(num_samples, rng)
    return unit(sound)


def birds(num_samples: int, rng: np.random.Generator) -> Samples:
    """Chirps, human whistling, squeaking brakes: nearly sines that move."""
    time_s = control_times(num_samples)
    base = log_uniform(rng, 700.0, 4_500.0)
    long = log_uniform(rng, 0.04, 0.8)
    pitch, loud = np.full(len(time_s), base), np.zeros(len(time_s))
    at = rng.uniform(0.0, 0.5)
    same = rng.normal(0.0, 0.3, 4)
    while at < time_s[-1]:
        now = (time_s >= at) & (time_s < at + long)
        part = (time_s[now] - at) / long
        a, b, c, d = same if rng.random() < 0.6 else rng.normal(0.0, 0.3, 4)
        trill = 0.2 * c * np.sin(2 * np.pi * (5.0 + 20.0 * abs(d)) * part * long)
        pitch[now] = base * 2.0 ** (a * part + b * part**2 + trill)
        loud[now] = np.sin(np.pi * part) ** 0.5
        at += long * rng.uniform(1.0, 1.3) + (
            log_uniform(rng, 0.03, 1.5) if rng.random() < 0.6 else 0.0
        )
    sound = tone(
        np.minimum(pitch, 7_000.0), overtones(rng, rng.uniform(12.0, 40.0), 4), num_samples
    )
    return unit(sound * to_samples(loud, num_samples) + 1e-6)


def hums(num_samples: int, rng: np.random.Generator) -> Samples:
    """Tones that machines leave in their noise: held, many, unrelated."""
    time_s = control_times(num_samples)
    sound = noise(num_samples, rng)
    for _ in range(int(rng.integers(1, 7))):
        pitch = log_uniform(rng, 80.0, 4_000.0) * (1.0 + 0.002 * wander(rng, len(time_s), 0.3))
        loud = 10.0 ** (rng.uniform(-25.0, 5.0) / 20.0)
        beat = 1.0 + rng.uniform(0.0, 0.8) * np.sin(2 * np.pi * rng.uniform(0.1, 5.0) * time_s)
        sound += loud * tone(pitch, np.ones(1), num_samples) * to_samples(beat, num_samples)
    return unit(sound)


def noise(num_samples: int, rng: np.random.Generator) -> Samples:
    """Noise of any colour, steady, gusting or pulsing."""
    knots = np.array([0.0, 100.0, 300.0, 700.0, 1_500.0, 3_000.0, 6_000.0, 8_000.0])
    tilt = rng.uniform(-9.0, 2.0) * np.log2(np.maximum(knots, 60.0) / 500.0)
    sound = coloured(rng, num_samples, knots, tilt + rng.normal(0.0, 4.0, len(knots)))
    kind = rng.integers(4)
    if kind == 1:
        gust = 10.0 ** (
            rng.uniform(0.0, 8.0)
            * wander(rng, len(control_times(num_samples)), rng.uniform(0.1, 3.0))
            / 20.0
        )
        sound = sound * to_samples(gust, num_samples)
    elif kind == 2:  # hammers, engines, steps
        rate = log_uniform(rng, 1.0, 30.0)
        place = np.mod(np.arange(num_samples) / RATE * rate, 1.0)
        sound = sound * (0.1 + np.exp(-place * rng.uniform(2.0, 15.0)))
    return unit(sound)


LOOKALIKES: tuple[tuple[Maker, float], ...] = (
    (car_horn, 0.22),
    (music, 0.26),
    (cries, 0.14),
    (beeps, 0.12),
    (whines, 0.16),
    (engines, 0.12),
    (birds, 0.08),
    (hums, 0.08),
)
"""What to choose from, and how often."""


def echoing(
    rng: np.random.Generator, sound: Samples, direct: tuple[float, float] = (1.0, 1.0)
) -> Samples:
    """Return ``sound`` with the echoes of a street or a hall, sometimes with little else.

    ``direct`` is the range of the sound that comes straight: far away there is hardly any.
    """
    decay_s = log_uniform(rng, 0.08, 2.5)
    length = int(min(1.5 * decay_s, 2.0) * RATE)
    time_s = np.arange(length) / RATE
    dense = rng.standard_normal(length) * (rng.random(length) < log_uniform(rng, 0.002, 1.0))
    tail = dense * np.exp(-6.9 * time_s / decay_s)
    tail = shaped(
        tail,
        np.array([0.0, 300.0, 1_500.0, 4_000.0, 8_000.0]),
        np.array([rng.uniform(-10, 0), 0.0, 0.0, rng.uniform(-12, 0), rng.uniform(-30, -6)]),
    )
    tail *= log_uniform(rng, 0.1, 6.0) / (np.sqrt(np.sum(tail**2)) + 1e-9)
    tail[0] += rng.uniform(*direct)
    size = fast_length(len(sound) + length)
    wet = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(tail, size), size)
    return wet[: len(sound)]
