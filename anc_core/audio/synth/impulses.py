"""Clicks and pops of a device: plugs, relays, dropped packets."""

from __future__ import annotations

import numpy as np

from anc_core.audio.synth.signals import (
    Audio,
    Samples,
    Seed,
    check_level,
    count_samples,
    from_db,
    scatter_add,
)
from anc_core.errors import InputError

_GRAIN_S = 0.06


def clicks(
    duration_s: float,
    sample_rate: int,
    *,
    seed: Seed,
    clicks_per_s: float = 1.5,
    level_dbfs: float = -12.0,
) -> Audio:
    """Return clicks and pops at random times over digital silence.

    Parameters
    ----------
    duration_s, sample_rate
        s and Hz.
    seed : int or Generator
        Fixes times and shapes.
    clicks_per_s : float
        Mean rate, above 0 to 50; there is at least one click.
    level_dbfs : float
        Peak of the loudest click.

    Returns
    -------
    ndarray of float32, shape (num_samples,)

    Raises
    ------
    InputError
        If the rate or the level is out of range.
    """
    if not 0.0 < clicks_per_s <= 50.0:
        msg = f"clicks_per_s is {clicks_per_s}; it must be above 0 and at most 50"
        raise InputError(msg)
    num_samples = count_samples(duration_s, sample_rate)
    rng = np.random.default_rng(seed)
    count = max(1, int(rng.poisson(clicks_per_s * duration_s)))
    starts = rng.integers(0, num_samples, count)
    samples = scatter_add(num_samples, starts, _shapes(count, sample_rate, rng))
    peak = float(np.max(np.abs(samples)))
    return (samples * (from_db(check_level(level_dbfs)) / peak)).astype(np.float32)


def _shapes(count: int, sample_rate: int, rng: np.random.Generator) -> Samples:
    """Return (count, grain_length): two in three a sharp tick, one in three a dull pop.

    A tick is a contact that rings for a millisecond; a pop is a step that leaks away through a
    coupling capacitor. Their first sample is full scale, as in the devices.
    """
    time_s = np.arange(round(_GRAIN_S * sample_rate)) / sample_rate
    dull = rng.random((count, 1)) < 1.0 / 3.0
    decay_s = np.where(
        dull, rng.uniform(4e-3, 12e-3, (count, 1)), rng.uniform(2e-4, 1e-3, (count, 1))
    )
    pitch_hz = np.where(dull, rng.uniform(20, 60, (count, 1)), rng.uniform(1e3, 4e3, (count, 1)))
    pitch_hz = np.minimum(pitch_hz, 0.4 * sample_rate)
    strength = rng.choice([-1.0, 1.0], (count, 1)) * rng.uniform(0.3, 1.0, (count, 1))
    return strength * np.exp(-time_s / decay_s) * np.cos(2.0 * np.pi * pitch_hz * time_s)
