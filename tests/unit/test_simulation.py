from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import butter, lfilter, sosfilt

from anc_core import build_filter_bank, simulate_anc
from anc_core.dsp.fxlms_controller import DeviceModel
from anc_core.errors import InputError
from anc_core.processors import AcousticSimulator
from anc_core.processors.simulate import ADAPTIVE, ALGORITHMS

RATE = 8_000
RNG = np.random.default_rng(3)
PRIMARY = np.concatenate([np.zeros(30), RNG.normal(size=90) * np.exp(-np.arange(90) / 20)])
SECONDARY = np.concatenate([np.zeros(8), [1.0, -0.5, 0.3, 0.1, -0.1, 0.05]])
NOISE = RNG.normal(0, 0.1, 8 * RATE).astype(np.float32)


def test_signals_are_what_the_paths_make_of_them():
    result = simulate_anc(NOISE, RATE, PRIMARY, SECONDARY)
    # float32 sums of 120 products of size 0.1.
    np.testing.assert_allclose(result.disturbance, lfilter(PRIMARY, 1, NOISE), atol=1e-5)
    np.testing.assert_allclose(
        result.anti_noise, lfilter(SECONDARY, 1, result.drive.astype(float)), atol=1e-5
    )
    np.testing.assert_allclose(
        result.error_signal, result.disturbance + result.anti_noise, atol=1e-6
    )
    assert result.error_signal.shape == NOISE.shape
    assert result.taps.shape == (result.num_taps,) == (len(PRIMARY),)


def test_result_is_close_to_the_bound_and_the_bound_stands_beside_it():
    # Fewer taps than the primary path has, so that the filter's length is the limit.
    result = simulate_anc(NOISE, RATE, PRIMARY, SECONDARY, num_taps=40)
    assert 6.0 < result.wiener_db < 14.0
    assert -0.5 < result.wiener_gap_db < 0.5
    assert result.cancellation_db < result.figures.steady_cancellation_db
    assert 0.0 < result.convergence_s < 3.0
    assert set(result.third_octave_db) >= {"100", "1000", "2500"}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_cancels(algorithm):
    result = simulate_anc(NOISE, RATE, PRIMARY, SECONDARY, algorithm=algorithm, bound=False)
    assert result.figures.steady_cancellation_db > 4.0
    assert result.wiener_db is None


@pytest.mark.parametrize("structure", ["feedback", "hybrid"])
def test_blocks_learn_from_the_error_microphone_as_well(structure):
    tone = (0.1 * np.sin(2 * np.pi * 200 * np.arange(len(NOISE)) / RATE)).astype(np.float32)
    result = simulate_anc(
        tone, RATE, PRIMARY, SECONDARY, algorithm="pbfxlms", structure=structure, bound=False
    )
    assert result.figures.steady_cancellation_db > 15.0


def coloured(kind):
    """Return 10 s of stationary noise: white, a band of two octaves, or an engine's harmonics."""
    rng = np.random.default_rng(8)
    white = rng.normal(size=10 * RATE)
    match kind:
        case "white":
            noise = white
        case "band":
            noise = sosfilt(butter(2, [100, 400], "band", fs=RATE, output="sos"), white)
        case "engine":
            time = np.arange(len(white)) / RATE
            tones = [np.sin(2 * np.pi * 87 * k * time + k) / k for k in range(1, 8)]
            noise = np.sum(tones, axis=0) + 0.05 * white
    return (0.1 * noise / noise.std()).astype(np.float32)


@pytest.mark.parametrize("kind", ["white", "band", "engine"])
def test_auto_is_as_good_as_the_best_single_choice(kind):
    noise = coloured(kind)
    single = [
        simulate_anc(
            noise, RATE, PRIMARY, SECONDARY, algorithm=name, bound=False
        ).figures.steady_cancellation_db
        for name in ADAPTIVE
    ]
    auto = simulate_anc(noise, RATE, PRIMARY, SECONDARY, algorithm="auto", bound=False)
    assert auto.figures.steady_cancellation_db > max(single) - 0.3
    assert auto.algorithm in ADAPTIVE


def test_delay_of_the_device_costs_attenuation():
    quick, late = (
        simulate_anc(
            NOISE, RATE, PRIMARY, SECONDARY, device=DeviceModel(io_delay=delay), bound=False
        ).figures.steady_cancellation_db
        for delay in (0, 40)
    )
    # Forty samples later than the primary sound: nothing of white noise can be foreseen but its
    # tail.
    assert late < quick - 5.0


def test_sensor_noise_limits_what_is_reached_and_is_repeatable():
    device = DeviceModel(reference_noise_db=-26.0, microphone_noise_db=-40.0, microphone_bits=16)
    first, second, clean = (
        simulate_anc(NOISE, RATE, PRIMARY, SECONDARY, device=which, bound=False)
        for which in (device, device, None)
    )
    np.testing.assert_array_equal(first.error_signal, second.error_signal)
    assert first.figures.steady_cancellation_db < clean.figures.steady_cancellation_db - 1.0


@pytest.mark.parametrize("structure", ["feedback", "hybrid"])
def test_tone_that_no_reference_hears_needs_feedback(structure):
    time = np.arange(8 * RATE) / RATE
    tone = (0.1 * np.sin(2 * np.pi * 180 * time)).astype(np.float32)
    result = simulate_anc(tone, RATE, PRIMARY, SECONDARY, structure=structure, num_taps=64)
    assert result.figures.steady_cancellation_db > 15.0


# --------------------------------------------------------------------------- fixed filters


def test_fixed_filters_are_there_after_one_frame_and_close_to_the_bound():
    bank = build_filter_bank(
        [NOISE[: 4 * RATE]], RATE, PRIMARY, SECONDARY, num_filters=1, num_taps=40
    )
    result = simulate_anc(
        NOISE, RATE, PRIMARY, SECONDARY, algorithm="sfanc", filter_bank=bank, seed=1
    )
    assert result.wiener_gap_db < 0.5
    assert result.convergence_s < 0.5
    assert (result.algorithm, result.num_taps, result.step_size) == ("sfanc", 40, 0.0)
    np.testing.assert_array_equal(result.taps, bank.filters[0, 0, 0].astype(np.float32))


def test_without_a_bank_there_are_filters_for_bands():
    own = simulate_anc(NOISE, RATE, PRIMARY, SECONDARY, algorithm="sfanc", num_taps=64)
    bank = build_filter_bank(None, RATE, PRIMARY, SECONDARY, num_taps=64)
    given = simulate_anc(NOISE, RATE, PRIMARY, SECONDARY, algorithm="sfanc", filter_bank=bank)
    np.testing.assert_array_equal(own.error_signal, given.error_signal)


def test_fixed_filters_are_for_what_is_believed():
    wrong = -SECONDARY
    bank = build_filter_bank(None, RATE, PRIMARY, wrong, num_taps=64)
    options = {"algorithm": "sfanc", "filter_bank": bank, "bound": False}
    with pytest.raises(InputError, match="another secondary path"):
        simulate_anc(NOISE, RATE, PRIMARY, SECONDARY, **options)
    result = simulate_anc(NOISE, RATE, PRIMARY, SECONDARY, secondary_path_estimate=wrong, **options)
    # A path that is turned makes everything louder, until the guards mute it.
    assert [event.kind for event in result.events].count("latched") == 1
    assert result.figures.steady_cancellation_db == pytest.approx(0.0, abs=0.1)


def test_the_delay_of_the_device_belongs_to_the_bank():
    device = DeviceModel(io_delay=5)
    late = build_filter_bank(None, RATE, PRIMARY, np.pad(SECONDARY, (5, 0)), num_taps=64)
    options = {"algorithm": "sfanc", "filter_bank": late, "bound": False}
    simulate_anc(NOISE, RATE, PRIMARY, SECONDARY, device=device, **options)
    with pytest.raises(InputError, match="delay of the device"):
        simulate_anc(NOISE, RATE, PRIMARY, SECONDARY, **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"algorithm": "fxnlms"}, "filter_bank is for algorithm 'sfanc', not for 'fxnlms'"),
        ({"algorithm": "auto"}, "filter_bank is for algorithm 'sfanc'"),
        ({"structure": "hybrid"}, "sfanc is feedforward"),
        ({"online_identification": True}, "filters of sfanc are fixed"),
        ({"step_size": 0.1}, "sfanc adapts nothing"),
        ({"num_taps": 65}, "the filters of the bank have 64"),
    ],
)
def test_what_fixed_filters_do_not_have_is_refused(options, said):
    bank = build_filter_bank(None, RATE, PRIMARY, SECONDARY, num_filters=1, num_taps=64)
    with pytest.raises(InputError, match=said):
        simulate_anc(
            NOISE,
            RATE,
            PRIMARY,
            SECONDARY,
            **({"algorithm": "sfanc", "filter_bank": bank} | options),
        )


def test_several_channels_keep_their_shapes():
    primary = np.stack([PRIMARY, -0.7 * PRIMARY])[:, np.newaxis]
    secondary = np.stack([[SECONDARY, 0.3 * SECONDARY], [0.2 * SECONDARY, SECONDARY]])
    result = simulate_anc(NOISE, RATE, primary, secondary, num_taps=96)
    assert result.error_signal.shape == (len(NOISE), 2)
    assert result.drive.shape == (len(NOISE), 2)
    assert result.taps.shape == (2, 1, 96)
    assert result.figures.steady_cancellation_db > 4.0
    assert result.wiener_gap_db < 2.0


def test_any_chunks_give_the_same_bits_with_all_of_the_device():
    device = DeviceModel(
        io_delay=3,
        drive_bits=12,
        microphone_bits=14,
        saturation=0.5,
        reference_noise_db=-60,
        microphone_noise_db=-60,
    )

    def run(size):
        simulator = AcousticSimulator(RATE, PRIMARY, SECONDARY, device=device, num_taps=48)
        chunks = [NOISE[a : a + size, np.newaxis] for a in range(0, 6_000, size)]
        return np.concatenate([simulator.process(chunk) for chunk in chunks])[:6_000]

    whole = run(6_000)
    for size in (7, 64, 480, 4_096):
        np.testing.assert_array_equal(run(size)[: len(whole)], whole[: len(run(size))])


def test_secondary_path_is_found_online_and_told():
    options = {"num_taps": 120, "bound": False}
    known = simulate_anc(NOISE, RATE, PRIMARY, SECONDARY, **options)
    assert known.identification is None
    found = simulate_anc(NOISE, RATE, PRIMARY, SECONDARY, online_identification=True, **options)
    figures = found.identification
    assert figures.misalignment_db < -25.0
    assert 0.1 < figures.identified_s < 3.0
    assert figures.searches == 1
    assert figures.auxiliary_db == pytest.approx(-25.0, abs=1.5)
    assert figures.auxiliary_cost_db < 0.03
    assert figures.time_s == pytest.approx(np.arange(1, 81) / 10, abs=0.01)
    assert figures.misalignment_course_db[-1] == figures.misalignment_db
    assert found.figures.steady_cancellation_db > 20.0
    again = simulate_anc(NOISE, RATE, PRIMARY, SECONDARY, online_identification=True, **options)
    np.testing.assert_array_equal(again.error_signal, found.error_signal)


def test_choosing_no_online_identification_changes_no_bit():
    expected = simulate_anc(NOISE, RATE, PRIMARY, SECONDARY, bound=False)
    off = simulate_anc(NOISE, RATE, PRIMARY, SECONDARY, online_identification=False, bound=False)
    np.testing.assert_array_equal(off.error_signal, expected.error_signal)
    np.testing.assert_array_equal(off.drive, expected.drive)


def test_figures_of_an_identification_too_short_to_be_one():
    result = simulate_anc(NOISE[:99], RATE, PRIMARY, SECONDARY, online_identification=True)
    assert result.identification.misalignment_db is None
    assert result.identification.auxiliary_db is None
    assert result.identification.auxiliary_cost_db == 0.0
    assert result.identification.identified_s is None


def test_reset_begins_anew():
    simulator = AcousticSimulator(RATE, PRIMARY, SECONDARY, num_taps=32)
    first = simulator.process(NOISE[:4_000, np.newaxis])
    assert simulator.flush().shape == (0, 1)
    np.testing.assert_array_equal(simulator.process(NOISE[:4_000, np.newaxis]), first)


@pytest.mark.parametrize(
    "noise",
    [
        pytest.param(np.zeros(8_000, np.float32), id="silence"),
        pytest.param(np.full(8_000, np.nan, np.float32), id="NaN"),
        pytest.param(np.ones(8_000, np.float32), id="DC"),
        pytest.param(np.ones(1, np.float32), id="one sample"),
        pytest.param(np.full(8_000, 1e-30, np.float32), id="denormal"),
    ],
)
def test_whatever_comes_in_the_figures_are_numbers_or_null_with_a_reason(noise):
    result = simulate_anc(noise, RATE, PRIMARY, SECONDARY, num_taps=16)
    assert np.isfinite(result.error_signal).all()
    figures = result.figures.model_dump()
    for name in ("cancellation_db", "convergence_s", "wiener_db"):
        assert figures[name] is None or np.isfinite(figures[name])
        assert figures[name] is not None or name in figures["null_reasons"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"algorithm": "magic"}, "algorithm 'magic' is unknown; choose one of fxnlms"),
        ({"structure": "sideways"}, "structure 'sideways' is unknown"),
        ({"noise": np.zeros(0, np.float32)}, "noise is empty"),
        ({"noise": np.zeros((8, 2, 2), np.float32)}, "shape"),
        ({"secondary_path": np.ones((2, 1, 4))}, "they must be the same"),
        ({"step_size": 3.0}, r"step_size is 3\.0"),
        ({"num_taps": -1}, "num_taps is -1"),
    ],
)
def test_bad_parameter_is_named_with_its_value(arguments, message):
    given = {
        "noise": NOISE[:100],
        "sample_rate": RATE,
        "primary_path": PRIMARY,
        "secondary_path": SECONDARY,
        **arguments,
    }
    with pytest.raises(InputError, match=message):
        simulate_anc(**given)
