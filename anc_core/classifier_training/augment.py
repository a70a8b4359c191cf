"""The same noise as another microphone, place or moment would have it. For the training side only.

All samples are mono at the rate of the features, float32, shape (num_samples,).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.features import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

_MAX_SEMITONES = 2.0
_LEAST_KEPT = 0.7
_NOISY_SHARE = 0.7
_NOISE_RANGE_DB = (0.0, 35.0)
_CROP_RANGE_S = (0.9, 2.0)
_CROP_FLOOR = 1e-3
"""A crop with less of the clip's mean power is a pause."""
_CROP_TRIES = 20
_FRAME = 320  # 20 ms
_ACTIVE = 1e-6
"""Frames within 60 dB of the loudest count for the level."""


def varied(samples: Samples, rng: np.random.Generator) -> Samples:
    """Return ``samples`` at another pitch, cut, begun elsewhere and, mostly, with pink noise."""
    import soxr

    pitch = 2.0 ** (rng.uniform(-_MAX_SEMITONES, _MAX_SEMITONES) / 12.0)
    changed = soxr.resample(samples, SAMPLE_RATE * pitch, SAMPLE_RATE).astype(np.float32)
    num_kept = max(1, int(len(changed) * rng.uniform(_LEAST_KEPT, 1.0)))
    start = int(rng.integers(0, len(changed) - num_kept + 1))
    part = changed[start : start + num_kept]
    part = np.roll(part, int(rng.integers(0, len(part))))
    if rng.random() < _NOISY_SHARE:
        part = with_pink_noise(part, rng.uniform(*_NOISE_RANGE_DB), rng)
    return np.asarray(part, np.float32)


def crop(samples: Samples, rng: np.random.Generator) -> Samples:
    """Return 0.9 to 2 s of ``samples`` in which something sounds, all of it if it is shorter."""
    length = int(rng.uniform(*_CROP_RANGE_S) * SAMPLE_RATE)
    if len(samples) <= length:
        return samples
    least = _CROP_FLOOR * float(np.square(samples).mean())
    part = samples[:length]
    for _ in range(_CROP_TRIES):
        start = int(rng.integers(0, len(samples) - length + 1))
        part = samples[start : start + length]
        if float(np.square(part).mean()) > least:
            break
    return part


def with_pink_noise(samples: Samples, snr_db: float, rng: np.random.Generator) -> Samples:
    """Return ``samples`` in pink noise ``snr_db`` below their active level."""
    noise = _pink(len(samples), rng)
    gain = active_rms(samples) * 10.0 ** (-snr_db / 20.0)
    return np.asarray(samples + noise * np.float32(gain), np.float32)


def active_rms(samples: Samples) -> float:
    """Return the RMS over the frames of 20 ms within 60 dB of the loudest; 0 for silence."""
    if len(samples) < _FRAME:
        samples = np.pad(samples, (0, _FRAME - len(samples)))
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    power = np.square(frames).mean(axis=1, dtype=np.float64)
    return float(np.sqrt(power[power >= power.max() * _ACTIVE].mean()))


def _pink(num_samples: int, rng: np.random.Generator) -> Samples:
    """Return noise of unit RMS whose power falls by 3 dB an octave."""
    # A clip's length may be prime, which costs the transform ten times as much.
    size = 1 << max(num_samples - 1, 1).bit_length()
    spectrum = np.fft.rfft(rng.standard_normal(size))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0.0
    noise = np.fft.irfft(spectrum, size)[:num_samples]
    return (noise / max(float(np.sqrt(np.square(noise).mean())), 1e-9)).astype(np.float32)
