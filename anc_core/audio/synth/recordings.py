"""The demo's folder: recordings as people have them, the broken ones included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anc_core.arrays import Chunk
from anc_core.audio.synth import scenes
from anc_core.audio.synth.containers import Encoding, encode

if TYPE_CHECKING:
    from pathlib import Path

Build = Callable[[int, np.random.Generator], Chunk]
"""(sample_rate, generator) -> the scene, shape (num_samples, num_channels)."""

_WAV_16 = Encoding(container="WAV", subtype="PCM_16")
_WAV_24 = Encoding(container="WAV", subtype="PCM_24")
_WAV_FLOAT = Encoding(container="WAV", subtype="FLOAT")
_FLAC_16 = Encoding(container="FLAC", subtype="PCM_16")
_FLAC_24 = Encoding(container="FLAC", subtype="PCM_24")
_OGG = Encoding(container="OGG", subtype="VORBIS")
_MP3 = Encoding(container="MP3", subtype="MPEG_LAYER_III")
_AIFF = Encoding(container="AIFF", subtype="PCM_16")

_ORIGINAL = "office/fan-and-voice-16k.wav"
_CUT = "broken/truncated-voice-16k.wav"
_CUT_AT = 0.6  # of the bytes that the header promises


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recording:
    """One file: where, what, how."""

    path: str
    sample_rate: int
    encoding: Encoding
    title: str
    build: Build


def _talk(
    duration_s: float,
    noises: tuple[tuple[str, float], ...],
    *,
    pitch_hz: float,
    num_channels: int = 1,
    rt60_s: float | None = 0.3,
) -> Build:
    def build(sample_rate: int, rng: np.random.Generator) -> Chunk:
        return scenes.speech_in_noise(
            duration_s,
            sample_rate,
            rng,
            noises=noises,
            pitch_hz=pitch_hz,
            num_channels=num_channels,
            rt60_s=rt60_s,
        )

    return build


def _smoke_alarm(sample_rate: int, rng: np.random.Generator) -> Chunk:
    return scenes.alarm_over_speech(
        20.0, sample_rate, rng, kind="t3_3100", alarm_start_s=4.0, noises=(("fan", 8.0),)
    )


_RECORDINGS = (
    _Recording(
        path=_ORIGINAL,
        sample_rate=16_000,
        encoding=_WAV_16,
        title="A man beside a fan",
        build=_talk(10.0, (("fan", 5.0),), pitch_hz=115.0),
    ),
    _Recording(
        path="office/typing-and-voice-44k.flac",
        sample_rate=44_100,
        encoding=_FLAC_16,
        title="A woman, somebody typing, an air conditioner",
        build=_talk(8.0, (("typing", 12.0), ("fan", 15.0)), pitch_hz=205.0, num_channels=2),
    ),
    _Recording(
        path="office/hum-and-voice-48k-24bit.wav",
        sample_rate=48_000,
        encoding=_WAV_24,
        title="A man over mains hum and hiss",
        build=_talk(8.0, (("hum", 3.0), ("white", 22.0)), pitch_hz=100.0),
    ),
    _Recording(
        path="calls/babble-and-voice-8k.wav",
        sample_rate=8_000,
        encoding=_WAV_16,
        title="An agent in a full call centre",
        build=_talk(10.0, (("babble", 8.0), ("white", 25.0)), pitch_hz=190.0),
    ),
    _Recording(
        path="calls/clicks-and-voice-22k.ogg",
        sample_rate=22_050,
        encoding=_OGG,
        title="A caller on a line that clicks",
        build=lambda rate, rng: scenes.speech_with_clicks(8.0, rate, rng, pitch_hz=130.0),
    ),
    _Recording(
        path="street/traffic-and-voice-44k.mp3",
        sample_rate=44_100,
        encoding=_MP3,
        title="A reporter at a road",
        build=_talk(12.0, (("traffic", 4.0),), pitch_hz=200.0, num_channels=2, rt60_s=None),
    ),
    _Recording(
        path="street/rain-and-voice-22k.aiff",
        sample_rate=22_050,
        encoding=_AIFF,
        title="A child in the rain",
        build=_talk(10.0, (("rain", 6.0),), pitch_hz=290.0, num_channels=2, rt60_s=None),
    ),
    _Recording(
        path="street/passing-siren-in-traffic-48k.flac",
        sample_rate=48_000,
        encoding=_FLAC_24,
        title="An ambulance passes",
        build=lambda rate, rng: scenes.passing_siren(14.0, rate, rng, kind="wail"),
    ),
    _Recording(
        path="plant/engine-and-voice-4-channels-16k-float.wav",
        sample_rate=16_000,
        encoding=_WAV_FLOAT,
        title="Three microphones and an engine reference (channel 4)",
        build=lambda rate, rng: scenes.microphone_array(10.0, rate, rng, snr_db=3.0),
    ),
    _Recording(
        path="plant/fan-and-engine-without-voice-16k.wav",
        sample_rate=16_000,
        encoding=_WAV_16,
        title="A fan and an engine, nobody there",
        build=lambda rate, rng: scenes.noise_only(
            10.0, rate, rng, noises=(("fan", -34.0), ("engine", -32.0))
        ),
    ),
    _Recording(
        path="home/smoke-alarm-t3-fan-and-voice-16k.flac",
        sample_rate=16_000,
        encoding=_FLAC_16,
        title="A smoke alarm goes off after 4 s",
        build=_smoke_alarm,
    ),
    _Recording(
        path="home/silence-16k.wav",
        sample_rate=16_000,
        encoding=_WAV_16,
        title="Nothing at all",
        build=lambda rate, _rng: scenes.silence(6.0, rate),
    ),
    _Recording(
        path=_CUT,
        sample_rate=16_000,
        encoding=_WAV_16,
        title="The battery went flat",
        build=_talk(10.0, (("pink", 15.0),), pitch_hz=140.0),
    ),
)


def write_demo_recordings(folder: Path, *, seed: int = 1) -> list[Path]:
    """Write the demo's recordings: five rates, mono to four channels, six formats, three broken.

    Parameters
    ----------
    folder : path
        Made if absent; recordings lie in subfolders by place. Other files in it stay.
    seed : int
        The same seed writes the same bytes.

    Returns
    -------
    list of path
        Every recording, sorted. A file that already holds the right bytes is not touched.

    Notes
    -----
    ``broken`` holds an empty file, random bytes named .wav and a WAV that ends too early;
    ``spare/copy-of-...`` has the same bytes as a file in ``office``.
    """
    contents = {
        recording.path: _content(recording, seed=seed, index=index)
        for index, recording in enumerate(_RECORDINGS)
    }
    contents[_CUT] = contents[_CUT][: int(_CUT_AT * len(contents[_CUT]))]
    contents["broken/empty.wav"] = b""
    contents["broken/corrupt.wav"] = np.random.default_rng((seed, len(_RECORDINGS))).bytes(20_000)
    contents["spare/copy-of-fan-and-voice-16k.wav"] = contents[_ORIGINAL]
    return [_write_if_different(folder / path, contents[path]) for path in sorted(contents)]


def _content(recording: _Recording, *, seed: int, index: int) -> bytes:
    # A generator of its own for every file: changing one recording leaves the others as they are.
    audio = recording.build(recording.sample_rate, np.random.default_rng((seed, index)))
    tags = {
        "title": recording.title,
        "artist": "anc synthesiser",
        "album": "Demo recordings",
        "comment": f"synthesised, seed {seed}",
        "date": "2025",
    }
    return encode(audio, recording.sample_rate, recording.encoding, tags)


def _write_if_different(path: Path, content: bytes) -> Path:
    if not path.is_file() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return path
