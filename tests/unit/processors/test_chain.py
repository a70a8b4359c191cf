from __future__ import annotations

import numpy as np
import pytest

from anc_core.errors import InputError
from anc_core.processors import Chain, EmergencyGuard, FixedIntervals, Suppressor
from tests.strategies import run, run_aligned


def noise(num_samples, num_channels=1, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.1, (num_samples, num_channels)).astype(np.float32)


def test_latency_is_the_sum():
    first, second = Suppressor(16_000), Suppressor(8_000)
    assert Chain([first, second]).latency == first.latency + second.latency


def test_chain_of_one_is_that_one():
    signal = noise(9_000)
    np.testing.assert_array_equal(
        run(Chain([Suppressor(8_000)]), [signal]), run(Suppressor(8_000), [signal])
    )


def test_chain_does_what_its_stages_do_one_after_the_other():
    signal = noise(9_000, 2)
    gentle = {"max_attenuation_db": 6.0}
    chained = run(Chain([Suppressor(8_000, 2, **gentle), Suppressor(8_000, 2)]), [signal])
    by_hand = run(Suppressor(8_000, 2), [run(Suppressor(8_000, 2, **gentle), [signal])])
    np.testing.assert_array_equal(chained, by_hand)


def test_guard_in_a_chain_stays_aligned():
    guard = EmergencyGuard(Suppressor(8_000), FixedIntervals([(0, 5_000)]), sample_rate=8_000)
    signal = noise(5_000)
    chain = Chain([guard, Suppressor(8_000, strength=0.0)])
    np.testing.assert_array_equal(run_aligned(chain, [signal]), signal)


def test_empty_chain_is_refused():
    with pytest.raises(InputError, match="one or more"):
        Chain([])


def test_stages_of_different_width_are_refused():
    with pytest.raises(InputError, match=r"\[1, 2\] channels"):
        Chain([Suppressor(8_000, 1), Suppressor(8_000, 2)])
