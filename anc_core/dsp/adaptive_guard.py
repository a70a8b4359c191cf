"""Guards of the adaptive filters: whatever comes in, nothing diverges and everything is logged.

The kernels call these small functions for every sample (DC blocker, usual power, error clip) or
every 32 samples (:func:`judge`, the divergence detector and what follows from it). A controller
knows its references x, its command y, the error e and the estimate of the secondary path, and
nothing else; the guards use no more than that.

What each is for, from a failure that the version without it had (duct, 512 taps):

===================  ================================================================
DC blocker           an offset of both sensors drove the error to 50 times the noise
usual power          near-silence after a loud passage: step sizes of 10⁶
freeze on silence    the same, and a silent reference beside a loud error
error clip           clicks at the error microphone erased what was learnt
output limit         a click of the reference became a louder one of the loudspeaker
repair and hold      one NaN in the reference stayed in the weights for ever
divergence detector  a secondary path that changed its sign
===================  ================================================================

The detector's yardstick is how loud the error was, relative to the reference, while the
loudspeaker was mute; so every start and every trip begins with a short listening. The estimate
``e - ŝ*y`` would be no yardstick: with a wrong ŝ it grows with the error. The second condition,
that the controller's own anti-noise is a real part of the error, keeps clicks at the error
microphone from counting as divergence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from anc_core.dsp.jit import jit

FloatArray = NDArray[np.float64]

BLOCK = 32
"""Samples between two looks of the detector, counted from the first sample of the stream."""

SILENT_POWER = 1e-24
"""Sum of squares of the filtered reference below which nothing is learnt: far below any converter,
so that the level of a recording does not matter."""

_FADED = 1e-3
"""Nor while the reference is this much weaker than it used to be: its noise floor is left."""

_RISE_LIMIT = 100.0
"""One click may not raise the usual power more than this in one step."""

CLIP = 8.0
"""An error counts as this many times its own mean magnitude at most (a Gaussian's: 10 sigma)."""

REFERENCE_CLIP = 32.0
"""And a reference as this many times its own: real impulses pass, a sensor's click does not."""

_DC_CUTOFF_HZ = 0.5

_HARMFUL_RATIO = 2.0
"""Error over yardstick, as powers, from which the filter does harm."""

_OWN_SHARE = 0.02
"""Least share of the controller's own anti-noise in such an error."""

_LISTEN_S = 0.25
_MUTE_S = 0.1
_LEVEL_TIME_S = 0.05
_RECENT_S = 0.005
"""Of the mean magnitude that lets the output's limit rise with an onset."""
_SHARE_TIME_S = 0.1
"""Over which averaged and recalled weights are compared. With 0.02 and 0.05 s the share followed
the first milliseconds of an onset, which neither can cancel, and 1 dB was lost there."""
_RING_TIME_S = 0.2
"""In which the yardstick falls when the reference does."""
_SAVE_EVERY_S = 1.0
_FORGIVE_EVERY_S = 5.0
"""A trip is forgotten after this much good work."""
_RECOVER_S = 4.0
"""The step size doubles in this time of good work until it is what was asked for."""

MAX_TRIPS = 3
"""Trips in a row after which the output stays mute: with a secondary path that is wrong for good
every further try is louder than none."""

_LATCH_S = 10.0
_MAX_LATCH_S = 60.0
"""Even so there is another try after this time, which doubles with each that fails."""

_FREE_RATIO = 1.5
_ALWAYS_RATIO = 3.0
_PATIENT_S = 0.5
_LASTING_RATIO = 1.5
"""The error has to be louder than the controller's own estimate of the noise as well, unless it is
5 dB above the yardstick, or 1.8 dB above it for half a second, or the output was latched before:
noise whose spectrum changes moves the yardstick by decibels for a while, but with a wrong secondary
path the estimate grows with the error."""

_CLEARLY_LESS = 0.22
"""Error over that estimate of the noise below which there was no harm, unless it lasts. Were the
sign of the path not what is believed, an error e = d + a, louder than the noise d by the anti-noise
a, would make an estimate d + 2·a: 6 dB above the error at the very most. Bursts of another spectrum
than what was heard while mute are 5 dB above the yardstick while 7 to 12 dB of them are cancelled.
"""

_AS_LOUD = 1.4
"""While mute the error is as loud as it was (within 1.5 dB): the noise has changed and nobody has
done harm, so the trip does not count."""

_MOST_LOUDER = 3.0
"""Yardsticks that were measured before count up to 5 dB above the present one."""

_SLOWLY = 4.0
"""Where the estimate is weak and wrong, what really sounds is not seen in it. So the error has not
to be louder, either, for so many times as long while the commands alone could be why."""

_CLEAR_GAIN = 0.9
_PATIENCE = 4.0
"""A controller that learns while mute begins when its error would be this much of the noise, or
after so many times the shortest listening."""

# States of the controller
LISTENING, RAMPING, WORKING, LATCHED = 0.0, 1.0, 2.0, 3.0

# What judge() asks of the kernel
NOTHING, SAVE, RESTORE, ZERO = 0, 1, 2, 3

# Layout of GuardMemory.numbers
(
    COUNT,
    STATE,
    GAIN,
    SCALE,
    LISTEN_LEFT,
    BASE_ERROR,
    BASE_REFERENCE,
    BASE,
    BLOCK_ERROR,
    BLOCK_REFERENCE,
    BLOCK_OWN,
    MEAN_ERROR,
    MEAN_REFERENCE,
    MEAN_OWN,
    TRIPS,
    SINCE_SAVED,
    NUM_TRIPS,
    HOLD,
    USUAL_POWER,
    POWER,
    USUAL_LEVEL,
    NUM_EVENTS,
    HAS_SAVED,
    BLOCK_FAST,
    BLOCK_SLOW,
    BLOCK_FREE,
    MEAN_FAST,
    MEAN_SLOW,
    MEAN_FREE,
    LATCH_LEFT,
    LATCH_LENGTH,
    HARM,
    USUAL_AGE,
    FADING,
    BLOCK_POSSIBLE,
    MEAN_POSSIBLE,
    SLOW_HARM,
    TRIP_RATIO,
    BLOCK_RECALLED,
    BLOCK_BOTH,
    MEAN_AVERAGED,
    MEAN_RECALLED,
    MEAN_BOTH,
    LONG_RECALLED,
    LONG_FREE,
    HAS_RECALLED,
    FORGOTTEN,
    RECENT_SIZE,
    LASTING_REFERENCE,
    SIZE,
) = range(50)

_MAX_EVENTS = 64
"""Events kept of one call; what is beyond is counted in ``NUM_TRIPS`` only."""


class GuardEventKind(StrEnum):
    """What a guard did."""

    ARMED = "armed"
    """The noise without control was measured; the output rises."""
    REPAIRED = "repaired"
    """A NaN or an infinity of a sensor counted as 0; nothing was learnt for a while."""
    TRIPPED = "tripped"
    """Diverged: mute, weights as last known to be good, step size halved."""
    CLEARED = "cleared"
    """Diverged again at once: mute, weights back to zero, step size halved."""
    LATCHED = "latched"
    """Diverged once too often: mute until re-armed."""
    RESCUED = "rescued"
    """The matrix of a recursive least-squares filter began anew; the weights stayed."""
    SEARCHING = "searching"
    """The secondary path is being identified with loud auxiliary noise; the controller is mute."""
    IDENTIFIED = "identified"
    """The path is known well enough: the controller may begin. Level: the estimate's error."""
    CHANGED = "changed"
    """The path is no longer what it was believed to be. Level: the error that was found."""


_KINDS = tuple(GuardEventKind)
_ARMED, _REPAIRED, _TRIPPED, _CLEARED, _LATCHED = range(5)
SEARCHING_KIND, IDENTIFIED_KIND, CHANGED_KIND = range(6, 9)
"""As numbers of the event log, for :mod:`anc_core.dsp.identification_phases`."""


@dataclass(frozen=True, slots=True)
class GuardEvent:
    """One line of the event log.

    Attributes
    ----------
    time_s : float
        Since the start of the stream.
    kind : GuardEventKind
    level_db : float or None
        Error power over its yardstick, dB; None where there is none.
    """

    time_s: float
    kind: GuardEventKind
    level_db: float | None = None


@dataclass(slots=True)
class GuardMemory:
    """What the guards of one controller remember; plain arrays, so it can be saved.

    numbers : float64, shape (SIZE,)
    events : float64, shape (64, 3)
        Sample, kind, level of events not yet drained.
    """

    numbers: FloatArray
    events: FloatArray

    @classmethod
    def start(cls, sample_rate: float) -> Self:
        """Return the memory of a fresh controller, mute until it knows the noise."""
        numbers = np.zeros(SIZE)
        numbers[SCALE] = 1.0
        numbers[STATE] = LISTENING
        numbers[LISTEN_LEFT] = blocks_of(_LISTEN_S, sample_rate)
        return cls(numbers, np.zeros((_MAX_EVENTS, 3)))

    def rearm(self) -> None:
        """Let a latched controller listen and try again."""
        if self.numbers[STATE] == LATCHED:
            self.numbers[LATCH_LEFT] = 0.0
            self.numbers[LATCH_LENGTH] = 0.0

    def drain(self, sample_rate: float) -> tuple[GuardEvent, ...]:
        """Return the events since the last call."""
        num_events = int(self.numbers[NUM_EVENTS])
        self.numbers[NUM_EVENTS] = 0
        return tuple(
            GuardEvent(
                sample / sample_rate, _KINDS[int(kind)], level if math.isfinite(level) else None
            )
            for sample, kind, level in self.events[:num_events].tolist()
        )


def blocks_of(seconds: float, sample_rate: float) -> float:
    """Return ``seconds`` in blocks of the detector, at least 1."""
    return float(max(1, round(seconds * sample_rate / BLOCK)))


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardLimits:
    """Constants of the guards at one sample rate; :meth:`as_array` is what kernels take."""

    sample_rate: float
    ramp_samples: int
    hold_samples: int
    """Nothing is learnt for so long after a sample had to be repaired."""

    def as_array(self) -> FloatArray:
        """Return the numbers in the order of the names from ``DC_POLE`` on."""
        rate = self.sample_rate
        return np.array(
            [
                1.0 - 2.0 * math.pi * min(_DC_CUTOFF_HZ / rate, 0.02),
                1.0 - math.exp(-1.0 / (1.0 * rate)),
                1.0 - math.exp(-1.0 / (10.0 * rate)),
                1.0 - math.exp(-1.0 / (0.1 * rate)),
                1.0 - math.exp(-BLOCK / (_LEVEL_TIME_S * rate)),
                1.0 / max(self.ramp_samples, 1),
                float(self.hold_samples),
                blocks_of(_MUTE_S, rate),
                blocks_of(_SAVE_EVERY_S, rate),
                1.0 / blocks_of(_FORGIVE_EVERY_S, rate),
                2.0 ** (1.0 / blocks_of(_RECOVER_S, rate)),
                blocks_of(_LATCH_S, rate),
                blocks_of(_MAX_LATCH_S, rate),
                blocks_of(_PATIENT_S, rate),
                1.0 - math.exp(-1.0 / (_RECENT_S * rate)),
                1.0 - math.exp(-BLOCK / (_SHARE_TIME_S * rate)),
                math.exp(-BLOCK / (_RING_TIME_S * rate)),
            ]
        )


(
    DC_POLE,
    RISE,
    FALL,
    CLIP_RATE,
    LEVEL_RATE,
    RAMP_STEP,
    HOLD_SAMPLES,
    MUTE_BLOCKS,
    SAVE_BLOCKS,
    FORGIVE,
    RECOVER,
    LATCH_BLOCKS,
    MAX_LATCH_BLOCKS,
    PATIENT_BLOCKS,
    RECENT_RATE,
    SHARE_RATE,
    RING_DECAY,
) = range(17)


@jit("float64(float64[:, ::1], int64, float64, float64)")
def dc_blocked(states: FloatArray, row: int, value: float, pole: float) -> float:
    """Return ``value`` without its DC part; a row of ``states``: last input, last output, begun.

    y(n) = x(n) - x(n-1) + pole·y(n-1). The first sample counts as the offset so far: an offset
    that was there before the recording began makes no step.
    """
    if states[row, 2] == 0.0:
        states[row, 0] = value
        states[row, 2] = 1.0
    output: float = value - states[row, 0] + pole * states[row, 1]
    # Denormals would cost a hundred times the time.
    output = 0.0 if abs(output) < 1e-30 else output
    states[row, 0] = value
    states[row, 1] = output
    return output


@jit("float64(float64, float64, float64, float64)")
def usual_power(usual: float, present: float, rise: float, fall: float) -> float:
    """Return the usual power after a sample whose power is ``present``.

    Rises in 1 s and falls in 10 s, and a click counts as 100 times what is usual at most: a
    peak that was held would stop all learning.
    """
    if usual == 0.0:
        return present
    # No branch on which it is, which no processor foresees: what is below is not limited.
    rate = rise if present > usual else fall
    return usual + rate * (min(present, _RISE_LIMIT * usual) - usual)


@jit("float64(float64, float64, float64, float64, float64)")
def followed_power(usual: float, age: float, present: float, rise: float, fall: float) -> float:
    """Return the usual power after a sample whose power is ``present``, ``age`` after the first.

    As :func:`usual_power`, but the mean of all there was until that is slower: filters that fill
    only now make a beginning that says nothing.
    """
    share = 1.0 / age
    return usual_power(usual, present, max(rise, share), max(fall, share))


@jit("float64(float64, float64, float64)")
def clipped(value: float, mean: float, times: float) -> float:
    """Return ``value`` limited to ``times`` its mean magnitude; as it is while that is 0."""
    return min(max(value, -times * mean), times * mean) if mean > 0.0 else value


@jit("boolean(float64[::1], float64, boolean)")
def may_learn(numbers: FloatArray, present: float, while_mute: bool) -> bool:
    """Return whether there is a reference to learn from, and nobody forbids it."""
    if numbers[HOLD] > 0.0:
        numbers[HOLD] -= 1.0
        return False
    if numbers[STATE] == LATCHED or (numbers[STATE] == LISTENING and not while_mute):
        return False
    return bool(present > max(SILENT_POWER, _FADED * numbers[USUAL_POWER]))


@jit("void(float64[::1], float64[:, ::1], float64, float64)")
def log_event(numbers: FloatArray, events: FloatArray, kind: float, level_db: float) -> None:
    """Append to the event log; full is full."""
    index = int(numbers[NUM_EVENTS])
    if index < events.shape[0]:
        events[index, 0] = numbers[COUNT]
        events[index, 1] = kind
        events[index, 2] = level_db
        numbers[NUM_EVENTS] = index + 1


@jit("void(float64[::1], float64[:, ::1], float64[::1])")
def hold(numbers: FloatArray, events: FloatArray, limits: FloatArray) -> None:
    """Note that a sample had to be repaired: nothing is learnt until it has left the filters."""
    if numbers[HOLD] == 0.0:
        log_event(numbers, events, _REPAIRED, math.nan)
    numbers[HOLD] = max(limits[HOLD_SAMPLES], 1.0)


@jit("void(float64[::1], float64[::1])")
def compare(numbers: FloatArray, limits: FloatArray) -> None:
    """Take the block's energies of the noise and of the foreseen errors into their means."""
    rate = limits[LEVEL_RATE]
    numbers[MEAN_FREE] += rate * (numbers[BLOCK_FREE] - numbers[MEAN_FREE])
    numbers[MEAN_FAST] += rate * (numbers[BLOCK_FAST] - numbers[MEAN_FAST])
    numbers[MEAN_SLOW] += rate * (numbers[BLOCK_SLOW] - numbers[MEAN_SLOW])
    rate = limits[SHARE_RATE]
    numbers[MEAN_AVERAGED] += rate * (numbers[BLOCK_SLOW] - numbers[MEAN_AVERAGED])
    numbers[MEAN_RECALLED] += rate * (numbers[BLOCK_RECALLED] - numbers[MEAN_RECALLED])
    numbers[MEAN_BOTH] += rate * (numbers[BLOCK_BOTH] - numbers[MEAN_BOTH])
    numbers[BLOCK_FREE] = numbers[BLOCK_FAST] = numbers[BLOCK_SLOW] = 0.0
    numbers[BLOCK_RECALLED] = numbers[BLOCK_BOTH] = 0.0


@jit("int64(float64[::1], float64[:, ::1], float64[::1], float64)")
def _trip(numbers: FloatArray, events: FloatArray, limits: FloatArray, yardstick: float) -> int:
    level_db = math.nan
    if yardstick > 0.0 and math.isfinite(numbers[MEAN_ERROR]):
        level_db = 10.0 * math.log10(numbers[MEAN_ERROR] / yardstick)
    numbers[TRIP_RATIO] = 0.0
    if numbers[LASTING_REFERENCE] > 0.0 and math.isfinite(numbers[MEAN_ERROR]):
        numbers[TRIP_RATIO] = numbers[MEAN_ERROR] / numbers[LASTING_REFERENCE]
    numbers[LASTING_REFERENCE] = 0.0
    action = RESTORE if numbers[HAS_SAVED] == 1.0 and numbers[TRIPS] < 0.5 else ZERO
    numbers[TRIPS] += 1.0
    numbers[NUM_TRIPS] += 1.0
    numbers[SCALE] *= 0.5
    numbers[GAIN] = 0.0
    numbers[HARM] = numbers[SLOW_HARM] = 0.0
    numbers[LISTEN_LEFT] = limits[MUTE_BLOCKS]
    # What it did still sounds: it is not the noise that is to be measured.
    numbers[FADING] = math.ceil(limits[HOLD_SAMPLES] / BLOCK)
    numbers[BASE_ERROR] = numbers[BASE_REFERENCE] = 0.0
    numbers[MEAN_ERROR] = numbers[MEAN_REFERENCE] = 0.0
    numbers[MEAN_OWN] = numbers[MEAN_POSSIBLE] = 0.0
    numbers[MEAN_FAST] = numbers[MEAN_SLOW] = numbers[MEAN_FREE] = 0.0
    numbers[MEAN_AVERAGED] = numbers[MEAN_RECALLED] = numbers[MEAN_BOTH] = 0.0
    # What was recalled rests on a path that may be another now; what still sounds as well.
    numbers[HAS_RECALLED] = 0.0
    numbers[FORGOTTEN] = numbers[COUNT] + limits[HOLD_SAMPLES]
    if numbers[TRIPS] >= MAX_TRIPS - 0.5:
        numbers[STATE] = LATCHED
        numbers[LATCH_LENGTH] = min(
            max(2.0 * numbers[LATCH_LENGTH], limits[LATCH_BLOCKS]), limits[MAX_LATCH_BLOCKS]
        )
        numbers[LATCH_LEFT] = numbers[LATCH_LENGTH]
        numbers[TRIP_RATIO] = 0.0
        log_event(numbers, events, _LATCHED, level_db)
        return ZERO
    numbers[STATE] = LISTENING
    log_event(numbers, events, _TRIPPED if action == RESTORE else _CLEARED, level_db)
    return action


@jit("void(float64[::1])")
def _measure(numbers: FloatArray) -> None:
    """Take what was heard while mute as the yardstick, and think the trip before it over."""
    now = numbers[BASE_ERROR] / numbers[BASE_REFERENCE]
    # Noise in bursts of another spectrum: the louder one is what it can be without any harm done.
    numbers[BASE] = min(max(now, numbers[BASE]), _MOST_LOUDER * now)
    if 0.0 < numbers[TRIP_RATIO] < _AS_LOUD * now:
        numbers[TRIPS] = max(numbers[TRIPS] - 1.0, 0.0)
        numbers[SCALE] = min(2.0 * numbers[SCALE], 1.0)
    numbers[TRIP_RATIO] = 0.0


@jit("int64(float64[::1], float64[:, ::1], float64[::1])")
def judge(  # noqa: PLR0915 - one straight recipe
    numbers: FloatArray, events: FloatArray, limits: FloatArray
) -> int:
    """Look at the last 32 samples; return what is to be done with the weights.

    Parameters
    ----------
    numbers, events
        See :class:`GuardMemory`; changed. The block's energies are in ``BLOCK_ERROR``,
        ``BLOCK_REFERENCE`` (the yardstick's signal), ``BLOCK_OWN`` (own anti-noise, as the
        estimate has it) and ``BLOCK_POSSIBLE`` (as it would be were the path even in frequency).
    limits
        :meth:`GuardLimits.as_array`.
    """
    error, reference, own = (
        numbers[BLOCK_ERROR],
        numbers[BLOCK_REFERENCE],
        numbers[BLOCK_OWN],
    )
    possible = numbers[BLOCK_POSSIBLE]
    numbers[BLOCK_ERROR] = numbers[BLOCK_REFERENCE] = 0.0
    numbers[BLOCK_OWN] = numbers[BLOCK_POSSIBLE] = 0.0
    rate = limits[LEVEL_RATE]
    numbers[MEAN_ERROR] += rate * (error - numbers[MEAN_ERROR])
    numbers[MEAN_REFERENCE] += rate * (reference - numbers[MEAN_REFERENCE])
    numbers[MEAN_OWN] += rate * (own - numbers[MEAN_OWN])
    numbers[MEAN_POSSIBLE] += rate * (possible - numbers[MEAN_POSSIBLE])
    compare(numbers, limits)
    numbers[USUAL_LEVEL] = usual_power(
        numbers[USUAL_LEVEL], reference, BLOCK * limits[RISE], BLOCK * limits[FALL]
    )
    state = numbers[STATE]
    if state == LATCHED:
        numbers[LATCH_LEFT] -= 1.0
        if numbers[LATCH_LEFT] <= 0.0:
            numbers[STATE] = LISTENING
            numbers[TRIPS] = MAX_TRIPS - 1.0
        return NOTHING
    if state == LISTENING and numbers[FADING] > 0.0:
        numbers[FADING] -= 1.0
        return NOTHING
    if state == LISTENING:
        if reference > SILENT_POWER:
            numbers[BASE_ERROR] += error
            numbers[BASE_REFERENCE] += reference
            numbers[LISTEN_LEFT] -= 1.0
        is_ready = numbers[MEAN_SLOW] <= _CLEAR_GAIN * numbers[MEAN_FREE]
        if numbers[LISTEN_LEFT] <= 0.0 and (
            is_ready or numbers[LISTEN_LEFT] <= -_PATIENCE * limits[MUTE_BLOCKS]
        ):
            _measure(numbers)
            numbers[STATE] = RAMPING
            numbers[SINCE_SAVED] = 0.0
            log_event(numbers, events, _ARMED, math.nan)
        return NOTHING

    # A duct rings on when the reference has fallen silent.
    lasting = max(numbers[MEAN_REFERENCE], limits[RING_DECAY] * numbers[LASTING_REFERENCE])
    numbers[LASTING_REFERENCE] = lasting
    yardstick = numbers[BASE] * lasting
    # Written so that NaN counts as diverged.
    is_fine = numbers[MEAN_ERROR] <= _HARMFUL_RATIO * yardstick + SILENT_POWER
    is_own = not numbers[MEAN_OWN] <= _OWN_SHARE * numbers[MEAN_ERROR]
    is_louder = is_own and numbers[MEAN_ERROR] > _LASTING_RATIO * yardstick + SILENT_POWER
    numbers[HARM] = numbers[HARM] + 1.0 if is_louder else max(numbers[HARM] - 1.0, 0.0)
    may_be_the_noise = (
        numbers[MEAN_ERROR] <= _FREE_RATIO * numbers[MEAN_FREE]
        and numbers[MEAN_ERROR] <= _ALWAYS_RATIO * yardstick
        and numbers[LATCH_LENGTH] == 0.0
    )
    may_be_the_noise = may_be_the_noise or numbers[MEAN_ERROR] <= _CLEARLY_LESS * numbers[MEAN_FREE]
    may_be_own = not numbers[MEAN_POSSIBLE] <= _OWN_SHARE * numbers[MEAN_ERROR]
    is_louder = may_be_own and numbers[MEAN_ERROR] > _LASTING_RATIO * yardstick + SILENT_POWER
    slow = numbers[SLOW_HARM] + 1.0 if is_louder else max(numbers[SLOW_HARM] - 1.0, 0.0)
    numbers[SLOW_HARM] = slow
    lasts = numbers[HARM] >= limits[PATIENT_BLOCKS] or slow >= _SLOWLY * limits[PATIENT_BLOCKS]
    if lasts or (not is_fine and is_own and not may_be_the_noise):
        return _trip(numbers, events, limits, yardstick)

    numbers[SINCE_SAVED] += 1.0
    numbers[TRIPS] = max(numbers[TRIPS] - limits[FORGIVE], 0.0)
    numbers[SCALE] = min(numbers[SCALE] * limits[RECOVER], 1.0)
    if numbers[SINCE_SAVED] >= limits[SAVE_BLOCKS] and numbers[MEAN_ERROR] < 0.9 * yardstick:
        numbers[SINCE_SAVED] = 0.0
        numbers[HAS_SAVED] = 1.0
        return SAVE
    return NOTHING
