from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from anc_core.dsp.adaptive_guard import SIZE, GuardEventKind, GuardLimits
from anc_core.dsp.auxiliary_noise import auxiliary_noise
from anc_core.dsp.auxiliary_schedule import (
    LOUD,
    NUM_MEMORIES,
    NUM_NUMBERS,
    REMAINDER,
    REMAINDER_RATE,
    VARIANCE,
)
from anc_core.dsp.fxlms_controller import DeviceModel, FxlmsController, FxlmsParameters
from anc_core.dsp.online_identification import OnlineIdentification, chosen_identification
from anc_core.dsp.online_identification_kernel import identify_block
from anc_core.errors import InputError
from tests.oracles.online_identification import identify
from tests.strategies import BROKEN_STRETCHES, GAINS, break_stretches
from tests.unit.dsp import test_fxlms_controller as rows
from tests.unit.dsp.test_fxlms_controller import PRIMARY, RATE, SECONDARY, attenuation_db, run

ZERO = np.zeros_like(SECONDARY)
CHANGES = {
    "secondary four times as strong",
    "secondary 20 samples later",
    "secondary changes sign",
    "estimate 120 degrees wrong",
}


def controller(
    num_taps=256, secondary=SECONDARY, estimate=None, seed=0, dtype="float32", **parameters
):
    return FxlmsController(
        RATE,
        secondary,
        FxlmsParameters(num_taps=num_taps, **parameters),
        estimate=estimate,
        online_identification=OnlineIdentification(),
        seed=seed,
        dtype=dtype,
    )


def kinds(built):
    return [event.kind for event in built.drain_events()]


# --------------------------------------------------------------------------- the algorithm


def test_estimate_and_predictor_learn_as_the_formula_says():
    rng = np.random.default_rng(5)
    num, num_taps, num_predictor, rate = 2_000, 24, 40, 0.01
    reference, noise = rng.normal(size=num), 0.3 * rng.normal(size=num)
    true = rng.normal(size=num_taps)
    probe = lfilter(rng.normal(size=30), 1, reference) + lfilter(true, 1, noise)
    probe[1_500] += 500.0  # clipped
    start = {"variance": 2.0, "remainder": 3.0}
    expected = identify(
        reference, probe, noise, num_taps=num_taps, num_predictor=num_predictor, rate=rate, **start
    )
    working, predictor = np.zeros((1, num_taps)), np.zeros((1, num_predictor))
    microphones = np.zeros((1, NUM_MEMORIES))
    microphones[0, [VARIANCE, REMAINDER]] = start["variance"], start["remainder"]
    limits = np.zeros(LOUD + 6)
    limits[REMAINDER_RATE] = rate
    guard = np.zeros(SIZE)
    guard[0] = 1.0  # within a block: nothing but the filters
    identify_block("float64")(
        np.concatenate([np.zeros((1, num_predictor)), reference[np.newaxis]], axis=1),
        np.stack([probe, probe]),
        np.concatenate([np.zeros((1, num_taps)), noise[np.newaxis]], axis=1),
        working,
        np.zeros((1, num_taps)),
        predictor,
        microphones,
        np.zeros(NUM_NUMBERS),
        limits,
        *(np.zeros((1, 4)) for _ in range(3)),
        np.zeros(1),
        guard,
        np.zeros((4, 3)),
        GuardLimits(sample_rate=RATE, ramp_samples=1, hold_samples=1).as_array(),
        1,
        0,
        num,
    )
    # The same sums in another order.
    np.testing.assert_allclose(working[0, ::-1], expected[0], atol=1e-9)
    assert microphones[0, VARIANCE] == pytest.approx(expected[1], rel=1e-9)
    assert np.linalg.norm(expected[0] - true) < 0.2 * np.linalg.norm(true)


@pytest.mark.parametrize("is_modified", [True, False], ids=["modified", "plain"])
def test_from_nothing_it_comes_as_far_as_with_the_true_path(is_modified):
    reference, disturbance = rows.noise(14)
    known = rows.controller(is_modified=is_modified)
    bound_db = attenuation_db(disturbance, run(known, reference, disturbance))
    for estimate in (None, ZERO):
        built = controller(estimate=estimate, is_modified=is_modified)
        reached_db = attenuation_db(disturbance, run(built, reference, disturbance))
        # The floor of the noise costs 0.014 dB, the leakage 0.1 dB, the late start the rest.
        assert reached_db > bound_db - 0.7
        assert kinds(built) == [
            GuardEventKind.SEARCHING,
            GuardEventKind.IDENTIFIED,
            GuardEventKind.ARMED,
        ]
        last = built.drain_trace()[-1]
        assert last.misalignment_db < -28.0
        assert last.auxiliary_db == pytest.approx(-25.0, abs=0.5)


def test_what_is_believed_of_the_error_is_what_it_is():
    reference, disturbance = rows.noise(4)
    built = controller()
    run(built, reference, disturbance)
    identified = built.drain_events()[1]
    at = next(p for p in built.drain_trace() if p.time_s > identified.time_s)
    assert at.misalignment_db == pytest.approx(identified.level_db, abs=3.0)


def test_the_noise_is_part_of_the_drive_and_of_all_that_sounds():
    reference, disturbance = rows.noise(1)
    built = controller(64, seed=9, dtype="float64")
    error, anti_noise, drive = built.process(reference[:, np.newaxis], disturbance[:, np.newaxis])
    np.testing.assert_allclose(anti_noise[:, 0], lfilter(SECONDARY, 1, drive[:, 0]), atol=1e-9)
    np.testing.assert_allclose(error[:, 0], disturbance + anti_noise[:, 0], atol=1e-9)
    # While the controller is mute, a block of the drive is that noise alone, at one level.
    block = slice(3_200, 3_232)
    levels = drive[block, 0] / auxiliary_noise(9, 3_200, 32, 1)[0]
    assert levels[0] > 0.0
    np.testing.assert_allclose(levels, levels[0], rtol=1e-12)


# --------------------------------------------------------------------------- streams


STREAMS = [
    pytest.param({"is_modified": True}, id="modified"),
    pytest.param({"is_modified": False}, id="plain"),
    pytest.param({"is_block": True}, id="block"),
    pytest.param({"is_feedback": True}, id="hybrid"),
    pytest.param({"secondary": np.tile(SECONDARY, (2, 2, 1))}, id="2 x 2"),
]


def changing(built, reference, disturbance, cuts, change_at):
    """Return the error; the path changes its sign at one of the cuts."""
    columns = np.tile(disturbance[:, np.newaxis], (1, built.num_mics))
    true = built._secondary[:, ::-1].reshape(built.num_mics, built.num_sources, -1)
    error = []
    for a, b in pairwise(cuts):
        if a == change_at:
            built.set_secondary_path(-true)
        error.append(built.process(reference[a:b, np.newaxis], columns[a:b])[0])
    return np.concatenate(error)


@pytest.mark.parametrize("parameters", STREAMS)
@pytest.mark.parametrize("chunk_size", [1, 7, 64, 480, 4096])
def test_any_chunks_give_the_same_bits(parameters, chunk_size):
    # With chunks of 1 the search, with the others what follows it and a change of the path.
    num = 3_000 if chunk_size == 1 else 28_000
    change_at = 16_000
    reference, disturbance = rows.noise(2)
    reference[2_000] = np.nan
    whole, parts = (controller(64, **parameters) for _ in range(2))
    expected = changing(
        whole, reference, disturbance, sorted({0, num, min(change_at, num)}), 16_000
    )
    cuts = sorted({*range(0, num, chunk_size), min(change_at, num), num})
    error = changing(parts, reference, disturbance, cuts, change_at)
    np.testing.assert_array_equal(error, expected)
    np.testing.assert_array_equal(parts.estimate, whole.estimate)
    np.testing.assert_array_equal(parts.taps, whole.taps)
    assert parts.drain_trace() == whole.drain_trace()
    assert parts.drain_events() == whole.drain_events()


def test_an_empty_chunk_changes_nothing():
    reference, disturbance = rows.noise(0.1)
    whole, parts = controller(64), controller(64)
    expected = run(whole, reference, disturbance)
    first = run(parts, reference[:64], disturbance[:64])
    assert len(run(parts, reference[:0], disturbance[:0])) == 0
    error = np.concatenate([first, run(parts, reference[64:], disturbance[64:])])
    np.testing.assert_array_equal(error, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cut", [5_001, 24_007], ids=["searching", "tracking"])
def test_saved_in_mid_stream_it_goes_on_bit_for_bit(dtype, cut):
    reference, disturbance = rows.noise(2)
    first, second = controller(64, dtype=dtype), controller(64, dtype=dtype)
    run(first, reference[:cut], disturbance[:cut])
    second.load(first.state())
    rest = (reference[cut:], disturbance[cut:])
    np.testing.assert_array_equal(run(second, *rest), run(first, *rest))
    np.testing.assert_array_equal(second.estimate, first.estimate)


def test_reset_begins_anew():
    reference, disturbance = rows.noise(1)
    built = controller(64)
    first = run(built, reference, disturbance)
    built.reset()
    np.testing.assert_array_equal(run(built, reference, disturbance), first)


def test_seed_decides_the_noise():
    reference, disturbance = rows.noise(0.5)
    one, same, other = (
        run(controller(64, seed=seed), reference, disturbance) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_state_of_a_controller_without_it_is_refused():
    with pytest.raises(InputError, match="does not fit"):
        controller(64).load(rows.controller(64).state())


# --------------------------------------------------------------------------- stability


@rows.KIND
@pytest.mark.parametrize("row", rows.ROWS)
def test_in_trouble_it_stays_harmless_and_finds_a_path_that_has_changed(row, kind):
    reference, disturbance, estimate, change = rows.disturbed(row, PRIMARY, SECONDARY)
    built = controller(estimate=estimate, **rows.KINDS[kind])
    centre = float(np.median(disturbance)) if row == "DC" else 0.0
    peak, nr_db = rows.peak_and_attenuation(
        built, reference, disturbance, change=change, centre=centre
    )
    assert peak <= 2.7
    assert nr_db >= -2.0
    if row in CHANGES:
        assert nr_db > 9.0


@pytest.mark.parametrize("row", sorted(CHANGES - {"secondary four times as strong"}))
def test_without_it_nothing_comes_back(row):
    reference, disturbance, estimate, change = rows.disturbed(row, PRIMARY, SECONDARY)
    built = rows.controller(256, estimate=estimate)
    _, nr_db = rows.peak_and_attenuation(built, reference, disturbance, change=change)
    assert nr_db < 1.0


@pytest.mark.parametrize("gain", [0.1, 0.5, 2.0, 40.0])
def test_a_change_of_gain_alone_is_found(gain):
    reference, disturbance = rows.noise(12)
    half = len(reference) // 2
    built = controller()
    run(built, reference[:half], disturbance[:half])
    built.set_secondary_path(gain * SECONDARY)
    error = run(built, reference[half:], disturbance[half:])
    assert attenuation_db(disturbance, error) > 13.0
    assert built.drain_trace()[-1].misalignment_db < -25.0


@pytest.mark.parametrize("gain", [1e-3, 1e3])
def test_a_path_of_any_gain_is_found_from_nothing(gain):
    reference, disturbance = rows.noise(8)
    built = controller(secondary=gain * SECONDARY)
    error = run(built, reference, disturbance)
    assert np.isfinite(error).all()
    assert built.drain_trace()[-1].misalignment_db < -25.0


@pytest.mark.parametrize("is_modified", [True, False], ids=["modified", "plain"])
def test_a_loudspeaker_that_is_torn_off_leaves_the_noise_alone(is_modified):
    reference, disturbance = rows.noise(12)
    half = len(reference) // 2
    built = controller(is_modified=is_modified)
    run(built, reference[:half], disturbance[:half])
    built.set_secondary_path(ZERO)
    error = run(built, reference[half:], disturbance[half:])
    assert np.isfinite(error).all()
    np.testing.assert_array_equal(error, disturbance[half:].astype(np.float32))
    assert np.isfinite(built.estimate).all()
    last = built.drain_trace()[-1]
    assert last.misalignment_db is None
    assert last.auxiliary_db is None


def test_level_does_not_matter():
    reference, disturbance = rows.noise(6)
    reached = [
        attenuation_db(gain * disturbance, run(controller(), gain * reference, gain * disturbance))
        for gain in (1.0, 1e-6, 1e3)
    ]
    # Rounding of float32 differs, and with it the moments of decisions.
    assert reached[1:] == pytest.approx(2 * reached[:1], abs=0.3)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    gain=GAINS,
    seed=st.integers(0, 1_000),
    broken=BROKEN_STRETCHES,
    change=st.floats(-20, 20),
    is_modified=st.booleans(),
)
def test_nothing_that_comes_in_makes_anything_but_numbers_come_out(
    gain, seed, broken, change, is_modified
):
    reference, disturbance = (gain * part for part in rows.noise(1.5, seed))
    break_stretches(broken, reference, disturbance)
    built = controller(32, is_modified=is_modified)
    with np.errstate(invalid="ignore"):
        first = run(built, reference[:12_000], disturbance[:12_000])
        built.set_secondary_path(change * SECONDARY)
        error = np.concatenate([first, run(built, reference[12_000:], disturbance[12_000:])])
    assert np.isfinite(error).all()
    assert np.isfinite(built.estimate).all()
    assert np.isfinite(built.taps).all()


# --------------------------------------------------------------------------- channels, devices


def test_two_loudspeakers_and_two_microphones_are_told_apart():
    rng = np.random.default_rng(11)
    primary = rng.normal(size=(2, 160)) * np.exp(-np.arange(160) / 30)
    secondary = np.zeros((2, 2, 64))
    secondary[:, :, 8:] = rng.normal(size=(2, 2, 56)) * np.exp(-np.arange(56) / 5)
    reference = rng.normal(size=8 * RATE)
    late = np.concatenate([np.zeros(40), reference[:-40]])
    disturbance = np.stack([lfilter(row, 1, late) for row in primary], axis=1)
    built = controller(128, secondary=secondary)
    built.process(reference[: 4 * RATE, np.newaxis], disturbance[: 4 * RATE])
    built.set_secondary_path(-secondary)
    error, _, _ = built.process(reference[4 * RATE :, np.newaxis], disturbance[4 * RATE :])
    for m in range(2):
        assert attenuation_db(disturbance[:, m], error[:, m]) > 6.0
    assert built.drain_trace()[-1].misalignment_db < -25.0
    assert built.estimate.shape == (2, 2, 64)


def test_converters_and_microphone_noise_are_borne():
    reference, disturbance = rows.noise(6)
    device = DeviceModel(drive_bits=12, microphone_bits=12)
    built = FxlmsController(
        RATE,
        SECONDARY,
        FxlmsParameters(num_taps=256),
        device=device,
        online_identification=OnlineIdentification(),
    )
    scale = 0.02
    hiss = 1e-4 * np.random.default_rng(1).normal(size=(len(reference), 1))
    error, _, _ = built.process(
        scale * reference[:, np.newaxis], scale * disturbance[:, np.newaxis], hiss
    )
    assert attenuation_db(scale * disturbance, error[:, 0]) > 12.0


def test_longer_estimate_holds_what_comes_later():
    reference, disturbance = rows.noise(6)
    late = np.concatenate([np.zeros(120), SECONDARY])
    reached = []
    for num_taps in (None, 300):
        built = FxlmsController(
            RATE,
            SECONDARY,
            FxlmsParameters(num_taps=64),
            estimate=SECONDARY,
            online_identification=OnlineIdentification(num_taps=num_taps),
        )
        built.set_secondary_path(late)
        run(built, reference, disturbance)
        reached.append(built.drain_trace()[-1].misalignment_db)
    assert reached[0] > -3.0
    assert reached[1] < -20.0


# --------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"loud_db": 11.0}, r"loud_db is 11\.0"),
        ({"loud_db": float("nan")}, "loud_db is nan"),
        ({"floor_db": -90.0}, r"floor_db is -90\.0"),
        ({"loud_db": -20.0, "floor_db": -10.0}, r"floor_db is -10\.0"),
        ({"num_taps": 0}, "num_taps is 0"),
    ],
)
def test_bad_setting_is_named_with_its_value(values, message):
    with pytest.raises(InputError, match=message):
        OnlineIdentification(**values)


def test_choice_may_be_a_word_or_settings():
    chosen = OnlineIdentification(loud_db=-10.0)
    assert chosen_identification(chosen) is chosen
    assert chosen_identification(True) == OnlineIdentification()
    assert chosen_identification(False) is None
    assert chosen_identification(None) is None


def test_it_needs_guards_and_a_reference():
    with pytest.raises(InputError, match="needs the guards"):
        controller(8, guarded=False)
    with pytest.raises(InputError, match="needs a reference"):
        FxlmsController(
            RATE,
            SECONDARY,
            FxlmsParameters(num_taps=8, is_feedback=True),
            num_references=0,
            online_identification=OnlineIdentification(),
        )
