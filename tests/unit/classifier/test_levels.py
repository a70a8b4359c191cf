"""The level of a stretch is that of its samples, however they came."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc_core.classifier.levels import StretchLevels
from tests.strategies import splits


@pytest.mark.parametrize("rate", [1_000, 7_999, 11_025, 16_000, 44_100])
def test_mean_power_is_that_of_the_samples(rate: int) -> None:
    samples = np.random.default_rng(1).normal(0, 0.1, (rate * 3 + 7, 2)).astype(np.float32)
    levels = StretchLevels(rate, 2)
    levels.put(samples)
    levels.finish()
    stretches = np.array([(0.0, 1.0), (0.5, 1.5), (1.98, 2.98), (2.0, 3.5)])
    found = levels.mean_power(stretches[:, 0], stretches[:, 1])
    for (start_s, end_s), power in zip(stretches, found, strict=True):
        # To the frame: 20 ms that begin at whole samples.
        start, stop = (round(s * 50) * rate // 50 for s in (start_s, end_s))
        expected = (samples[start:stop].astype(np.float64) ** 2).mean(axis=0)
        np.testing.assert_allclose(power, expected, rtol=1e-12)


def test_what_was_forgotten_changes_nothing_after_it() -> None:
    samples = np.random.default_rng(2).normal(0, 0.1, (32_000, 1)).astype(np.float32)
    levels = StretchLevels(8_000, 1)
    levels.put(samples)
    stretch = np.array([2.5]), np.array([3.5])
    before = levels.mean_power(*stretch)
    levels.forget(2.5)
    assert levels.mean_power(*stretch).tolist() == before.tolist()


@settings(max_examples=50, deadline=None)
@given(data=st.data(), length=st.integers(1, 5_000), rate=st.sampled_from([1_000, 1_023, 2_205]))
def test_any_split_gives_the_same_bits(data: st.DataObject, length: int, rate: int) -> None:
    samples = np.random.default_rng(length).normal(0, 1, (length, 1)).astype(np.float32)
    found = []
    for chunks in ([samples], data.draw(splits(samples))):
        levels = StretchLevels(rate, 1)
        for chunk in chunks:
            levels.put(chunk)
        levels.finish()
        found.append(levels.mean_power(np.zeros(1), np.array([length / rate])).tolist())
    assert found[0] == found[1]
