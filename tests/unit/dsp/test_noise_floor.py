from __future__ import annotations

import numpy as np
import pytest

from anc_core.dsp.noise_floor import future_floor
from tests.oracles import noise_floor as oracle


def exponential(num_frames, num_bins, seed=1):
    return np.random.default_rng(seed).exponential(size=(num_frames, num_bins)).astype(np.float32)


def floor_of(psd, num_frames, min_frames=50):
    floor = np.empty((num_frames, psd.shape[1]), np.float32)
    future_floor(psd, min_frames, floor)
    return floor


@pytest.mark.parametrize("num_bins", [1, 2, 33])
def test_kernel_computes_its_formula(num_bins):
    psd = exponential(90, num_bins)
    expected = oracle.future_floor(psd, 50, 60)
    # A mean of 90 float32 numbers, all positive.
    np.testing.assert_allclose(floor_of(psd, 60), expected, rtol=1e-5)


def test_frames_whose_future_is_short_have_no_bound():
    floor = floor_of(exponential(60, 5), 60, min_frames=20)
    assert floor[:41].all()
    assert not floor[41:].any()


def test_bound_lies_below_steady_noise():
    floor = floor_of(exponential(124, 300), 64, min_frames=60)
    assert (floor < 1.0).mean() > 0.99
    assert floor[:64].mean() == pytest.approx(0.4, abs=0.1)


def test_voice_with_one_gap_raises_no_bound():
    psd = exponential(124, 50)
    psd[:70] *= 1000.0
    psd[90:] *= 1000.0
    assert floor_of(psd, 64, min_frames=60).max() < 20.0


def test_noise_that_has_risen_for_good_raises_it():
    psd = exponential(124, 50)
    psd[10:] *= 100.0
    assert np.median(floor_of(psd, 64, min_frames=60)[10:]) > 25.0
