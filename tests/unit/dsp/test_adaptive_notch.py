from __future__ import annotations

import numpy as np
import pytest

from anc_core.dsp.adaptive_notch import ToneNotch
from anc_core.errors import InputError

RATE = 8_000


def tone(hz, seconds, amplitude=0.5):
    """Return a tone whose frequency moves from ``hz[0]`` to ``hz[1]``."""
    course = np.linspace(*hz, round(seconds * RATE))
    return amplitude * np.sin(2 * np.pi * np.cumsum(course) / RATE)


def db(numerator, denominator):
    return 10 * np.log10(np.mean(np.square(numerator)) / np.mean(np.square(denominator)))


def test_tones_disappear_and_noise_stays():
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.1, 6 * RATE)
    primary = tone((100, 100), 6) + tone((431, 431), 6, 0.2) + noise
    notch = ToneNotch([100, 431], RATE)
    output = notch.process(primary)
    # Two notches of 2 Hz out of 4 000 Hz, and their own noise.
    assert abs(db(output[3 * RATE :], noise[3 * RATE :])) < 0.1
    np.testing.assert_allclose(notch.amplitudes, [0.5, 0.2], atol=0.02)
    np.testing.assert_allclose(notch.frequencies_hz, [100, 431], atol=0.05)


def test_notch_is_as_wide_as_asked_for():
    # 3 dB at half the bandwidth beside the tone; the frequency is held.
    for offset_hz, attenuation_db in ((0.0, 60.0), (5.0, 3.0), (50.0, 0.05)):
        signal = tone((1_000 + offset_hz,) * 2, 3)
        notch = ToneNotch([1_000], RATE, bandwidth_hz=10.0, drift_hz=0.0)
        measured = db(signal[RATE:], notch.process(signal)[RATE:])
        if offset_hz:
            assert measured == pytest.approx(attenuation_db, abs=0.15)
        else:
            assert measured > attenuation_db


def test_a_slow_drift_is_followed_far_beyond_the_bandwidth():
    signal = tone((200, 230), 30)
    following = ToneNotch([200], RATE, bandwidth_hz=4.0)
    fixed = ToneNotch([200], RATE, bandwidth_hz=4.0, drift_hz=0.0)
    output = following.process(signal)
    assert db(signal[RATE:], output[RATE:]) > 20.0
    assert following.frequencies_hz[0] == pytest.approx(230, abs=1.0)
    assert db(signal[15 * RATE :], fixed.process(signal)[15 * RATE :]) < 1.0


def test_a_tone_off_its_frequency_is_found():
    signal = tone((51.5, 51.5), 12) + np.random.default_rng(2).normal(0, 0.1, 12 * RATE)
    notch = ToneNotch([50.0], RATE)
    notch.process(signal)
    assert notch.frequencies_hz[0] == pytest.approx(51.5, abs=0.1)


def test_a_frequency_never_leaves_its_band():
    notch = ToneNotch([50.0, 3_999.0], RATE, drift_hz=3.0)
    notch.process(np.random.default_rng(3).normal(size=20 * RATE))
    assert np.all(np.abs(notch.frequencies_hz - [50.0, 3_999.0]) <= 3.0 + 1e-9)
    assert np.all(notch.frequencies_hz < RATE / 2)


def broken_scene():
    signal = tone((120, 121), 3) + np.random.default_rng(4).normal(0, 0.05, 3 * RATE)
    signal[3_000], signal[9_000] = np.nan, 1e30
    signal[12_000:12_500] = 0.0
    signal[15_000:18_000] *= 1e-6
    return signal


def test_any_chunking_gives_the_same_output_bit_for_bit():
    signal = broken_scene()
    whole = ToneNotch([120, 700], RATE)
    expected = whole.process(signal)
    events = whole.drain_events()
    assert events
    for size in (1, 7, 64, 480, 4_096):
        one = ToneNotch([120, 700], RATE)
        parts = [one.process(signal[a : a + size]) for a in range(0, len(signal), size)]
        np.testing.assert_array_equal(np.concatenate(parts), expected)
        assert one.drain_events() == events


def test_it_goes_on_from_a_saved_state_bit_for_bit():
    signal = broken_scene()
    one, other = (ToneNotch([120, 700], RATE) for _ in range(2))
    one.process(signal[:10_001])
    other.load(one.state())
    np.testing.assert_array_equal(other.process(signal[10_001:]), one.process(signal[10_001:]))
    with pytest.raises(InputError, match="state 'tones' is float64"):
        ToneNotch([120], RATE).load(one.state())


def test_whatever_comes_in_the_output_is_finite_and_bounded():
    rng = np.random.default_rng(5)
    for _ in range(20):
        signal = tone((120, 121), 2) + rng.normal(0, 0.1, 2 * RATE)
        for start in range(0, len(signal), 1_000):
            signal[start : start + 1_000] *= 10.0 ** rng.uniform(-8, 4) * rng.integers(0, 2)
        signal[rng.integers(0, len(signal), 5)] = np.nan
        signal[rng.integers(0, len(signal), 5)] = np.inf
        notch = ToneNotch([120], RATE, bandwidth_hz=20.0)
        output = notch.process(signal.astype(np.float32))
        assert output.dtype == np.float32
        assert np.isfinite(output).all()
        peak = 0.0
        for d, e in zip(np.nan_to_num(signal, nan=0, posinf=0), output, strict=True):
            peak = max(abs(d), np.exp(-1 / 400) * peak)
            assert abs(e) <= 2 * peak * (1 + 1e-6)


def test_a_tone_that_stops_is_not_heard_again():
    signal = tone((120, 120), 4)
    signal[2 * RATE :] = np.random.default_rng(6).normal(0, 1e-3, 2 * RATE)
    output = ToneNotch([120], RATE, bandwidth_hz=0.5).process(signal)
    assert np.abs(output[2 * RATE + 1_600 :]).max() < 0.02


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frequencies_hz": []}, r"frequencies_hz has shape \(0,\)"),
        ({"frequencies_hz": [50, 4_000]}, r"a frequency is 4000\.0 Hz; .* below 4000 Hz"),
        ({"frequencies_hz": [float("nan")]}, "a frequency is nan Hz"),
        ({"bandwidth_hz": 0.0}, r"bandwidth_hz is 0\.0; .* at most 400 Hz"),
        ({"drift_hz": -1.0}, r"drift_hz is -1\.0"),
        ({"sample_rate": 5}, "sample_rate is 5"),
    ],
)
def test_a_bad_parameter_is_named_with_its_value(arguments, message):
    with pytest.raises(InputError, match=message):
        ToneNotch(**{"frequencies_hz": [50], "sample_rate": RATE, **arguments})


def test_primary_must_be_one_line_of_floating_point_numbers():
    with pytest.raises(InputError, match=r"primary is int64 \(4,\)"):
        ToneNotch([50], RATE).process(np.arange(4))
