"""Noises without end: seeded random sounds of the kinds that speech is recorded in.

Realism of a single sound matters less than the range of them: what a network has never met it takes
for speech. Every generator returns unit-RMS float32 samples of mono sound.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from anc_core.audio.synth import NOISE_KINDS, noise

Samples = NDArray[np.float32]
Generator = np.random.Generator

_SHAPE_POINTS = 14
"""Support points of a random spectrum, on a logarithmic axis from 30 Hz to Nyquist."""


def synthetic_noise(duration_s: float, sample_rate: int, rng: Generator) -> tuple[str, Samples]:
    """Return the kind and the samples of a random noise, unit RMS, float32 (num_samples,)."""
    kind = rng.choice(list(_SHARES), p=_PROBABILITIES)
    num_samples = round(duration_s * sample_rate)
    samples = _GENERATORS[kind](num_samples, sample_rate, rng)
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return str(kind), (samples / max(rms, 1e-9)).astype(np.float32)


def coloured(num_samples: int, rate: int, rng: Generator, *, roughness_db: float = 9.0) -> Samples:
    """Return noise with a random smooth spectrum: any fan, wind, road or tape."""
    return shape_spectrum(rng.standard_normal(num_samples), rate, rng, roughness_db, tilt=True)


def shape_spectrum(
    samples: NDArray[np.floating], rate: int, rng: Generator, roughness_db: float, *, tilt: bool
) -> Samples:
    """Return ``samples`` through a random smooth filter; ``tilt`` adds -12 to +3 dB an octave."""
    spectrum = np.fft.rfft(np.asarray(samples, np.float32))
    frequency_hz = np.maximum(np.fft.rfftfreq(len(samples), 1.0 / rate), 20.0)
    octaves = np.log2(frequency_hz / 30.0)
    points = np.linspace(0.0, np.log2(rate / 60.0), _SHAPE_POINTS)
    curve_db = np.interp(octaves, points, rng.normal(0.0, roughness_db, _SHAPE_POINTS))
    if tilt:
        curve_db += rng.uniform(-9.0, 1.5) * np.clip(octaves, 1.0, None)
    spectrum *= 10.0 ** (curve_db / 20.0)
    return np.fft.irfft(spectrum, len(samples)).astype(np.float32)


def slow_curve(
    num_samples: int, rate: int, rng: Generator, *, rate_hz: float, db: float
) -> Samples:
    """Return a smooth random gain, its level in dB normal with ``db``, moving at ``rate_hz``."""
    num_points = max(2, int(num_samples / rate * rate_hz) + 2)
    points = rng.normal(0.0, db, num_points)
    level_db = np.interp(np.linspace(0, num_points - 1, num_samples), np.arange(num_points), points)
    return (10.0 ** (level_db / 20.0)).astype(np.float32)


def modulated(num_samples: int, rate: int, rng: Generator) -> Samples:
    """Return coloured noise that swells, flutters or chops: wind, waves, rotors, passing cars."""
    samples = coloured(num_samples, rate, rng)
    if rng.random() < 0.5:
        return samples * slow_curve(
            num_samples, rate, rng, rate_hz=10 ** rng.uniform(-0.3, 1.2), db=rng.uniform(3, 10)
        )
    beat_hz = 10 ** rng.uniform(0.2, 1.7)
    phase = 2 * np.pi * beat_hz * np.arange(num_samples) / rate
    phase += np.cumsum(rng.normal(0, 0.003, num_samples))
    sharpness = rng.uniform(0.5, 8.0)
    pulse = np.exp(sharpness * (np.cos(phase) - 1.0))
    other = coloured(num_samples, rate, rng)
    chopped: Samples = samples * pulse.astype(np.float32)
    return chopped + other * np.float32(rng.uniform(0.02, 0.5))


def pitch_track(
    num_samples: int, rate: int, rng: Generator, low_hz: float, high_hz: float
) -> Samples:
    """Return a wandering frequency in Hz: an engine that works."""
    base_hz = np.exp(rng.uniform(np.log(low_hz), np.log(high_hz)))
    drift = slow_curve(
        num_samples, rate, rng, rate_hz=rng.uniform(0.3, 4.0), db=rng.uniform(0, 2.0)
    )
    return np.asarray(base_hz * drift, np.float32)


def harmonics(num_samples: int, rate: int, rng: Generator) -> Samples:
    """Return a stack of harmonics over noise: engines, drills, saws, hum, compressors."""
    pitch_hz = pitch_track(num_samples, rate, rng, 20.0, 500.0)
    cycles = np.cumsum(pitch_hz, dtype=np.float64) / rate
    num_harmonics = int(min(60, 0.47 * rate / float(pitch_hz.max())))
    slope = rng.uniform(0.2, 1.6)
    wave = np.zeros(num_samples, np.float32)
    angle = np.exp(2j * np.pi * (cycles % 1.0)).astype(np.complex64)
    term = np.ones(num_samples, np.complex64)
    for order in range(1, max(2, num_harmonics) + 1):
        term *= angle
        weight = order**-slope * rng.uniform(0.1, 1.0)
        turn = np.exp(2j * np.pi * rng.random())
        wave += np.float32(weight) * (term * np.complex64(turn)).real
    wave = shape_spectrum(wave, rate, rng, 7.0, tilt=False)
    wave /= np.sqrt(np.mean(wave**2)) + 1e-9
    if rng.random() < 0.6:
        chop = np.exp(
            rng.uniform(0.5, 5.0) * (np.cos(2 * np.pi * cycles * rng.choice([0.25, 0.5, 1.0])) - 1)
        )
        wave *= chop.astype(np.float32)
    bed = coloured(num_samples, rate, rng)
    wave += bed / (np.sqrt(np.mean(bed**2)) + 1e-9) * np.float32(10 ** rng.uniform(-1.5, 0.2))
    return wave


def impacts(num_samples: int, rate: int, rng: Generator) -> Samples:
    """Return single blows with resonances: typing, ticks, dishes, hammers, crackle, footsteps."""
    samples = np.zeros(num_samples, np.float32)
    is_regular = rng.random() < 0.35
    per_second = 10 ** rng.uniform(0.0, 1.6)
    count = max(1, int(num_samples / rate * per_second))
    if is_regular:
        times = (np.arange(count) + rng.random()) / per_second
        times += rng.normal(0, 0.01 / per_second, count)
    else:
        times = rng.uniform(0, num_samples / rate, count)
    num_kinds = int(rng.integers(1, 4))
    blows = [_blow(rate, rng) for _ in range(num_kinds)]
    for start in np.clip((times * rate).astype(int), 0, num_samples - 1):
        blow = blows[rng.integers(num_kinds)]
        stop = min(num_samples, start + len(blow))
        samples[start:stop] += blow[: stop - start] * np.float32(10 ** rng.normal(0, 0.3))
    if rng.random() < 0.6:
        bed = coloured(num_samples, rate, rng)
        loud = np.sqrt(np.mean(samples**2)) / (np.sqrt(np.mean(bed**2)) + 1e-9)
        samples += bed * np.float32(loud * 10 ** rng.uniform(-1.5, 0.0))
    return samples


def _blow(rate: int, rng: Generator) -> Samples:
    time_s = np.arange(int(rate * rng.uniform(0.01, 0.35))) / rate
    decay_s = rng.uniform(0.001, 0.06)
    sound = rng.standard_normal(len(time_s)) * np.exp(-time_s / decay_s)
    for _ in range(int(rng.integers(0, 6))):
        ring_hz = np.exp(rng.uniform(np.log(120), np.log(7000)))
        sound += (
            rng.uniform(0.2, 2.0)
            * np.sin(2 * np.pi * ring_hz * time_s)
            * np.exp(-time_s / (decay_s * rng.uniform(0.5, 4.0)))
        )
    return shape_spectrum(sound, rate, rng, 6.0, tilt=rng.random() < 0.5)


def notes(num_samples: int, rate: int, rng: Generator) -> Samples:
    """Return melodies and chords with percussion: music from the next room or the street."""
    samples = np.zeros(num_samples, np.float32)
    beat_s = rng.uniform(0.12, 0.6)
    scale = np.cumsum(rng.choice([1, 2, 2, 3], 12))
    root_hz = np.exp(rng.uniform(np.log(80), np.log(500)))
    decay_s, slope = rng.uniform(0.08, 2.0), rng.uniform(0.3, 2.0)
    vibrato_hz, vibrato = rng.uniform(4, 7), rng.uniform(0, 0.01) * (rng.random() < 0.5)
    for _voice in range(int(rng.integers(1, 4))):
        octave = 2.0 ** rng.integers(-1, 2)
        for beat in np.arange(0.0, num_samples / rate, beat_s * rng.choice([1, 2, 4])):
            if rng.random() < 0.2:
                continue
            start = int(beat * rate)
            length = min(num_samples - start, int(rate * beat_s * rng.uniform(0.8, 4.0)))
            time_s = np.arange(length) / rate
            note_hz = root_hz * octave * 2.0 ** (scale[rng.integers(len(scale))] / 12.0)
            bend = note_hz * (
                time_s + vibrato * np.sin(2 * np.pi * vibrato_hz * time_s) / vibrato_hz
            )
            tone = np.zeros(length)
            for order in range(1, 9):
                if order * note_hz < 0.45 * rate:
                    tone += order**-slope * rng.uniform(0.3, 1) * np.sin(2 * np.pi * order * bend)
            attack = np.minimum(1.0, time_s / rng.uniform(0.002, 0.05))
            samples[start : start + length] += (
                tone * attack * np.exp(-time_s / decay_s) * rng.uniform(0.3, 1.0)
            ).astype(np.float32)
    if rng.random() < 0.5:
        drums = impacts(num_samples, rate, rng)
        samples += drums * np.float32(
            np.sqrt(np.mean(samples**2))
            / (np.sqrt(np.mean(drums**2)) + 1e-9)
            * rng.uniform(0.2, 1.5)
        )
    return shape_spectrum(samples, rate, rng, 4.0, tilt=False)


def sweeps(num_samples: int, rate: int, rng: Generator) -> Samples:
    """Return tones that glide or alternate: sirens, beepers, birds, whistles, phones."""
    time_s = np.arange(num_samples) / rate
    low_hz = np.exp(rng.uniform(np.log(250), np.log(3000)))
    span = rng.uniform(1.05, 3.0)
    cycle_hz = 10 ** rng.uniform(-0.7, 1.0)
    shape = rng.choice(["sine", "saw", "square"])
    phase = (cycle_hz * time_s + rng.random()) % 1.0
    if shape == "sine":
        curve = 0.5 + 0.5 * np.sin(2 * np.pi * phase)
    elif shape == "saw":
        curve = phase if rng.random() < 0.5 else 1 - phase
    else:
        curve = (phase < 0.5).astype(float)
    cycles = np.cumsum(np.minimum(low_hz * span**curve, 0.47 * rate)) / rate
    tone = np.sin(2 * np.pi * cycles)
    tone += rng.uniform(0, 0.5) * np.sin(4 * np.pi * cycles) * (low_hz * span < 0.23 * rate)
    if rng.random() < 0.5:
        gate_hz = 10 ** rng.uniform(-0.3, 0.9)
        gate = (np.sin(2 * np.pi * gate_hz * time_s) > rng.uniform(-0.8, 0.8)).astype(np.float32)
        tone *= np.convolve(gate, np.hanning(160) / 80.0, mode="same")
    bed = coloured(num_samples, rate, rng)
    bed /= np.sqrt(np.mean(bed**2)) + 1e-9
    return np.asarray(tone + bed * 10 ** rng.uniform(-2.0, -0.1), np.float32)


def _named(num_samples: int, rate: int, rng: Generator) -> Samples:
    kind = str(rng.choice([kind for kind in NOISE_KINDS if kind != "babble"]))
    return noise(kind, num_samples / rate, rate, seed=rng, level_dbfs=-30.0)[:num_samples]


_GENERATORS: dict[str, Callable[[int, int, Generator], Samples]] = {
    "coloured": coloured,
    "modulated": modulated,
    "harmonics": harmonics,
    "impacts": impacts,
    "notes": notes,
    "sweeps": sweeps,
    "named": _named,
}
_SHARES = {
    "coloured": 0.10,
    "modulated": 0.16,
    "harmonics": 0.20,
    "impacts": 0.18,
    "notes": 0.18,
    "sweeps": 0.07,
    "named": 0.11,
}
_PROBABILITIES = list(_SHARES.values())
