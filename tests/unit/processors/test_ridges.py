"""What is given back on ridges, with an inner processor that is easily told from the input."""

from __future__ import annotations

import numpy as np
import pytest

from anc_core.audio.synth import alarm, noise
from anc_core.emergency import AlarmDetector
from anc_core.emergency.base import RidgePoints
from anc_core.presets import SuppressionParameters
from anc_core.processors import EmergencyGuard, FixedIntervals, Suppressor
from anc_core.processors.ridges import RidgeGuard
from tests.strategies import run, run_aligned

RATE = 16_000
FRAMES_S = np.arange(0.0, 3.0, 1 / 64)


class Fader:
    """An inner processor with one gain for everything."""

    def __init__(self, gain: float, num_channels: int = 1, latency: int = 0):
        self.gain, self.num_channels, self.latency = np.float32(gain), num_channels, latency
        self.reset()

    def process(self, chunk):
        output = np.concatenate([self._late, self.gain * chunk])
        self._late = output[len(chunk) :]
        return output[: len(chunk)]

    def flush(self):
        rest, _ = self._late, self.reset()
        return rest

    def reset(self):
        self._late = np.zeros((self.latency, self.num_channels), np.float32)


class Ridge:
    """A ridge at one pitch and one slope."""

    look_ahead_s, decided_s = 0.0, np.inf

    def __init__(self, start_s: float, stop_s: float, hertz: float, slope: float = 0.0):
        time_s = FRAMES_S[(start_s <= FRAMES_S) & (stop_s > FRAMES_S)]
        pitch = np.log2(hertz) + slope * (time_s - start_s)
        self._points = RidgePoints(time_s, pitch, np.full(len(time_s), slope))

    def within(self, start_s, stop_s):
        p = self._points
        is_in = (p.time_s >= start_s) & (p.time_s < stop_s)
        return RidgePoints(p.time_s[is_in], p.pitch[is_in], p.slope[is_in])


def tone(hertz: float, rate: int = RATE) -> np.ndarray:
    return 0.1 * np.sin(2 * np.pi * hertz * np.arange(3 * rate) / rate)[:, np.newaxis]


def level_db(output: np.ndarray, original: np.ndarray, start_s: float, stop_s: float, rate=RATE):
    part = slice(int(start_s * rate), int(stop_s * rate))
    return 10 * np.log10(np.sum(output[part] ** 2) / np.sum(original[part] ** 2))


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 96_000])
@pytest.mark.parametrize("gain", [0.0, 0.3, 0.6, 0.8, 0.9])
def test_a_tone_on_a_ridge_loses_less_than_a_decibel(rate, gain):
    signal = tone(1_003.0, rate).astype(np.float32)
    guard = RidgeGuard(Fader(gain), Ridge(1.0, 2.0, 1_003.0), rate)
    output = run_aligned(guard, [signal])
    assert level_db(output, signal, 1.0, 2.0, rate) > -1.0
    # Before and after, where no window reaches from the ridge.
    part = slice(0, int(0.9 * rate))
    np.testing.assert_array_equal(output[part], np.float32(gain) * signal[part])
    assert 1.0 <= guard.restored_s <= 1.15


@pytest.mark.parametrize("slope", [-5.0, -2.0, 1.0, 3.0, 6.0])
def test_a_sweep_on_a_ridge_loses_less_than_a_decibel(slope):
    pitch = 10.0 + slope * (np.arange(3 * RATE) / RATE - 1.5) * 0.3
    signal = 0.1 * np.sin(2 * np.pi * np.cumsum(2.0**pitch) / RATE)[:, np.newaxis]
    ridge = Ridge(1.0, 2.0, 2.0 ** pitch[RATE], 0.3 * slope)
    output = run_aligned(RidgeGuard(Fader(0.01), ridge, RATE), [signal.astype(np.float32)])
    assert level_db(output, signal, 1.05, 1.95) > -1.0


def test_what_lies_beside_the_ridge_is_not_given_back():
    signal = (tone(1_000.0) + tone(1_200.0)).astype(np.float32)
    output = run_aligned(RidgeGuard(Fader(0.0), Ridge(0.0, 3.0, 1_000.0), RATE), [signal])
    expected = tone(1_000.0)
    assert level_db(output - expected, signal, 0.5, 2.5) < -25.0


def test_where_the_inner_processor_keeps_the_ridge_its_output_passes_bit_for_bit():
    signal = tone(1_000.0).astype(np.float32)
    guard = RidgeGuard(Fader(0.95), Ridge(0.0, 3.0, 1_000.0), RATE)
    np.testing.assert_array_equal(run_aligned(guard, [signal]), np.float32(0.95) * signal)
    assert (guard.restored_s, guard.restored_share) == (0.0, 0.0)


def test_a_ridge_is_one_in_all_channels_and_each_gets_what_it_lacks():
    signal = np.hstack([tone(1_000.0), 0.5 * tone(1_000.0), 0.0 * tone(1_000.0)])
    guard = RidgeGuard(Fader(0.0, 3), Ridge(0.0, 3.0, 1_000.0), RATE)
    output = run_aligned(guard, [signal.astype(np.float32)])
    for channel in (0, 1):
        assert level_db(output[:, channel], signal[:, channel], 0.2, 2.8) > -0.5
    assert not output[:, 2].any()


@pytest.mark.parametrize("latency", [0, 1, 700, 9_000])
def test_any_split_and_any_delay_inside_give_the_same(latency):
    signal = np.random.default_rng(2).normal(0, 0.1, (3 * RATE - 77, 2)).astype(np.float32)
    source = Ridge(0.3, 2.9, 700.0, 0.5)
    whole = run_aligned(RidgeGuard(Fader(0.1, 2), source, RATE), [signal])
    late = RidgeGuard(Fader(0.1, 2, latency), source, RATE)
    cuts = np.cumsum([0, 1, 0, 255, 256, 257, 4_096, 20_000])
    for _ in range(2):  # what follows a flush is a new stream
        parts = run_aligned(late, np.split(signal, cuts))
        np.testing.assert_array_equal(parts.view(np.int32), whole.view(np.int32))
    assert run(late, [signal]).shape == (len(signal) + late.latency, 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38, 1e-40])
def test_only_finite_samples_come_out(bad):
    signal = tone(1_000.0).astype(np.float32)
    signal[9_000:9_100] = bad
    for gain in (0.0, 1.0):
        output = run_aligned(RidgeGuard(Fader(gain), Ridge(0.0, 3.0, 1_000.0), RATE), [signal])
        assert np.isfinite(output).all()


def test_memory_is_constant():
    guard = RidgeGuard(Fader(0.0), Ridge(0.0, 3.0, 1_000.0), RATE)
    for _ in range(60):
        guard.process(tone(1_000.0)[: RATE // 2].astype(np.float32))
        assert len(guard._original) <= 2 * RATE


# --------------------------------------------------------------------------- the whole layer

BARE = SuppressionParameters(do_no_harm=False)


class Layer(EmergencyGuard):
    """Ridges alone: what the detector recognises does not pass."""

    def __init__(self, inner, rate, width=1, **how):
        detector = AlarmDetector(rate, width, keep_ridges=True, **how)
        detector.protected = lambda start, stop: []  # type: ignore[method-assign]
        super().__init__(inner, detector, sample_rate=rate)


def loss_db(siren, mixture, output) -> float:
    """Return what was taken of ``siren``: noise does not count, it is like nothing else."""
    kept = 1.0 - np.sum(siren * (mixture - output)) / np.sum(siren**2)
    return float(20 * np.log10(max(kept, 1e-3)))


@pytest.mark.parametrize("method", ["neural", "spectral"])
@pytest.mark.parametrize("kind", ["wail", "slow_whoop", "hi_lo", "t3_3100"])
def test_sirens_in_noise_stay_without_being_recognised(kind, method):
    siren = alarm(kind, 9.0, RATE, seed=4)[:, np.newaxis]
    mixture = siren + noise("pink", 9.0, RATE, seed=5, level_dbfs=-20.0)[:, np.newaxis]
    inner = Suppressor(RATE, parameters=BARE, method=method)
    kept = run_aligned(Layer(inner, RATE), [mixture])
    # Both as loud; measured -0.6 dB at worst; without the layer the neural engine takes 39 dB.
    assert loss_db(siren, mixture, kept) > -1.0


def test_hardly_anything_of_noise_is_taken_for_a_ridge():
    hiss = noise("pink", 9.0, RATE, seed=7)[:, np.newaxis]
    inner = Fader(0.0)
    # Measured 0.0026 of the power.
    assert np.sum(run_aligned(Layer(inner, RATE), [hiss]) ** 2) < 0.006 * np.sum(hiss**2)


def test_a_guard_without_ridges_gives_none_back():
    guard = EmergencyGuard(Fader(0.0), FixedIntervals([]), sample_rate=RATE)
    assert not run_aligned(guard, [tone(1_000.0).astype(np.float32)]).any()
    assert (guard.restored_s, guard.restored_share) == (0.0, 0.0)
