"""The laws of the emergency detector, over random inputs and splits."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from anc_core.emergency import AlarmDetector

RATE = 8_000
NUM = 7 * RATE + 123


def recording(seed: int, num_channels: int) -> np.ndarray:
    """Return noise with a wail and a few beeps in it, so that there is something to decide."""
    rng = np.random.default_rng(seed)
    time = np.arange(NUM) / RATE
    pitch = 700 * 2 ** (np.abs(1 - 2 * (time / 3 % 1)))
    wail = np.sin(2 * np.pi * np.cumsum(pitch) / RATE) * (time > 1.3) * (time < 5.1)
    beeps = np.sin(2 * np.pi * 2900 * time) * (time % 1 < 0.5)
    audio = 0.02 * rng.standard_normal((NUM, num_channels))
    audio[:, 0] += 0.1 * wail
    audio[:, -1] += rng.uniform(0, 0.1) * beeps
    return audio.astype(np.float32)


def results(detector: AlarmDetector, audio: np.ndarray, cuts: list[int]):
    for part in np.split(audio, cuts):
        detector.process(part)
    detector.flush()
    return detector.windows, detector.events, detector.protected(0, len(audio))


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_channels=st.integers(1, 2),
    cuts=st.lists(st.integers(0, NUM), max_size=8).map(sorted),
)
def test_decisions_do_not_depend_on_the_split(seed, num_channels, cuts):
    audio = recording(seed, num_channels)
    detector = AlarmDetector(RATE, num_channels)
    whole = results(detector, audio, [])
    assert whole[2]
    # The same detector again: what follows a flush is a new stream.
    assert results(detector, audio, cuts) == whole
    assert results(AlarmDetector(RATE, num_channels), audio, cuts) == whole


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), heard=st.integers(0, NUM))
def test_reset_forgets_everything(seed, heard):
    audio = recording(seed, 1)
    fresh = results(AlarmDetector(RATE), audio, [])
    detector = AlarmDetector(RATE)
    detector.process(recording(seed + 1, 1)[:heard])
    detector.reset()
    assert detector.num_decided == 0
    assert results(detector, audio, []) == fresh


@settings(deadline=None, max_examples=25)
@given(
    rate=st.sampled_from([4_000, 7_999, 16_000, 44_100]),
    num=st.integers(0, 30_000),
    fill=st.sampled_from([0.0, 1.0, 1e-30, 1e30, np.nan, np.inf, -np.inf]),
    num_spikes=st.integers(0, 20),
    seed=st.integers(0, 2**32 - 1),
)
def test_anything_gives_finite_disjoint_decisions(rate, num, fill, num_spikes, seed):
    rng = np.random.default_rng(seed)
    audio = np.full((num, 2), fill, np.float32)
    if num:
        audio[rng.integers(0, num, num_spikes), 0] = rng.choice([np.nan, np.inf, -1.0, 1e20, 0.5])
    detector = AlarmDetector(rate, 2)
    windows, events, protected = results(detector, audio, [num // 3])
    assert detector.num_decided == num
    # Records refuse NaN and infinities; here remains that times lie within the recording.
    for item in (*windows, *events):
        assert 0.0 <= item.start_s < item.end_s <= num / rate
    flat = [edge for stretch in protected for edge in stretch]
    assert flat == sorted(set(flat))
    assert not flat or (flat[0] >= 0 and flat[-1] <= num)
