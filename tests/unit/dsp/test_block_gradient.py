from __future__ import annotations

import numpy as np
import pytest

from anc_core.dsp.block_gradient import BlockGradient, block_length
from anc_core.dsp.fxlms_controller import FxlmsController, FxlmsParameters
from tests.oracles.block_fxlms import pbfxlms
from tests.unit.dsp.test_fxlms_controller import RATE, SECONDARY, noise, run, turned


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


def test_gradient_of_white_signals_is_their_correlation_with_the_errors():
    # Against a constant power the division by it is the same at all frequencies.
    rng = np.random.default_rng(1)
    signals, errors = rng.normal(size=(6, 300)), rng.normal(size=(2, 64))
    blocks = BlockGradient(2, 3, 100, 64, "float64")
    state = blocks.start()
    for first in range(0, 300 - 64 + 1, 64):
        blocks.take(state, signals[:, first : first + 64])
    newest = first + 64
    state["block_powers"][:] = 1e12
    gradient = blocks.gradient(state, errors, 0.0) * 0.9e12
    for row in range(3):
        for tap in range(100):
            past = slice(newest - 64 - tap, newest - tap)
            expected = sum(errors[m] @ signals[3 * m + row, past] for m in range(2))
            assert gradient[row, 99 - tap] == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("rate", [1_000, 8_000, 16_000, 44_100, 48_000, 768_000])
def test_blocks_are_whole_blocks_of_the_detector(rate):
    assert block_length(rate) % 32 == 0
    assert block_length(rate) >= 32
