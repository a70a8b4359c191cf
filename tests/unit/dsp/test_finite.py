from __future__ import annotations

import numpy as np

from anc_core.dsp.finite import MAX_MAGNITUDE, energy, repair, tame

HOSTILE = np.array([[0.5, np.nan], [np.inf, -np.inf], [1e-40, -1e30], [1.0, -0.0]], np.float32)


def test_repair_changes_only_what_is_not_finite():
    expected = np.array([[0.5, 0], [0, 0], [1e-40, -1e30], [1.0, -0.0]], np.float32)
    np.testing.assert_array_equal(repair(HOSTILE).view(np.int32), expected.view(np.int32))


def test_tame_also_limits_and_drops_what_arithmetic_cannot_bear():
    expected = np.array([[0.5, 0], [0, 0], [0, -MAX_MAGNITUDE], [1.0, 0]], np.float32)
    np.testing.assert_array_equal(tame(HOSTILE), expected)


def test_callers_array_stays_as_it_is():
    before = HOSTILE.copy()
    assert not np.shares_memory(repair(HOSTILE), HOSTILE)
    assert not np.shares_memory(tame(HOSTILE), HOSTILE)
    np.testing.assert_array_equal(HOSTILE, before)


def test_audio_passes_bit_for_bit():
    audio = np.random.default_rng(1).normal(0, 0.3, (1000, 2)).astype(np.float32)
    np.testing.assert_array_equal(tame(audio), audio)


def test_energy_is_the_sum_of_the_squares_of_all_channels():
    audio = np.random.default_rng(2).normal(0, 0.3, (1001, 3)).astype(np.float32)
    expected = np.sum(audio.astype(np.float64) ** 2)
    # A float64 sum of 3000 terms in another order.
    np.testing.assert_allclose(energy(audio), expected, rtol=1e-13)
    assert energy(audio[:0]) == 0.0


def test_views_of_other_arrays_are_repaired_too():
    np.testing.assert_array_equal(repair(HOSTILE[:2, 1]), [0.0, 0.0])
    np.testing.assert_array_equal(tame(HOSTILE.astype(np.float64)[:, 0]), [0.5, 0.0, 0.0, 1.0])
