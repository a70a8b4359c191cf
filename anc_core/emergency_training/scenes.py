"""Scenes to learn from: an alarm or none, a talker or none, what looks like an alarm, noise.

Every scene depends on the seed and its number alone, and on the recordings that noise and speech
are taken from. The siren is mixed at -10 to +30 dB against all else; four in ten have a talker over
them, as a detector that never heard that learns "where speech is, is no siren".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anc_core.audio.synth import room
from anc_core.emergency_training import lookalikes, sirens
from anc_core.emergency_training.tones import (
    RATE,
    control_times,
    equalised,
    log_uniform,
    shaped,
    to_samples,
    unit,
    wander,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anc_core.emergency_training.pool import Pool
    from anc_core.emergency_training.tones import Samples

CELL = RATE // 2
_SIREN_SHARE = 0.45
_EDGE_CELLS = 2
"""Where an alarm begins or ends the guard decides, and the context cannot."""
_AUDIBLE_CELLS = 3
"""A cell of an alarm that sounds no nearer than that can't be told: the rules know its rhythm."""
_LONG_S, _SHORT_S = (8.0, 14.0), (3.0, 5.0)


@dataclass(frozen=True, slots=True)
class Scene:
    """One piece of sound and what is in it.

    Attributes
    ----------
    samples : ndarray of float32, shape (num_samples,)
    is_alarm : ndarray of bool, shape (num_cells,)
        Half-second cells; the last may be shorter.
    counts : ndarray of bool, shape (num_cells,)
        Whether the cell can be learned from.
    kind : str
        The alarm, or what else it is.
    snr_db : float
        Of the alarm against all else; NaN without one.
    has_speech : bool
    """

    samples: NDArray[np.float32]
    is_alarm: NDArray[np.bool_]
    counts: NDArray[np.bool_]
    kind: str
    snr_db: float
    has_speech: bool


def scene(number: int, seed: int, speech: Pool, noise: Pool) -> Scene:
    """Return scene ``number`` of ``seed``."""
    rng = np.random.default_rng([seed, number])
    num_samples = int(rng.uniform(*(_SHORT_S if rng.random() < 0.5 else _LONG_S)) * RATE)
    if rng.random() < _SIREN_SHARE:
        return _with_siren(num_samples, rng, speech, noise)
    return _without(num_samples, rng, speech, noise)


def _with_siren(num_samples: int, rng: np.random.Generator, speech: Pool, noise: Pool) -> Scene:
    maker = _choose(rng, sirens.SIRENS)
    start, stop = 0, num_samples
    if num_samples > 6 * RATE and rng.random() < 0.6:
        start = int(rng.uniform(0.0, 0.6) * num_samples)
        stop = int(min(num_samples, start + rng.uniform(3.0, 12.0) * RATE))
    sounding = unit(_travelled(maker(stop - start, rng), rng))
    has_speech = rng.random() < 0.4
    rest = _background(num_samples, rng, noise)
    if has_speech:
        voice = _talker(num_samples, rng, speech)
        # Against the siren, not against the noise: speech may cover it.
        rest = rest * 10.0 ** (rng.uniform(-30.0, 0.0) / 20.0) + voice
    if rng.random() < 0.15:
        other = _choose(rng, lookalikes.LOOKALIKES)
        rest = rest + 10.0 ** (rng.uniform(-15.0, 5.0) / 20.0) * _heard(
            other(num_samples, rng), rng
        )
    snr_db = float(rng.uniform(-10.0, 30.0) if not has_speech else rng.uniform(-8.0, 12.0))
    sound = 10.0 ** (-snr_db / 20.0) * unit(rest)
    sound[start:stop] += sounding
    edges = np.arange(0, num_samples, CELL)
    inside = np.minimum(edges + CELL, stop) - np.maximum(edges, start)
    is_alarm = inside > 0.5 * CELL
    loud = np.zeros(len(edges) * CELL)
    loud[start:stop] = np.square(sounding)
    sounds = loud.reshape(-1, CELL).mean(axis=1) > 1e-3
    is_edge = _near(is_alarm, _EDGE_CELLS) & ~is_alarm
    return Scene(
        samples=_recorded(sound, rng),
        is_alarm=is_alarm,
        counts=np.where(is_alarm, _near(sounds, _AUDIBLE_CELLS), ~is_edge),
        kind=maker.__name__,
        snr_db=snr_db,
        has_speech=has_speech,
    )


def _without(num_samples: int, rng: np.random.Generator, speech: Pool, noise: Pool) -> Scene:
    draw = rng.random()
    has_speech = False
    if draw < 0.28:
        kind, has_speech = "speech", True
        sound = _talker(num_samples, rng, speech)
        if rng.random() < 0.75:
            sound = sound + 10.0 ** (rng.uniform(-30.0, 6.0) / 20.0) * _background(
                num_samples, rng, noise
            )
    elif draw < 0.75:
        maker = _choose(rng, lookalikes.LOOKALIKES)
        kind = maker.__name__
        sound = _heard(maker(num_samples, rng), rng)
        if rng.random() < 0.25:
            sound = sound + _heard(_choose(rng, lookalikes.LOOKALIKES)(num_samples, rng), rng)
        sound = sound + 10.0 ** (rng.uniform(-40.0, 8.0) / 20.0) * _background(
            num_samples, rng, noise
        )
        if rng.random() < 0.15:
            has_speech = True
            sound = sound + 10.0 ** (rng.uniform(-10.0, 10.0) / 20.0) * _talker(
                num_samples, rng, speech
            )
    else:
        kind, sound = "noise", _background(num_samples, rng, noise)
    num_cells = -(-num_samples // CELL)
    return Scene(
        samples=_recorded(sound, rng),
        is_alarm=np.zeros(num_cells, np.bool_),
        counts=np.ones(num_cells, np.bool_),
        kind=kind,
        snr_db=float("nan"),
        has_speech=has_speech,
    )


def _near(cells: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Return the cells that are no further than ``reach`` from one of ``cells``."""
    wide: NDArray[np.bool_] = (
        np.convolve(cells, np.ones(2 * reach + 1), mode="full")[reach:][: len(cells)] > 0.5
    )
    return wide


def _choose(
    rng: np.random.Generator,
    table: tuple[tuple[Callable[[int, np.random.Generator], Samples], float], ...],
) -> Callable[[int, np.random.Generator], Samples]:
    shares = np.array([share for _, share in table])
    return table[int(rng.choice(len(table), p=shares / shares.sum()))][0]


def _talker(num_samples: int, rng: np.random.Generator, speech: Pool) -> Samples:
    sound = unit(_heard(speech.excerpt(num_samples, rng), rng))
    for _ in range(int(rng.choice([0, 1, 4], p=[0.75, 0.15, 0.1]))):  # others talk too
        sound = sound + 10.0 ** (rng.uniform(-15.0, 0.0) / 20.0) * unit(
            speech.excerpt(num_samples, rng)
        )
    return unit(sound)


def _background(num_samples: int, rng: np.random.Generator, noise: Pool) -> Samples:
    sound = np.zeros(num_samples)
    for _ in range(int(rng.choice([1, 2, 3], p=[0.55, 0.35, 0.1]))):
        draw = rng.random()
        if draw < 0.5:
            part = unit(noise.excerpt(num_samples, rng))
        elif draw < 0.7:
            part = lookalikes.noise(num_samples, rng)
        elif draw < 0.85:
            part = lookalikes.engines(num_samples, rng)
        else:
            part = lookalikes.hums(num_samples, rng)
        if rng.random() < 0.3:  # between its modes a room makes notes of noise
            part = _heard(part, rng)
        sound += 10.0 ** (rng.uniform(-15.0, 0.0) / 20.0) * part
    return unit(sound)


def _heard(sound: Samples, rng: np.random.Generator) -> Samples:
    """Return what arrives of a source close by: a room or a street, or nothing in between."""
    draw = rng.random()
    if draw < 0.35:
        sound = lookalikes.echoing(rng, sound)
    elif draw < 0.6:
        sound = room(
            sound, RATE, seed=rng, rt60_s=rng.uniform(0.15, 1.2), distance_m=rng.uniform(0.3, 6.0)
        ).astype(np.float64)
    return unit(equalised(rng, sound, rng.uniform(0.0, 5.0)))


def _travelled(sound: Samples, rng: np.random.Generator) -> Samples:
    """Return what arrives of a siren: overdriven, Doppler-shifted, dulled, echoed, fading."""
    num = len(sound)
    if rng.random() < 0.3:
        sound = np.tanh(sound * log_uniform(rng, 0.5, 6.0))
    if rng.random() < 0.25 and num > RATE:
        speed = rng.uniform(-0.08, 0.08)
        sweep = np.tanh((np.linspace(0.0, 1.0, num) - rng.random()) / rng.uniform(0.02, 0.4))
        place = np.cumsum(1.0 + speed * sweep)
        sound = np.interp(place * (num - 1) / place[-1], np.arange(num), sound)
    if rng.random() < 0.5:
        loss = -log_uniform(rng, 1.0, 40.0)
        sound = shaped(
            sound,
            np.array([0.0, 500.0, 1_500.0, 4_000.0, 8_000.0]),
            loss * np.array([0.0, 0.0, 0.3, 0.7, 1.0]),
        )
    if rng.random() < 0.25:  # streets away: one note rings on into the next
        sound = lookalikes.echoing(rng, sound, (0.0, 0.3))
    sound = _heard(sound, rng)
    if rng.random() < 0.5:
        size_db = rng.uniform(1.0, 10.0)
        fade = 10.0 ** (
            size_db * wander(rng, len(control_times(num)), log_uniform(rng, 0.1, 4.0)) / 20.0
        )
        sound = sound * to_samples(fade, num)
    if rng.random() < 0.25:  # it comes, or it goes
        ends_db = rng.uniform(-25.0, 0.0, 2)
        sound = sound * 10.0 ** (
            np.interp(np.arange(num), [0, num // 2, num], [ends_db[0], 0.0, ends_db[1]]) / 20.0
        )
    return sound


def _recorded(sound: Samples, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return what a recorder makes of it: its response, its band, its noise, its level."""
    sound = unit(equalised(rng, sound, rng.uniform(0.0, 3.0)))
    draw = rng.random()
    if draw < 0.12:  # telephone
        sound = shaped(
            sound,
            np.array([0.0, 200.0, 350.0, 3_300.0, 3_800.0, 8_000.0]),
            np.array([-50.0, -20.0, 0.0, 0.0, -30.0, -70.0]),
        )
    elif draw < 0.3:
        top = log_uniform(rng, 2_500.0, 7_000.0)
        sound = shaped(
            sound, np.array([0.0, top, 1.15 * top, 8_000.0]), np.array([0.0, 0.0, -50.0, -80.0])
        )
    level = 10.0 ** (rng.uniform(-45.0, -8.0) / 20.0)
    sound = sound * level
    if rng.random() < 0.15:  # overdriven
        limit = np.quantile(np.abs(sound), rng.uniform(0.95, 0.999))
        sound = np.clip(sound, -limit, limit)
    sound = sound + 10.0 ** (rng.uniform(-110.0, -60.0) / 20.0) * rng.standard_normal(len(sound))
    return np.clip(sound, -1.0, 1.0).astype(np.float32)
