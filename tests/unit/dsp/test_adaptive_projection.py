from __future__ import annotations

import numpy as np
import pytest

from anc_core.dsp.adaptive_guard import FALL, RISE
from anc_core.dsp.adaptive_lms import LmsFilter
from anc_core.dsp.adaptive_projection import ProjectionFilter
from anc_core.errors import InputError
from tests.oracles import adaptive_lms as oracle

RATE = 8_000


def coloured(num_samples, seed=1):
    """Return a reference of the first order, louder in the bass by 30 dB, (1, n)."""
    rng = np.random.default_rng(seed)
    white = rng.normal(size=num_samples)
    signal = np.zeros(num_samples)
    for n in range(1, num_samples):
        signal[n] = 0.95 * signal[n - 1] + white[n]
    return signal[np.newaxis]


@pytest.mark.parametrize(("order", "num_references"), [(2, 1), (4, 2), (8, 1)])
def test_kernel_computes_the_formula_of_the_books(order, num_references):
    rng = np.random.default_rng(2)
    references = rng.normal(size=(num_references, 700))
    primary = np.convolve(references[-1], rng.normal(size=10))[:700] + rng.normal(0, 0.1, 700)
    one = ProjectionFilter(
        RATE,
        num_references,
        num_taps=16,
        order=order,
        step_size=0.4,
        leakage=1e-3,
        guarded=False,
        dtype="float64",
    )
    output = one.process(references, primary)
    error, weights = oracle.projection(
        references,
        primary,
        num_taps=16,
        order=order,
        step=0.4,
        regularization=1e-2,
        leakage=1e-3,
        rise=one._limits[RISE],
        fall=one._limits[FALL],
    )
    # Where the first samples are few the matrix is close to singular: 1e-16 times 1e6.
    np.testing.assert_allclose(output, error, atol=1e-9)
    np.testing.assert_allclose(one.taps.ravel(), weights, atol=1e-9)


def test_it_learns_sooner_than_nlms_from_a_coloured_reference():
    references = coloured(3 * RATE)
    primary = np.convolve(references[0], [0.0, 1.0, -0.7, 0.5, 0.2])[: 3 * RATE]
    left = []
    for one in (LmsFilter(RATE, num_taps=32), ProjectionFilter(RATE, num_taps=32)):
        output = one.process(references, primary)
        left.append(np.mean(output[RATE // 2 : RATE].astype(float) ** 2))
    assert 10 * np.log10(left[0] / left[1]) > 15.0


def test_a_reference_of_one_tone_does_no_harm():
    # Four vectors of a tone span a plane: the matrix is singular.
    references = np.sin(0.3 * np.arange(4 * RATE))[np.newaxis]
    primary = 0.5 * np.roll(references[0], 3)
    one = ProjectionFilter(RATE, num_taps=32, step_size=1.0, regularization=0.0)
    output = one.process(references, primary)
    assert np.isfinite(output).all()
    assert np.sqrt(np.mean(output[-RATE:] ** 2)) < 1e-3
    assert np.abs(one.taps).max() < 10.0


@pytest.mark.parametrize("order", [1, 9, 2.5])
def test_order_out_of_range_is_named(order):
    with pytest.raises(InputError, match=f"order is {order}; it must be a whole number"):
        ProjectionFilter(RATE, num_taps=8, order=order)
