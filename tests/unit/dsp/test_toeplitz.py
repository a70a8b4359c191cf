from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter

from anc_core.dsp.toeplitz import conjugate_gradients, levinson
from tests.oracles.recollection import correlations, normal_matrix


def colour(shape, pole, seed=0):
    return lfilter([1.0], [1.0, -pole], np.random.default_rng(seed).normal(size=shape))


@pytest.mark.parametrize("num_taps", [1, 2, 5, 64, 301])
@pytest.mark.parametrize("pole", [0.0, 0.9, -0.99])
def test_recursion_solves_the_equations(num_taps, pole):
    signal = colour(4_000, pole)
    auto = correlations(signal[np.newaxis, np.newaxis], np.zeros((1, 4_000)), num_taps)[0][0, 0]
    wanted, taps = np.random.default_rng(1).normal(size=num_taps), np.empty(num_taps)
    assert levinson(auto, wanted, taps)
    expected = solve_toeplitz(auto, wanted)
    # The condition is 1e5 at most.
    np.testing.assert_allclose(taps, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize(
    "auto", [[0.0, 0.0], [1.0, 2.0], [-1.0, 0.0], [np.nan, 0.0], [1.0, np.nan]]
)
def test_what_is_no_correlation_is_refused(auto):
    assert not levinson(np.array(auto), np.ones(2), np.empty(2))


@pytest.mark.parametrize("num_filters", [2, 3])
@pytest.mark.parametrize("begin", ["nothing", "solution"])
def test_iteration_solves_the_equations_of_several_filters(num_filters, begin):
    signals = colour((2, num_filters, 6_000), 0.8)
    signals[:, 1] += 0.5 * signals[:, 0]
    auto, cross = correlations(signals, colour((2, 6_000), 0.5, seed=1), 40)
    expected = np.linalg.solve(normal_matrix(auto), cross.ravel()).reshape(cross.shape)
    start = np.zeros_like(cross) if begin == "nothing" else expected
    found = conjugate_gradients(auto, cross, start)
    # It stops at 1e-5 of the right side; the condition is about 100.
    tolerance = 1e-3 if begin == "nothing" else 1e-9
    np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max())
