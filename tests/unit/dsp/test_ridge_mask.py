from __future__ import annotations

import numpy as np
import pytest

from anc_core.dsp.ridge_mask import keep_ridges


def kept(gain: float, *, centre: float = 10.0, width: float = 2.0) -> np.ndarray:
    """Return the gain of 30 bins after the difference that was kept is added."""
    original = np.full((1, 30), 2.0 + 1.0j, np.complex64)
    difference = np.complex64(1 - gain) * original
    keep_ridges(
        original,
        difference,
        np.zeros(1, np.int64),
        np.array([centre]),
        np.array([width]),
        np.zeros(1, np.bool_),
    )
    return np.abs(gain * original + difference)[0] / abs(2.0 + 1.0j)


@pytest.mark.parametrize("gain", np.linspace(0.0, 1.0, 41))
def test_gain_on_a_ridge_is_never_below_minus_one_decibel(gain):
    assert kept(gain)[8:13].min() >= 10 ** (-1 / 20)


def test_a_lost_ridge_is_whole_and_what_is_off_it_stays_lost():
    expected = np.zeros(30)
    expected[8:13] = 1.0
    np.testing.assert_allclose(kept(0.0), expected, atol=1e-6)


def test_a_ridge_that_was_kept_gets_nothing():
    np.testing.assert_allclose(kept(0.94), 0.94, atol=1e-6)


@pytest.mark.parametrize("centre", [-3.0, 0.0, 29.4, 40.0])
def test_ridges_at_the_edge_of_the_band_and_beyond_are_harmless(centre):
    assert np.isfinite(kept(0.0, centre=centre, width=5.0)).all()


def test_counts_cells_and_marks_frames():
    original = np.ones((3, 20), np.complex64)
    difference = original.copy()
    is_kept = np.zeros(3, np.bool_)
    rows, centres = np.array([1, 1]), np.array([5.0, 6.0])
    assert keep_ridges(original, difference, rows, centres, np.array([2.0, 2.0]), is_kept) == 6
    assert is_kept.tolist() == [False, True, False]
    assert np.flatnonzero(difference[1]).tolist() == [3, 4, 5, 6, 7, 8]
