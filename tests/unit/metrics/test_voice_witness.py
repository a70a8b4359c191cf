"""The voice is judged where the reference is quiet."""

from __future__ import annotations

import numpy as np
import pytest

from anc_core.metrics.voice_witness import VoiceWitness

RATE = 8_000
SECONDS = 16


def column(signal: np.ndarray) -> np.ndarray:
    return signal.astype(np.float32)[:, np.newaxis]


def scene(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return a voice and a noise that hammers: both come and go, not together."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(SECONDS * RATE) / RATE
    voice = 0.1 * rng.standard_normal(len(time_s)) * (time_s % 4 < 2)
    noise = 0.1 * rng.standard_normal(len(time_s)) * np.where(time_s % 2 < 1, 1.0, 0.1)
    return voice, noise


def judged(primary: np.ndarray, reference: np.ndarray, output: np.ndarray) -> float | None:
    witness = VoiceWitness(RATE)
    witness.add(column(primary), column(reference), column(output))
    return witness.level_change_db()


def test_noise_that_was_removed_is_no_voice_that_was_lost() -> None:
    voice, noise = scene()
    # All of the noise goes, and the level of the whole falls by 3 dB. At most a tenth of what is
    # judged was noise.
    assert judged(voice + noise, noise, voice) == pytest.approx(0.0, abs=0.46)


@pytest.mark.parametrize("gain", [0.5, 0.25])
def test_a_voice_that_was_lost_is_seen(gain: float) -> None:
    voice, noise = scene()
    change = judged(voice + noise, noise, gain * voice)
    assert change == pytest.approx(20 * np.log10(gain), abs=0.46)


def test_a_reference_that_is_the_recording_tells_nothing() -> None:
    voice, noise = scene()
    assert judged(voice + noise, voice + noise, 0 * voice) is None


def test_with_little_of_it_there_is_no_figure() -> None:
    voice, noise = scene()
    voice[2 * RATE - RATE // 4 :] = 0.0
    assert judged(voice + noise, noise, voice) is None
    assert VoiceWitness(RATE).level_change_db() is None


def test_where_the_reference_is_silent_there_is_only_voice() -> None:
    voice, noise = scene()
    noise[SECONDS * RATE // 2 :] = 0.0
    assert judged(voice + noise, noise, 0.5 * voice) == pytest.approx(-6.02, abs=0.46)


@pytest.mark.parametrize("size", [1_000, 12_345])
def test_neither_chunks_nor_a_late_output_matter(size: int) -> None:
    voice, noise = scene()
    signals = column(voice + noise), column(noise), column(0.7 * voice)
    whole = VoiceWitness(RATE)
    whole.add(*signals)
    parts = VoiceWitness(RATE)
    late = 3_000
    nothing = np.zeros((0, 1), np.float32)
    for start in range(0, len(voice), size):
        stop = start + size
        output = signals[2][max(0, start - late) : max(0, stop - late)]
        parts.add(signals[0][start:stop], signals[1][start:stop], output)
    parts.add(nothing, nothing, signals[2][max(0, stop - late) :])
    assert parts.level_change_db() == pytest.approx(whole.level_change_db(), abs=1e-6)
