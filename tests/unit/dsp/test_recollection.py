from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from anc_core.dsp.adaptive_guard import COUNT, FORGOTTEN, HAS_RECALLED, SIZE
from anc_core.dsp.fxlms_controller import FxlmsController, FxlmsParameters
from anc_core.dsp.recollection import Recollection
from tests.oracles.recollection import correlations, recalling_fxnlms, solved

RATE = 1_000


def gathered(signals, noises, *, counts=None, num_taps=24, dtype="float64", forgotten=0):
    """Return the state of a recollection after signals (M, R, n), noises (M, n)."""
    num_errors, num_filters, num = signals.shape
    recollection = Recollection(RATE, num_errors, num_filters, num_taps, dtype)
    state = recollection.start() | {"numbers": np.zeros(SIZE)}
    state["numbers"][FORGOTTEN] = forgotten
    told = np.concatenate([np.ones((1, num)) if counts is None else counts, noises])
    # In pieces of odd lengths, as a stream comes; each ends where a stretch does, if it is reached.
    begin, rng = 0, np.random.default_rng(5)
    while begin < num:
        end = min(num, begin + int(rng.integers(1, 200)))
        end = min(end, begin + recollection.stretch - begin % recollection.stretch)
        state["numbers"][COUNT] = end
        lines = signals[..., begin:end].reshape(num_errors * num_filters, -1)
        recollection.take(state, lines.astype(dtype), told[:, begin:end].astype(dtype))
        begin = end
    return recollection, state


def faded(samples):
    """Return samples (..., n) as they count at their end."""
    return samples * np.exp(-np.arange(samples.shape[-1])[::-1] / (2 * 10.0 * RATE))


def white(num_errors, num_filters, num, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(num_errors, num_filters, num)), rng.normal(size=(num_errors, num))


@pytest.mark.parametrize(("num_errors", "num_filters"), [(1, 1), (2, 1), (1, 3), (2, 2)])
@pytest.mark.parametrize("num_stretches", [1, 3])
def test_filters_are_those_that_suit_all_so_far_best(num_errors, num_filters, num_stretches):
    signals, noises = white(num_errors, num_filters, 672 * num_stretches)
    signals = lfilter([1.0], [1.0, -0.7], signals)
    noises += 0.5 * signals[:, 0]
    recollection, state = gathered(signals, noises)
    assert recollection.stretch == 672
    auto, cross = correlations(faded(signals), faded(noises), 24)
    np.testing.assert_allclose(state["long_auto"], auto, atol=1e-9)
    np.testing.assert_allclose(state["long_cross"], cross, atol=1e-9)
    assert state["numbers"][HAS_RECALLED] == 1.0
    # Several filters are iterated to 1e-5 of the right side.
    tolerance = 1e-9 if num_filters == 1 else 1e-3
    np.testing.assert_allclose(state["recalled"][:, ::-1], solved(auto, cross), atol=tolerance)


def test_what_may_not_be_learnt_counts_as_silence_for_good():
    signals, noises = white(1, 1, 1_344)
    counts = np.ones((1, 1_344))
    counts[:, 100:300] = counts[:, 660:672] = 0.0
    noises[:, 100:300] = 1e6
    _, state = gathered(signals, noises, counts=counts)
    auto, cross = correlations(faded(signals * counts), faded(noises * counts), 24)
    np.testing.assert_allclose(state["long_auto"], auto, atol=1e-9)
    np.testing.assert_allclose(state["long_cross"], cross, atol=1e-9)


@pytest.mark.parametrize("forgotten", [300, 700, 1_344, 1_400])
def test_after_a_trip_nothing_is_left_of_what_came_before(forgotten):
    signals, noises = white(1, 1, 2_016)
    _, state = gathered(signals, noises, forgotten=forgotten)
    rest = slice(forgotten, None)
    auto, cross = correlations(faded(signals[..., rest]), faded(noises[:, rest]), 24)
    np.testing.assert_allclose(state["long_auto"], auto, atol=1e-9)
    np.testing.assert_allclose(state["long_cross"], cross, atol=1e-9)


def test_quiet_after_a_loud_sound_of_one_colour_leaves_equations_that_can_be_solved():
    # With steps in the weights the matrix was not positive: 20 dB louder than no control.
    time = np.arange(4_096)
    signal = np.where(time < 2_000, 1e4, 1.0) * np.sin(0.05 * time)
    signal += 1e-3 * np.random.default_rng(0).normal(size=4_096)
    noise = lfilter([0.0, 0.5, 0.2], 1, signal)
    _, state = gathered(signal[np.newaxis, np.newaxis], noise[np.newaxis], num_taps=64)
    assert state["numbers"][HAS_RECALLED] == 1.0
    left = noise + lfilter(state["recalled"][0, ::-1], 1, signal)
    assert np.sum(left[-1_000:] ** 2) < 1e-2 * np.sum(noise[-1_000:] ** 2)


def test_silence_recalls_nothing():
    _, state = gathered(np.zeros((1, 1, 672)), np.zeros((1, 672)))
    assert state["numbers"][HAS_RECALLED] == 0.0
    assert not state["recalled"].any()


@pytest.mark.parametrize("gain", [1e-10, 1e12])
def test_level_of_a_signal_divides_its_filter(gain):
    rng = np.random.default_rng(0)
    signals, noises = rng.normal(size=(1, 2, 672)), rng.normal(size=(1, 672))
    expected = gathered(signals, noises)[1]["recalled"]
    found = gathered(gain * signals, noises, dtype="float32")[1]["recalled"]
    np.testing.assert_allclose(gain * found, expected, atol=1e-4)


def test_controller_mixes_what_it_recalls_as_the_formula_says():
    rng = np.random.default_rng(2)
    reference = rng.normal(size=3_000)
    # A second noise comes, goes and comes back; then the path changes and all is forgotten.
    reference[1_000:1_300] = reference[2_000:2_300] = 10 * np.sin(np.arange(300))
    secondary = np.array([0.0, 1.0, 0.4, -0.2])
    primary = np.concatenate([np.zeros(3), rng.normal(size=12)])
    disturbance = lfilter(primary, 1, reference)
    disturbance[2_400:] *= -1
    numbers = {"num_taps": 12, "step_size": 0.3, "regularization": 1.0}
    parameters = FxlmsParameters(guarded=False, **numbers)
    built = FxlmsController(RATE, secondary, parameters, dtype="float64")
    error, _, _ = built.process(reference[:, np.newaxis], disturbance[:, np.newaxis])
    expected = recalling_fxnlms(
        reference, disturbance, secondary, rate=RATE, stretch=672, **numbers
    )
    # The same sums in another order, 3 000 steps of a stable recursion.
    np.testing.assert_allclose(error[:, 0], expected, atol=1e-9 * np.abs(disturbance).max())
