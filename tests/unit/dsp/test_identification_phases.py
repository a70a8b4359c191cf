from __future__ import annotations

import numpy as np
import pytest

from anc_core.dsp.adaptive_guard import BLOCK
from anc_core.dsp.auxiliary_schedule import (
    BLOCK_ANSWER,
    BLOCK_PRODUCT,
    BLOCKS,
    FLOOR,
    LEVEL,
    LOUD,
    MEAN_HEARD,
    MEAN_RESIDUAL,
    MISALIGNMENT,
    NUM_NUMBERS,
    PHASE,
    PREDICTOR_AGEING,
    RECENT_RESIDUAL,
    TRACKING,
    USUAL_FALL,
    USUAL_RESIDUAL,
    USUAL_RISE,
    power_share,
    set_level,
)
from anc_core.dsp.identification_phases import found_error


def limits():
    values = np.zeros(PREDICTOR_AGEING + 1)
    values[LOUD], values[FLOOR] = 0.5, 0.005
    values[USUAL_RISE], values[USUAL_FALL] = 1.01, 0.999
    return values


def numbers(**values):
    state = np.zeros(NUM_NUMBERS)
    for place in (MEAN_RESIDUAL, MEAN_HEARD, RECENT_RESIDUAL, USUAL_RESIDUAL, LEVEL):
        state[place] = 1.0
    state[PHASE] = TRACKING
    return state


@pytest.mark.parametrize(
    ("misalignment", "share"),
    [(1e-5, 0.005), (1e-3, 0.005), (10**-2.5, 0.005 * 100**0.25), (1e-2, 0.05), (1.0, 0.05)],
)
def test_share_goes_straight_in_decibels_from_the_floor_to_half_way(misalignment, share):
    assert power_share(misalignment, limits()) == pytest.approx(share)


def test_level_makes_the_answer_the_share_of_the_residual():
    state, energy = numbers(), 7.0
    state[MISALIGNMENT] = 1e-4 * energy
    set_level(state, 1, energy, limits())
    assert energy * state[LEVEL] ** 2 == pytest.approx(0.005)


def test_level_of_an_unknown_path_reckons_with_all_the_energy_that_it_may_have():
    state = numbers()
    state[PHASE], state[MISALIGNMENT] = 0.0, 50.0
    set_level(state, 1, 0.0, limits())
    assert 50.0 * state[LEVEL] ** 2 == pytest.approx(0.5)


@pytest.mark.parametrize("rise", [10.0, 1e6])
def test_level_does_not_follow_a_rise_that_it_may_have_made_itself(rise):
    state = numbers()
    state[MISALIGNMENT] = 1e-4
    state[[MEAN_RESIDUAL, MEAN_HEARD, RECENT_RESIDUAL]] = rise
    set_level(state, 1, 1.0, limits())
    assert state[LEVEL] ** 2 <= 2.0 * 1.01 * 0.005 * (1 + 1e-9)


def test_silence_has_no_noise_and_what_follows_begins_softly():
    state = numbers()
    state[[MEAN_RESIDUAL, MEAN_HEARD, RECENT_RESIDUAL]] = 0.0
    set_level(state, 1, 1.0, limits())
    assert state[LEVEL] == 0.0
    state[[MEAN_RESIDUAL, MEAN_HEARD, RECENT_RESIDUAL]] = 1.0
    set_level(state, 1, 1.0, limits())
    assert state[LEVEL] == pytest.approx(0.01)


def looked_at(error, *, noise, num_blocks, seed):
    """Return what the test finds in a remainder that holds ``error`` of the answer."""
    rng = np.random.default_rng(seed)
    state, found = np.zeros(NUM_NUMBERS), []
    for _ in range(num_blocks):
        answer = rng.normal(size=BLOCK)
        remainder = error * answer + noise * rng.normal(size=BLOCK)
        state[BLOCK_PRODUCT] += remainder @ answer
        state[BLOCK_ANSWER] += answer @ answer
        state[BLOCKS] += 1
        found.append(found_error(state))
    return np.array(found)


@pytest.mark.parametrize("error", [-2.0, -1.0, 0.5, 3.0])
def test_error_of_the_estimate_is_found_with_its_sign_and_size(error):
    found = looked_at(error, noise=2.0, num_blocks=600, seed=1)
    assert found[-1] == 0.0 or found[-1] == pytest.approx(error, abs=0.3)
    assert np.abs(found).max() == pytest.approx(abs(error), abs=0.5)
    assert np.sign(found[found != 0.0][0]) == np.sign(error)


def test_nothing_is_found_where_nothing_is_wrong():
    # 5 standard deviations: one false alarm in two million looks.
    for seed in range(10):
        assert not looked_at(0.0, noise=20.0, num_blocks=4_000, seed=seed).any()


def test_a_small_error_is_no_change():
    assert not looked_at(0.1, noise=0.1, num_blocks=600, seed=1).any()
