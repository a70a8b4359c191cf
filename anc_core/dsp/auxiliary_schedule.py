"""How loud the auxiliary noise of the online identification is, and the layout of its memory.

The noise follows the residual at the error microphones (Carini & Malatini 2008): as loud as asked
for while the path is searched for, below the residual by its floor when it is known.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anc_core.dsp.adaptive_guard import BLOCK, log_event
from anc_core.dsp.jit import jit

FloatArray = NDArray[np.float64]

_HALFWAY = 0.5
"""Beside a controller that works the noise rises half-way to the loudest, in decibels: what more
would gain, its own sound would cost."""

KNOWN, USABLE = 1e-3, 1e-2
"""Misalignment, as a power, with which the controller may begin, and with which it may after 4 s
of searching. With -26 dB, white, the modified algorithm loses 4 dB within 40 s
to the notches of the path, where the phase of such an estimate is anything; with -32 dB none. And
nothing is found as fast as while the controller is mute, since the noise may then be louder."""

_FIRST_LEVEL = 1e-2
"""Drive of the first auxiliary noise over the RMS at the microphones; it rises from there."""

_LARGEST_LEVEL = 1e3
"""And of the last: a loudspeaker that is this much weaker is not connected."""

_STEEPEST = 1.25
"""Factor by which the level may rise from block to block."""

_SUDDENLY = 4.0
"""How much less than its mean the residual may be at the moment without the noise sinking."""

SETTLED_BLOCKS = 20.0
"""Until the level at the microphones is known, without the noise and then with the first of it."""

_RUNAWAY = 2.0
"""How much more than usual the residual that counts may be: if the path is much stronger than
believed, the noise may not follow the rise that it makes itself."""

_SILENT = 1e-24
"""Power at the microphones below which there is no auxiliary noise: far below any converter."""

# Phases
SEARCHING, TRACKING = 0.0, 1.0

# Layout of the numbers
(
    BLOCKS,
    PHASE,
    LEVEL,
    TRIPS_SEEN,
    MEAN_RESIDUAL,
    MEAN_HEARD,
    MEAN_LEVEL,
    BLOCK_RESIDUAL,
    BLOCK_HEARD,
    BLOCK_PRODUCT,
    BLOCK_ANSWER,
    SUM_PRODUCT,
    SUM_ANSWER,
    SUM_SQUARE,
    MISALIGNMENT,
    REFERENCE,
    USUAL_REFERENCE,
    RECENT_RESIDUAL,
    USUAL_RESIDUAL,
    PREDICTOR_AGE,
    SEARCHED,
    NUM_NUMBERS,
) = range(22)

# Layout of a microphone's memory: variance of a tap around the truth, as believed; mean square and
# mean magnitude of what neither filter foresees
VARIANCE, REMAINDER, MAGNITUDE, NUM_MEMORIES = range(4)

# Layout of the limits: rates of the means, per block (twice) and per sample; loudest and least
# power of the noise over the residual's; blocks after which a usable estimate will do; factors of
# the usual residual from block to block; share of the predictor's length that a block is
(
    LEVEL_RATE,
    RECENT_RATE,
    REMAINDER_RATE,
    LOUD,
    FLOOR,
    PATIENCE,
    USUAL_RISE,
    USUAL_FALL,
    PREDICTOR_AGEING,
) = range(9)


@jit("void(float64[::1], float64[::1])", uses=(log_event,))
def measure(numbers: FloatArray, limits: FloatArray) -> None:
    """Take the block's energies into their means; at the start those of all blocks so far."""
    numbers[BLOCKS] += 1.0
    residual = numbers[BLOCK_RESIDUAL] / BLOCK
    rate = max(limits[RECENT_RATE], 1.0 / numbers[BLOCKS])
    numbers[RECENT_RESIDUAL] += rate * (residual - numbers[RECENT_RESIDUAL])
    rate = max(limits[LEVEL_RATE], 1.0 / numbers[BLOCKS])
    numbers[MEAN_RESIDUAL] += rate * (residual - numbers[MEAN_RESIDUAL])
    numbers[MEAN_HEARD] += rate * (numbers[BLOCK_HEARD] / BLOCK - numbers[MEAN_HEARD])
    numbers[MEAN_LEVEL] += rate * (numbers[LEVEL] ** 2 - numbers[MEAN_LEVEL])
    numbers[BLOCK_RESIDUAL] = numbers[BLOCK_HEARD] = 0.0


@jit("float64(float64, float64[::1])")
def power_share(misalignment: float, limits: FloatArray) -> float:
    """Return the power of the answer to the noise over the residual's while the controller works.

    Straight in decibels from the floor to half-way between it and the loudest.
    """
    place = 1.0
    if misalignment <= KNOWN:
        return float(limits[FLOOR])
    if misalignment < USABLE:
        place = math.log(misalignment / KNOWN) / math.log(USABLE / KNOWN)
    share: float = limits[FLOOR] * (limits[LOUD] / limits[FLOOR]) ** (_HALFWAY * place)
    return share


@jit("void(float64[::1], int64, float64, float64[::1])")
def set_level(numbers: FloatArray, num_mics: int, energy: float, limits: FloatArray) -> None:
    """Choose the level of the noise for the next block.

    As long as the path is unknown, the energy that it may have counts: the noise begins far below
    the residual, and rises as it becomes sure that the loudspeaker is not louder than believed.
    """
    # When all falls silent, the noise has to before the guards take it for the controller's.
    # And an estimate that makes things worse does not count.
    residual = min(numbers[MEAN_RESIDUAL], numbers[MEAN_HEARD])
    residual = min(residual, _SUDDENLY * numbers[RECENT_RESIDUAL])
    if residual <= _SILENT:
        numbers[LEVEL] = 0.0
        return
    usual = numbers[USUAL_RESIDUAL] if numbers[USUAL_RESIDUAL] > 0.0 else residual
    usual *= limits[USUAL_RISE] if residual > usual else limits[USUAL_FALL]
    numbers[USUAL_RESIDUAL] = usual
    residual = min(residual, _RUNAWAY * usual)
    if numbers[LEVEL] == 0.0:
        numbers[LEVEL] = _FIRST_LEVEL * math.sqrt(residual / num_mics)
        numbers[SEARCHED] = 0.0
        return
    if numbers[MISALIGNMENT] == 0.0:
        return
    gain = max(energy, numbers[MISALIGNMENT])
    share = limits[LOUD]
    if numbers[PHASE] == TRACKING:
        share = power_share(numbers[MISALIGNMENT] / max(energy, 1e-300), limits)
    wanted = math.sqrt(share * residual / max(gain, 1e-300))
    largest = _LARGEST_LEVEL * math.sqrt(residual)
    numbers[LEVEL] = min(wanted, largest, _STEEPEST * numbers[LEVEL])
