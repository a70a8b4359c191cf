from __future__ import annotations

import numpy as np
import pytest

from anc_core.dsp.adaptive_guard import FALL, RISE
from anc_core.dsp.adaptive_rls import RlsFilter
from anc_core.errors import InputError
from tests.oracles import adaptive_lms as oracle

RATE = 8_000


@pytest.mark.parametrize("num_references", [1, 2])
def test_kernel_computes_the_formula_of_the_books(num_references):
    rng = np.random.default_rng(2)
    references = rng.normal(size=(num_references, 900))
    # A passage without excitation: the trace reaches its bound.
    references[:, 400:700] = np.sin(0.3 * np.arange(300))
    primary = np.convolve(references[-1], rng.normal(size=6))[:900] + rng.normal(0, 0.1, 900)
    one = RlsFilter(
        RATE,
        num_references,
        num_taps=8,
        step_size=0.5,
        leakage=1e-3,
        guarded=False,
        dtype="float64",
    )
    output = one.process(references, primary)
    error, weights = oracle.rls(
        references,
        primary,
        num_taps=8,
        forgetting=one.forgetting,
        regularization=1e-3,
        leakage=1e-3,
        rise=one._limits[RISE],
        fall=one._limits[FALL],
    )
    # Rounding, amplified by the condition of a matrix that has not heard a third of the time.
    np.testing.assert_allclose(output, error, atol=1e-7)
    np.testing.assert_allclose(one.taps.ravel(), weights, atol=1e-7)


def test_it_is_done_after_a_few_filter_lengths_whatever_the_colour():
    rng = np.random.default_rng(3)
    references = np.cumsum(rng.normal(size=(1, 2_000)), axis=1)
    references -= np.concatenate([np.zeros(200), references[0, :-200]])
    primary = np.convolve(references[0], [0.0, 1.0, -0.7, 0.5, 0.2])[:2_000]
    output = RlsFilter(RATE, num_taps=32).process(references, primary)
    late = output[500:1_500]
    assert 10 * np.log10(np.mean(primary[500:1_500] ** 2) / np.mean(late**2)) > 40.0


def test_matrix_stays_symmetric_and_bounded_without_excitation():
    tone = np.sin(0.2 * np.arange(20 * RATE))[np.newaxis]
    one = RlsFilter(RATE, num_taps=16, step_size=1.0)
    output = one.process(tone, 0.5 * np.roll(tone[0], 2))
    matrix = one.state()["matrix"]
    np.testing.assert_array_equal(matrix, matrix.T)
    # 16 weights of a tone of power 1/2: N / (1e-3·8), and one growth beyond.
    assert np.trace(matrix) < 16 * 16 / (1e-3 * 8.0) * 1.2
    assert np.isfinite(output).all()
    assert np.sqrt(np.mean(output[-RATE:] ** 2)) < 1e-3


def test_a_matrix_that_is_no_longer_positive_begins_anew_and_the_weights_stay():
    rng = np.random.default_rng(5)
    references = rng.normal(size=(1, 2 * RATE))
    primary = 0.5 * np.roll(references[0], 2)
    one = RlsFilter(RATE, num_taps=16)
    one.process(references[:, :RATE], primary[:RATE])
    state = one.state()
    state["matrix"][3, 3] = -1.0
    one.load(state)
    output = one.process(references[:, RATE:], primary[RATE:])
    assert [event.kind for event in one.drain_events()] == ["rescued"]
    assert np.abs(output).max() < 0.05


def test_two_weights_too_many_are_refused():
    with pytest.raises(InputError, match="num_taps is 129 for 2 reference"):
        RlsFilter(RATE, 2, num_taps=129)
    with pytest.raises(InputError, match="regularization is 0"):
        RlsFilter(RATE, num_taps=12, regularization=0)
