from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc_core.dsp import adaptive_kalman
from anc_core.dsp.adaptive_kalman import KalmanFilter
from anc_core.dsp.adaptive_kalman_kernel import COMPARISON_MEMORY, CONSTRAIN_EVERY
from anc_core.errors import InputError
from tests.oracles.adaptive_kalman import kalman

RATE = 8_000


def scene(num_samples=6 * RATE, num_references=1, num_taps=200, seed=1, decay=40.0):
    """Return references (J, n), the paths (J, num_taps) and what arrives through them (n,)."""
    rng = np.random.default_rng(seed)
    references = rng.normal(0, 0.1, (num_references, num_samples))
    paths = rng.normal(size=(num_references, num_taps)) * np.exp(-np.arange(num_taps) / decay)
    heard = sum(np.convolve(x, h)[:num_samples] for x, h in zip(references, paths, strict=True))
    return references, paths, heard


def run(references, primary, **parameters):
    """Return the output without its delay, and the filter."""
    parameters.setdefault("num_taps", 512)
    one = KalmanFilter(RATE, len(references), **parameters)
    late = np.zeros(one.latency)
    x = np.concatenate([references, np.zeros((len(references), one.latency))], axis=1)
    return one.process(x, np.concatenate([primary, late]))[one.latency :], one


def db(numerator, denominator):
    return 10 * np.log10(
        np.mean(np.square(numerator, dtype=float)) / np.mean(np.square(denominator, dtype=float))
    )


@pytest.mark.parametrize(("num_references", "num_taps"), [(1, 200), (1, 1_200), (2, 600)])
def test_it_is_the_filter_of_the_book(num_references, num_taps):
    references, _, primary = scene(3 * RATE, num_references)
    primary = primary + np.random.default_rng(5).normal(0, 0.02, len(primary))
    one = KalmanFilter(RATE, num_references, num_taps=num_taps, guarded=False, dtype="float64")
    block, part = one.block_length, one._part_length
    assert num_taps % part  # the last partition is not full
    size = len(primary) // block * block
    expected = kalman(
        references[:, :size],
        primary[:size],
        block=block,
        part=part,
        num_taps=num_taps,
        prior=one._prior,
        steady=adaptive_kalman._STEADY,
        restless=adaptive_kalman._RESTLESS,
        rest_memory=adaptive_kalman._REST_MEMORY,
        unseen=adaptive_kalman._UNSEEN,
        step_size=1.0,
        every=CONSTRAIN_EVERY,
        comparison_memory=COMPARISON_MEMORY,
        ahead=one._ahead,
    )
    output = one.process(references, primary)[one.latency :]
    # Another order of summation in 500 blocks of a recursion that forgets.
    np.testing.assert_allclose(output[: len(expected)], expected[: len(output)], atol=1e-9)


def test_it_finds_the_path():
    references, paths, primary = scene(8 * RATE)
    _, one = run(references, primary, num_taps=256)
    found = one.taps
    assert found.shape == (1, 256)
    assert db(paths, found[:, : paths.shape[1]] - paths) > 40.0


@pytest.mark.parametrize("num_taps", [256, 900])
def test_any_chunking_gives_the_same_output_bit_for_bit(num_taps):
    references, _, primary = scene(2 * RATE, 2)
    references[:, 9_000:9_500] = 0.0
    primary[11_000:] *= -1.0  # makes the guard work
    whole = KalmanFilter(RATE, 2, num_taps=num_taps)
    expected = whole.process(references, primary)
    for size in (1, 7, 64, 480, 4_096):
        one = KalmanFilter(RATE, 2, num_taps=num_taps)
        parts = [
            one.process(references[:, a : a + size], primary[a : a + size])
            for a in range(0, len(primary), size)
        ]
        np.testing.assert_array_equal(np.concatenate(parts), expected)
    assert whole.drain_events()


def test_it_goes_on_from_a_saved_state_bit_for_bit():
    references, _, primary = scene(2 * RATE)
    one, other = (KalmanFilter(RATE, num_taps=900) for _ in range(2))
    one.process(references[:, :9_001], primary[:9_001])
    state = one.state()
    expected = one.process(references[:, 9_001:], primary[9_001:])
    other.load(state)
    np.testing.assert_array_equal(other.process(references[:, 9_001:], primary[9_001:]), expected)


def test_a_state_of_another_filter_is_refused():
    state = KalmanFilter(RATE, num_taps=900).state()
    with pytest.raises(InputError, match="state 'weights' is float32"):
        KalmanFilter(RATE, num_taps=100).load(state)
    with pytest.raises(InputError, match="state 'rest' is missing"):
        KalmanFilter(RATE, num_taps=900).load({k: v for k, v in state.items() if k != "rest"})


def test_levels_of_both_signals_do_not_matter():
    references, _, primary = scene(3 * RATE)
    plain, _ = run(references, primary)
    scaled, _ = run(1e-3 * references, 30.0 * primary)
    assert db(primary[RATE:], plain[RATE:]) == pytest.approx(
        db(30.0 * primary[RATE:], scaled[RATE:]), abs=0.1
    )


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    gains=st.lists(st.floats(-8, 4), min_size=6, max_size=6),
    silent=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_whatever_the_levels_the_output_is_finite_and_not_much_louder(seed, gains, silent):
    references, _, primary = scene(6 * 2_000, seed=seed)
    for index, (gain, is_silent) in enumerate(zip(gains, silent, strict=True)):
        part = slice(index * 2_000, (index + 1) * 2_000)
        references[:, part] *= 0.0 if is_silent else 10.0**gain
        primary[part] *= 10.0 ** gains[-1 - index]
    output, _ = run(references, primary, num_taps=700)
    assert np.isfinite(output).all()
    # 6 dB in every block of 64 ms is what the guard lets pass, and the last one may be cut.
    block = 512
    loud_in, loud_out = (
        np.square(s[: len(s) // block * block], dtype=float).reshape(-1, block).sum(axis=1)
        for s in (primary, output)
    )
    assert (loud_out <= 4.01 * loud_in + 1e-30).all()


def test_guards_cost_nothing_in_normal_operation():
    references, _, primary = scene()
    with_guard, _ = run(references, primary)
    without, _ = run(references, primary, guarded=False)
    assert abs(db(primary, with_guard) - db(primary, without)) < 0.1


def test_double_precision_hears_the_same():
    references, _, primary = scene(6 * RATE)
    primary = primary + np.random.default_rng(5).normal(0, 1e-3, len(primary))
    single, _ = run(references, primary)
    double, _ = run(references, primary, dtype="float64")
    assert db(primary, single) == pytest.approx(db(primary, double), abs=0.1)


def test_a_path_that_changes_its_sign_is_found_again_and_never_heard_twice_as_loud():
    references, _, primary = scene(10 * RATE)
    primary[5 * RATE :] *= -1.0
    output, one = run(references, primary)
    loud = np.square(output).reshape(-1, RATE // 10).mean(axis=1)
    assert np.sqrt(loud.max() / np.mean(np.square(primary))) < 1.6
    assert db(primary[8 * RATE :], output[8 * RATE :]) > 25.0
    assert one.drain_events()[0].time_s == pytest.approx(5.0, abs=0.1)


def test_an_unrelated_reference_adds_little_and_less_and_less():
    references, _, _ = scene(20 * RATE)
    primary = np.random.default_rng(9).normal(0, 0.1, references.shape[1])
    output, _ = run(references, primary, num_taps=1_000)
    added = output - primary
    # 1 000 unknowns after 8 000 samples, 64 000 and so on: about -9, -18 dB.
    assert db(primary[RATE : 2 * RATE], added[RATE : 2 * RATE]) > 8.0
    assert db(primary[8 * RATE :], added[8 * RATE :]) > 15.0
    assert abs(db(output[RATE:], primary[RATE:])) < 0.2


def test_a_harmful_filter_is_muted_then_cleared_then_latched():
    references, _, primary = scene(20 * RATE)
    # An echo that is another one every 0.3 s can't be followed.
    flips = np.repeat(np.random.default_rng(2).choice([-1.0, 1.0], 400), RATE // 20)
    primary *= flips[: len(primary)]
    output, one = run(references, primary, look_ahead_s=0.0)
    assert db(primary, output) > -1.5
    kinds = {event.kind for event in one.drain_events()}
    assert kinds <= {"tripped", "cleared", "latched"}


def test_silence_stays_silence_and_a_silent_reference_changes_nothing():
    silence = np.zeros(RATE)
    output, _ = run(silence[np.newaxis], silence)
    assert not output.any()
    _, _, primary = scene(RATE)
    output, _ = run(np.zeros((1, RATE)), primary)
    np.testing.assert_array_equal(output, primary.astype(np.float32))


def test_what_was_learnt_outlives_a_rewind():
    references, _, primary = scene(4 * RATE)
    one = KalmanFilter(RATE, num_taps=512)
    one.process(references, primary)
    one.rewind()
    output = one.process(references, primary)[one.latency :]
    fresh, _ = run(references, primary)
    assert db(primary[:RATE], output[:RATE]) > db(primary[:RATE], fresh[:RATE]) + 10.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_taps": 0}, "num_taps is 0"),
        ({"step_size": 0.0}, r"step_size is 0\.0"),
        ({"step_size": float("nan")}, "step_size is nan"),
        ({"look_ahead_s": 9.0}, r"look_ahead_s is 9\.0"),
        ({"dtype": "int16"}, "dtype is 'int16'"),
        ({"sample_rate": 5}, "sample_rate is 5"),
    ],
)
def test_a_bad_parameter_is_named_with_its_value(arguments, message):
    with pytest.raises(InputError, match=message):
        KalmanFilter(**{"sample_rate": RATE, "num_taps": 100, **arguments})
