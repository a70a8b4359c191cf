"""A small duct and a noise to cancel in it, as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile as sf

RATE = 4_000


def write_duct(folder: Path, *, sample_rate: int = RATE) -> tuple[Path, Path]:
    """Write a primary and a secondary path of a few taps as float WAV; return both files."""
    folder.mkdir(parents=True, exist_ok=True)
    primary = np.zeros(24)
    primary[8:20] = 0.8 * 0.7 ** np.arange(12)
    secondary = np.zeros(12)
    secondary[2:10] = 0.9 * 0.5 ** np.arange(8)
    for name, taps in (("primary.wav", primary), ("secondary.wav", secondary)):
        sf.write(folder / name, taps, sample_rate, subtype="FLOAT")
    return folder / "primary.wav", folder / "secondary.wav"


def write_noise(
    path: Path,
    *,
    duration_s: float = 3.0,
    sample_rate: int = RATE,
    num_channels: int = 1,
    seed: int = 1,
) -> Path:
    """Write white noise of -20 dBFS, the last channel twice as strong; return the file."""
    rng = np.random.default_rng(seed)
    samples = rng.normal(0.0, 0.1, (round(duration_s * sample_rate), num_channels))
    if num_channels > 1:
        samples[:, -1] *= 2.0
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, samples, sample_rate, subtype="FLOAT")
    return path
