"""Alarms, a room, noises and a voice for the tests of this folder: small, seeded, independent.

They are written anew and do not use ``anc_core.audio.synth``: a detector and a generator that
share a mistake would agree with each other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]


def _glide(frequency_hz: Signal, sample_rate: int) -> Signal:
    """Return sine plus weak odd harmonics that follow ``frequency_hz``; silent where it is 0."""
    phase = 2 * np.pi * np.cumsum(frequency_hz) / sample_rate
    return (np.sin(phase) + 0.2 * np.sin(3 * phase)) * (frequency_hz > 0)


def _soften(gate: Signal, sample_rate: int) -> Signal:
    """Return on/off ``gate`` with edges of 5 ms."""
    num = max(1, sample_rate // 200)
    return np.convolve(gate, np.ones(num) / num, mode="same")


def _pulses(
    duration_s: float, sample_rate: int, cycle_s: float, onsets_s: list[float], on_s: float
) -> Signal:
    time = np.arange(int(duration_s * sample_rate)) / sample_rate % cycle_s
    gate = np.zeros(len(time))
    for onset in onsets_s:
        gate[(time >= onset) & (time < onset + on_s)] = 1.0
    return _soften(gate, sample_rate)


def _carrier(
    frequency_hz: float, num_samples: int, sample_rate: int, *, square: bool = False
) -> Signal:
    angle = 2 * np.pi * frequency_hz * np.arange(num_samples) / sample_rate
    if not square:
        return np.sin(angle)
    highest = int(0.45 * sample_rate / frequency_hz)
    return np.sum([np.sin(k * angle) / k for k in range(1, highest + 1, 2)], axis=0)


def temporal_three(
    duration_s: float, sample_rate: int, *, carrier_hz: float = 3105.0, stretch: float = 1.0
) -> Signal:
    """ISO 8201: 0.5 s on, 0.5 s off, three times, then 1.5 s off; square below 600 Hz."""
    gate = _pulses(
        duration_s, sample_rate, 4 * stretch, [0, 1 * stretch, 2 * stretch], 0.5 * stretch
    )
    return gate * _carrier(carrier_hz, len(gate), sample_rate, square=carrier_hz < 600)


def temporal_four(duration_s: float, sample_rate: int, *, carrier_hz: float = 3200.0) -> Signal:
    """CO alarm: four beeps of 0.1 s, 0.1 s apart, then 5 s of silence."""
    gate = _pulses(duration_s, sample_rate, 5.7, [0, 0.2, 0.4, 0.6], 0.1)
    return gate * _carrier(carrier_hz, len(gate), sample_rate)


def chirp_of_a_low_battery(duration_s: float, sample_rate: int) -> Signal:
    """One beep of 0.1 s in the middle: no alarm."""
    time = np.arange(int(duration_s * sample_rate)) / sample_rate
    gate = _soften((np.abs(time - duration_s / 2) < 0.05).astype(float), sample_rate)
    return gate * _carrier(3100.0, len(gate), sample_rate)


def _struck(hertz: float, strokes_s: list[float], duration_s: float, sample_rate: int) -> Signal:
    """Return strokes on a bar that loses 60 dB in 2 s."""
    time = np.arange(int(duration_s * sample_rate)) / sample_rate
    sound = np.zeros(len(time))
    for at_s in strokes_s:
        since = np.maximum(time - at_s, 0.0)
        sound += (time >= at_s) * 10 ** (-1.5 * since) * np.sin(2 * np.pi * hertz * since)
    return sound


def doorbell(duration_s: float, sample_rate: int) -> Signal:
    """Three times two strokes, a second apart, once."""
    high = _struck(780.0, [1.0, 2.0, 3.0], duration_s, sample_rate)
    return high + _struck(620.0, [1.5, 2.5, 3.5], duration_s, sample_rate)


def oven(duration_s: float, sample_rate: int, *, num_beeps: int = 3) -> Signal:
    """Some equal beeps, half a second each, once: three are one exact cycle of T3."""
    time = np.arange(int(duration_s * sample_rate)) / sample_rate - 1.0
    gate = ((time >= 0) & (time < num_beeps) & (time % 1 < 0.47)).astype(float)
    return _soften(gate, sample_rate) * _carrier(2080.0, len(gate), sample_rate)


def wail(
    duration_s: float, sample_rate: int, *, period_s: float = 4.0, low=600.0, high=1500.0
) -> Signal:
    """Slow sweep up and down, straight in octaves."""
    time = np.arange(int(duration_s * sample_rate)) / sample_rate
    up = 1 - np.abs(1 - 2 * (time / period_s % 1))
    return _glide(low * (high / low) ** up, sample_rate)


def yelp(duration_s: float, sample_rate: int) -> Signal:
    """Fast sweep up and down, 190 cycles a minute."""
    return wail(duration_s, sample_rate, period_s=60 / 190, low=650.0, high=1450.0)


def hi_lo(
    duration_s: float, sample_rate: int, *, tones_hz=(450.0, 600.0), each_s: float = 0.5
) -> Signal:
    """Two fixed tones in turn."""
    time = np.arange(int(duration_s * sample_rate)) / sample_rate
    return _glide(np.where(time / each_s % 2 < 1, tones_hz[1], tones_hz[0]), sample_rate)


def slow_whoop(duration_s: float, sample_rate: int) -> Signal:
    """NEN 2575: 500 to 1200 Hz in 3.5 s, 0.5 s pause."""
    place = np.arange(int(duration_s * sample_rate)) / sample_rate % 4.0
    return _glide(np.where(place < 3.5, 500 + 200 * place, 0.0), sample_rate)


def din_sweep(duration_s: float, sample_rate: int) -> Signal:
    """DIN 33404-3: 1200 to 500 Hz every second."""
    place = np.arange(int(duration_s * sample_rate)) / sample_rate % 1.0
    return _glide(1200.0 - 700 * place, sample_rate)


def sounder(duration_s: float, sample_rate: int) -> Signal:
    """BS 5839: 970 Hz without a break."""
    return _carrier(970.0, int(duration_s * sample_rate), sample_rate)


ALARMS: dict[str, Callable[[float, int], Signal]] = {
    "T3 3105 Hz": temporal_three,
    "T3 520 Hz square": lambda d, r: temporal_three(d, r, carrier_hz=520.0),
    "T3 970 Hz, 8 % slow": lambda d, r: temporal_three(d, r, carrier_hz=970.0, stretch=1.08),
    "T4": temporal_four,
    "wail": wail,
    "yelp": yelp,
    "hi-lo": hi_lo,
    "slow whoop": slow_whoop,
    "DIN sweep": din_sweep,
    "970 Hz": sounder,
}


def in_a_room(dry: Signal, sample_rate: int, rng: np.random.Generator, *, t60_s=0.4) -> Signal:
    """Return ``dry`` with a diffuse tail, 6 dB below the direct sound in all."""
    num = int(t60_s * sample_rate)
    tail = rng.standard_normal(num) * 10 ** (-3 * np.arange(num) / num)
    tail *= 0.5 / np.sqrt(np.sum(tail**2))
    tail[0] += 1.0
    length = len(dry) + num
    return np.fft.irfft(np.fft.rfft(dry, length) * np.fft.rfft(tail, length), length)[: len(dry)]


def pink_noise(num_samples: int, rng: np.random.Generator) -> Signal:
    """Return noise whose power falls with 3 dB an octave, RMS 1."""
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    noise = np.fft.irfft(spectrum, num_samples)
    return noise / np.sqrt(np.mean(noise**2))


def voice(duration_s: float, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Return syllables: 30 harmonics under moving formants, gliding pitch, pauses, RMS 1."""
    num = int(duration_s * sample_rate)
    time = np.arange(num) / sample_rate

    def wandering(low: float, high: float, rate_hz: float) -> Signal:
        knots = rng.uniform(low, high, int(duration_s * rate_hz) + 2)
        return np.interp(time * rate_hz, np.arange(len(knots)), knots)

    pitch = wandering(90, 240, 2.0) * (1 + 0.01 * wandering(-1, 1, 20))
    phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
    formants = [(wandering(300, 800, 4.0), 90.0), (wandering(900, 2300, 4.0), 120.0)]
    total = np.zeros(num)
    for k in range(1, 31):
        weight = np.full(num, 0.02)
        for centre, width in formants:
            weight += 1.0 / (1.0 + ((k * pitch - centre) / width) ** 2)
        total += weight * np.sin(k * phase) * (k * pitch < 0.45 * sample_rate)
    total *= np.clip(3 * np.sin(2 * np.pi * wandering(2.0, 2.2, 1.0) * time), 0, 1)
    return total / np.sqrt(np.mean(total**2))


def at_snr(signal: Signal, noise: Signal, snr_db: float) -> NDArray[np.float32]:
    """Return the mixture; the SNR counts the power while the alarm sounds."""
    active = np.abs(signal) > 0.05 * np.max(np.abs(signal))
    loudness = np.sqrt(np.mean(signal[active] ** 2) / np.mean(noise**2))
    mixture = signal + noise * loudness * 10 ** (-snr_db / 20)
    return (0.3 * mixture / np.max(np.abs(mixture))).astype(np.float32)
