from __future__ import annotations

import numpy as np
import pytest

from anc_core.dsp.clicks import band_ratio, find_clicks
from tests.oracles import clicks as oracle

CONTEXT = 13


def found(wide, voice=None, first=0, num_frames=None):
    wide = np.asarray(wide, np.float32)
    voice = wide if voice is None else np.asarray(voice, np.float32)
    is_click = np.empty(len(wide) - first if num_frames is None else num_frames, bool)
    find_clicks(wide, voice, first, CONTEXT, is_click)
    return is_click


def quiet(num_frames=60):
    return np.ones(num_frames, np.float32)


@pytest.mark.parametrize("first", [0, 20])
def test_kernel_decides_as_told(first):
    rng = np.random.default_rng(1)
    for _ in range(50):
        wide = quiet(200)
        for at in rng.integers(0, 200, 8):
            wide[at : at + rng.integers(1, 7)] = 10 ** rng.uniform(0, 4)
        voice = wide * rng.choice([0.1, 1.0, 10.0], 200).astype(np.float32)
        expected = oracle.find_clicks(wide, voice, first, CONTEXT, 150)
        np.testing.assert_array_equal(found(wide, voice, first, 150), expected)


def test_lone_click_is_found():
    wide = quiet()
    wide[[30, 31]] = 1000.0
    assert np.flatnonzero(found(wide)).tolist() == [30, 31]


def test_quiet_click_is_left_alone():
    wide = quiet()
    wide[30] = 10.0
    assert not found(wide).any()


@pytest.mark.parametrize("lag", [-13, -6, 6, 10])
def test_click_beside_a_voice_is_left_alone(lag):
    wide = quiet()
    voice = wide.copy()
    wide[30] = 1000.0
    voice[30 + lag : 34 + lag] = 10.0
    assert not found(wide, voice).any()


def test_onset_is_no_click():
    wide = quiet()
    wide[30:] = 1000.0
    assert not found(wide).any()


def test_ratio_is_a_mean_over_the_band_only():
    psd = np.ones((3, 10), np.float32)
    psd[1, 2:4] = 7.0
    ratio = np.empty(3, np.float32)
    band_ratio(psd, np.full_like(psd, 2.0), 2, 4, ratio)
    np.testing.assert_allclose(ratio, [0.5, 3.5, 0.5], rtol=1e-6)


def test_empty_band_holds_nothing():
    ratio = np.empty(2, np.float32)
    band_ratio(np.ones((2, 3), np.float32), np.ones((2, 3), np.float32), 3, 3, ratio)
    assert not ratio.any()
