"""How often HarmlessMix spares a recording, by kind of sound, and what that keeps.

    python -m benchmarks.harmless DATA_DIR [--limit 30]

DATA_DIR holds folders of recordings; each folder is one kind. Prints a row a kind: recordings, mean
strength, share of them below 0.9, change of level by the spectral engine alone and in the mix.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import soundfile as sf

from anc_core.processors import HarmlessMix, SpectralSuppressor, aligned

SUFFIXES = {".wav", ".flac", ".ogg", ".mp3"}
SILENCE = 1e-4
"""-80 dBFS: clips that were padded to one length are cut to what they hold."""


def main() -> None:
    """Measure every folder that holds recordings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--limit", type=int, default=30, help="recordings of each kind")
    arguments = parser.parse_args()
    print(f"{'kind':40s} {'n':>3s} {'strength':>8s} {'< 0.9':>6s} {'engine':>8s} {'mix':>8s}")
    for folder in sorted({path.parent for path in arguments.data.rglob("*") if is_audio(path)}):
        paths = sorted(path for path in folder.iterdir() if is_audio(path))
        rows = np.array([measured(path) for path in paths[: arguments.limit]])
        strength, engine_db, mix_db = rows.mean(axis=0)
        print(
            f"{folder.relative_to(arguments.data)!s:40.40s} {len(rows):3d} {strength:8.3f} "
            f"{np.mean(rows[:, 0] < 0.9):6.2f} {engine_db:5.1f} dB {mix_db:5.1f} dB"
        )


def is_audio(path: Path) -> bool:
    """Return whether the name of ``path`` is that of a recording."""
    return path.suffix.lower() in SUFFIXES


def measured(path: Path) -> tuple[float, float, float]:
    """Return the mean strength, and the change of level by the engine and by the mix in dB."""
    audio, sample_rate = sf.read(path, dtype="float32", always_2d=True)
    heard = np.flatnonzero(np.abs(audio).max(axis=1) > SILENCE)
    if len(heard):
        audio = audio[heard[0] : heard[-1] + 1]
    engine = SpectralSuppressor(sample_rate, audio.shape[1])
    processed = np.concatenate([audio[:0], *aligned([audio], engine)])
    mix = HarmlessMix(engine, sample_rate)
    mixed = np.concatenate([audio[:0], *aligned([audio], mix)])
    return mix.content.mean_strength, change_db(processed, audio), change_db(mixed, audio)


def change_db(output: np.ndarray, audio: np.ndarray) -> float:
    """Return the level of ``output`` over that of ``audio`` in dB."""
    powers = [np.mean(np.square(x, dtype=np.float64)) + 1e-20 for x in (output, audio)]
    return float(10.0 * np.log10(powers[0] / powers[1]))


if __name__ == "__main__":
    main()
