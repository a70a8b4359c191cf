"""Figures of an ANC run against what the signals were built to have."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anc_core.dsp.weighting import a_weighting_power
from anc_core.dsp.wiener import wiener_bound_db, wiener_filter, wiener_residual
from anc_core.errors import InputError
from anc_core.metrics.anc_figures import AncFigures, anc_figures

RATE = 8_000


def white(seconds: float, *channels: int, seed: int = 0, rms: float = 0.1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, rms, (round(seconds * RATE), *channels))


def tones(seconds: float, levels: dict[float, float]) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return sum(level * np.sin(2 * np.pi * hz * time) for hz, level in levels.items())


def linear_in_db(seconds: float, *points: tuple[float, float]) -> np.ndarray:
    """Return gains of an attenuation that goes straight from point to point (s, dB)."""
    at, level = zip(*points, strict=True)
    return 10 ** (-np.interp(np.arange(round(seconds * RATE)) / RATE, at, level) / 20)


# --------------------------------------------------------------------------- attenuation


def test_half_the_amplitude_is_6_db_everywhere():
    d = white(14)
    figures = anc_figures(d, d / 2, RATE)
    expected = pytest.approx(20 * np.log10(2), abs=1e-9)
    assert figures.cancellation_db == expected
    assert figures.steady_cancellation_db == expected
    assert figures.cancellation_a_weighted_db == expected
    assert figures.steady_a_weighted_db == expected
    assert figures.peak_amplification_db == pytest.approx(-20 * np.log10(2))
    for bands in (figures.cancellation_third_octave_db, figures.steady_third_octave_db):
        assert next(iter(bands)) == "25"
        assert list(bands)[-1] == "3150"
        assert all(value == expected for value in bands.values())
    assert figures.worst_band_amplification_db == pytest.approx(-20 * np.log10(2))
    assert figures.convergence_s == 0.0
    assert figures.steady_start_s == 10.0
    assert figures.error_rms_dbfs - figures.disturbance_rms_dbfs == pytest.approx(-20 * np.log10(2))


def test_without_anc_nothing_changes():
    figures = anc_figures(white(2), white(2), RATE)
    assert figures.cancellation_db == 0.0
    assert set(figures.steady_third_octave_db.values()) == {0.0}
    assert figures.convergence_s is None
    assert "below 3 dB" in figures.null_reasons["convergence_s"]


def test_each_band_shows_its_own_attenuation():
    d = tones(14, {100: 1.0, 500: 1.0, 2_000: 0.1})
    e = tones(14, {100: 0.1, 500: 0.5, 2_000: 0.2})
    figures = anc_figures(d, e, RATE)
    bands = figures.steady_third_octave_db
    # Hann side lobes of the other tones: below -80 dB at this distance.
    assert bands["100"] == pytest.approx(20.0, abs=0.02)
    assert bands["500"] == pytest.approx(6.02, abs=0.02)
    assert bands["2000"] == pytest.approx(-6.02, abs=0.02)
    assert figures.worst_band_hz == 2_000.0
    assert figures.worst_band_amplification_db == pytest.approx(6.02, abs=0.02)
    assert figures.cancellation_db == pytest.approx(10 * np.log10(2.01 / 0.30), abs=1e-3)

    weight = a_weighting_power([100.0, 500.0, 2_000.0])
    expected = 10 * np.log10((weight @ [1, 1, 0.01]) / (weight @ [0.01, 0.25, 0.04]))
    assert figures.steady_a_weighted_db == pytest.approx(expected, abs=0.02)


def test_a_band_that_nobody_hears_is_never_the_worst():
    d, e = tones(14, {500: 1.0}), tones(14, {500: 0.1})
    figures = anc_figures(d + white(14, rms=3e-5), e + white(14, seed=1, rms=3e-4), RATE)
    assert figures.steady_third_octave_db["2000"] < -15.0
    assert figures.worst_band_amplification_db < 0.0


def test_bands_without_disturbance_hold_nothing_to_cancel():
    d = tones(14, {500: 1.0})
    bands = anc_figures(d, d / 10, RATE).steady_third_octave_db
    assert bands["500"] == pytest.approx(20.0)
    assert bands["3150"] is None


def test_the_steady_stretch_is_the_last_four_seconds_or_a_third():
    d = white(14)
    e = d * np.where(np.arange(len(d)) < 10 * RATE, 1.0, 0.1)
    # The offset that is taken off is that of the whole recording.
    assert anc_figures(d, e, RATE).steady_cancellation_db == pytest.approx(20.0, abs=1e-3)
    assert anc_figures(d, e, RATE, settle_s=2.0).steady_start_s == 12.0
    assert anc_figures(d[: 6 * RATE], e[: 6 * RATE], RATE).steady_start_s == 4.0
    # The whole: 10 s as they were, 4 s at a hundredth of the power; white noise, equal to ±0.1 dB.
    expected = 10 * np.log10(14 / 10.04)
    assert anc_figures(d, e, RATE).cancellation_db == pytest.approx(expected, abs=0.1)


def test_the_error_microphones_are_added_up():
    d = white(6, 2) * [1.0, 3.0]
    figures = anc_figures(d, d * [0.1, 1.0], RATE)
    expected = 10 * np.log10(np.sum(d**2) / np.sum((d * [0.1, 1.0]) ** 2))
    assert figures.num_error_mics == 2
    assert figures.cancellation_db == pytest.approx(expected, abs=1e-4)  # about the mean
    one = anc_figures(d[:, 0], 0.1 * d[:, 0], RATE)
    swapped = anc_figures(d[:, ::-1], d[:, ::-1] * [1.0, 0.1], RATE)
    assert swapped.cancellation_db == pytest.approx(figures.cancellation_db, abs=1e-9)
    assert one.cancellation_db == pytest.approx(20.0)


def test_an_offset_of_the_microphones_is_no_sound():
    d = white(6)
    figures = anc_figures(d + 1.0, d / 10 + 1.0, RATE)
    assert figures.cancellation_db == pytest.approx(20.0, abs=1e-6)
    assert figures.disturbance_rms_dbfs == pytest.approx(20 * np.log10(d.std()), abs=1e-9)


# --------------------------------------------------------------------------- time


@pytest.mark.parametrize("quiet_s", [0.0, 3.0])
def test_convergence_counts_from_the_onset_of_the_disturbance(quiet_s):
    d = white(14)
    e = d * linear_in_db(14, (0, 0), (2, 20), (14, 20))
    silence = np.zeros(round(quiet_s * RATE))
    figures = anc_figures(np.concatenate([silence, d]), np.concatenate([silence, e]), RATE)
    # 10 dB/s. The 125 ms that reach 17 dB begin up to 125 ms before that; frames of 25 ms, and
    # white noise at 125 ms weighs them to within some ms.
    assert 1.7 - 0.15 < figures.convergence_s < 1.7
    assert 1.0 - 0.15 < figures.time_to_10_db_s < 1.0
    assert figures.steady_cancellation_db == pytest.approx(20.0)


def test_a_lucky_moment_is_not_convergence():
    d = white(14)
    gain = linear_in_db(14, (0, 0), (4.99, 0), (5.0, 20), (14, 20))
    gain[RATE : RATE + RATE // 4] = 0.1  # a quarter of a second
    figures = anc_figures(d, d * gain, RATE)
    assert 4.9 < figures.convergence_s <= 5.0


def test_ten_decibels_may_never_be_reached():
    d = white(6)
    figures = anc_figures(d, d / 2, RATE)
    assert figures.time_to_10_db_s is None
    assert "never" in figures.null_reasons["time_to_10_db_s"]


def test_a_change_splits_convergence_in_two():
    d = white(20)
    gain = linear_in_db(20, (0, 0), (1, 30), (10, 30), (10.01, 0), (13.01, 15), (20, 15))
    figures = anc_figures(d, d * gain, RATE, change_s=10.0)
    assert figures.before_change_cancellation_db == pytest.approx(30.0, abs=0.01)
    assert figures.steady_cancellation_db == pytest.approx(15.0, abs=0.01)
    assert 0.9 - 0.15 < figures.convergence_s < 0.9
    assert 2.41 - 0.15 < figures.reconvergence_s < 2.41  # 12 dB at 5 dB/s
    assert figures.steady_start_s == pytest.approx(20 - 10 / 3, abs=0.026)


def test_without_a_change_there_is_no_tracking():
    figures = anc_figures(white(6), white(6) / 2, RATE)
    assert figures.null_reasons["reconvergence_s"] == "no change was named"


def test_a_moment_that_was_louder_shows():
    d = white(14)
    gain = np.full(len(d), 0.1)
    gain[RATE : 2 * RATE] = 2.0
    # The loudest of some hundred 125 ms stretches of white noise: within 1 dB of each other.
    figures = anc_figures(d, d * gain, RATE)
    assert figures.peak_amplification_db == pytest.approx(6.0, abs=1.0)


# --------------------------------------------------------------------------- bound, effort, taps


def test_the_bound_and_the_gap_are_those_of_the_steady_stretch():
    reference, d = white(14, seed=1), white(14, rms=0.02, seed=2)
    d[3:] += reference[:-3]
    taps = wiener_filter(reference, d, 8)
    best = wiener_residual(reference, d, taps)
    e = d + np.convolve(reference, 0.9 * taps)[: len(d)]
    figures = anc_figures(d, e, RATE, wiener_error=best)
    steady = slice(10 * RATE, None)
    bound = wiener_bound_db(reference, d, 8, stretch=steady)
    # The bound is told with the DC, the figures without: 1/32000 of the energy.
    assert figures.wiener_db == pytest.approx(bound, abs=1e-3)
    reached = 10 * np.log10(np.sum(d[steady] ** 2) / np.sum(e[steady] ** 2))
    assert figures.wiener_gap_db == pytest.approx(bound - reached, abs=2e-3)
    # 1 + 0.04 over 0.04 = 14.1 dB is what the noise of the microphone leaves.
    assert figures.wiener_db == pytest.approx(10 * np.log10(1.04 / 0.04), abs=0.15)
    assert figures.wiener_third_octave_db.keys() == figures.steady_third_octave_db.keys()
    assert figures.wiener_a_weighted_db == pytest.approx(14.1, abs=1.0)

    given = anc_figures(d, e, RATE, wiener_db=bound)
    assert given.wiener_gap_db == pytest.approx(figures.wiener_gap_db, abs=1e-3)
    assert given.wiener_third_octave_db == {}


def test_without_a_bound_there_is_no_gap():
    figures = anc_figures(white(6), white(6) / 2, RATE)
    assert figures.wiener_db is None
    assert figures.wiener_gap_db is None
    assert "not given" in figures.null_reasons["wiener_gap_db"]


def test_the_effort_of_a_sine_that_is_clipped():
    d = white(6)
    drive = tones(6, {110: 1.0})
    figures = anc_figures(d, d / 2, RATE, drive=drive, saturation=np.sqrt(0.5))
    assert figures.drive_rms_dbfs == pytest.approx(-3.01, abs=0.01)
    assert figures.drive_peak_dbfs == pytest.approx(0.0, abs=0.01)
    # Above 1/sqrt(2) for half of the time: 90 of 180 degrees.
    assert figures.drive_saturated_share == pytest.approx(0.5, abs=0.01)

    limited = np.clip(drive, -0.5, 0.5).astype(np.float32)
    # Above 1/2 for two thirds of the time.
    share = anc_figures(d, d / 2, RATE, drive=limited, saturation=0.5).drive_saturated_share
    assert share == pytest.approx(2 / 3, abs=0.01)
    none = anc_figures(d, d / 2, RATE, drive=np.stack([drive, 0 * drive], axis=1))
    assert none.drive_saturated_share is None
    assert none.drive_rms_dbfs == pytest.approx(-6.02, abs=0.01)


def test_the_level_of_the_anti_noise():
    d = white(6, 2)
    figures = anc_figures(d, d / 2, RATE, anti_noise=-d / 2)
    assert figures.anti_noise_rms_dbfs == pytest.approx(10 * np.log10(np.mean((d / 2) ** 2)))


def test_misalignment_is_the_relative_distance_of_the_taps():
    d, true = white(2), np.array([1.0, -2.0, 2.0])
    figures = anc_figures(d, d / 2, RATE, taps=[1.0, -2.0, 2.0, 0.3], true_taps=true)
    assert figures.misalignment_db == pytest.approx(-20.0)  # 0.3 of 3
    assert anc_figures(d, d / 2, RATE, taps=0 * true, true_taps=true).misalignment_db == 0.0
    same = anc_figures(d, d / 2, RATE, taps=true, true_taps=true)
    assert same.misalignment_db is None
    assert "no difference" in same.null_reasons["misalignment_db"]
    for taps, why in ((np.inf * true, "not finite"), (1e10 * true, "above")):
        diverged = anc_figures(d, d / 2, RATE, taps=taps, true_taps=true)
        assert diverged.misalignment_db is None
        assert why in diverged.null_reasons["misalignment_db"]
    unknown = anc_figures(d, d / 2, RATE, taps=true, true_taps=0 * true)
    assert "0 throughout" in unknown.null_reasons["misalignment_db"]


# --------------------------------------------------------------------------- odd input


def check_whole(figures: AncFigures) -> None:
    """Everything that is null has a reason, and the record survives JSON."""
    values = figures.model_dump()
    for name, value in values.items():
        if value is None and name != "change_s":
            assert figures.null_reasons[name]
    for name in figures.null_reasons:
        assert values[name] in (None, {})
    text = figures.to_json()
    json.loads(text, parse_constant=pytest.fail)
    assert AncFigures.from_json(text) == figures


@pytest.mark.parametrize(
    ("d", "e", "why"),
    [
        (np.zeros(RATE), white(1), "the disturbance is digital silence"),
        (white(1), np.zeros(RATE), "nothing is left"),
        (np.zeros(0), np.zeros(0), "the disturbance is digital silence"),
        (np.ones(1), np.ones(1), "the disturbance is digital silence"),
        (white(1), np.full(RATE, np.nan), "8000 samples that are NaN"),
        (white(1), np.where(np.arange(RATE) == 5, np.inf, 0.1), "1 samples that are NaN"),
        (white(1), 1e200 * white(1), "too loud"),
        (np.zeros((0, 3)), np.zeros((0, 3)), "the disturbance is digital silence"),
    ],
)
def test_what_cannot_be_had_is_null_with_a_reason(d, e, why):
    figures = anc_figures(d, e, RATE)
    assert figures.cancellation_db is None
    assert why in figures.null_reasons["cancellation_db"]
    check_whole(figures)


def test_a_run_that_diverged_reads_as_such():
    d = white(2)
    figures = anc_figures(d, 1e20 * d, RATE)
    assert figures.cancellation_db == pytest.approx(-400.0)
    assert figures.worst_band_amplification_db == pytest.approx(400.0)
    check_whole(figures)


def test_the_record_is_whole_with_everything_given():
    d = white(14, 2)
    figures = anc_figures(
        d,
        d * linear_in_db(14, (0, 0), (1, 20), (14, 20))[:, np.newaxis],
        RATE,
        anti_noise=d,
        taps=np.ones(3),
        true_taps=np.zeros(3) + 2,
        drive=d,
        saturation=1.0,
        wiener_error=d / 20,
        change_s=6.0,
    )
    assert figures.null_reasons == {}
    check_whole(figures)


def wild(num_samples: int, mics: int, power: float, odd: list[float], seed: int) -> np.ndarray:
    """Return noise at 10**power with some of the values ``odd`` in it."""
    rng = np.random.default_rng(seed)
    signal = 10.0**power * rng.normal(size=(num_samples, mics))
    places = rng.integers(0, max(signal.size, 1), len(odd) if signal.size else 0)
    signal.ravel()[places] = odd[: len(places)]
    return signal


odd_values = st.lists(st.floats(), max_size=5)
powers = st.sampled_from([-1.0, 0.0]) | st.floats(-310.0, 305.0)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 3_000), st.integers(1, 3), powers, powers, odd_values, odd_values)
def test_any_signal_gives_a_whole_record(num_samples, mics, power_in, power_out, odd_in, odd_out):
    d = wild(num_samples, mics, power_in, odd_in, seed=1)
    e = wild(num_samples, mics, power_out, odd_out, seed=2)
    check_whole(anc_figures(d, e, 1_000, wiener_error=e / 2, drive=e, saturation=0.5))
    with np.errstate(over="ignore"):
        d, e = d.astype(np.float32), e.astype(np.float32)
    check_whole(anc_figures(d, e, 1_000, anti_noise=e))


@pytest.mark.parametrize("seconds", [0.01, 0.05, 0.2, 0.7, 1.0, 1.6])
def test_short_recordings_have_the_bands_they_can_resolve(seconds):
    d = white(seconds)
    figures = anc_figures(d, d / 2, RATE)
    check_whole(figures)
    assert all(v == pytest.approx(6.02, abs=0.01) for v in figures.steady_third_octave_db.values())
    lowest = next(iter(figures.steady_third_octave_db), None)
    if lowest is not None:
        steady_s = figures.duration_s - figures.steady_start_s
        # Two bins of the spectrum; a band may be named half a band (12 %) below what that gives.
        assert 0.23 * float(lowest) > 2 * 0.88 / min(steady_s, 0.5)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"error_signal": white(5)}, "must agree"),
        ({"error_signal": white(6, 2)}, "must agree"),
        ({"error_signal": np.zeros(6 * RATE, int)}, "floating point"),
        ({"disturbance": white(6).reshape(2, -1, 1)}, "must be floating point"),
        ({"anti_noise": white(5)}, "anti_noise"),
        ({"wiener_error": white(5)}, "wiener_error"),
        ({"wiener_error": white(6), "wiener_db": 3.0}, "give one"),
        ({"change_s": 6.0}, "within the recording"),
        ({"change_s": 0.0}, "within the recording"),
        ({"settle_s": 0.0}, "settle_s"),
        ({"settle_s": np.nan}, "settle_s"),
        ({"drive": white(6), "saturation": 0.0}, "saturation"),
        ({"taps": np.ones((2, 1, 3)), "true_taps": np.ones((3, 1, 3))}, "same pairs"),
        ({"sample_rate": 10}, "sample_rate"),
    ],
)
def test_what_does_not_fit_is_refused(more, message):
    call = {"disturbance": white(6), "error_signal": white(6), "sample_rate": RATE} | more
    with pytest.raises(InputError, match=message):
        anc_figures(**call)


def test_memory_does_not_grow_with_the_recording():
    peaks = []
    for seconds in (60, 240):
        d = np.tile(white(60).astype(np.float32), seconds // 60)
        e = d / 2
        tracemalloc.start()
        anc_figures(d, e, RATE, drive=d, saturation=1.0, anti_noise=d)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # 3 minutes more are 5.8 MB more of each signal; a flag a sample of one of them is 1.4 MB.
    assert peaks[1] - peaks[0] < 2e6
