"""Small recordings for tests of whole runs, synthesised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile as sf

from anc_core.audio.synth import mix, noise, voice


def noisy_voice(
    path: Path,
    *,
    duration_s: float = 3.0,
    sample_rate: int = 16_000,
    num_channels: int = 1,
    snr_db: float = 10.0,
    seed: int = 1,
    subtype: str = "PCM_16",
) -> Path:
    """Write a voice in fan noise to ``path`` and return it."""
    speech = voice(duration_s, sample_rate, seed=seed)
    fan = noise("fan", duration_s, sample_rate, seed=seed + 1)
    mixture, _ = mix(speech, fan, snr_db)
    columns = np.repeat(mixture[:, np.newaxis], num_channels, axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, columns, sample_rate, subtype=subtype)
    return path
