from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from anc_core.dsp.block_gradient import BlockGradient, block_length
from anc_core.dsp.fxlms_controller import FxlmsController, FxlmsParameters
from tests.oracles.block_fxlms import block_change, fresh_memory, pbfxlms
from tests.unit.dsp.test_fxlms_controller import RATE, SECONDARY, noise, run, turned


def collected(signals, errors, *, num_taps, rate=RATE, dtype="float64"):
    """Return the changes of a fresh gradient for signals (M, R, n) and errors (M, n)."""
    num_errors, num_filters, num = signals.shape
    blocks = BlockGradient(rate, num_errors, num_filters, num_taps, 0.03, dtype)
    state, block = blocks.start(), blocks.block_length
    changes = []
    for number in range(num // block):
        part = slice(number * block, (number + 1) * block)
        blocks.take(state, signals[..., part].reshape(num_errors * num_filters, block))
        changes.append(blocks.change(state, errors[:, part].astype(dtype), number)[:, ::-1])
    return np.array(changes)


@pytest.mark.parametrize("leakage", [0.0, 1e-4])
@pytest.mark.parametrize("degrees", [0, 40])
@pytest.mark.parametrize("num_taps", [64, 100])
def test_block_controller_computes_the_formula(leakage, degrees, num_taps):
    reference, disturbance = noise(0.1)
    estimate = turned(SECONDARY, degrees)
    numbers = {"step_size": 0.2, "regularization": 0.01, "leakage": leakage}
    parameters = FxlmsParameters(
        num_taps=num_taps, is_modified=False, is_block=True, guarded=False, **numbers
    )
    built = FxlmsController(RATE, SECONDARY, parameters, estimate=estimate, dtype="float64")
    error, taps = pbfxlms(
        reference, disturbance, SECONDARY, estimate, num_taps=num_taps, block=64, **numbers
    )
    # The same sums in another order, 25 steps of a stable recursion.
    tolerance = 1e-10 * np.abs(disturbance).max()
    np.testing.assert_allclose(run(built, reference, disturbance), error, atol=tolerance)
    np.testing.assert_allclose(built.taps[0, 0], taps, atol=1e-10)
    assert np.abs(taps).max() > 1e-3


@pytest.mark.parametrize("num_taps", [5, 32, 70])
def test_several_filters_and_errors_share_one_change(num_taps):
    rng = np.random.default_rng(1)
    signals = lfilter([1.0], [1.0, -0.8], rng.normal(size=(2, 3, 320)))
    signals *= np.array([1.0, 0.1, 3.0])[:, np.newaxis]
    errors, block = rng.normal(size=(2, 320)), 32
    changes = collected(signals, errors, num_taps=num_taps, rate=8_000)
    padded = np.concatenate([np.zeros((2, 3, 128)), signals], axis=2)
    memory = fresh_memory(3, block)
    num_past = (-(-num_taps // block) + 1) * block
    for number, change in enumerate(changes):
        end = 128 + (number + 1) * block
        expected = block_change(
            padded[..., end - num_past : end],
            errors[:, number * block : (number + 1) * block],
            memory,
            num_taps=num_taps,
            regularization=0.03,
            rate=8_000,
        )
        np.testing.assert_allclose(change, expected, atol=1e-12)
        assert np.abs(expected).max() > 1e-3


@pytest.mark.parametrize("colour", [0.0, 0.9, 0.999])
@pytest.mark.parametrize("step_size", [0.1, 1.9])
def test_no_change_makes_the_errors_of_its_block_larger(colour, step_size):
    # In what a change does to the errors of its own block lies the promise of stability.
    rng = np.random.default_rng(2)
    signals = lfilter([1.0], [1.0, -colour], rng.normal(size=1_024))
    signals[500:] *= 1e-3
    errors = rng.normal(size=1_024)
    changes = collected(
        signals[np.newaxis, np.newaxis], errors[np.newaxis], num_taps=96, rate=8_000
    )
    for number, change in enumerate(changes):
        part = slice(number * 32, (number + 1) * 32)
        left = errors[part] - step_size * np.convolve(signals, change[0])[part]
        assert np.sum(left**2) <= np.sum(errors[part] ** 2) * (1 + 1e-9)


@pytest.mark.parametrize("gain", [1e-10, 1.0, 1e12])
def test_level_of_the_signals_divides_the_change(gain):
    rng = np.random.default_rng(3)
    signals, errors = rng.normal(size=(1, 1, 640)), rng.normal(size=(1, 640))
    change, expected = (
        scale * collected(scale * signals, errors, num_taps=64, dtype="float32")
        for scale in (gain, 1.0)
    )
    np.testing.assert_allclose(change, expected, atol=1e-5 * np.abs(expected).max())


def test_silence_teaches_nothing():
    changes = collected(np.zeros((1, 1, 128)), np.ones((1, 128)), num_taps=64)
    assert not changes.any()


@pytest.mark.parametrize("rate", [1_000, 8_000, 16_000, 44_100, 48_000, 768_000])
def test_blocks_are_whole_blocks_of_the_detector(rate):
    assert block_length(rate) % 32 == 0
    assert block_length(rate) >= 32
