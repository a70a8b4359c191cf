"""Generators of bad and odd recordings; each writes ``path`` (its suffix may be its own choice)."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile as sf

from tests.recordings import noisy_voice

RATE = 16_000

Make = Callable[[Path], Path]


def noise(num_samples: int = RATE, num_channels: int = 1, seed: int = 5) -> np.ndarray:
    """Return white noise at -20 dBFS rms, float32, (num_samples, num_channels)."""
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal((num_samples, num_channels))).astype(np.float32)


def wave_bytes(path: Path) -> bytearray:
    """Return the bytes of one second of a plain 16-bit WAV (44 bytes of header)."""
    sf.write(path, noise(), RATE, subtype="PCM_16")
    return bytearray(path.read_bytes())


def empty(path: Path) -> Path:
    path.touch()
    return path


def no_frames(path: Path) -> Path:
    sf.write(path, np.zeros((0, 1), np.float32), RATE)
    return path


def short(num_samples: int) -> Make:
    def make(path: Path) -> Path:
        sf.write(path, noise(num_samples), RATE, subtype="PCM_16")
        return path

    return make


def truncated(path: Path) -> Path:
    """A header that promises one second, bytes for half of it."""
    path.write_bytes(wave_bytes(path)[: 44 + RATE])
    return path


def streamed(size: int) -> Make:
    """A WAV written to a pipe: neither size could be filled in."""

    def make(path: Path) -> Path:
        content = wave_bytes(path)
        struct.pack_into("<I", content, 4, size)
        struct.pack_into("<I", content, 40, size)
        path.write_bytes(content)
        return path

    return make


def coded(subtype: str, container: str = "WAV") -> Make:
    def make(path: Path) -> Path:
        audio = noise()
        sf.write(path, audio, RATE, subtype=subtype, format=container)
        return path

    return make


def with_non_finite(num_bad: int) -> Make:
    """One second of float noise in which ``num_bad`` samples are NaN or infinite."""

    def make(path: Path) -> Path:
        audio = noise()
        audio[np.arange(num_bad) * 7, 0] = np.resize([np.nan, np.inf, -np.inf], num_bad)
        sf.write(path, audio, RATE, subtype="FLOAT")
        return path

    return make


def header_field(offset: int, fmt: str, value: int) -> Make:
    """A WAV whose header holds ``value`` at ``offset``."""

    def make(path: Path) -> Path:
        content = wave_bytes(path)
        struct.pack_into(fmt, content, offset, value)
        path.write_bytes(content)
        return path

    return make


def mp3_named(path: Path) -> Path:
    """An MP3 under whatever name ``path`` is."""
    sf.write(path, noise(2 * RATE), RATE, format="MP3")
    return path


def html(path: Path) -> Path:
    path.write_text("<!DOCTYPE html><html><body>404 Not Found</body></html>\n" * 40)
    return path


def text(path: Path) -> Path:
    path.write_text("These are the minutes of the meeting.\n" * 100)
    return path


def archive(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("voice.txt", "secret" * 200)
    return path


def good(path: Path) -> Path:
    """What must come through whatever lies beside it."""
    return noisy_voice(path, duration_s=1.5)
