from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.signal import hilbert, lfilter

from anc_core.dsp.adaptive_fxlms import StepRule
from anc_core.dsp.adaptive_guard import GuardEventKind
from anc_core.dsp.fxlms_controller import DeviceModel, FxlmsController, FxlmsParameters
from anc_core.dsp.wiener import FilteredReference, wiener_bound_db
from anc_core.errors import InputError
from tests.oracles.adaptive_fxlms import fxnlms
from tests.strategies import BROKEN_STRETCHES, GAINS, break_stretches

RATE = 16_000


def duct(seed=5):
    """Return a primary and a secondary path like those of a duct: late and early, decaying."""
    rng = np.random.default_rng(seed)
    primary = np.zeros(400)
    primary[60:] = rng.normal(size=340) * np.exp(-np.arange(340) / 60)
    secondary = np.zeros(128)
    secondary[20:] = rng.normal(size=108) * np.exp(-np.arange(108) / 6)
    return primary, secondary


PRIMARY, SECONDARY = duct()


def noise(seconds, seed=1, primary=PRIMARY):
    reference = np.random.default_rng(seed).normal(size=round(seconds * RATE))
    return reference, lfilter(primary, 1, reference)


def controller(num_taps=256, secondary=SECONDARY, estimate=None, **parameters):
    return FxlmsController(
        RATE, secondary, FxlmsParameters(num_taps=num_taps, **parameters), estimate=estimate
    )


def run(built, reference, disturbance):
    heard = reference[:, np.newaxis][:, : built.num_references]
    error, _, _ = built.process(heard, disturbance[:, np.newaxis])
    return error[:, 0]


def rms(samples):
    return np.sqrt(np.mean(np.square(samples, dtype=float)))


def attenuation_db(disturbance, error, seconds=2):
    last = slice(-seconds * RATE, None)
    return 20 * np.log10(rms(disturbance[last]) / rms(error[last]))


def turned(path, degrees):
    """Return ``path`` with its phase turned by the same angle at all frequencies."""
    other = np.imag(hilbert(np.concatenate([path, np.zeros(len(path))])))[: len(path)]
    return np.cos(np.radians(degrees)) * path - np.sin(np.radians(degrees)) * other


KINDS = {
    "modified": {"is_modified": True},
    "plain": {"is_modified": False},
    "block": {"is_block": True},
}
KIND = pytest.mark.parametrize("kind", KINDS)

# --------------------------------------------------------------------------- the algorithm


@pytest.mark.parametrize("leakage", [0.0, 1e-4])
def test_plain_controller_computes_the_formula_of_the_books(leakage):
    reference, disturbance = noise(0.1)
    numbers = {"step_size": 0.1, "regularization": 1e-3, "leakage": leakage}
    error = run(
        FxlmsController(
            RATE,
            SECONDARY,
            FxlmsParameters(num_taps=64, is_modified=False, guarded=False, **numbers),
            dtype="float64",
        ),
        reference,
        disturbance,
    )
    expected = fxnlms(reference, disturbance, SECONDARY, SECONDARY, num_taps=64, **numbers)
    # The same sums in another order, 1 600 steps of a stable recursion.
    np.testing.assert_allclose(error, expected, atol=1e-10 * np.abs(disturbance).max())


def test_wrong_estimate_is_what_learns_and_the_true_path_what_sounds():
    reference, disturbance = noise(0.1)
    wrong = turned(SECONDARY, 40)
    numbers = {"step_size": 0.1, "regularization": 1e-3}
    built = FxlmsController(
        RATE,
        SECONDARY,
        FxlmsParameters(num_taps=64, is_modified=False, guarded=False, **numbers),
        estimate=wrong,
        dtype="float64",
    )
    expected = fxnlms(reference, disturbance, SECONDARY, wrong, num_taps=64, **numbers)
    np.testing.assert_allclose(run(built, reference, disturbance), expected, atol=1e-9)


@pytest.mark.parametrize("kind", ["modified", "block"])
@pytest.mark.parametrize("guarded", [True, False])
def test_default_comes_within_half_a_decibel_of_the_best_causal_filter(guarded, kind):
    reference, disturbance = noise(10)
    error = run(controller(guarded=guarded, **KINDS[kind]), reference, disturbance)
    bound_db = wiener_bound_db(FilteredReference(reference, SECONDARY), disturbance, 256)
    assert bound_db - attenuation_db(disturbance, error) < 0.5


@pytest.mark.parametrize("kind", ["modified", "block"])
def test_guards_cost_less_than_a_tenth_of_a_decibel(kind):
    reference, disturbance = noise(8)
    guarded, free = (
        attenuation_db(
            disturbance, run(controller(guarded=g, **KINDS[kind]), reference, disturbance)
        )
        for g in (True, False)
    )
    assert guarded > free - 0.1


@pytest.mark.parametrize("rule", [StepRule.PLAIN, StepRule.SIGN, StepRule.LOGARITHMIC])
def test_every_rule_cancels(rule):
    reference, disturbance = noise(8)
    error = run(controller(rule=rule, step_size=0.05), reference, disturbance)
    assert attenuation_db(disturbance, error) > 6.0


def test_variable_step_ends_smaller_than_it_begins():
    reference, disturbance = noise(8)
    disturbance += 3 * rms(disturbance) * np.random.default_rng(2).normal(size=len(disturbance))
    fixed, variable = (
        run(controller(rule=rule, is_modified=False, step_size=0.3), reference, disturbance)
        for rule in (StepRule.NORMALISED, StepRule.VARIABLE)
    )
    # Nine tenths of the disturbance are foreign: in the end a large step only follows it.
    assert rms(variable[-RATE:]) < rms(fixed[-RATE:])


@pytest.mark.parametrize("rule", [StepRule.SIGN, StepRule.LOGARITHMIC])
def test_robust_rules_are_less_shaken_by_impulses_than_the_square(rule):
    reference, disturbance = noise(8)
    shaken = disturbance.copy()
    shaken[np.random.default_rng(3).integers(RATE, 8 * RATE, 400)] += 300.0
    plain = {"is_modified": False, "guarded": False}
    clean = shaken == disturbance

    def left(rule, step_size):
        error = run(controller(rule=rule, step_size=step_size, **plain), reference, shaken)
        return rms(error[-2 * RATE :][clean[-2 * RATE :]])

    assert left(rule, 0.01) < left(StepRule.NORMALISED, 0.01)


@pytest.mark.parametrize("kind", ["modified", "block"])
def test_what_comes_back_is_met_at_its_onset(kind):
    # A horn, 20 dB above the noise, for 0.4 s every 2 s.
    time = np.arange(8 * RATE) / RATE
    tones = [np.sin(2 * np.pi * hz * time) for hz in (410, 515, 1_230, 1_545)]
    horn = 12.0 * (time % 2 > 1.6) * (np.array([1, 1 / 2, 1 / 3, 1 / 4]) @ tones)
    reference = np.random.default_rng(4).normal(size=len(time)) + horn
    disturbance = lfilter(PRIMARY, 1, reference)
    error = run(controller(**KINDS[kind]), reference, disturbance)
    onset = slice(round(5.65 * RATE), round(5.75 * RATE))
    # 27 and 20 dB from the averaged weights alone, which have forgotten it.
    assert 20 * np.log10(rms(disturbance[onset]) / rms(error[onset])) > 33.0


@pytest.mark.parametrize("kind", ["modified", "block"])
def test_bursts_of_another_spectrum_are_not_taken_for_harm(kind):
    # Of what sounds between them the primary path lets 20 dB less through than of the bursts.
    time, rng = np.arange(8 * RATE) / RATE, np.random.default_rng(4)
    quiet, loud = rng.normal(size=(2, len(time)))
    reference = lfilter([1.0, -0.98], 1, quiet)
    reference += 10.0 * (time % 0.5 > 0.4) * lfilter([1.0], [1.0, -0.95], loud)
    disturbance = lfilter(lfilter([1.0], [1.0, -0.95], PRIMARY), 1, reference)
    built = controller(**KINDS[kind])
    error = run(built, reference, disturbance)
    assert attenuation_db(disturbance, error, 4) > 4.0  # the best causal filter: 4.2
    assert built.num_trips <= 1


# --------------------------------------------------------------------------- streams


STRUCTURES = [
    pytest.param({"is_modified": True}, id="modified"),
    pytest.param({"is_modified": False}, id="plain"),
    pytest.param({"is_block": True}, id="block"),
    pytest.param({"is_block": True, "is_feedback": True}, id="block hybrid"),
    pytest.param({"is_feedback": True}, id="hybrid"),
    pytest.param({"rule": StepRule.VARIABLE}, id="variable"),
    pytest.param({"guarded": False}, id="unguarded"),
]


@pytest.mark.parametrize("parameters", STRUCTURES)
@pytest.mark.parametrize("chunk_size", [1, 7, 64, 480, 4096])
def test_any_chunks_give_the_same_bits(parameters, chunk_size):
    num = 1_500 if chunk_size == 1 else 10_000
    reference, disturbance = noise(1)
    disturbance[6_000:] *= -1  # a trip and its consequences are part of the stream
    reference[2_000] = np.nan if parameters.get("guarded", True) else 0.0
    whole = controller(64, **parameters)
    expected = run(whole, reference[:num], disturbance[:num])
    parts = controller(64, **parameters)
    cuts = [*range(0, num, chunk_size), num]
    error = [run(parts, reference[a:b], disturbance[a:b]) for a, b in pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate(error), expected)
    np.testing.assert_array_equal(parts.taps, whole.taps)


@KIND
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_saved_in_mid_stream_it_goes_on_bit_for_bit(dtype, kind):
    reference, disturbance = noise(1)
    parameters = FxlmsParameters(num_taps=64, **KINDS[kind])
    first = FxlmsController(RATE, SECONDARY, parameters, dtype=dtype)
    run(first, reference[:7_001], disturbance[:7_001])
    second = FxlmsController(RATE, SECONDARY, parameters, dtype=dtype)
    second.load(first.state())
    rest = (reference[7_001:], disturbance[7_001:])
    np.testing.assert_array_equal(run(second, *rest), run(first, *rest))


def test_state_of_another_controller_is_refused():
    with pytest.raises(InputError, match="does not fit"):
        controller(64).load(controller(65).state())


def test_reset_begins_anew():
    reference, disturbance = noise(1)
    built = controller(64)
    first = run(built, reference, disturbance)
    built.reset()
    np.testing.assert_array_equal(run(built, reference, disturbance), first)


@pytest.mark.long
@KIND
def test_float32_is_as_good_as_float64_for_ten_minutes(kind):
    # At the lowest rate, so that ten minutes, where rounding would pile up, take seconds.
    rate, minute = 1_000, 60_000
    reference = np.random.default_rng(1).normal(size=10 * minute)
    disturbance = lfilter(PRIMARY[60:140], 1, reference)
    parameters = FxlmsParameters(num_taps=64, **KINDS[kind])
    single, double = (
        run(
            FxlmsController(rate, SECONDARY[20:36], parameters, dtype=t), reference, disturbance
        ).reshape(10, minute)
        for t in ("float32", "float64")
    )
    gaps_db = 20 * np.log10([rms(a) / rms(b) for a, b in zip(single, double, strict=True)])
    assert np.abs(gaps_db).max() < 0.1
    assert rms(double[-1]) < 0.5 * rms(disturbance)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    gain=GAINS,
    seed=st.integers(0, 1_000),
    broken=BROKEN_STRETCHES,
    kind=st.sampled_from(sorted(KINDS)),
    is_feedback=st.booleans(),
)
def test_nothing_that_comes_in_makes_anything_but_numbers_come_out(
    gain, seed, broken, kind, is_feedback
):
    reference, disturbance = (gain * part for part in noise(1, seed))
    break_stretches(broken, reference, disturbance)
    with np.errstate(invalid="ignore"):
        built = controller(32, is_feedback=is_feedback, **KINDS[kind])
        error = run(built, reference, disturbance)
    assert np.isfinite(error).all()
    heard = np.nan_to_num(disturbance, nan=0.0, posinf=0.0, neginf=0.0)
    assert np.abs(error).max() <= 30 * max(np.abs(heard).max(), 1e-30)


@KIND
def test_level_does_not_matter(kind):
    reference, disturbance = noise(4)
    reached = [
        attenuation_db(
            gain * disturbance,
            run(controller(**KINDS[kind]), gain * reference, gain * disturbance),
        )
        for gain in (1.0, 1e-8, 1e-3, 1e4)
    ]
    # Rounding of float32 differs, no more.
    assert reached[1:] == pytest.approx(3 * reached[:1], abs=0.01)


# --------------------------------------------------------------------------- stability


def peak_and_attenuation(built, reference, disturbance, *, change=None, centre=0.0):
    """Return the loudest 0.1 s of the error over the noise's RMS, and dB of the last 2 s."""
    half = len(reference) // 2
    if change is None:
        error = run(built, reference, disturbance)
    else:
        first = run(built, reference[:half], disturbance[:half])
        built.set_secondary_path(change)
        error = np.concatenate([first, run(built, reference[half:], disturbance[half:])])
    assert np.isfinite(error).all()
    heard = np.nan_to_num(disturbance, posinf=0.0) - centre
    error = error - centre
    loudest = np.sqrt(np.square(error, dtype=float).reshape(-1, RATE // 10).mean(axis=1).max())
    return loudest / rms(heard), attenuation_db(heard, error)


ROWS = (
    "nominal",
    "digital silence",
    "near-silence",
    "reference impulses",
    "error impulses",
    "both clipped",
    "NaN and Inf",
    "DC",
    "silent reference",
    "primary changes sign",
    "secondary four times as strong",
    "secondary 20 samples later",
    "secondary changes sign",
    "estimate 120 degrees wrong",
)


STRUCTURE = pytest.mark.parametrize("structure", ["hybrid", "feedback"])


def looped(structure, kind, estimate):
    return FxlmsController(
        RATE,
        SECONDARY,
        FxlmsParameters(num_taps=256, is_feedback=True, **KINDS[kind]),
        num_references=1 if structure == "hybrid" else 0,
        estimate=estimate,
    )


def disturbed(row, primary, secondary):
    """Return reference, disturbance, estimate and changed path of a row of the table."""
    rng = np.random.default_rng(7)
    reference, disturbance = noise(12, primary=primary)
    half, level = len(reference) // 2, rms(disturbance)
    middle = slice(half, half + 4 * RATE)
    estimate, change = None, None
    match row:
        case "digital silence":
            reference[middle] = disturbance[middle] = 0.0
        case "near-silence":
            reference[middle] *= 1e-7
            disturbance[middle] *= 1e-7
        case "reference impulses":
            reference[rng.integers(0, len(reference), 12)] += 200.0
        case "error impulses":
            disturbance[rng.integers(0, len(reference), 60)] += 500.0 * level
        case "both clipped":
            reference = np.clip(reference, -1, 1)
            disturbance = np.clip(disturbance, -level, level)
        case "NaN and Inf":
            reference[[half, half + 100, half + 5_000]] = np.nan
            disturbance[half + 999] = np.inf
        case "DC":
            reference += 1.0
            disturbance += level
        case "silent reference":
            reference[middle] = 0.0
        case "primary changes sign":
            disturbance[half:] *= -1
        case "secondary four times as strong":
            change = 4.0 * secondary
        case "secondary 20 samples later":
            change = np.concatenate([np.zeros(20), secondary])
        case "secondary changes sign":
            change = -secondary
        case "estimate 120 degrees wrong":
            estimate = turned(secondary, 120)
    return reference, disturbance, estimate, change


@KIND
@pytest.mark.parametrize("row", ROWS)
def test_guarded_controller_neither_diverges_nor_does_lasting_harm(row, kind):
    reference, disturbance, estimate, change = disturbed(row, PRIMARY, SECONDARY)
    built = controller(256, estimate=estimate, **KINDS[kind])
    centre = float(np.median(disturbance)) if row == "DC" else 0.0
    peak, nr_db = peak_and_attenuation(built, reference, disturbance, change=change, centre=centre)
    assert peak <= 2.7
    assert nr_db >= -2.0


@STRUCTURE
@KIND
@pytest.mark.parametrize("row", ROWS)
def test_a_loop_through_the_error_microphone_is_as_harmless(row, kind, structure):
    reference, disturbance, estimate, change = disturbed(row, PRIMARY, SECONDARY)
    built = looped(structure, kind, estimate)
    centre = float(np.median(disturbance)) if row == "DC" else 0.0
    peak, nr_db = peak_and_attenuation(built, reference, disturbance, change=change, centre=centre)
    assert peak <= 2.7
    assert nr_db >= -2.0


@STRUCTURE
@KIND
@pytest.mark.parametrize("degrees", [60, 88, 92, 150, 180])
def test_no_phase_error_makes_a_loop_through_the_error_microphone_howl(degrees, kind, structure):
    reference, disturbance = noise(12)
    built = looped(structure, kind, turned(SECONDARY, degrees))
    peak, nr_db = peak_and_attenuation(built, reference, disturbance)
    # With the phase turned round the loop grew to 500 times the noise while its levels were new.
    assert peak <= 2.7
    assert nr_db >= -2.0


def test_without_guards_the_same_is_lost():
    # The rows mean something only if an unguarded controller fails them.
    reference, disturbance, _, change = disturbed("secondary changes sign", PRIMARY, SECONDARY)
    half = len(reference) // 2
    built = controller(is_modified=False, guarded=False)
    run(built, reference[:half], disturbance[:half])
    built.set_secondary_path(change)
    with np.errstate(all="ignore"):
        error = run(built, reference[half:], disturbance[half:])
    assert not rms(error[-RATE:]) < 1e3 * rms(disturbance)


@pytest.mark.parametrize("kind", ["modified", "block"])
@pytest.mark.parametrize(("degrees", "least_db"), [(0, 15.5), (30, 14.5), (60, 11.0)])
def test_phase_errors_up_to_60_degrees_cost_some_decibels_only(degrees, least_db, kind):
    reference, disturbance = noise(8)
    built = controller(estimate=turned(SECONDARY, degrees), **KINDS[kind])
    error = run(built, reference, disturbance)
    assert attenuation_db(disturbance, error) > least_db


@pytest.mark.parametrize("degrees", [0, 30, 60, 80, 85, 88, 92, 120, 150, 180])
def test_phase_error_beyond_90_degrees_diverges_without_guards_and_never_with_them(degrees):
    reference, disturbance = noise(12)

    def left(**parameters):
        built = controller(estimate=turned(SECONDARY, degrees), **parameters)
        return run(built, reference, disturbance)

    reached_db = attenuation_db(disturbance, left(is_modified=False, guarded=False))
    if degrees <= 85:
        assert reached_db > 3.0
    elif degrees > 90:
        assert reached_db < -20.0  # and growing
    for parameters in KINDS.values():
        error = left(**parameters)
        assert attenuation_db(disturbance, error) > -2.0
        loudest = np.sqrt(np.mean(error.reshape(-1, RATE // 10) ** 2, axis=1).max())
        assert loudest < 2.7 * rms(disturbance)


def test_latched_controller_tries_again_when_re_armed():
    reference, disturbance, _, change = disturbed("secondary changes sign", PRIMARY, SECONDARY)
    half = len(reference) // 2
    built = controller()
    run(built, reference[:half], disturbance[:half])
    built.set_secondary_path(change)
    run(built, reference[half : half + 5 * RATE], disturbance[half : half + 5 * RATE])
    events = built.drain_events()
    assert events[-1].kind is GuardEventKind.LATCHED
    assert built.num_trips >= 3
    built.set_secondary_path(SECONDARY)
    built.rearm()
    error = run(built, reference[: 6 * RATE], disturbance[: 6 * RATE])
    assert attenuation_db(disturbance[: 6 * RATE], error) > 6.0


# --------------------------------------------------------------------------- structures


@pytest.mark.parametrize("kind", ["modified", "block"])
def test_feedback_alone_cancels_what_can_be_foreseen(kind):
    tone = np.sin(2 * np.pi * 230 * np.arange(8 * RATE) / RATE)
    parameters = FxlmsParameters(num_taps=128, is_feedback=True, **KINDS[kind])
    built = FxlmsController(RATE, SECONDARY, parameters, num_references=0)
    error = run_without_reference(built, tone)
    assert attenuation_db(tone, error) > 20.0


def run_without_reference(built, disturbance):
    nothing = np.zeros((len(disturbance), 0))
    return built.process(nothing, disturbance[:, np.newaxis])[0][:, 0]


@pytest.mark.parametrize("num_references", [0, 1], ids=["feedback", "feedforward"])
def test_limit_of_the_output_does_not_depend_on_the_number_of_like_microphones(num_references):
    # All weights a thousand times too large: the output runs into its limit before it is muted.
    times, change = 1_000.0, 3 * RATE
    tone = np.sin(2 * np.pi * 230 * np.arange(change + RATE // 10) / RATE)
    peaks = []
    for num_mics in (1, 4):
        built = FxlmsController(
            RATE,
            np.tile(SECONDARY, (num_mics, 1, 1)),
            FxlmsParameters(num_taps=64, is_feedback=not num_references),
            num_references=num_references,
            dtype="float64",
        )
        heard = np.tile(tone[:, np.newaxis], (1, num_mics))
        before = built.process(tone[:change, np.newaxis][:, :num_references], heard[:change])[2]
        state = built.state()
        weights = {"weights", "averaged", "recalled", "heard_weights"} & set(state)
        built.load(state | {name: times * state[name] for name in weights})
        after = built.process(tone[change:, np.newaxis][:, :num_references], heard[change:])[2]
        peaks.append(np.abs(after).max())
        assert peaks[-1] < 0.05 * times * np.abs(before).max()
    # The same sums, four times over.
    assert peaks[1] == pytest.approx(peaks[0], rel=1e-9)


@pytest.mark.parametrize(("kind", "least_db"), [("modified", 3.3), ("block", 2.8)])
def test_hybrid_adds_the_tone_that_the_reference_does_not_hear(kind, least_db):
    reference, disturbance = noise(16)
    tone = rms(disturbance) * np.sin(2 * np.pi * 230 * np.arange(len(reference)) / RATE)
    alone, hybrid = (
        attenuation_db(
            disturbance + tone,
            run(controller(is_feedback=feedback, **KINDS[kind]), reference, disturbance + tone),
        )
        for feedback in (False, True)
    )
    assert hybrid > alone + least_db


@pytest.mark.parametrize("kind", ["modified", "block"])
def test_two_loudspeakers_quieten_two_microphones(kind):
    rng = np.random.default_rng(11)
    primary = np.zeros((2, 1, 200))
    primary[:, :, 40:] = rng.normal(size=(2, 1, 160)) * np.exp(-np.arange(160) / 30)
    secondary = np.zeros((2, 2, 64))
    secondary[:, :, 8:] = rng.normal(size=(2, 2, 56)) * np.exp(-np.arange(56) / 5)
    secondary[0, 1] *= 0.4
    secondary[1, 0] *= 0.4
    reference = rng.normal(size=10 * RATE)
    disturbance = np.stack([lfilter(primary[m, 0], 1, reference) for m in range(2)], axis=1)
    built = FxlmsController(RATE, secondary, FxlmsParameters(num_taps=128, **KINDS[kind]))
    error, anti_noise, drive = built.process(reference[:, np.newaxis], disturbance)
    assert drive.shape == (len(reference), 2)
    np.testing.assert_allclose(error, disturbance.astype(np.float32) + anti_noise, atol=1e-5)
    for m in range(2):
        assert attenuation_db(disturbance[:, m], error[:, m]) > 6.0
    assert built.taps.shape == (2, 1, 128)


@pytest.mark.parametrize("kind", ["modified", "block"])
def test_weak_reference_is_learnt_as_well_as_a_strong_one(kind):
    # 40 dB between two microphones is a matter of their amplifiers, not of the noise.
    rng = np.random.default_rng(11)
    primary = np.zeros((2, 200))
    primary[:, 60:] = rng.normal(size=(2, 140)) * np.exp(-np.arange(140) / 30)
    heard = rng.normal(size=(8 * RATE, 2)) * [1.0, 0.01]
    disturbance = lfilter(primary[0], 1, heard[:, 0]) + lfilter(primary[1] / 0.01, 1, heard[:, 1])
    parameters = FxlmsParameters(num_taps=256, **KINDS[kind])
    built = FxlmsController(RATE, SECONDARY, parameters, num_references=2)
    error, _, _ = built.process(heard, disturbance[:, np.newaxis])
    # By the gradients alone: 3 dB by samples, 25 in blocks.
    assert attenuation_db(disturbance, error[:, 0]) > 28.0


def test_anti_noise_is_the_drive_through_the_secondary_path():
    reference, disturbance = noise(1)
    built = FxlmsController(RATE, SECONDARY, FxlmsParameters(num_taps=64), dtype="float64")
    _, anti_noise, drive = built.process(reference[:, np.newaxis], disturbance[:, np.newaxis])
    np.testing.assert_allclose(anti_noise[:, 0], lfilter(SECONDARY, 1, drive[:, 0]), atol=1e-10)


def test_loudspeaker_that_saturates_and_converters_limit_the_attenuation():
    reference, disturbance = noise(8)
    parameters = FxlmsParameters(num_taps=256)
    quiet = 0.01
    results = [
        attenuation_db(
            disturbance,
            run(
                FxlmsController(RATE, SECONDARY, parameters, device=device),
                quiet * reference,
                quiet * disturbance,
            )
            / quiet,
        )
        for device in (
            DeviceModel(),
            DeviceModel(saturation=0.004),
            DeviceModel(drive_bits=7, microphone_bits=7),
        )
    ]
    assert results[0] > results[1] + 1.0
    assert results[0] > results[2] + 0.3
    assert min(results) > -2.0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"step_size": 0.0}, r"step_size is 0\.0"),
        ({"step_size": 2.0}, r"step_size is 2\.0"),
        ({"leakage": 1.0}, r"leakage is 1\.0"),
        ({"regularization": -1.0}, r"regularization is -1\.0"),
        ({"num_taps": 0}, "num_taps is 0"),
        ({"is_block": True, "rule": StepRule.SIGN}, "rule is SIGN"),
    ],
)
def test_bad_parameter_is_named_with_its_value(parameters, message):
    with pytest.raises(InputError, match=message):
        FxlmsParameters(**{"num_taps": 8, **parameters})


def test_paths_that_do_not_belong_together_are_refused():
    with pytest.raises(InputError, match="they must agree"):
        FxlmsController(RATE, SECONDARY, FxlmsParameters(num_taps=8), estimate=np.ones((1, 2, 4)))
    with pytest.raises(InputError, match="structure must be feedback"):
        FxlmsController(RATE, SECONDARY, FxlmsParameters(num_taps=8), num_references=0)
