"""Noises by name: the colours of the textbook and the sounds of offices, streets and machines."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from anc_core.audio.synth import machines, outdoors, people
from anc_core.audio.synth.signals import (
    Audio,
    Samples,
    Seed,
    at_level,
    count_samples,
    power_law,
    shaped_noise,
)
from anc_core.errors import InputError

_LOWEST_HZ = 15.0  # coloured noise ends here: below lies drift, not sound

Generate = Callable[[int, int, np.random.Generator], Samples]


def _coloured(slope_db_per_octave: float) -> Generate:
    def generate(num_samples: int, sample_rate: int, rng: np.random.Generator) -> Samples:
        law = power_law(slope_db_per_octave, low_cut_hz=_LOWEST_HZ)
        return shaped_noise(num_samples, sample_rate, rng, law)

    return generate


def _white(num_samples: int, _sample_rate: int, rng: np.random.Generator) -> Samples:
    return rng.standard_normal(num_samples)


_GENERATORS: dict[str, Generate] = {
    "white": _white,
    "pink": _coloured(-3.0103),
    "brown": _coloured(-6.0206),
    "hum": machines.mains_hum,
    "fan": machines.fan,
    "engine": machines.engine,
    "traffic": outdoors.traffic,
    "rain": outdoors.rain,
    "babble": people.babble,
    "typing": people.typing,
}

NOISE_KINDS = tuple(_GENERATORS)
"""Names that :func:`noise` knows."""


def noise(
    kind: str,
    duration_s: float,
    sample_rate: int,
    *,
    seed: Seed,
    level_dbfs: float = -40.0,
    mains_hz: float | None = None,
) -> Audio:
    """Return a noise.

    Parameters
    ----------
    kind : str
        One of :data:`NOISE_KINDS`.
    duration_s, sample_rate
        s and Hz.
    seed : int or Generator
        The same seed, length and rate give the same samples.
    level_dbfs : float
        RMS over the whole length, full-scale square = 0. Peaks are 12 dB above it for steady noises
        and up to 30 dB for typing.
    mains_hz : float, optional
        For ``hum`` only, 40 to 70 Hz; default 50.

    Returns
    -------
    ndarray of float32, shape (num_samples,)

    Raises
    ------
    InputError
        If the kind is unknown or a number is out of range.
    """
    if kind not in _GENERATORS:
        msg = f"noise kind {kind!r} is unknown; choose one of {', '.join(NOISE_KINDS)}"
        raise InputError(msg)
    if mains_hz is not None and kind != "hum":
        msg = f"mains_hz is {mains_hz}, but the noise is {kind!r}: only 'hum' comes from the mains"
        raise InputError(msg)
    num_samples = count_samples(duration_s, sample_rate)
    rng = np.random.default_rng(seed)
    if mains_hz is None:
        samples = _GENERATORS[kind](num_samples, sample_rate, rng)
    else:
        samples = machines.mains_hum(num_samples, sample_rate, rng, mains_hz=mains_hz)
    return at_level(samples, level_dbfs)
