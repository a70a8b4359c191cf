"""The laws of processors/base.py for the guard with ridges, over sirens in noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc_core.emergency import AlarmDetector
from anc_core.presets import ProtectionParameters, SuppressionParameters
from anc_core.processors import EmergencyGuard, Suppressor
from tests.strategies import run, run_aligned

RATE = 8_000
NUM = 9 * RATE + 123
BARE = SuppressionParameters(do_no_harm=False)

laws = settings(deadline=None, max_examples=5)
seeds = st.integers(0, 2**32 - 1)


def guarded(num_channels: int, *, method: str = "neural", ridges: str = "default"):
    """Return a guard in which nothing but the ridges protects."""
    parameters = ProtectionParameters(ridges=ridges)
    detector = AlarmDetector(RATE, num_channels, parameters=parameters, keep_ridges=True)
    detector.protected = lambda start, stop: []
    inner = Suppressor(RATE, num_channels, parameters=BARE, method=method)
    return EmergencyGuard(inner, detector, sample_rate=RATE)


def recording(seed: int, num_channels: int) -> np.ndarray:
    """Return noise with a wail in the first channel and beeps in the last, some of it damaged."""
    rng = np.random.default_rng(seed)
    time = np.arange(NUM) / RATE
    pitch = 700 * 2 ** (np.abs(1 - 2 * (time / 3 % 1)))
    audio = 0.02 * rng.standard_normal((NUM, num_channels))
    audio[:, 0] += 0.1 * np.sin(2 * np.pi * np.cumsum(pitch) / RATE) * (np.abs(time - 3) < 2)
    audio[:, -1] += rng.uniform(0, 0.1) * np.sin(2 * np.pi * 2_900 * time) * (time % 1 > 0.8)
    audio[rng.integers(0, NUM, 5)] = rng.choice([np.nan, np.inf, -1e30, 3e38, 1e-40], (5, 1))
    return audio.astype(np.float32)


@pytest.mark.parametrize("method", ["spectral", "neural"])
@laws
@given(
    seed=seeds,
    num_channels=st.integers(1, 2),
    cuts=st.lists(st.integers(0, NUM), max_size=6).map(sorted),
)
def test_any_split_gives_the_same_output_bit_for_bit(method, seed, num_channels, cuts):
    audio = recording(seed, num_channels)
    guard = guarded(num_channels, method=method)
    whole = run(guard, [audio])
    figures = guard.restored_s, guard.restored_share
    # The spectral engine may keep a siren as loud as this one by itself.
    assert figures[0] > (1.0 if method == "neural" else -1.0)
    assert whole.shape == (NUM + guard.latency, num_channels)
    assert np.isfinite(whole).all()
    parts = run(guard, np.split(audio, cuts))  # again: what follows a flush is a new stream
    np.testing.assert_array_equal(parts.view(np.int32), whole.view(np.int32))
    assert (guard.restored_s, guard.restored_share) == figures


@laws
@given(seed=seeds, heard=st.integers(0, NUM))
def test_reset_makes_the_next_run_identical(seed, heard):
    audio = recording(seed, 1)
    guard = guarded(1)
    first = run(guard, [audio])
    guard.process(recording(seed + 1, 1)[:heard])
    guard.reset()
    np.testing.assert_array_equal(run(guard, [audio]), first)


@laws
@given(seed=seeds)
def test_without_ridges_and_where_none_are_the_inner_output_passes_bit_for_bit(seed):
    audio = np.clip(np.nan_to_num(recording(seed, 2)), -0.5, 0.5)
    audio[: RATE // 2] = 0.0
    inner = run_aligned(Suppressor(RATE, 2, parameters=BARE), [audio])
    off = run_aligned(guarded(2, ridges="off"), [audio])
    np.testing.assert_array_equal(off.view(np.int32), inner.view(np.int32))
    kept = run_aligned(guarded(2), [audio])
    quiet = slice(0, RATE // 3)  # less than a window and the reach of a ridge before the noise
    np.testing.assert_array_equal(kept[quiet].view(np.int32), inner[quiet].view(np.int32))
    assert not np.array_equal(kept, inner)


@laws
@given(seed=seeds)
def test_an_engine_that_changes_nothing_is_given_nothing_back(seed):
    audio = recording(seed, 1)
    detector = AlarmDetector(RATE, 1, keep_ridges=True)
    guard = EmergencyGuard(Suppressor(RATE, strength=0.0), detector, sample_rate=RATE)
    expected = np.where(np.isfinite(audio), audio, np.float32(0.0))
    np.testing.assert_array_equal(run_aligned(guard, [audio]).view(np.int32), expected.view("i4"))
    assert guard.restored_share == 0.0


def test_memory_is_constant():
    guard = guarded(1, method="spectral")
    parts = np.split(recording(1, 1)[: 9 * RATE], 9)
    waiting = []
    for second in range(60):
        guard.process(parts[second % 9])
        board = guard._ridge_guard._source
        waiting.append(
            (len(guard._ridge_guard._original), len(board._points), len(board._channels[0]._pitch))
        )
    # Some seconds of samples and peaks (the head's scores are 6.5 s behind), and points.
    assert np.max(waiting, axis=0)[0] <= 10 * RATE
    assert np.max(waiting[30:], axis=0)[1] <= np.max(waiting[:30], axis=0)[1] + 1
    assert np.max(waiting, axis=0)[2] <= 13 * 64
