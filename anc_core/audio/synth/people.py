"""People: a crowd that talks, a keyboard that is typed on."""

from __future__ import annotations

import numpy as np

from anc_core.audio.synth.rooms import room_response
from anc_core.audio.synth.signals import (
    Samples,
    convolve,
    from_db,
    hump,
    power_law,
    scatter_add,
    shaped_noise,
)
from anc_core.audio.synth.voices import voice

NUM_TALKERS = 8
_PITCHES_HZ = (105.0, 210.0, 125.0, 190.0, 140.0, 230.0, 95.0, 200.0)
_KEY_S = 0.09


def babble(num_samples: int, sample_rate: int, rng: np.random.Generator) -> Samples:
    """Return eight people talking at once in a room, near and far, men and women."""
    duration_s = num_samples / sample_rate
    total = np.zeros(num_samples)
    for pitch_hz in _PITCHES_HZ:
        talker = voice(
            duration_s,
            sample_rate,
            seed=rng,
            pitch_hz=pitch_hz * rng.uniform(0.93, 1.07),
            level_dbfs=-26.0 + rng.uniform(-4.0, 2.0),
        )
        # Each one starts somewhere in the sentence.
        total += np.roll(talker, int(rng.integers(num_samples)))
    return _in_room(total, sample_rate, rng, rt60_s=0.6, distance_m=2.0)


def typing(num_samples: int, sample_rate: int, rng: np.random.Generator) -> Samples:
    """Return typing: bursts of keys, five to eight a second, each going down and coming up."""
    duration_s = num_samples / sample_rate
    down_s = _key_times(duration_s, rng)
    up_s = down_s + rng.uniform(0.06, 0.11, len(down_s))
    strength = np.exp(0.3 * rng.standard_normal(len(down_s)))
    keys = _keys(len(down_s), sample_rate, rng, thump=1.0) * strength[:, np.newaxis]
    releases = _keys(len(down_s), sample_rate, rng, thump=0.2) * strength[:, np.newaxis]
    knocks = scatter_add(num_samples, np.rint(down_s * sample_rate).astype(np.int64), keys)
    returns = scatter_add(num_samples, np.rint(up_s * sample_rate).astype(np.int64), releases)
    floor = shaped_noise(num_samples, sample_rate, rng, power_law(-5.0, low_cut_hz=60.0))
    played = knocks + from_db(-9.0) * returns
    return _in_room(played, sample_rate, rng, rt60_s=0.35, distance_m=0.8) + from_db(-46.0) * floor


def _in_room(
    dry: Samples, sample_rate: int, rng: np.random.Generator, *, rt60_s: float, distance_m: float
) -> Samples:
    response = room_response(sample_rate, seed=rng, rt60_s=rt60_s, distance_m=distance_m)
    return convolve(dry, response.astype(np.float64))


def _key_times(duration_s: float, rng: np.random.Generator) -> Samples:
    """Return when keys go down: words of some letters, a pause now and then to think."""
    count = int(12.0 * duration_s) + 4
    gaps_s = rng.gamma(8.0, 0.15 / 8.0, count)
    gaps_s += np.where(rng.random(count) < 0.16, rng.uniform(0.1, 0.35, count), 0.0)
    gaps_s += np.where(rng.random(count) < 0.04, rng.uniform(0.4, 1.2, count), 0.0)
    gaps_s[0] = 0.02
    times_s = np.cumsum(gaps_s)
    return times_s[times_s < max(duration_s, 0.03)]


def _keys(count: int, sample_rate: int, rng: np.random.Generator, *, thump: float) -> Samples:
    """Return (count, grain_length): a click of the switch, a knock of the bottom, the desk."""
    length = max(2, round(_KEY_S * sample_rate))
    time_s = np.arange(length) / sample_rate
    click = shaped_noise(
        count * length, sample_rate, rng, hump(3_000.0, below_db=6.0, above_db=5.0)
    ).reshape(count, length)
    click_s = rng.uniform(1.5e-3, 4e-3, (count, 1))
    desk_hz = rng.uniform(140.0, 260.0, (count, 1))
    desk = np.sin(2.0 * np.pi * desk_hz * time_s) * np.exp(-time_s / 0.012)
    second_s = rng.uniform(6e-3, 14e-3, (count, 1))
    late = np.where(time_s > second_s, np.exp(-(time_s - second_s) / 5e-3), 0.0)
    rise = np.minimum(time_s / 3e-4, 1.0)
    return rise * (click * (np.exp(-time_s / click_s) + 0.6 * late) + 0.7 * thump * desk)
