"""Machines: mains hum, fans, engines. All turn, none turns quite steadily."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.audio.synth.signals import (
    Samples,
    from_db,
    harmonic_sum,
    hump,
    power_law,
    random_phases,
    rms,
    shaped_noise,
    wander,
)
from anc_core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HUM_DB = (-6.0, 0.0, -10.0, -9.0, -14.0, -12.0, -18.0, -16.0, -22.0, -20.0, -26.0, -24.0)
_GOLDEN = 0.38196601125  # spreads fixed phases evenly: no harmonic peaks together


def mains_hum(
    num_samples: int, sample_rate: int, rng: np.random.Generator, *, mains_hz: float = 50.0
) -> Samples:
    """Return mains hum: harmonics, strongest at twice the mains (rectifiers), over a faint hiss.

    Parameters
    ----------
    mains_hz : float
        40 to 70 Hz; it drifts by some hundredths of a Hz, as grids do.
    """
    if not 40.0 <= mains_hz <= 70.0:
        msg = f"mains_hz is {mains_hz}; it must be from 40 to 70 Hz"
        raise InputError(msg)
    drift = 1.0 + 2e-4 * wander(num_samples, sample_rate, rng, period_s=5.0)
    cycles = np.cumsum(mains_hz * drift) / sample_rate
    weights = random_phases(np.array([from_db(level) for level in _HUM_DB]), rng)
    tones = harmonic_sum(cycles, _below_nyquist(weights, mains_hz, sample_rate))
    hiss = shaped_noise(num_samples, sample_rate, rng, power_law(-3.0, low_cut_hz=100.0))
    return _unit(tones) + from_db(-32.0) * hiss


def fan(num_samples: int, sample_rate: int, rng: np.random.Generator) -> Samples:
    """Return a fan: rushing air, the blades passing (7 blades, about 24 turns a second), a motor.

    The rush is modulated by the turning rotor and swells slowly, as air in a room does.
    """
    turns_hz = rng.uniform(20.0, 28.0) * (
        1.0 + 0.002 * wander(num_samples, sample_rate, rng, period_s=1.5)
    )
    turns = np.cumsum(turns_hz) / sample_rate
    num_blades = 7
    weights = random_phases(np.array([from_db(-7.0 * k) for k in range(6)]), rng)
    blade_pass_hz = num_blades * float(turns_hz.max())
    blades = harmonic_sum(num_blades * turns, _below_nyquist(weights, blade_pass_hz, sample_rate))
    rotor = harmonic_sum(turns, random_phases(np.array([1.0, 0.4]), rng))
    motor = harmonic_sum(4.0 * turns, random_phases(np.array([1.0, 0.3, 0.2]), rng))
    rush = shaped_noise(num_samples, sample_rate, rng, hump(220.0, below_db=7.0, above_db=5.5))
    swell = 1.0 + 0.06 * rotor + 0.08 * wander(num_samples, sample_rate, rng, period_s=0.7)
    tones = 0.5 * _unit(blades) + 0.15 * _unit(motor) + 0.1 * _unit(rotor)
    return rush * swell + tones * (1.0 + 0.1 * wander(num_samples, sample_rate, rng, period_s=0.5))


def engine(num_samples: int, sample_rate: int, rng: np.random.Generator) -> Samples:
    """Return a four-cylinder four-stroke engine: firing twice a turn, the speed wandering.

    The cylinders differ a little, so all orders of half the turning rate are heard, the firing
    order (the fourth of them) most. Valve and intake noise pulses with the firing.
    """
    idle_hz = rng.uniform(17.0, 26.0)
    revs_hz = idle_hz * np.exp2(0.22 * wander(num_samples, sample_rate, rng, period_s=1.8))
    revs_hz *= 1.0 + 0.006 * wander(num_samples, sample_rate, rng, period_s=0.06)
    cam_turns = np.cumsum(revs_hz / 2.0) / sample_rate
    weights = _below_nyquist(_engine_orders(rng), float(revs_hz.max()) / 2.0, sample_rate)
    tones = _unit(harmonic_sum(cam_turns, weights))
    stroke = np.clip(0.5 + 0.5 * np.cos(2.0 * np.pi * 4.0 * cam_turns), 0.0, 1.0) ** 2
    air = shaped_noise(num_samples, sample_rate, rng, hump(500.0, below_db=5.0, above_db=6.0))
    load = np.clip(revs_hz / idle_hz, 0.3, 3.0)
    return (tones + 0.35 * air * (0.3 + stroke)) * load


def _engine_orders(rng: np.random.Generator) -> NDArray[np.complex128]:
    orders = np.arange(1, 97)
    firing = np.where(orders % 4 == 0, 1.0, from_db(-13.0) * rng.uniform(0.3, 1.0, len(orders)))
    # A muffler and the sheet metal: two broad resonances on a fall of 7 dB an octave.
    body = 1.0 + np.exp(-(((orders - 12.0) / 5.0) ** 2)) + np.exp(-(((orders - 36.0) / 10.0) ** 2))
    amplitudes = firing * body * (4.0 / np.maximum(orders, 4)) ** (7.0 / 6.0)
    phases = np.pi * _GOLDEN * orders**2
    weights: NDArray[np.complex128] = amplitudes * np.exp(1j * phases)
    return weights


def _below_nyquist(
    weights: NDArray[np.complex128], fundamental_hz: float, sample_rate: int
) -> NDArray[np.complex128]:
    """Return the harmonics that fit below 0.45 of the sample rate, the first in any case."""
    return weights[: max(1, int(0.45 * sample_rate / fundamental_hz))]


def _unit(samples: Samples) -> Samples:
    return samples / max(rms(samples), 1e-12)
