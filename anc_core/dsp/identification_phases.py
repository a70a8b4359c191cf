"""When the path has to be searched for, and when the controller may rely on the estimate.

Looked at every 32 samples, at the same moments as the guards' detector. Two phases:

searching
    The estimate is not known well enough. The controller is mute (it is held as if latched), the
    noise loud. Ends when the believed misalignment is -30 dB, or -20 dB if that takes too long.
tracking
    The controller works; the noise is at its floor if the misalignment is -30 dB.

Back to searching leads a trip of the guards, or the finding that a good part of the estimate is
wrong: the remainder is correlated with the estimated answer to the noise, c = E[g·a] / E[a²]. For
an estimate that has become wrong by a path s' it is the projection of (s' - ŝ) on ŝ: -2 for a
change of sign, 3 for four times the gain, -1 for a delay or a turn by 90 degrees. One number is
found much sooner than the taps.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anc_core.dsp.adaptive_guard import (
    BASE_ERROR,
    BASE_REFERENCE,
    CHANGED_KIND,
    GAIN,
    HARM,
    HAS_SAVED,
    IDENTIFIED_KIND,
    LATCH_LEFT,
    LATCH_LENGTH,
    LATCHED,
    LISTEN_LEFT,
    LISTENING,
    MEAN_ERROR,
    MEAN_FAST,
    MEAN_FREE,
    MEAN_OWN,
    MEAN_REFERENCE,
    MEAN_SLOW,
    MUTE_BLOCKS,
    NUM_TRIPS,
    SEARCHING_KIND,
    STATE,
    TRIPS,
    USUAL_POWER,
    log_event,
)
from anc_core.dsp.auxiliary_schedule import (
    BLOCK_ANSWER,
    BLOCK_PRODUCT,
    BLOCKS,
    KNOWN,
    LEVEL,
    MISALIGNMENT,
    PATIENCE,
    PHASE,
    PREDICTOR_AGE,
    PREDICTOR_AGEING,
    REFERENCE,
    REMAINDER,
    SEARCHED,
    SEARCHING,
    SETTLED_BLOCKS,
    SUM_ANSWER,
    SUM_PRODUCT,
    SUM_SQUARE,
    TRACKING,
    TRIPS_SEEN,
    USABLE,
    USUAL_REFERENCE,
    VARIANCE,
    measure,
    set_level,
)
from anc_core.dsp.jit import jit

FloatArray = NDArray[np.float64]

_DRIFTED, _CHANGED = 0.15, 0.3
"""Share of the estimate that has to be found wrong for the noise to rise (a phase of 32 degrees, a
gain of 1.15), and for the controller to fall silent as well (45 degrees, a gain of 1.3): for what
is found while it works takes ten times as long."""

_SURE = 5.0
"""Standard deviations of that finding it has to exceed."""

_TEST_EVERY = 8
"""Blocks summed up for one look: sums over more than the ring of noise and path are independent."""

_TEST_MEMORY = 1.0 - 1.0 / 64.0

_STRICTER = 4.0
"""Factor for each trip after the first that the guards have not forgotten: the noise is loudest
where the estimate is worst, and a mean over all frequencies does not know it."""

_LEAST_MISALIGNMENT = 3e-5
"""No better than this is ever believed, so that the estimate never stops to learn."""

_TRUSTED = 1.0
"""Misalignment that an estimate given at the start is believed to have: it tells how loud the noise
may be, no more. What was better known is found again as fast as what was not."""

_FADED = 1e-3
"""A trip says nothing of the path while the references are this much weaker than usual, as powers:
what is heard then is not what they announced."""


@jit("float64(float64[::1])", uses=(log_event, measure))
def found_error(numbers: FloatArray) -> float:
    """Return the share of the estimate that is surely wrong, 0 if that is not sure."""
    if numbers[BLOCKS] % _TEST_EVERY != 0.0:
        return 0.0
    product = numbers[BLOCK_PRODUCT]
    numbers[SUM_PRODUCT] = _TEST_MEMORY * numbers[SUM_PRODUCT] + product
    numbers[SUM_ANSWER] = _TEST_MEMORY * numbers[SUM_ANSWER] + numbers[BLOCK_ANSWER]
    # The variance of the first sum, were its terms independent and of mean 0.
    numbers[SUM_SQUARE] = _TEST_MEMORY**2 * numbers[SUM_SQUARE] + product**2
    numbers[BLOCK_PRODUCT] = numbers[BLOCK_ANSWER] = 0.0
    is_sure = numbers[SUM_PRODUCT] ** 2 > _SURE**2 * numbers[SUM_SQUARE]
    is_large = abs(numbers[SUM_PRODUCT]) > _DRIFTED * numbers[SUM_ANSWER]
    return float(numbers[SUM_PRODUCT] / numbers[SUM_ANSWER]) if is_sure and is_large else 0.0


@jit("void(float64[::1])", uses=(log_event, measure))
def forget_test(numbers: FloatArray) -> None:
    """Begin the test of :func:`found_error` anew: the estimate has been judged."""
    numbers[SUM_PRODUCT] = numbers[SUM_ANSWER] = numbers[SUM_SQUARE] = 0.0
    numbers[BLOCK_PRODUCT] = numbers[BLOCK_ANSWER] = 0.0


@jit("void(float64[::1], float64[:, ::1], int64)", uses=(log_event, measure))
def doubt(numbers: FloatArray, microphones: FloatArray, num_weights: int) -> None:
    """Believe nothing but that the answer to the noise is not louder than all that is heard."""
    power = num_weights * numbers[LEVEL] ** 2
    for m in range(microphones.shape[0]):
        microphones[m, VARIANCE] = microphones[m, REMAINDER] / power if power > 0.0 else 0.0
    numbers[SEARCHED] = numbers[PREDICTOR_AGE] = 0.0
    forget_test(numbers)


@jit("void(float64[::1])", uses=(log_event, measure))
def mute(guard: FloatArray) -> None:
    """Keep the controller from playing and from learning: as if latched."""
    guard[GAIN] = 0.0
    guard[STATE] = LATCHED
    guard[LATCH_LEFT] = max(guard[LATCH_LEFT], 2.0)


@jit("void(float64[::1], float64[::1])", uses=(log_event, measure))
def release(guard: FloatArray, guard_limits: FloatArray) -> None:
    """Let the controller listen and begin; one that its own guard latched has to serve its time."""
    guard[HAS_SAVED] = guard[HARM] = 0.0
    guard[BASE_ERROR] = guard[BASE_REFERENCE] = 0.0
    guard[MEAN_ERROR] = guard[MEAN_REFERENCE] = guard[MEAN_OWN] = 0.0
    guard[MEAN_FAST] = guard[MEAN_SLOW] = guard[MEAN_FREE] = 0.0
    # That of the references through what the estimate used to be.
    guard[USUAL_POWER] = 0.0
    guard[LISTEN_LEFT] = guard_limits[MUTE_BLOCKS]
    if guard[LATCH_LENGTH] == 0.0:
        guard[STATE] = LISTENING


@jit(
    "void(float64[::1], float64[:, ::1], float64, int64, float64[::1], float64[:, ::1])",
    uses=(log_event, measure),
)
def begin(
    numbers: FloatArray,
    microphones: FloatArray,
    energy: float,
    num_weights: int,
    guard: FloatArray,
    events: FloatArray,
) -> None:
    """Begin a stream, with an estimate of this energy."""
    microphones[:, VARIANCE] = _TRUSTED * energy / (microphones.shape[0] * num_weights)
    numbers[PHASE] = SEARCHING
    log_event(guard, events, float(SEARCHING_KIND), math.nan)


@jit(
    "boolean(float64[::1], float64[:, ::1], float64, int64, float64[::1], float64[:, ::1])",
    uses=(log_event, measure),
)
def has_changed(
    numbers: FloatArray,
    microphones: FloatArray,
    energy: float,
    num_weights: int,
    guard: FloatArray,
    events: FloatArray,
) -> bool:
    """Return whether the path has to be searched for anew; a little drift is only noted."""
    error = found_error(numbers)
    is_faded = numbers[REFERENCE] < _FADED * numbers[USUAL_REFERENCE]
    has_tripped = guard[NUM_TRIPS] > numbers[TRIPS_SEEN] and not is_faded
    numbers[TRIPS_SEEN] = guard[NUM_TRIPS]
    if error != 0.0:
        log_event(guard, events, float(CHANGED_KIND), 20.0 * math.log10(abs(error)))
    if has_tripped or abs(error) > _CHANGED:
        if numbers[PHASE] == TRACKING:
            log_event(guard, events, float(SEARCHING_KIND), math.nan)
        numbers[PHASE] = SEARCHING
        doubt(numbers, microphones, num_weights)
        return True
    if error != 0.0:
        # A turn by a small angle leaves 2·|c| of the energy, a gain c² of it.
        variance = 2.0 * abs(error) * energy / (microphones.shape[0] * num_weights)
        microphones[:, VARIANCE] = np.maximum(microphones[:, VARIANCE], variance)
        forget_test(numbers)
    return False


@jit("float64(float64[:, ::1], float64, int64)", uses=(log_event, measure))
def believed_error(microphones: FloatArray, energy: float, num_weights: int) -> float:
    """Return the energy by which the estimate is believed to be off, all pairs."""
    total = 0.0
    for m in range(microphones.shape[0]):
        if microphones[m, VARIANCE] > 0.0:
            least = _LEAST_MISALIGNMENT * energy / (microphones.shape[0] * num_weights)
            microphones[m, VARIANCE] = max(microphones[m, VARIANCE], least)
        total += num_weights * microphones[m, VARIANCE]
    return total


@jit(
    "void(float64[::1], float64, float64[::1], float64[::1], float64[:, ::1], float64[::1])",
    uses=(log_event, measure),
)
def search(
    numbers: FloatArray,
    energy: float,
    limits: FloatArray,
    guard: FloatArray,
    events: FloatArray,
    guard_limits: FloatArray,
) -> None:
    """Keep the controller mute until the path is known well enough."""
    numbers[SEARCHED] += 1.0
    # What was good enough and was not may not be so again.
    times = _STRICTER ** max(math.floor(guard[TRIPS] + 0.5) - 1.0, 0.0)
    is_late = numbers[SEARCHED] > times * limits[PATIENCE]
    enough = (USABLE if is_late else KNOWN) / times
    error = numbers[MISALIGNMENT]
    if 0.0 < error <= enough * energy:
        numbers[PHASE] = TRACKING
        log_event(guard, events, float(IDENTIFIED_KIND), 10.0 * math.log10(error / energy))
        release(guard, guard_limits)
    else:
        mute(guard)


@jit(
    "boolean(float64[::1], float64[:, ::1], float64, int64, float64[::1], float64[::1],"
    " float64[:, ::1], float64[::1])",
    uses=(log_event, measure),
)
def schedule(
    numbers: FloatArray,
    microphones: FloatArray,
    energy: float,
    num_weights: int,
    limits: FloatArray,
    guard: FloatArray,
    events: FloatArray,
    guard_limits: FloatArray,
) -> bool:
    """Look at the last block; return whether the control filters have to begin anew.

    Parameters
    ----------
    numbers, microphones, limits
        See the layouts above; the block's energies are in ``BLOCK_...``.
    energy : float
        Of the estimate, all pairs.
    num_weights : int
        Taps of the estimate for one microphone.
    guard, events, guard_limits
        Of the controller, see :mod:`anc_core.dsp.adaptive_guard`.
    """
    measure(numbers, limits)
    numbers[PREDICTOR_AGE] += limits[PREDICTOR_AGEING]
    if numbers[BLOCKS] == 1.0:
        begin(numbers, microphones, energy, num_weights, guard, events)
    begins = has_changed(numbers, microphones, energy, num_weights, guard, events)
    is_sounding = numbers[LEVEL] > 0.0 and numbers[SEARCHED] >= SETTLED_BLOCKS
    if numbers[PHASE] == SEARCHING and numbers[MISALIGNMENT] == 0.0 and is_sounding:
        doubt(numbers, microphones, num_weights)
    numbers[MISALIGNMENT] = believed_error(microphones, energy, num_weights)
    if numbers[PHASE] == SEARCHING:
        search(numbers, energy, limits, guard, events, guard_limits)
    if numbers[BLOCKS] >= SETTLED_BLOCKS:
        set_level(numbers, microphones.shape[0], energy, limits)
    return begins
