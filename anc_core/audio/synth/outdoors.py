"""Outdoors: traffic on a road, rain on a roof."""

from __future__ import annotations

import numpy as np

from anc_core.audio.synth.signals import (
    Samples,
    from_db,
    hump,
    power_law,
    scatter_add,
    shaped_noise,
    time_axis,
    wander,
)

_CARS_PER_S = 0.22
_DROPS_PER_S = 260.0
_DROP_S = 0.012


def traffic(num_samples: int, sample_rate: int, rng: np.random.Generator) -> Samples:
    """Return a road: a low steady rumble of far traffic and single cars that pass.

    A passing car is tyre noise around 900 Hz and an engine rumble; its amplitude goes as 1/r, and
    the bright part is heard only near by.
    """
    time_s = time_axis(num_samples, sample_rate)
    duration_s = num_samples / sample_rate
    far = shaped_noise(num_samples, sample_rate, rng, power_law(-7.0, low_cut_hz=45.0))
    tyres = shaped_noise(num_samples, sample_rate, rng, hump(850.0, below_db=5.0, above_db=8.0))
    rumble = shaped_noise(num_samples, sample_rate, rng, hump(110.0, below_db=9.0, above_db=7.0))
    num_cars = max(1, int(rng.poisson(_CARS_PER_S * duration_s)))
    # One car falls in every stretch of the recording, so that short ones are not empty.
    moments_s = (np.arange(num_cars) + rng.uniform(0.15, 0.85, num_cars)) * duration_s / num_cars
    near, nearer = np.zeros(num_samples), np.zeros(num_samples)
    for moment_s in moments_s:
        distance_m, speed_m_s = rng.uniform(6.0, 14.0), rng.uniform(9.0, 18.0)
        ratio = 1.0 / (1.0 + (speed_m_s * (time_s - moment_s) / distance_m) ** 2)
        power = (8.0 / distance_m) ** 2 * ratio
        near += power
        nearer += power * ratio
    breath = 1.0 + 0.15 * wander(num_samples, sample_rate, rng, period_s=0.8)
    return far * breath + 1.1 * np.sqrt(near) * rumble + 1.5 * np.sqrt(nearer) * tyres


def rain(num_samples: int, sample_rate: int, rng: np.random.Generator) -> Samples:
    """Return rain: a bright hiss of far drops and some hundred near drops a second.

    A drop is a short knock with, sometimes, the ringing of the bubble it drew in (1 to 8 kHz).
    Sizes are log-normal, as in nature.
    """
    hiss = shaped_noise(num_samples, sample_rate, rng, hump(3_500.0, below_db=3.0, above_db=3.0))
    roof = shaped_noise(num_samples, sample_rate, rng, hump(300.0, below_db=6.0, above_db=6.0))
    swell = 1.0 + 0.1 * wander(num_samples, sample_rate, rng, period_s=1.2)
    count = max(1, int(rng.poisson(_DROPS_PER_S * num_samples / sample_rate)))
    starts = rng.integers(-round(_DROP_S * sample_rate), num_samples, count)
    drops = scatter_add(num_samples, starts, _drops(count, sample_rate, rng))
    return (hiss + 0.3 * roof) * swell + 1.35 * drops


def _drops(count: int, sample_rate: int, rng: np.random.Generator) -> Samples:
    time_s = np.arange(max(2, round(_DROP_S * sample_rate))) / sample_rate
    # The cap is the largest drop that does not break up as it falls (about 5 mm).
    size = np.minimum(np.exp(0.7 * rng.standard_normal((count, 1))), 4.0)
    knock_s = rng.uniform(2e-4, 8e-4, (count, 1))
    knock = rng.standard_normal((count, len(time_s))) * np.exp(-time_s / knock_s)
    pitch_hz = np.minimum(1_000.0 * np.exp2(rng.uniform(0.0, 3.0, (count, 1))), 0.42 * sample_rate)
    ring_s = 2.5 / pitch_hz
    bubble = np.sin(2.0 * np.pi * pitch_hz * time_s) * np.exp(-time_s / ring_s)
    rings = rng.random((count, 1)) < 0.35
    drops: Samples = size * (knock + from_db(2.0) * rings * bubble)
    return drops
