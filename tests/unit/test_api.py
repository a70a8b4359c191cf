from __future__ import annotations

import numpy as np
import pytest

from anc_core.api import cancel, cancel_tones, suppress
from anc_core.errors import InputError

RATE = 16_000


def noise(*shape, seed=1):
    return np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(0,), (1,), (300,), (20_000,), (0, 2), (1, 3), (20_000, 2)])
def test_suppress_returns_the_shape_it_was_given(shape):
    output = suppress(noise(*shape), RATE)
    assert output.shape == shape
    assert output.dtype == np.float32


def test_suppress_takes_double_precision():
    audio = noise(5_000)
    np.testing.assert_array_equal(suppress(audio.astype(np.float64), RATE), suppress(audio, RATE))


def test_suppress_makes_noise_quieter_and_strength_says_how_much():
    audio = noise(3 * RATE)
    rms = [np.std(suppress(audio, RATE, method="spectral", strength=s)) for s in (0.0, 0.5, 1.0)]
    assert rms[0] == np.std(audio)
    # 0, 9 and 18 dB at most
    assert rms[0] / rms[1] == pytest.approx(10 ** (9 / 20), rel=0.05)
    assert rms[0] / rms[2] == pytest.approx(10 ** (18 / 20), rel=0.1)


def test_suppress_refuses_integers_whose_full_scale_nobody_knows():
    with pytest.raises(InputError, match="int16"):
        suppress(np.zeros(100, np.int16), RATE)


def test_cancel_splits_the_primary_into_error_and_anti_noise():
    reference = noise(2 * RATE)
    primary = np.convolve(reference, [0.5, 0.3, -0.2])[: len(reference)].astype(np.float32)
    result = cancel(primary, reference, RATE)
    assert result.error_signal.shape == result.anti_noise.shape == primary.shape
    np.testing.assert_allclose(primary + result.anti_noise, result.error_signal, atol=1e-7)
    energy_ratio = np.sum(primary.astype(float) ** 2) / np.sum(
        result.error_signal.astype(float) ** 2
    )
    assert result.cancellation_db == pytest.approx(10 * np.log10(energy_ratio))
    assert result.cancellation_db > 15.0


def test_cancel_keeps_channels():
    result = cancel(noise(1_000, 2), noise(1_000, 3, seed=2), RATE, num_taps=4)
    assert result.error_signal.shape == (1_000, 2)


@pytest.mark.parametrize("num_samples", [0, 1, 100])
def test_cancellation_of_silence_is_not_a_number(num_samples):
    silence = np.zeros(num_samples, np.float32)
    result = cancel(silence, silence, RATE)
    assert result.cancellation_db is None
    assert result.error_signal.shape == silence.shape


def test_cancel_stays_finite_on_non_finite_input():
    primary, reference = noise(1_000), noise(1_000, seed=2)
    primary[3], reference[500] = np.nan, np.inf
    result = cancel(primary, reference, RATE)
    assert np.isfinite(result.error_signal).all()
    assert np.isfinite(result.anti_noise).all()


def test_a_reference_may_be_shorter_or_longer_than_the_primary():
    reference = noise(3 * RATE)
    primary = np.convolve(reference, [0.5, 0.3, -0.2])[: 2 * RATE].astype(np.float32)
    longer = cancel(primary, reference, RATE)
    shorter = cancel(primary, reference[:RATE], RATE)
    assert longer.error_signal.shape == shorter.error_signal.shape == primary.shape
    assert np.std(longer.error_signal[RATE:]) < 0.1 * np.std(primary[RATE:])
    # Where nothing was heard nothing is subtracted, once the filter's 0.5 s have passed.
    np.testing.assert_allclose(shorter.error_signal[-4_000:], primary[-4_000:], atol=1e-6)


@pytest.mark.parametrize("delay", [-12_000, -500, 0, 12_000])
def test_the_reference_is_put_in_its_place(delay):
    heard = noise(4 * RATE)
    reference = np.roll(heard, -delay)  # negative: late
    primary = np.convolve(heard, [0.5, 0.3, -0.2])[: len(heard)].astype(np.float32)
    result = cancel(primary, reference, RATE)
    assert result.alignment.is_found
    assert result.alignment.delay_s == pytest.approx(delay / RATE, abs=1e-3)
    inner = slice(RATE, 3 * RATE)
    assert np.std(result.error_signal[inner]) < 0.1 * np.std(primary[inner])


def test_a_reference_of_another_rate_is_resampled():
    reference = noise(2 * RATE)
    primary = np.convolve(reference, [0.5, 0.3, -0.2])[: len(reference)].astype(np.float32)
    lowpassed = cancel(primary[::1], np.repeat(reference, 2), RATE, reference_rate=2 * RATE)
    # Repeated samples are the reference through a hold of half a sample: the filter undoes it.
    assert lowpassed.cancellation_db > 10.0


def test_cancel_refuses_unknown_algorithms():
    with pytest.raises(InputError, match=r"'magic' is unknown; choose one of kalman"):
        cancel(noise(10), noise(10), RATE, algorithm="magic")


def hum(num_samples, hz=(50.3, 100.6), seed=2):
    t = np.arange(num_samples) / RATE
    phases = np.random.default_rng(seed).uniform(0, 6, len(hz))
    tones = [0.1 * np.sin(2 * np.pi * f * t + phi) for f, phi in zip(hz, phases, strict=True)]
    return np.sum(tones, axis=0).astype(np.float32)


def test_tones_go_and_what_lies_beside_them_stays():
    voice = noise(10 * RATE)[:, np.newaxis] * np.float32([1.0, 0.5])
    both = voice + np.stack([hum(len(voice)), hum(len(voice), (50.3, 101.0), seed=3)], axis=1)
    result = cancel_tones(both, RATE, [50.0, 100.0], bandwidth_hz=2.0)
    np.testing.assert_allclose(result.error_signal, both + result.anti_noise, atol=1e-7)
    late = slice(2 * RATE, None)
    left = result.error_signal[late] - voice[late]
    before = both[late] - voice[late]
    # Of noise a notch of 2 Hz takes as little as there is in it.
    assert (10 * np.log10(np.sum(before**2, axis=0) / np.sum(left**2, axis=0)) > 25.0).all()
    assert result.cancellation_db == pytest.approx(
        10 * np.log10(np.sum(both**2) / np.sum(result.error_signal**2)), abs=0.01
    )


@pytest.mark.parametrize("shape", [(0,), (1,), (300,), (300, 2)])
def test_tones_are_cancelled_in_any_shape(shape):
    result = cancel_tones(noise(*shape), RATE, 50.0)
    assert result.error_signal.shape == result.anti_noise.shape == shape
    assert result.error_signal.dtype == np.float32


def test_tones_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="below 8000 Hz"):
        cancel_tones(noise(10), RATE, [9_000.0])
