"""Small recordings for tests of whole runs, synthesised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.signal
import soundfile as sf

from anc_core.audio.synth import mix, noise, room_response, voice


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


def two_microphones(
    duration_s: float = 6.0,
    sample_rate: int = 16_000,
    *,
    snr_db: float = 5.0,
    delay_s: float = 0.0,
    seed: int = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what two microphones hear of a voice in a noisy room, and the voice alone.

    The primary hears the voice, and the noise through the room; the reference hears the noise
    ``delay_s`` before that, or after it where ``delay_s`` is negative.
    """
    speech = voice(duration_s, sample_rate, seed=seed).astype(np.float64)
    rng = np.random.default_rng(seed)
    num_samples = len(speech)
    margin = round(abs(delay_s) * sample_rate)
    # Broadband, and as loud at all times: a filter has all it needs from the beginning.
    source = 0.05 * rng.standard_normal(num_samples + 2 * margin)
    path = room_response(sample_rate, seed=seed, rt60_s=0.15)
    heard = scipy.signal.oaconvolve(source, path)[: len(source)][margin:][:num_samples]
    scale = np.std(speech) / np.std(heard) / 10 ** (snr_db / 20)
    start = margin + round(delay_s * sample_rate)
    reference = source[start:][:num_samples]
    return (
        (speech + scale * heard).astype(np.float32),
        reference.astype(np.float32),
        speech.astype(np.float32),
    )
