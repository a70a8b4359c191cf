"""Rooms: a direct sound, the first reflections one by one, and a tail that dies exponentially."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.arrays import check_sample_rate
from anc_core.audio.synth.passing import SPEED_OF_SOUND_M_S
from anc_core.audio.synth.signals import Audio, Samples, Seed, convolve, rms
from anc_core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_VOLUME_M3 = 75.0  # a living room or small office
_DECAY = 3.0 * math.log(10.0)  # amplitude falls by 60 dB in one RT60: exp(-6.91)


def room_response(
    sample_rate: int, *, seed: Seed, rt60_s: float = 0.4, distance_m: float = 1.5
) -> Audio:
    """Return the impulse response of a room, from the arrival of the direct sound.

    Parameters
    ----------
    sample_rate : int
        Hz.
    seed : int or Generator
        Another seed is another place in the room.
    rt60_s : float
        Reverberation time, 0.05 to 10 s.
    distance_m : float
        From source to microphone, 0.05 to 50 m.

    Returns
    -------
    ndarray of float32, shape (round(1.2 rt60_s sample_rate),)
        The direct sound is sample 0 with amplitude 1.

    Raises
    ------
    InputError
        If time or distance is out of range.

    Notes
    -----
    Image sources lie at random with constant density, so the number that has arrived grows with the
    cube of time (Kuttruff, *Room Acoustics*, Eq. 4.6) and single echoes run into a Gaussian tail.
    The power of all reflections relative to the direct sound is (d/r_c)^2 with the critical
    distance r_c = 0.057 sqrt(V/RT60), V = 75 m^3. The decay is the same at all frequencies.
    """
    rate = check_sample_rate(sample_rate)
    if not (0.05 <= rt60_s <= 10.0 and 0.05 <= distance_m <= 50.0):
        msg = (
            f"rt60_s is {rt60_s} and distance_m {distance_m}; they must be from 0.05 to 10 s "
            "and from 0.05 to 50 m"
        )
        raise InputError(msg)
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(1.2 * rt60_s * rate)) / rate
    reflections = _image_density(time_s, distance_m, rng) * np.exp(-_DECAY * time_s / rt60_s)
    critical_m = 0.057 * math.sqrt(_VOLUME_M3 / rt60_s)
    energy = math.sqrt(float(np.sum(reflections**2)))
    response = reflections * (distance_m / critical_m / energy) if energy > 0.0 else reflections
    response[0] = 1.0
    return response.astype(np.float32)


def _image_density(time_s: Samples, distance_m: float, rng: np.random.Generator) -> Samples:
    """Return reflections of constant mean power: few and strong at first, then a dense noise."""
    sample_s = time_s[1]
    path_m = distance_m + SPEED_OF_SOUND_M_S * time_s
    # Images per second, 4 pi c^3 t^2 / V; the first millisecond holds the direct sound alone.
    arrivals_hz = 4.0 * math.pi * SPEED_OF_SOUND_M_S * path_m**2 / _VOLUME_M3
    expected = arrivals_hz * sample_s
    present = (rng.random(len(time_s)) < expected) & (time_s > 1e-3)
    strength = np.sqrt(1.0 / np.minimum(expected, 1.0))
    reflections: Samples = present * strength * rng.standard_normal(len(time_s))
    return reflections


def room(
    audio: NDArray[Any],
    sample_rate: int,
    *,
    seed: Seed,
    rt60_s: float = 0.4,
    distance_m: float = 1.5,
) -> Audio:
    """Put a recording into a room.

    Parameters
    ----------
    audio : ndarray, shape (num_samples,)
        Dry sound, full scale +-1.
    sample_rate, seed, rt60_s, distance_m
        As for :func:`room_response`.

    Returns
    -------
    ndarray of float32, shape (num_samples,)
        The same length and RMS; the direct sound is not delayed, the tail is cut at the end.

    Raises
    ------
    InputError
        If ``audio`` is not one channel or the room is impossible.
    """
    if audio.ndim != 1:
        msg = f"audio has shape {audio.shape}; it must be (num_samples,): one source, one channel"
        raise InputError(msg)
    response = room_response(sample_rate, seed=seed, rt60_s=rt60_s, distance_m=distance_m)
    if not audio.any():
        return np.zeros(len(audio), dtype=np.float32)
    wet = convolve(audio.astype(np.float64), response.astype(np.float64))
    return (wet * (rms(audio) / rms(wet))).astype(np.float32)
