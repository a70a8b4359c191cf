"""Alarms and sirens with the rhythm, pitch and timbre that their standards ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anc_core.audio.synth.signals import (
    Audio,
    Samples,
    Seed,
    at_level,
    count_samples,
    from_db,
    rms,
    time_axis,
)
from anc_core.errors import InputError

if TYPE_CHECKING:
    from anc_core.audio.synth.passing import PassBy
    from anc_core.records import Interval

_PITCH_GRID_HZ = 8_000.0
_BAND_LIMIT = 0.45  # of the sample rate: room for the rolloff of whatever converter comes next
_EDGE_S = 0.005  # a piezo or horn is at full level within a few milliseconds

Pitch = Callable[[Samples, np.random.Generator], Samples]
"""(instants in s, randomness of this unit) -> frequency of the fundamental in Hz."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sounder:
    """One kind of alarm: its rhythm, its pitch and its timbre."""

    beeps: tuple[Interval, ...]
    """On-times within a cycle, in s; empty = it never pauses."""
    cycle_s: float
    pitch: Pitch
    highest_hz: float
    """Top of the fundamental, tolerance included."""
    harmonics_db: tuple[float | None, ...]
    """Levels of the harmonics 1, 2, 3, ... as the driver sends them."""
    band_hz: tuple[float, float]
    """Where the transducer radiates; 12 dB an octave beyond."""


def _steady(frequency_hz: float, tolerance: float) -> Pitch:
    def pitch(time_s: Samples, rng: np.random.Generator) -> Samples:
        return np.full_like(time_s, frequency_hz * (1.0 + tolerance * rng.uniform(-1.0, 1.0)))

    return pitch


def _sweep(low_hz: float, high_hz: float, cycles_per_min: Interval, rise: float) -> Pitch:
    """Return the swing of an electronic siren: a capacitor charged and discharged, in log pitch."""
    bend = 1.2  # curvature of the charging curve, read off spectrograms of real sirens

    def pitch(time_s: Samples, rng: np.random.Generator) -> Samples:
        rate_hz = rng.uniform(*cycles_per_min) / 60.0
        low, high = low_hz * rng.uniform(0.95, 1.05), high_hz * rng.uniform(0.95, 1.05)
        place = np.mod(time_s * rate_hz, 1.0)
        part = np.where(place < rise, place / rise, (place - rise) / (1.0 - rise))
        curve = -np.expm1(-bend * part) / -np.expm1(-bend)
        height = np.where(place < rise, curve, 1.0 - curve)
        frequency_hz: Samples = low * (high / low) ** height
        return frequency_hz

    return pitch


def _two_tones(low_hz: float, high_hz: float, tone_s: float) -> Pitch:
    def pitch(time_s: Samples, rng: np.random.Generator) -> Samples:
        detune = 1.0 + 0.01 * rng.uniform(-1.0, 1.0)
        second = np.mod(time_s, 2.0 * tone_s) >= tone_s
        return detune * np.where(second, high_hz, low_hz)

    return pitch


def _whoop(low_hz: float, high_hz: float, sweep_s: float, cycle_s: float) -> Pitch:
    def pitch(time_s: Samples, _rng: np.random.Generator) -> Samples:
        part = np.minimum(np.mod(time_s, cycle_s) / sweep_s, 1.0)
        return low_hz + (high_hz - low_hz) * part

    return pitch


def _square(num_harmonics: int) -> tuple[float | None, ...]:
    """Return the levels of a square wave: odd harmonics at 1/k."""
    orders = range(1, num_harmonics + 1)
    return tuple(-20.0 * float(np.log10(k)) if k % 2 else None for k in orders)


_T3_BEEPS = ((0.0, 0.5), (1.0, 1.5), (2.0, 2.5))  # ISO 8201 / NFPA 72: then 1.5 s of silence
_T4_BEEPS = ((0.0, 0.1), (0.2, 0.3), (0.4, 0.5), (0.6, 0.7))  # UL 2034: then 5 s of silence
_PIEZO_DB = (0.0, -24.0, -14.0, -34.0, -26.0)
_HORN_DB = (0.0, -9.0, -8.0, -15.0, -14.0, -19.0, -19.0, -23.0, -23.0, -26.0, -27.0, -29.0)
_TRUMPET_DB = (-6.0, -2.0, 0.0, -2.0, -5.0, -8.0, -11.0, -14.0, -17.0, -20.0, -23.0, -26.0)
_SIREN_BAND_HZ = (500.0, 4_000.0)

_SOUNDERS = {
    "t3_3100": _Sounder(
        beeps=_T3_BEEPS,
        cycle_s=4.0,
        pitch=_steady(3_100.0, 0.01),
        highest_hz=3_131.0,
        harmonics_db=_PIEZO_DB,
        band_hz=(1_000.0, 12_000.0),
    ),
    # NFPA 72 (2010): a square wave of 520 Hz +-10 % wakes sleepers, children above all.
    "t3_520": _Sounder(
        beeps=_T3_BEEPS,
        cycle_s=4.0,
        pitch=_steady(520.0, 0.02),
        highest_hz=531.0,
        harmonics_db=_square(31),
        band_hz=(200.0, 8_000.0),
    ),
    "t4": _Sounder(
        beeps=_T4_BEEPS,
        cycle_s=5.7,
        pitch=_steady(3_200.0, 0.03),
        highest_hz=3_296.0,
        harmonics_db=_PIEZO_DB,
        band_hz=(1_000.0, 12_000.0),
    ),
    "wail": _Sounder(
        beeps=(),
        cycle_s=0.0,
        pitch=_sweep(750.0, 1_600.0, (11.0, 20.0), 0.35),
        highest_hz=1_680.0,
        harmonics_db=_HORN_DB,
        band_hz=_SIREN_BAND_HZ,
    ),
    "yelp": _Sounder(
        beeps=(),
        cycle_s=0.0,
        pitch=_sweep(750.0, 1_650.0, (160.0, 240.0), 0.45),
        highest_hz=1_733.0,
        harmonics_db=_HORN_DB,
        band_hz=_SIREN_BAND_HZ,
    ),
    # DIN 14610: a fourth apart within 360-630 Hz, low-high-low-high in 3 s +-0.5 s.
    "hi_lo": _Sounder(
        beeps=(),
        cycle_s=1.5,
        pitch=_two_tones(440.0, 585.0, 0.75),
        highest_hz=591.0,
        harmonics_db=_TRUMPET_DB,
        band_hz=(300.0, 5_000.0),
    ),
    # NEN 2575: 500 to 1200 Hz in 3.5 s, then 0.5 s of silence.
    "slow_whoop": _Sounder(
        beeps=((0.0, 3.5),),
        cycle_s=4.0,
        pitch=_whoop(500.0, 1_200.0, 3.5, 4.0),
        highest_hz=1_200.0,
        harmonics_db=_square(15),
        band_hz=(400.0, 6_000.0),
    ),
}

ALARM_KINDS = tuple(_SOUNDERS)
"""Names that :func:`alarm` knows."""


def alarm(
    kind: str,
    duration_s: float,
    sample_rate: int,
    *,
    seed: Seed = 0,
    level_dbfs: float = -20.0,
    doppler: PassBy | None = None,
) -> Audio:
    """Sound an alarm that begins at the first sample.

    Parameters
    ----------
    kind : str
        One of :data:`ALARM_KINDS`.
    duration_s : float
        Length in s.
    sample_rate : int
        Hz; at least twice the pitch and some more (about 7 kHz for a 3.1 kHz sounder).
    seed : int or Generator
        Varies pitch and sweep within the standard; the rhythm of the beeps is exact.
    level_dbfs : float
        RMS over the on-times, full-scale square = 0.
    doppler : PassBy, optional
        The source drives past; default: it stands still. The pauses then shift a little too.

    Returns
    -------
    ndarray of float32, shape (num_samples,)
        Digital silence in the pauses; harmonics end below 0.45 of the sample rate.

    Raises
    ------
    InputError
        If the kind is unknown or its pitch does not fit the sample rate.

    References
    ----------
    ISO 8201:2017; NFPA 72; UL 2034; 13 CCR 1021; DIN 14610; NEN 2575. Sweep curves and harmonics of
    sirens as in spectrograms of UrbanSound8K.
    """
    sounder = _sounder(kind)
    num_samples = count_samples(duration_s, sample_rate)
    _check_band(kind, sounder, sample_rate)
    rng = np.random.default_rng(seed)
    time_s = time_axis(num_samples, sample_rate)
    distance_gain = np.ones(num_samples)
    if doppler is not None:
        time_s = doppler.emission_time(time_s)
        distance_gain = doppler.loudness(time_s)
        time_s = time_s - time_s[0]
    envelope = _envelope(sounder, time_s) * distance_gain
    samples = _tone(sounder, time_s, sample_rate, rng) * envelope
    return at_level(samples, level_dbfs, reference_rms=rms(samples[envelope > 0.0]))


def alarm_on_intervals(kind: str, duration_s: float) -> list[Interval]:
    """Return when :func:`alarm` sounds (source at rest): [(start_s, end_s), ...] within the length.

    Sirens that never pause give one interval.

    Examples
    --------
    >>> alarm_on_intervals("t3_3100", 3.0)
    [(0.0, 0.5), (1.0, 1.5), (2.0, 2.5)]
    """
    sounder = _sounder(kind)
    count_samples(duration_s, 1_000)
    if not sounder.beeps:
        return [(0.0, float(duration_s))]
    num_cycles = int(duration_s / sounder.cycle_s) + 1
    every = [
        (cycle * sounder.cycle_s + start, cycle * sounder.cycle_s + end)
        for cycle in range(num_cycles)
        for start, end in sounder.beeps
    ]
    return [(start, min(end, float(duration_s))) for start, end in every if start < duration_s]


def _sounder(kind: str) -> _Sounder:
    if kind not in _SOUNDERS:
        msg = f"alarm kind {kind!r} is unknown; choose one of {', '.join(ALARM_KINDS)}"
        raise InputError(msg)
    return _SOUNDERS[kind]


def _check_band(kind: str, sounder: _Sounder, sample_rate: int) -> None:
    needed = sounder.highest_hz / _BAND_LIMIT
    if sample_rate < needed:
        msg = f"sample_rate {sample_rate} Hz is too low for {kind}: it needs {needed:.0f} Hz"
        raise InputError(msg)


def _envelope(sounder: _Sounder, time_s: Samples) -> Samples:
    """Return the beeps with raised-cosine edges inside their on-times; 1 throughout if none."""
    if not sounder.beeps:
        return np.minimum(time_s / _EDGE_S, 1.0)
    place = np.mod(time_s, sounder.cycle_s)
    envelope = np.zeros(len(time_s))
    for start, end in sounder.beeps:
        depth = np.clip(np.minimum(place - start, end - place) / _EDGE_S, 0.0, 1.0)
        envelope += 0.5 - 0.5 * np.cos(np.pi * depth)
    return envelope


def _tone(
    sounder: _Sounder, time_s: Samples, sample_rate: int, rng: np.random.Generator
) -> Samples:
    """Return the harmonics through the transducer, each fading out before the band limit."""
    grid_s = np.arange(0.0, time_s[-1] + 2.0 / _PITCH_GRID_HZ, 1.0 / _PITCH_GRID_HZ)
    grid_hz = sounder.pitch(grid_s, rng)
    cycles = np.interp(time_s, grid_s, np.cumsum(grid_hz) / _PITCH_GRID_HZ)
    pitch_hz = np.interp(time_s, grid_s, grid_hz)
    # What counts against aliasing is the received pitch, Doppler included.
    heard_hz = pitch_hz * np.gradient(time_s, 1.0 / sample_rate) if len(time_s) > 1 else pitch_hz
    phasor = np.exp(2j * np.pi * cycles)
    turn = np.ones_like(phasor)
    samples = np.zeros(len(time_s))
    for order, level_db in enumerate(sounder.harmonics_db, start=1):
        turn *= phasor
        if level_db is None:
            continue
        gain = _transducer(order * pitch_hz, sounder.band_hz)
        gain *= np.clip((_BAND_LIMIT - order * heard_hz / sample_rate) / 0.02, 0.0, 1.0)
        samples += from_db(level_db) * gain * turn.imag
    return samples


def _transducer(frequency_hz: Samples, band_hz: Interval) -> Samples:
    low, high = band_hz
    return 1.0 / ((1.0 + (low / frequency_hz) ** 2) * (1.0 + (frequency_hz / high) ** 2))
