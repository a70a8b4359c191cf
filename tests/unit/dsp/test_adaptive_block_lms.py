"""What only the block filter does; its laws are in test_adaptive_lms.py."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from tests.oracles.block_fxlms import pbnlms
from tests.unit.dsp.test_adaptive_lms import RATE, build, db, scene


@pytest.mark.parametrize("num_references", [1, 3])
@pytest.mark.parametrize("leakage", [0.0, 1e-3])
@pytest.mark.parametrize("num_taps", [16, 70])
def test_filter_computes_the_formula(num_taps, leakage, num_references):
    references, _, primary = scene(1_500, num_references, noise=1e-2)
    references[:, 700:] *= 0.3
    numbers = {"num_taps": num_taps, "step_size": 0.5, "leakage": leakage}
    one = build("pbnlms", num_references=num_references, guarded=False, dtype="float64", **numbers)
    output = one.process(references, primary)
    error, weights = pbnlms(
        references, primary, block=32, rate=RATE, regularization=0.03, **numbers
    )
    # The same numbers, summed in another order, in a recursion that forgets.
    np.testing.assert_allclose(output, error, atol=1e-11)
    np.testing.assert_allclose(one.taps, weights, atol=1e-11)
    assert np.abs(weights).max() > 1e-2


def test_coloured_noise_is_learnt_sooner_than_sample_by_sample():
    references, paths, _ = scene(8 * RATE, num_taps=128)
    coloured = lfilter([1.0], [1.0, -0.95], references)
    primary = lfilter(paths[0], 1, coloured[0])
    nlms, blocks = (
        build(rule, num_taps=128).process(coloured, primary)[-RATE:] for rule in ("nlms", "pbnlms")
    )
    assert db(nlms, blocks) > 20.0


def test_weak_reference_is_learnt_as_fast_as_a_strong_one():
    references, _, primary = scene(4 * RATE, 2)
    references[1] *= 1e-3
    nlms, blocks = (
        build(rule, num_references=2).process(references, primary)[-RATE:]
        for rule in ("nlms", "pbnlms")
    )
    assert db(primary[-RATE:], nlms) < 10.0
    assert db(primary[-RATE:], blocks) > 40.0
