from __future__ import annotations

import numpy as np
import pytest

from anc_core.dsp.auxiliary_noise import auxiliary_noise


def test_samples_are_known_by_their_number():
    whole = auxiliary_noise(3, 0, 1_000, 2)
    for first in (0, 1, 31, 500):
        np.testing.assert_array_equal(auxiliary_noise(3, first, 1_000 - first, 2), whole[:, first:])


def test_seeds_give_other_noise_and_the_same_seed_the_same():
    one = auxiliary_noise(3, 0, 1_000, 1)
    np.testing.assert_array_equal(auxiliary_noise(3, 0, 1_000, 1), one)
    assert not np.array_equal(auxiliary_noise(4, 0, 1_000, 1), one)


@pytest.mark.parametrize("seed", [0, 1, 2**63])
def test_noise_is_white_of_power_1_and_independent_between_loudspeakers(seed):
    num = 100_000
    noise = auxiliary_noise(seed, 0, num, 3)
    assert np.abs(noise).max() <= np.sqrt(3)
    # Means of num independent terms: 5 standard deviations each.
    assert np.mean(noise**2, axis=1) == pytest.approx(1.0, abs=5 * np.sqrt(0.8 / num))
    one = noise[0, :-64]
    for other in (*(noise[0, lag : lag + len(one)] for lag in range(1, 64)), *noise[1:, :-64]):
        assert abs(one @ other) / len(one) < 5 / np.sqrt(num)
