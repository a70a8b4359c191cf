"""Between its modes a room lets noise flicker at fixed pitches; that is no siren."""

from __future__ import annotations

import numpy as np
import pytest

from anc_core.audio.synth import alarm, room_response
from anc_core.emergency.detect import detect

RATE = 16_000


def in_a_room(dry: np.ndarray, seed: int, rt60_s: float) -> np.ndarray:
    response = room_response(RATE, seed=seed, rt60_s=rt60_s, distance_m=4.0)
    width = len(dry) + len(response)
    wet = np.fft.irfft(np.fft.rfft(dry, width) * np.fft.rfft(response, width), width)[: len(dry)]
    return wet / np.std(wet)


def share_protected(audio: np.ndarray) -> float:
    found = detect((0.05 * audio).astype(np.float32), RATE)
    return sum(end - start for start, end in found.protected) / (len(audio) / RATE)


@pytest.mark.parametrize("rt60_s", [0.3, 0.8, 1.5])
def test_noise_is_not_protected(rt60_s: float) -> None:
    shares = [
        share_protected(
            in_a_room(np.random.default_rng(seed).standard_normal(20 * RATE), seed, rt60_s)
        )
        for seed in range(3)
    ]
    assert np.mean(shares) < 0.02


@pytest.mark.parametrize("seed", range(3))
def test_hi_lo_in_such_a_room_is(seed: int) -> None:
    siren = in_a_room(np.asarray(alarm("hi_lo", 16.0, RATE, seed=seed), float), seed, 0.8)
    noise = np.random.default_rng(seed).standard_normal(len(siren))
    assert share_protected(siren + 0.5 * noise) > 0.9
