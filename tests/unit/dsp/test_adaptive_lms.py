"""The laws of all sample-by-sample filters; what only the least-mean-squares family does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc_core.dsp.adaptive_filter import ALGORITHMS, build_filter
from anc_core.dsp.adaptive_guard import FALL, RISE
from anc_core.dsp.adaptive_lms import LmsFilter
from anc_core.dsp.adaptive_lms_kernel import LmsRule
from anc_core.errors import InputError
from tests.oracles import adaptive_lms as oracle

RATE = 8_000
RULES = ("nlms", "lms", "selms", "vss", "ipnlms")
BY_SAMPLE = (*RULES, "pbnlms", "apa", "rls")


def build(algorithm, *, num_references=1, num_taps=32, **options):
    return build_filter(
        algorithm,
        sample_rate=RATE,
        num_references=num_references,
        num_taps=num_taps,
        **options,
    )


def scene(num_samples=RATE, num_references=1, seed=1, num_taps=32, noise=0.0):
    """Return references (J, n), the paths (J, num_taps) and what arrives through them (n,)."""
    rng = np.random.default_rng(seed)
    references = rng.normal(0, 0.1, (num_references, num_samples))
    paths = rng.normal(size=(num_references, num_taps)) * np.exp(-np.arange(num_taps) / 6)
    heard = sum(np.convolve(x, h)[:num_samples] for x, h in zip(references, paths, strict=True))
    return references, paths, heard + rng.normal(0, noise, num_samples)


def db(numerator, denominator):
    return 10 * np.log10(
        np.mean(np.square(numerator, dtype=float)) / np.mean(np.square(denominator, dtype=float))
    )


def hostile(num_samples=3 * RATE, num_references=1):
    """Return a scene in which every guard has something to do."""
    references, _, primary = scene(num_samples, num_references)
    references, primary = references.astype(np.float32), primary.astype(np.float32)
    references[:, 2_000:2_300] = 0.0
    references[0, 4_000] = np.nan
    primary[5_000:5_002] = np.inf
    references[:, 7_000:7_500] *= 1e-7
    references[0, 8_100] = 300.0
    primary[9_000] = -500.0
    primary[11_000:12_500] *= 1e-3
    primary[14_000:] *= -1.0
    return references, primary


# ------------------------------------------------------------------------ the formula


@pytest.mark.parametrize("num_references", [1, 3])
@pytest.mark.parametrize("leakage", [0.0, 1e-3])
@pytest.mark.parametrize("rule", RULES)
def test_kernel_computes_the_formula_of_the_books(rule, leakage, num_references):
    references, _, primary = scene(1_500, num_references, noise=1e-2)
    references[:, 700:] *= 0.3
    one = build(
        rule,
        num_references=num_references,
        num_taps=16,
        step_size=0.5,
        leakage=leakage,
        guarded=False,
        dtype="float64",
    )
    output = one.process(references, primary)
    step, regularization, _, proportion, share = one._parameters
    error, weights = oracle.lms(
        references,
        primary,
        num_taps=16,
        rule=rule,
        step=step,
        regularization=regularization,
        leakage=leakage,
        rise=one._limits[RISE],
        fall=one._limits[FALL],
        proportion=proportion,
        share=share,
    )
    # The same numbers, summed in another order, in a recursion that forgets.
    np.testing.assert_allclose(output, error, atol=1e-12)
    # The kernel's last update is applied with the next sample.
    one.process(np.zeros((num_references, 1)), np.zeros(1))
    np.testing.assert_allclose(one.taps.ravel(), weights, atol=1e-12)


def test_residual_on_white_noise_is_that_of_theory():
    references, _, primary = scene(6 * RATE, noise=1e-4)
    output = build("nlms", step_size=0.5).process(references, primary)
    # Excess error of NLMS: step / (2 - step) of the noise (Haykin 2002, 6.3), 1.25 dB at 0.5;
    # 32 taps leave |x|² scattering, which adds a little.
    assert db(output[3 * RATE :], 1e-4) == pytest.approx(1.25, abs=0.4)


def test_variable_step_leaves_less_of_a_steady_noise_than_the_same_fixed_one():
    references, _, primary = scene(6 * RATE, noise=1e-2)
    fixed, variable = (
        build(rule, step_size=0.5).process(references, primary)[3 * RATE :]
        for rule in ("nlms", "vss")
    )
    # Excess 1.25 dB against 0.1 dB of a step of 5 %.
    assert db(fixed, variable) == pytest.approx(1.15, abs=0.4)


def test_proportionate_rule_finds_a_sparse_path_sooner():
    rng = np.random.default_rng(3)
    references = rng.normal(size=(1, RATE))
    primary = 0.7 * np.roll(references[0], 100)
    first = slice(200, 1_500)
    plain, proportionate = (
        build(rule, num_taps=256, step_size=0.3).process(references, primary)[first]
        for rule in ("nlms", "ipnlms")
    )
    assert db(plain, proportionate) > 2.0


def test_sign_rule_is_hardly_moved_by_clicks():
    references, paths, primary = scene(6 * RATE)
    primary[4 * RATE :: 200] += 3.0
    wrong = []
    for rule in ("nlms", "selms"):
        one = build(rule, step_size=0.1, guarded=False)
        one.process(references, primary)
        wrong.append(one.taps - paths)
    assert db(wrong[0], wrong[1]) > 5.0


def test_leakage_makes_the_weights_fade():
    references, _, _ = scene(6_000)
    primary = 0.9 * references[0]
    kept, leaky = (build("nlms", num_taps=16, step_size=0.5, leakage=a) for a in (0.0, 0.01))
    kept.process(references, primary)
    leaky.process(references, primary)
    assert kept.taps[0, 0] == pytest.approx(0.9, abs=1e-3)
    # Fixed point, one tap of 16: step·x²/|x|²·(0.9 - w) = leakage·w with x²/|x|² = 1/16.
    assert leaky.taps[0, 0] == pytest.approx(0.9 / (1 + 0.01 * 32), abs=0.08)


# ------------------------------------------------------------------------ laws of all of them


@pytest.mark.parametrize("num_references", [1, 2])
@pytest.mark.parametrize("algorithm", BY_SAMPLE)
def test_it_finds_the_path(algorithm, num_references):
    references, paths, primary = scene(6 * RATE, num_references)
    one = build(algorithm, num_references=num_references)
    output = one.process(references, primary)
    assert db(paths, one.taps - paths) > 40.0
    assert db(primary[-RATE:], output[-RATE:]) > 40.0
    assert one.latency == 0
    assert one.drain_events() == ()


@pytest.mark.parametrize("algorithm", BY_SAMPLE)
def test_any_chunking_gives_the_same_output_bit_for_bit(algorithm):
    references, primary = hostile(16_000, 2)
    whole = build(algorithm, num_references=2, num_taps=33)
    expected = whole.process(references, primary)
    events = whole.drain_events()
    assert {event.kind for event in events} >= {"repaired"}
    for size in (1, 7, 64, 480, 4_096):
        one = build(algorithm, num_references=2, num_taps=33)
        parts = [
            one.process(references[:, a : a + size], primary[a : a + size])
            for a in range(0, len(primary), size)
        ]
        np.testing.assert_array_equal(np.concatenate(parts), expected)
        assert one.drain_events() == events


@pytest.mark.parametrize("algorithm", BY_SAMPLE)
def test_it_goes_on_from_a_saved_state_bit_for_bit(algorithm):
    references, primary = hostile()
    one, other = (build(algorithm) for _ in range(2))
    one.process(references[:, :15_001], primary[:15_001])
    state = one.state()
    expected = one.process(references[:, 15_001:], primary[15_001:])
    other.load(state)
    found = other.process(references[:, 15_001:], primary[15_001:])
    np.testing.assert_array_equal(found, expected)
    assert other.drain_events() == one.drain_events()


@pytest.mark.parametrize("algorithm", BY_SAMPLE)
def test_a_reset_filter_is_as_new_and_a_rewound_one_knows_the_path(algorithm):
    references, _, primary = scene(2 * RATE)
    one = build(algorithm)
    first = one.process(references, primary)
    one.rewind()
    second = one.process(references, primary)
    assert db(primary[:800], second[:800]) > db(primary[:800], first[:800]) + 10.0
    one.reset()
    np.testing.assert_array_equal(one.process(references, primary), first)


@pytest.mark.parametrize("algorithm", BY_SAMPLE)
def test_levels_of_both_signals_do_not_matter(algorithm):
    references, _, primary = scene(2 * RATE, noise=1e-3)
    plain = build(algorithm, dtype="float64").process(references, primary)
    for quiet, loud in ((1e-3, 1e-3), (1e-3, 30.0), (1e4, 1e-8)):
        scaled = build(algorithm, dtype="float64").process(quiet * references, loud * primary)
        # Rounding, in a recursion that forgets.
        np.testing.assert_allclose(scaled / loud, plain, atol=1e-9)


@pytest.mark.parametrize("algorithm", BY_SAMPLE)
def test_guards_cost_nothing_in_normal_operation(algorithm):
    references, _, primary = scene(4 * RATE, noise=1e-2)
    with_guards = build(algorithm).process(references, primary)
    without = build(algorithm, guarded=False).process(references, primary)
    assert abs(db(with_guards, without)) < 0.1
    assert abs(db(with_guards[RATE:], without[RATE:])) < 0.05


@pytest.mark.parametrize("algorithm", BY_SAMPLE)
@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    gains=st.lists(st.floats(-8, 4), min_size=12, max_size=12),
    what=st.lists(st.sampled_from(["", "", "zero", "nan", "inf"]), min_size=12, max_size=12),
    step_size=st.sampled_from([0.1, 1.0, 1.9]),
)
def test_whatever_comes_in_the_output_is_finite_and_bounded_by_the_primary(
    algorithm, seed, gains, what, step_size
):
    references, _, primary = scene(6_000, seed=seed, noise=1e-2)
    references, primary = references.astype(np.float32), primary.astype(np.float32)
    replaced = {"zero": 0.0, "nan": np.nan, "inf": -np.inf}
    for index in range(6):
        part = slice(index * 1_000, (index + 1) * 1_000)
        references[:, part] *= np.float32(10.0 ** gains[index])
        primary[part] *= np.float32(10.0 ** gains[index + 6])
        for signal, name in ((references[0], what[index]), (primary, what[index + 6])):
            if name:
                signal[index * 1_000 + 200 : index * 1_000 + 700 : 1 if name == "zero" else 97] = (
                    replaced[name]
                )
    one = build(algorithm, step_size=step_size)
    output = one.process(references, primary)
    assert np.isfinite(output).all()
    assert np.isfinite(one.taps).all()
    # The ceiling: twice the recent peak of the primary, which fades with 50 ms.
    peak, fade = 0.0, np.exp(-1 / (0.05 * RATE))
    for d, e in zip(np.nan_to_num(primary, nan=0, posinf=0, neginf=0), output, strict=True):
        peak = max(abs(float(d)), fade * peak)
        assert abs(e) <= 2.0 * peak * (1 + 1e-6)


@pytest.mark.parametrize("algorithm", ["nlms", "lms", "ipnlms", "apa", "rls"])
def test_ten_minutes_in_single_precision_are_as_good_as_in_double(algorithm):
    minutes = 10 if algorithm == "nlms" else 1
    references, _, primary = scene(minutes * 60 * RATE, noise=1e-3)
    end = slice(-20 * RATE, None)
    single, double = (
        build(algorithm, dtype=dtype).process(references, primary)[end]
        for dtype in ("float32", "float64")
    )
    assert abs(db(single, double)) < 0.1


# ------------------------------------------------------------------------ guards


@pytest.mark.parametrize("algorithm", BY_SAMPLE)
def test_nothing_is_learnt_while_the_reference_is_silent(algorithm):
    primary = np.random.default_rng(4).normal(size=3_000).astype(np.float32)
    one = build(algorithm)
    np.testing.assert_array_equal(one.process(np.zeros((1, 3_000)), primary), primary)
    assert not one.taps.any()


@pytest.mark.parametrize("algorithm", BY_SAMPLE)
def test_noise_floor_of_a_pause_is_not_taken_for_a_reference(algorithm):
    references, _, primary = scene(RATE)
    references[:, 4_000:] *= 1e-4
    primary[4_000:] = np.random.default_rng(5).normal(size=RATE - 4_000)
    before, after = build(algorithm), build(algorithm)
    # While the window still holds the loud passage, learning goes on.
    before.process(references[:, :4_040], primary[:4_040])
    after.process(references, primary)
    moved = db(before.taps, after.taps - before.taps + 1e-12)
    assert moved > 60.0


@pytest.mark.parametrize("algorithm", BY_SAMPLE)
def test_sensor_faults_leave_no_trace(algorithm):
    references, _, primary = scene(3 * RATE, noise=1e-3)
    clean = build(algorithm).process(references, primary)
    references[0, 9_000], primary[10_000] = np.nan, np.inf
    one = build(algorithm)
    output = one.process(references, primary)
    assert output[10_000] == 0.0
    assert [(e.kind, round(e.time_s * RATE)) for e in one.drain_events()] == [
        ("repaired", 9_000),
        ("repaired", 10_000),
    ]
    assert abs(db(output[2 * RATE :], clean[2 * RATE :])) < 0.1


@pytest.mark.parametrize("algorithm", BY_SAMPLE)
def test_clicks_at_either_microphone_are_forgotten_at_once(algorithm):
    references, _, primary = scene(4 * RATE, noise=1e-3)
    clean = build(algorithm).process(references, primary)
    for at in (9_000, 12_000):
        primary[at] += 500.0
        references[0, at + 1_500] += 20.0
    output = build(algorithm).process(references, primary)
    assert abs(db(output[2 * RATE :], clean[2 * RATE :])) < 1.0


def test_a_path_that_changes_its_sign_is_found_again_and_never_heard_twice_as_loud():
    for algorithm in BY_SAMPLE:
        references, _, primary = scene(8 * RATE)
        primary[5 * RATE :] *= -1.0
        output = build(algorithm).process(references, primary)
        loud = np.square(output).reshape(-1, RATE // 10).mean(axis=1)
        assert np.sqrt(loud.max() / np.mean(np.square(primary))) < 1.5
        assert db(primary[7 * RATE :], output[7 * RATE :]) > 20.0


def test_where_the_output_would_be_louder_the_primary_passes():
    references, _, primary = scene(10 * RATE)
    unrelated = np.random.default_rng(8).normal(0, 0.1, len(primary))
    free = build("nlms", step_size=1.0, guarded=False).process(references, unrelated)
    one = build("nlms", step_size=1.0)
    output = one.process(references, unrelated)
    # Step 1 adds as much as there is, 3 dB; the gate leaves the first moments of each attempt.
    assert db(free, unrelated) == pytest.approx(3.0, abs=0.3)
    assert db(output, unrelated) < 0.3
    kinds = [event.kind for event in one.drain_events()]
    assert kinds[:3] == ["cleared", "cleared", "latched"]
    assert one.num_trips == len(kinds)


def test_after_a_trip_the_weights_are_those_that_were_good():
    references, paths, primary = scene(6 * RATE)
    primary[4 * RATE : 4 * RATE + 800] *= 1e-3
    one = build("nlms", step_size=0.01)
    output = one.process(references, primary)
    events = one.drain_events()
    assert [event.kind for event in events] == ["tripped"]
    # With time constants of 50 ms the ratio of the powers passes 4 after 80 ms.
    assert events[0].time_s == pytest.approx(4.08, abs=0.03)
    assert events[0].level_db > 6.0
    assert db(primary[5 * RATE :], output[5 * RATE :]) > 20.0
    assert db(paths, one.taps - paths) > 20.0


# ------------------------------------------------------------------------ errors


def test_the_table_knows_every_algorithm_and_names_them_all():
    assert ("kalman", *BY_SAMPLE) == ALGORITHMS
    known = "kalman, nlms, lms, selms, vss, ipnlms, pbnlms, apa, rls"
    with pytest.raises(InputError, match=f"'magic' is unknown; choose one of {known}"):
        build("magic")


@pytest.mark.parametrize("algorithm", BY_SAMPLE)
@pytest.mark.parametrize("rate", [1_000, 48_000])
def test_default_length_and_step_are_valid_at_any_rate(algorithm, rate):
    one = build_filter(algorithm, sample_rate=rate, num_references=2)
    assert one.num_taps == (32 if algorithm == "rls" else round(0.064 * rate))
    assert one.taps.shape == (2, one.num_taps)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_taps": 0}, "num_taps is 0"),
        ({"num_taps": 70_000}, "num_taps is 70000"),
        ({"step_size": 0.0}, r"step_size is 0\.0"),
        ({"step_size": float("nan")}, "step_size is nan"),
        ({"step_size": 2.0}, r"step_size is 2\.0; it must be above 0 and below 2"),
        ({"leakage": 1.0}, r"leakage is 1\.0; it must be at least 0 and below 1"),
        ({"regularization": -1.0}, r"regularization is -1\.0; it must be from 0 to 10"),
        ({"num_references": 0}, "num_references is 0"),
        ({"dtype": "int16"}, "dtype is 'int16'"),
        ({"sample_rate": 5}, "sample_rate is 5"),
    ],
)
def test_a_bad_parameter_is_named_with_its_value(arguments, message):
    with pytest.raises(InputError, match=message):
        LmsFilter(**{"sample_rate": RATE, "num_taps": 100, **arguments})


def test_a_state_of_another_filter_is_refused():
    state = LmsFilter(RATE, num_taps=90).state()
    with pytest.raises(InputError, match=r"state 'heard' is float32 \(1, 90\)"):
        LmsFilter(RATE, num_taps=100).load(state)
    with pytest.raises(InputError, match="state 'memory' is missing"):
        LmsFilter(RATE, num_taps=90).load({k: v for k, v in state.items() if k != "memory"})


def test_references_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"references have shape \(2, 9\); it must be \(1, 9\)"):
        LmsFilter(RATE, num_taps=9, rule=LmsRule.PLAIN).process(np.zeros((2, 9)), np.zeros(9))
