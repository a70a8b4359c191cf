"""Recordings to load the platform with: speech in noise and an alarm, repeated without end."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import soundfile as sf

from anc_core.arrays import Chunk
from anc_core.audio.synth.scenes import alarm_over_speech, speech_in_noise

RATE_HZ = 16_000
SCENE_S = 600
_ALARM_S = 60


@functools.cache
def scene() -> Chunk:
    """Return ten minutes: talkers in several noises, and once a smoke alarm for half a minute."""
    rng = np.random.default_rng(8)
    noises = ("fan", "traffic", "babble", "white", "hum", "rain", "engine", "typing", "pink")
    parts = [
        speech_in_noise(
            _ALARM_S,
            RATE_HZ,
            rng,
            noises=((kind, 5.0 + 2 * number),),
            pitch_hz=100.0 + 12 * number,
        )
        for number, kind in enumerate(noises)
    ]
    alarm = alarm_over_speech(
        _ALARM_S, RATE_HZ, rng, kind="t3_3100", alarm_start_s=30.0, noises=(("fan", 10.0),)
    )
    return np.concatenate([*parts, alarm])


def write_long(path: Path, duration_s: int) -> Path:
    """Write the scene again and again, never twice at the same level, until it is long enough."""
    audio = scene()
    levels = np.random.default_rng(1).uniform(0.5, 1.0, size=duration_s // SCENE_S + 1)
    with sf.SoundFile(path, "w", RATE_HZ, 1, subtype="PCM_16") as file:
        for number, level in enumerate(levels):
            left = duration_s * RATE_HZ - number * len(audio)
            file.write(level * audio[: max(left, 0)])
    return path


def write_wide(path: Path, num_channels: int, duration_s: int) -> Path:
    """Write as many channels, each the scene from another second on."""
    audio = scene()[: duration_s * RATE_HZ, 0]
    columns = [np.roll(audio, 1009 * n) * (1 - n / (2 * num_channels)) for n in range(num_channels)]
    sf.write(path, np.stack(columns, axis=1), RATE_HZ, subtype="PCM_16")
    return path


def write_many(folder: Path, count: int, duration_s: float, *, first: int = 0) -> None:
    """Write ``count`` short recordings, no two of which are the same."""
    folder.mkdir(parents=True)
    audio = scene()[:, 0]
    length = round(duration_s * RATE_HZ)
    for number in range(first, first + count):
        start = (number * 7919) % (len(audio) - length)  # a prime: no two begin at the same sample
        # A hundred to a folder, as recorders leave them.
        below = folder / f"{number // 100:03d}"
        below.mkdir(exist_ok=True)
        path = below / f"{number:05d}.wav"
        sf.write(path, audio[start : start + length], RATE_HZ, subtype="PCM_16")
