from __future__ import annotations

import numpy as np
import pytest

from anc_core.dsp.nlms import NlmsState, nlms_block
from tests.oracles.nlms import nlms as plain_nlms


def run_kernel(reference, primary, *, num_taps=16, step_size=0.5, regularization=0.0, leakage=0.0):
    state = NlmsState.start(reference.shape[1], num_taps)
    heard = np.vstack([np.zeros((num_taps, reference.shape[1])), reference]).T
    error = np.empty(len(primary), np.float32)
    nlms_block(
        np.ascontiguousarray(heard, np.float32),
        np.asarray(primary, np.float32),
        error,
        state.weights,
        state.memory,
        step_size,
        regularization,
        leakage,
        16_000.0,
    )
    return error, state


@pytest.mark.parametrize("num_channels", [1, 3])
def test_kernel_computes_the_formula_of_the_books(num_channels):
    rng = np.random.default_rng(1)
    reference = rng.normal(size=(800, num_channels)).astype(np.float32)
    path = rng.normal(size=(16, num_channels)) / 16
    primary = sum(
        np.convolve(reference[:, c], path[:, c])[:800] for c in range(num_channels)
    ) + 0.1 * rng.normal(size=800)
    error, state = run_kernel(reference, primary)
    expected = plain_nlms(
        reference.astype(float), primary.astype(np.float32), num_taps=16, step_size=0.5
    )
    # float32 sums over 16 to 48 products; NLMS forgets its rounding errors.
    np.testing.assert_allclose(error, expected, atol=2e-5)
    assert state.num_restarts == 0


def test_weights_become_the_path_last_tap_first():
    rng = np.random.default_rng(2)
    reference = rng.normal(size=(4000, 1))
    path = np.array([0.0, 0.8, -0.3, 0.1])
    _, state = run_kernel(reference, np.convolve(reference[:, 0], path)[:4000], num_taps=4)
    np.testing.assert_allclose(state.weights[0, ::-1], path, atol=1e-5)


def test_residual_on_white_noise_is_that_of_theory():
    rng = np.random.default_rng(3)
    reference = rng.normal(size=(60_000, 1))
    primary = np.convolve(reference[:, 0], rng.normal(size=32))[:60_000]
    primary += 1e-3 * rng.normal(size=60_000)
    error, _ = run_kernel(reference, primary, num_taps=32)
    # Excess error of NLMS: step / (2 - step) of the noise (Haykin 2002, 6.3), 1.25 dB at 0.5;
    # 32 taps leave |x|² scattering, which adds a little.
    residual_db = 10 * np.log10(np.mean(error[30_000:].astype(float) ** 2))
    assert residual_db == pytest.approx(-60 + 1.25, abs=0.4)


def test_nothing_is_learnt_while_the_reference_is_silent():
    rng = np.random.default_rng(4)
    primary = rng.normal(size=3_000)
    error, state = run_kernel(np.zeros((3_000, 1)), primary)
    np.testing.assert_array_equal(error, primary.astype(np.float32))
    assert not state.weights.any()


def test_noise_floor_of_a_pause_is_not_taken_for_a_reference():
    rng = np.random.default_rng(5)
    reference = rng.normal(size=(8_000, 1))
    reference[4_000:] *= 1e-4
    primary = rng.normal(size=8_000)
    # While the window of 16 samples still holds the loud passage, learning goes on.
    _, before = run_kernel(reference[:4_020], primary[:4_020])
    _, after = run_kernel(reference, primary)
    np.testing.assert_array_equal(after.weights, before.weights)


def test_leakage_makes_the_weights_fade():
    rng = np.random.default_rng(6)
    reference = rng.normal(size=(6_000, 1))
    primary = np.convolve(reference[:, 0], [0.9])[:6_000]
    _, kept = run_kernel(reference, primary)
    _, leaky = run_kernel(reference, primary, leakage=0.01)
    assert kept.weights[0, -1] == pytest.approx(0.9, abs=1e-4)
    # Fixed point, one tap of 16: step·x²/|x|²·(0.9 - w) = leakage·w with x²/|x|² = 1/16.
    assert leaky.weights[0, -1] == pytest.approx(0.9 / (1 + 0.01 * 32), abs=0.08)


def test_filter_that_makes_it_worse_begins_anew():
    rng = np.random.default_rng(7)
    reference = rng.normal(size=(8_000, 1))
    primary = np.convolve(reference[:, 0], [2.0])[:8_000]
    primary[4_000:] *= 1e-3
    error, state = run_kernel(reference, primary, step_size=0.01)
    assert state.num_restarts >= 1
    # Within three time constants of 20 ms the old weights are gone.
    assert np.abs(error[4_000 + 3 * 320 :]).max() < 0.1
