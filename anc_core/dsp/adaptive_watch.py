"""Guards of the sample-by-sample filters that cancel with a reference: a watch at the output.

A canceller hears its primary d and knows the estimate y it subtracts. That makes its guards simpler
than those of a controller whose anti-noise passes a loudspeaker: the primary itself is the
yardstick. Words and pieces are those of :mod:`~anc_core.dsp.adaptive_guard`.

==================  ===============================================================================
repair and hold     a NaN or an infinity counts as 0, and nothing is learnt until it has left
usual power         the present power of the reference is regularised by the usual one
freeze on silence   nothing is learnt while the reference is 30 dB weaker than it used to be
error clip          an error counts as 8 times its own usual magnitude at most
ceiling             no sample is louder than twice the primary's own recent peak
gate                while the output is 1 dB louder than the primary, the primary passes
divergence          6 dB louder, or louder for half a second: weights as last known to be good, or
                    zero; the third time in a row the primary passes for 10 s, and longer each time
==================  ===============================================================================
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anc_core.dsp.adaptive_guard import (
    BLOCK,
    BLOCK_ERROR,
    CLIP,
    FORGIVE,
    GAIN,
    HARM,
    HAS_SAVED,
    LATCH_BLOCKS,
    LATCH_LEFT,
    LATCH_LENGTH,
    LEVEL_RATE,
    MAX_LATCH_BLOCKS,
    MAX_TRIPS,
    MEAN_ERROR,
    NOTHING,
    NUM_TRIPS,
    PATIENT_BLOCKS,
    RESTORE,
    SAVE,
    SAVE_BLOCKS,
    SILENT_POWER,
    SINCE_SAVED,
    SIZE,
    TRIPS,
    ZERO,
    GuardEventKind,
    GuardLimits,
    log_event,
)
from anc_core.dsp.finite import MAX_MAGNITUDE, MIN_MAGNITUDE
from anc_core.dsp.jit import jit, jit_by_dtype

FloatArray = NDArray[np.float64]
Array = NDArray[Any]

# What follows the numbers of adaptive_guard
(
    BLOCK_PRIMARY,
    MEAN_PRIMARY,
    PEAK,
    GATE,
    MEAN_LEARNT,
    HURRY,
    WATCH_SIZE,
) = range(SIZE, SIZE + 7)

BROKEN_REFERENCE, BROKEN_PRIMARY = 1, 2

PEAK_DECAY, CLIP_RISE = 17, 18
"""In the array of limits, behind those of :class:`~anc_core.dsp.adaptive_guard.GuardLimits`."""

_PEAK_TIME_S = 0.05
_CLIP_RISE_S = 0.02
_CEILING = 2.0

_FADED = 1e-3
_HARMFUL = 1.26
_DIVERGED = 4.0
_USEFUL = 0.9
"""Error over primary, as powers: shut the gate, put the weights back, worth being saved."""

_LEAST = float(MIN_MAGNITUDE)
_MOST = float(MAX_MAGNITUDE)

_TRIPPED, _CLEARED, _LATCHED = (
    list(GuardEventKind).index(kind)
    for kind in (GuardEventKind.TRIPPED, GuardEventKind.CLEARED, GuardEventKind.LATCHED)
)


def watch_limits(sample_rate: float, hold_samples: int) -> FloatArray:
    """Return the constants of the guards at ``sample_rate``.

    Parameters
    ----------
    sample_rate : float
        Hz.
    hold_samples : int
        For so long nothing is learnt after a sample had to be repaired.
    """
    limits = GuardLimits(sample_rate=sample_rate, ramp_samples=BLOCK, hold_samples=hold_samples)
    decay = math.exp(-1.0 / (_PEAK_TIME_S * sample_rate))
    rise = 1.0 - math.exp(-1.0 / (_CLIP_RISE_S * sample_rate))
    return np.append(limits.as_array(), [decay, rise])


def watch_numbers() -> FloatArray:
    """Return the memory of a filter that has heard nothing, shape (WATCH_SIZE,)."""
    numbers = np.zeros(WATCH_SIZE)
    numbers[GAIN] = numbers[GATE] = numbers[HURRY] = 1.0
    return numbers


@jit_by_dtype("void(real[:, ::1], int64, real[::1], uint8[::1])")
def repair(references: Array, first: int, primary: Array, broken: Array) -> None:
    """Make every sample one to work with, in place, and note which were no numbers.

    Parameters
    ----------
    references : (J, first + n)
        From ``first`` on. NaN and infinities become 0, as do magnitudes below -300 dB; those above
        +180 dB are limited to that.
    primary : (n,)
    broken : (n,)
        Written: 1 for a reference that was no number, 2 for the primary, or their sum.
    """
    least, most = primary.dtype.type(_LEAST), primary.dtype.type(_MOST)
    zero, endless = primary.dtype.type(0.0), primary.dtype.type(math.inf)
    for n in range(primary.shape[0]):
        broken[n] = 0
    for j in range(references.shape[0] + 1):
        line = references[j, first:] if j < references.shape[0] else primary
        mark = np.uint8(BROKEN_REFERENCE) if j < references.shape[0] else np.uint8(BROKEN_PRIMARY)
        for n in range(primary.shape[0]):
            value = line[n]
            size = abs(value)
            # Written so that NaN is no number.
            if not size < endless:
                broken[n] |= mark
                value = zero
            value = value if size >= least else zero
            line[n] = min(max(value, -most), most)


@jit("UniTuple(float64, 3)(float64, float64, float64, float64, float64, float64)")
def let_out(
    primary: float, estimate: float, gain: float, gate: float, peak: float, decay: float
) -> tuple[float, float, float]:
    """Return what is heard, primary - gain·estimate under the ceiling; and the next gain and peak.

    Notes
    -----
    |output| <= 2·max over m of |d(n - m)|·exp(-m / 50 ms), whatever the estimate is.
    """
    peak = max(abs(primary), peak * decay)
    peak = peak if peak >= _LEAST else 0.0
    output = primary - gain * estimate
    if gain != gate:
        # A ramp as long as a block of the detector.
        gain = min(gain + 1.0 / BLOCK, gate) if gain < gate else max(gain - 1.0 / BLOCK, gate)
    # Written so that NaN is above the ceiling.
    if not abs(output) <= _CEILING * peak:
        output = primary if math.isnan(output) else math.copysign(_CEILING * peak, output)
    return output, gain, peak


@jit("UniTuple(float64, 3)(float64, float64, float64, float64, float64)")
def clipped_error(
    error: float, mean: float, hurry: float, rise: float, fall: float
) -> tuple[float, float, float]:
    """Return the error as it may be learnt from; and, with this sample, its mean size and hurry.

    Parameters
    ----------
    error : float
    mean : float
        Of the magnitudes so far. It rises fast, so that an onset is learnt from at once, and falls
        slowly.
    hurry : float
        Weight of this sample after a beginning: 1, 1/2, 1/3 ... until that is ``rise``.
    rise, fall : float
        Weights of a larger and a smaller sample.
    """
    limit = CLIP * mean if mean > 0.0 else math.inf
    error = min(max(error, -limit), limit)
    size = abs(error)
    # Written so that NaN does not become part of the mean.
    if not size < math.inf:
        return 0.0, mean, hurry
    weight = rise if size > mean else fall
    if hurry > rise:
        weight = hurry
        hurry = hurry / (1.0 + hurry) if size > 0.0 else hurry
    mean += weight * (size - mean)
    return (error, mean, hurry) if mean > _LEAST else (error, 0.0, 1.0)


@jit("boolean(float64, float64)")
def is_heard(power: float, usual: float) -> bool:
    """Return whether there is a reference to learn from, by its present and its usual power."""
    return power > max(SILENT_POWER, _FADED * usual)


@jit("int64(float64[::1], float64[:, ::1], float64[::1], float64)")
def put_back(numbers: FloatArray, events: FloatArray, limits: FloatArray, level_db: float) -> int:
    """Note that the weights are harmful; return whether to restore or to zero them."""
    action = RESTORE if numbers[HAS_SAVED] == 1.0 and numbers[TRIPS] < 0.5 else ZERO
    numbers[HARM] = 0.0
    numbers[SINCE_SAVED] = 0.0
    # Written so that NaN goes.
    numbers[MEAN_ERROR] = numbers[MEAN_PRIMARY]
    if not numbers[MEAN_LEARNT] < math.inf:
        numbers[MEAN_LEARNT] = 0.0
    if action == ZERO:
        numbers[HAS_SAVED] = 0.0
    if numbers[LATCH_LEFT] > 0.0:
        return ZERO
    numbers[TRIPS] += 1.0
    numbers[NUM_TRIPS] += 1.0
    if numbers[TRIPS] >= MAX_TRIPS - 0.5:
        numbers[TRIPS] = MAX_TRIPS - 1.0
        numbers[LATCH_LENGTH] = min(
            max(2.0 * numbers[LATCH_LENGTH], limits[LATCH_BLOCKS]), limits[MAX_LATCH_BLOCKS]
        )
        numbers[LATCH_LEFT] = numbers[LATCH_LENGTH]
        log_event(numbers, events, _LATCHED, level_db)
    else:
        log_event(numbers, events, _TRIPPED if action == RESTORE else _CLEARED, level_db)
    return action


@jit("int64(float64[::1], float64[:, ::1], float64[::1])")
def judged(numbers: FloatArray, events: FloatArray, limits: FloatArray) -> int:
    """Look at the last 32 samples; return what is to be done with the weights.

    Returns
    -------
    int
        NOTHING, SAVE, RESTORE or ZERO of :mod:`anc_core.dsp.adaptive_guard`.
    """
    rate = limits[LEVEL_RATE]
    numbers[MEAN_ERROR] += rate * (numbers[BLOCK_ERROR] - numbers[MEAN_ERROR])
    numbers[MEAN_PRIMARY] += rate * (numbers[BLOCK_PRIMARY] - numbers[MEAN_PRIMARY])
    numbers[BLOCK_ERROR] = numbers[BLOCK_PRIMARY] = 0.0
    error, primary = numbers[MEAN_ERROR], numbers[MEAN_PRIMARY]
    # Written so that NaN counts as harm.
    is_harmless = error <= _HARMFUL * primary + SILENT_POWER
    is_bearable = error <= _DIVERGED * primary + SILENT_POWER
    numbers[LATCH_LEFT] = max(numbers[LATCH_LEFT] - 1.0, 0.0)
    if not is_harmless or numbers[LATCH_LEFT] > 0.0:
        numbers[GATE] = 0.0
    elif error <= primary:
        numbers[GATE] = 1.0
    numbers[HARM] = 0.0 if is_harmless else numbers[HARM] + 1.0
    if not is_bearable or numbers[HARM] >= limits[PATIENT_BLOCKS]:
        level_db = math.nan
        if primary > 0.0 and 0.0 < error < math.inf:
            level_db = 10.0 * (math.log10(error) - math.log10(primary))
        return put_back(numbers, events, limits, level_db)
    if is_harmless and numbers[LATCH_LEFT] == 0.0:
        numbers[TRIPS] = max(numbers[TRIPS] - limits[FORGIVE], 0.0)
        if numbers[TRIPS] == 0.0:
            numbers[LATCH_LENGTH] = 0.0
    numbers[SINCE_SAVED] += 1.0
    if numbers[SINCE_SAVED] >= limits[SAVE_BLOCKS] and 0.0 < error < _USEFUL * primary:
        numbers[SINCE_SAVED] = 0.0
        numbers[HAS_SAVED] = 1.0
        return SAVE
    return NOTHING
