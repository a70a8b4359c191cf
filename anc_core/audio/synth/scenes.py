"""Scenes: somebody talks somewhere, something makes noise, perhaps an alarm goes off.

All functions take the length in s and the rate in Hz and return float32 of shape
(num_samples, num_channels) whose speech is at about -26 dBFS; nothing reaches full scale.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from anc_core.audio.synth.alarms import alarm
from anc_core.audio.synth.impulses import clicks
from anc_core.audio.synth.mixing import mix
from anc_core.audio.synth.noises import noise
from anc_core.audio.synth.passing import SPEED_OF_SOUND_M_S, PassBy
from anc_core.audio.synth.rooms import room
from anc_core.audio.synth.signals import Audio, Samples, count_samples, fast_length, from_db, rms
from anc_core.audio.synth.voices import voice

if TYPE_CHECKING:
    from anc_core.arrays import Chunk

_CEILING = 0.98


def speech_in_noise(
    duration_s: float,
    sample_rate: int,
    rng: np.random.Generator,
    *,
    noises: tuple[tuple[str, float], ...],
    pitch_hz: float = 120.0,
    num_channels: int = 1,
    rt60_s: float | None = 0.3,
) -> Chunk:
    """Return a talker in one or more noises.

    Parameters
    ----------
    noises : tuple of (kind, snr_db)
        Kinds of :func:`anc_core.audio.synth.noise` and the ratio over active speech of each.
    rt60_s : float, optional
        Reverberation; None = outdoors.
    """
    talker = voice(duration_s, sample_rate, seed=rng, pitch_hz=pitch_hz)
    speech = _spread(talker, sample_rate, rng, num_channels=num_channels, rt60_s=rt60_s)
    mixture = speech
    for kind, snr_db in noises:
        field = _field(kind, duration_s, sample_rate, rng, num_channels=num_channels)
        mixture = mixture + mix(speech, field, snr_db, sample_rate=sample_rate)[1]
    return _limited(mixture)


def speech_with_clicks(
    duration_s: float, sample_rate: int, rng: np.random.Generator, *, pitch_hz: float
) -> Chunk:
    """Return a telephone talker over line noise and the clicks of a bad plug, one channel."""
    talker = voice(duration_s, sample_rate, seed=rng, pitch_hz=pitch_hz)
    line = noise("pink", duration_s, sample_rate, seed=rng)
    mixture, _ = mix(talker, line, 20.0, sample_rate=sample_rate)
    return _limited((mixture + clicks(duration_s, sample_rate, seed=rng))[:, np.newaxis])


def noise_only(
    duration_s: float,
    sample_rate: int,
    rng: np.random.Generator,
    *,
    noises: tuple[tuple[str, float], ...],
) -> Chunk:
    """Return noises without a talker, one channel; ``noises`` = (kind, level in dBFS)."""
    parts = [
        noise(kind, duration_s, sample_rate, seed=rng, level_dbfs=level_dbfs)
        for kind, level_dbfs in noises
    ]
    return _limited(np.stack(parts, axis=1).sum(axis=1, keepdims=True))


def alarm_over_speech(
    duration_s: float,
    sample_rate: int,
    rng: np.random.Generator,
    *,
    kind: str,
    alarm_start_s: float,
    noises: tuple[tuple[str, float], ...],
    alarm_dbfs: float = -24.0,
) -> Chunk:
    """Return a talker in noise when, at ``alarm_start_s``, an alarm goes off in the next room."""
    scene = speech_in_noise(duration_s, sample_rate, rng, noises=noises, pitch_hz=205.0)
    sounding_s = duration_s - alarm_start_s
    sound = alarm(kind, sounding_s, sample_rate, seed=rng, level_dbfs=alarm_dbfs)
    heard = room(sound, sample_rate, seed=rng, rt60_s=0.4, distance_m=2.5)
    scene[len(scene) - len(heard) :, 0] += heard
    return _limited(scene)


def passing_siren(
    duration_s: float, sample_rate: int, rng: np.random.Generator, *, kind: str
) -> Chunk:
    """Return a road in stereo on which an ambulance passes from left to right, mid-recording."""
    road = _field("traffic", duration_s, sample_rate, rng, num_channels=2)
    drive = PassBy(closest_s=0.55 * duration_s, speed_m_s=17.0, distance_m=12.0)
    siren = alarm(kind, duration_s, sample_rate, seed=rng, level_dbfs=-22.0, doppler=drive)
    time_s = np.arange(len(siren)) / sample_rate
    bearing = np.arctan2(drive.speed_m_s * (time_s - drive.closest_s), drive.distance_m)
    # Constant-power panning over three quarters of the stage.
    angle = math.pi / 4.0 + 0.75 * bearing / 2.0
    panned = np.stack([siren * np.cos(angle), siren * np.sin(angle)], axis=1)
    return _limited((from_db(-32.0) * _normalised(road) + panned).astype(np.float32))


def microphone_array(
    duration_s: float, sample_rate: int, rng: np.random.Generator, *, snr_db: float
) -> Chunk:
    """Return four channels: three microphones before the talker, one close to the engine.

    The last channel is a reference: the engine loud and early, the talker faint. Between channels
    the sounds differ by delay and level as in the open air.
    """
    talker = voice(duration_s, sample_rate, seed=rng, pitch_hz=110.0)
    machine = noise("engine", duration_s, sample_rate, seed=rng)
    _, machine = mix(talker, machine, snr_db, sample_rate=sample_rate)
    talker_m = (1.0, 1.03, 1.08, 3.2)
    machine_m = (3.0, 2.95, 2.9, 1.0)
    channels = [
        _travelled(talker, sample_rate, to_talker, 1.0)
        + _travelled(machine, sample_rate, to_machine, 3.0)
        for to_talker, to_machine in zip(talker_m, machine_m, strict=True)
    ]
    return _limited(np.stack(channels, axis=1).astype(np.float32))


def silence(duration_s: float, sample_rate: int) -> Chunk:
    """Return digital silence, one channel."""
    return np.zeros((count_samples(duration_s, sample_rate), 1), dtype=np.float32)


def _spread(
    source: Audio,
    sample_rate: int,
    rng: np.random.Generator,
    *,
    num_channels: int,
    rt60_s: float | None,
) -> Chunk:
    """Return one source at every microphone of a room: the same direct sound, another tail."""
    if rt60_s is None:
        return np.repeat(source[:, np.newaxis], num_channels, axis=1)
    columns = [
        room(source, sample_rate, seed=rng, rt60_s=rt60_s, distance_m=0.5)
        for _ in range(num_channels)
    ]
    return np.stack(columns, axis=1)


def _field(
    kind: str,
    duration_s: float,
    sample_rate: int,
    rng: np.random.Generator,
    *,
    num_channels: int,
) -> Chunk:
    """Return a noise at every microphone; in stereo from the left and right of the same scene."""
    first = noise(kind, duration_s, sample_rate, seed=rng)
    columns = [first]
    for _ in range(num_channels - 1):
        # The same events, half decorrelated by the way they came: reflections from all around.
        diffuse = room(first, sample_rate, seed=rng, rt60_s=0.25, distance_m=1.5)
        columns.append(diffuse)
    return np.stack(columns, axis=1)


def _travelled(source: Audio, sample_rate: int, path_m: float, unit_m: float) -> Samples:
    """Return ``source`` after ``path_m`` in the open air, at unit gain after ``unit_m``."""
    delay_s = path_m / SPEED_OF_SOUND_M_S
    length = fast_length(len(source) + round(delay_s * sample_rate) + sample_rate // 10)
    frequency_hz = np.fft.rfftfreq(length, 1.0 / sample_rate)
    spectrum = np.fft.rfft(source, length) * np.exp(-2j * np.pi * frequency_hz * delay_s)
    delayed: Samples = np.fft.irfft(spectrum, length)[: len(source)]
    return delayed * (unit_m / path_m)


def _normalised(audio: Chunk) -> Chunk:
    return audio / np.float32(rms(audio))


def _limited(audio: Chunk) -> Chunk:
    """Return ``audio`` turned down as a whole where its peak would clip; else unchanged."""
    peak = float(np.max(np.abs(audio)))
    return (audio * np.float32(_CEILING / peak)) if peak > _CEILING else audio
