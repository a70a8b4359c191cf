"""Filtered-x LMS, sample by sample, for any number of references, loudspeakers and microphones.

One kernel is the controller *and* the acoustics behind its loudspeakers, because each sample of the
error depends on all anti-noise before it. Several algorithms differ only in one scalar, the factor
of the update, so they share the kernel: see :class:`StepRule`.

References
----------
S. M. Kuo & D. R. Morgan, Active Noise Control Systems, 1996, Eqs. 3.1.11-3.1.13 (FxLMS), 5.2
(multiple channel), 6.1 (feedback, internal model).
S. J. Elliott, Signal Processing for Active Control, 2001, Sec. 5.4.
L. Wu, H. He & X. Qiu, An active impulsive noise control algorithm with logarithmic transformation,
IEEE Trans. Audio Speech Lang. Process. 19 (2011) 1041 (FxlogLMS).
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anc_core.dsp.adaptive_guard import (
    BASE,
    BLOCK,
    BLOCK_ERROR,
    BLOCK_FAST,
    BLOCK_FREE,
    BLOCK_OWN,
    BLOCK_REFERENCE,
    BLOCK_SLOW,
    CLIP,
    CLIP_RATE,
    COUNT,
    DC_POLE,
    FALL,
    GAIN,
    HOLD,
    LATCHED,
    LISTENING,
    MEAN_FAST,
    MEAN_SLOW,
    NOTHING,
    POWER,
    RAMP_STEP,
    RAMPING,
    REFERENCE_CLIP,
    RISE,
    SAVE,
    SCALE,
    STATE,
    TRIPS,
    USUAL_LEVEL,
    USUAL_POWER,
    WORKING,
    ZERO,
    clipped,
    compare,
    dc_blocked,
    hold,
    is_heard,
    judge,
    square,
    usual_power,
)
from anc_core.dsp.jit import UNSIGNED, inlined, jit_by_dtype, part_of_kernel

Array = NDArray[Any]

_RECOUNT = 4_096
"""Samples after which the running power is summed afresh, so that rounding cannot pile up."""

_COMPARE_EVERY = 4
"""Samples between two comparisons of the fast and the averaged weights: a sample of their errors
tells as much as all of them."""

_BEHIND = 0.8
"""Error power of the fast weights over that of the averaged ones from which the latter hurry."""

_LEAST_STEP = 0.05
"""Share of the step that a variable one keeps."""

_OUTPUT_LIMIT = 6.0
"""Largest anti-noise over the RMS of the noise it is for."""


class StepRule(IntEnum):
    """What the error e is put through before it updates the weights; s is its mean magnitude."""

    NORMALISED = 0
    """step·e / (P + regularization·usual P), P the power of the filtered references."""
    PLAIN = 1
    """step·e / usual P: the same step in usual and quiet moments (LMS); in louder ones as above."""
    SIGN = 2
    """step·s·sign(e) / (P + ...): clicks count no more than anything else."""
    LOGARITHMIC = 3
    """step·s·sign(e)·log(1 + |e|/s) / (P + ...): between the two (FxlogLMS, made scale-free)."""
    VARIABLE = 4
    """The step shrinks as the error loses its correlation from sample to sample, to 5 % at least
    (Aboulnasr & Mayyas, IEEE Trans. Signal Process. 45 (1997) 631, Eqs. 5-7, made scale-free)."""


# Layout of the parameters
(
    STEP_SIZE,
    REGULARIZATION,
    LEAKAGE,
    SATURATION,
    DRIVE_STEP,
    MICROPHONE_STEP,
    AVERAGING,
    CATCHING_UP,
    NUM_PARAMETERS,
) = range(9)

# Layout of a microphone's memory
(
    FREE,
    HEARD,
    FORESEEN,
    MEAN_HEARD,
    MEAN_LEARNT,
    LAST_LEARNT,
    CORRELATION,
    LEARNT_POWER,
    NUM_MEMORIES,
) = range(9)


@inlined
def _dot(taps: Array, row: int, signal: Array, line: int, first: int, count: int) -> Any:  # noqa: ANN401
    i, j, start = UNSIGNED(row), UNSIGNED(line), UNSIGNED(first)
    total = taps.dtype.type(0.0)
    for k in range(UNSIGNED(count)):
        total += taps[i, k] * signal[j, start + k]
    return total


@inlined
def _echo(paths: Array, m: int, signals: Array, newest: int) -> Any:  # noqa: ANN401
    """Return what microphone ``m`` hears of all signals up to column ``newest``."""
    total = paths.dtype.type(0.0)
    num_taps = paths.shape[1]
    for k in range(signals.shape[0]):
        pair = m * signals.shape[0] + k
        total += _dot(paths, pair, signals, k, newest - num_taps + 1, num_taps)
    return total


@inlined
def _newest(paths: Array, m: int, signals: Array, column: int) -> Any:  # noqa: ANN401
    """Return what it hears of that column alone."""
    total = paths.dtype.type(0.0)
    for k in range(signals.shape[0]):
        total += paths[m * signals.shape[0] + k, paths.shape[1] - 1] * signals[k, column]
    return total


@inlined
def _update_others(weights: Array, row: int, updates: Array, filtered: Array, n: int) -> None:
    """Update a row of the weights by the errors of all microphones but the last."""
    for m in range(updates.shape[0] - 1):
        _update(weights, row, updates[m], filtered, m * weights.shape[0] + row, n)


@inlined
def _update(weights: Array, row: int, factor: Any, signal: Array, line: int, first: int) -> None:  # noqa: ANN401
    i, j, start = UNSIGNED(row), UNSIGNED(line), UNSIGNED(first)
    for k in range(UNSIGNED(weights.shape[1])):
        weights[i, k] += factor * signal[j, start + k]


@inlined
def _update_and_dot(
    weights: Array,
    row: int,
    keep: Any,  # noqa: ANN401
    factor: Any,  # noqa: ANN401
    signal: Array,
    line: int,
    first: int,
    other: Array,
    other_line: int,
    other_first: int,
) -> Any:  # noqa: ANN401
    """Update the weights and filter with them in one pass over memory."""
    i, j, other_row = UNSIGNED(row), UNSIGNED(line), UNSIGNED(other_line)
    start, other_start = UNSIGNED(first), UNSIGNED(other_first)
    total = weights.dtype.type(0.0)
    for k in range(UNSIGNED(weights.shape[1])):
        tap = keep * weights[i, k] + factor * signal[j, start + k]
        weights[i, k] = tap
        total += tap * other[other_row, other_start + k]
    return total


@part_of_kernel
def _move(averaged: Array, weights: Array, share: Any) -> None:  # noqa: ANN401
    for row in range(weights.shape[0]):
        slow = averaged[row]
        w = weights[row]
        for i in range(weights.shape[1]):
            slow[i] += share * (w[i] - slow[i])


@inlined
def _varied(microphones: Array, m: int, wrong: float, rate: float) -> float:
    """Return the share of the step that the variable rule takes; its memory learns of the error."""
    microphones[m, CORRELATION] += rate * (
        wrong * microphones[m, LAST_LEARNT] - microphones[m, CORRELATION]
    )
    microphones[m, LEARNT_POWER] += rate * (wrong**2 - microphones[m, LEARNT_POWER])
    microphones[m, LAST_LEARNT] = wrong
    share = 1.0
    if microphones[m, LEARNT_POWER] > 0.0:
        share = abs(microphones[m, CORRELATION]) / microphones[m, LEARNT_POWER]
    return min(max(share, _LEAST_STEP), 1.0)


@part_of_kernel
def _hear(
    references: Array,
    now: int,
    num_samples: int,
    dc_states: Array,
    numbers: Array,
    limits: Array,
    means: Array,
    guarded: bool,
    levels: Array,
    broken: Array,
) -> None:
    """Take in ``num_samples`` of the references, from column ``now`` on, as many as have ``means``.

    Parameters
    ----------
    levels, broken : (BLOCK,)
        Written: sums of their squares, and which held something that was no number.
    """
    # While it listens it has to get to know the levels first.
    clips = guarded and numbers[STATE] != LISTENING
    for n in range(num_samples):
        levels[n] = 0.0
        broken[n] = False
    for j in range(means.shape[0]):
        mean = means[j]
        for n in range(num_samples):
            value = np.float64(references[j, now + n])
            if guarded:
                if not math.isfinite(value):
                    value = 0.0
                    broken[n] = True
                else:
                    value = dc_blocked(dc_states, j, value, limits[DC_POLE])
                if clips:
                    value = clipped(value, mean, REFERENCE_CLIP)
                size = abs(value)
                rate = limits[CLIP_RATE] if size > mean else limits[FALL]
                mean += rate * (size - mean)
            references[j, now + n] = value
            levels[n] += value * value
        means[j] = mean


@part_of_kernel
def _filter(
    references: Array,
    j: int,
    now: int,
    num_samples: int,
    estimate: Array,
    filtered: Array,
    first: int,
    dc_states: Array,
    first_state: int,
    pole: float,
    guarded: bool,
) -> None:
    """Send ``num_samples`` of reference ``j``, from column ``now`` on, through the estimate.

    They are written into ``filtered`` from column ``first`` on.
    """
    num_estimate = estimate.shape[1]
    for pair in range(estimate.shape[0]):
        line = pair * references.shape[0] + j
        for i in range(num_samples):
            oldest = now + i - num_estimate + 1
            value = np.float64(_dot(estimate, pair, references, j, oldest, num_estimate))
            if guarded:
                value = dc_blocked(dc_states, first_state + line, value, pole)
            filtered[line, first + i] = value


@part_of_kernel
def _plan(
    filtered: Array,
    num_taps: int,
    first: int,
    at: int,
    num_samples: int,
    count: int,
    numbers: Array,
    limits: Array,
    parameters: Array,
    estimate_energy: float,
    num_mics: int,
    rule: int,
    is_modified: bool,
    is_blind: bool,
    guarded: bool,
    factors: Array,
    ceilings: Array,
) -> None:
    """Write for ``num_samples`` what the errors will be multiplied by, and how loud to be at most.

    A factor of 0: nothing may be learnt. ``first``: column of ``filtered`` in which the window of
    the first of them begins; ``at``: its place in the block, which began at ``count`` or later;
    ``is_blind``: there is no reference but the error microphones.
    """
    power, usual = numbers[POWER], numbers[USUAL_POWER]
    is_idle = numbers[STATE] == LATCHED or (numbers[STATE] == LISTENING and not is_modified)
    for i in range(at, at + num_samples):
        oldest = first + i - at
        for line in range(filtered.shape[0]):
            power += square(filtered[line, oldest + num_taps - 1])
            power -= square(filtered[line, oldest - 1])
        if (count + i) % _RECOUNT == 0:
            power = 0.0
            for line in range(filtered.shape[0]):
                for k in range(num_taps):
                    power += square(filtered[line, oldest + k])
        power = max(power, 0.0)
        if guarded:
            passed = usual / (filtered.shape[0] * num_taps)
            if is_blind:
                passed = estimate_energy / num_mics * numbers[USUAL_LEVEL] / BLOCK
            needed = numbers[BASE] * (numbers[USUAL_LEVEL] / BLOCK) ** 2 / max(passed, 1e-300)
            ceilings[i] = _OUTPUT_LIMIT * math.sqrt(needed / num_mics)
        usual = usual_power(usual, power, limits[RISE], limits[FALL])
        divisor = power + parameters[REGULARIZATION] * usual
        if rule == StepRule.PLAIN:
            divisor = max(usual, power)
        learns = power > 0.0
        if guarded:
            learns = is_heard(power, usual) and not is_idle
        factor = -parameters[STEP_SIZE] / divisor if learns and divisor > 0.0 else 0.0
        if guarded and not is_modified:
            factor *= numbers[SCALE]
        factors[i] = factor
    numbers[POWER], numbers[USUAL_POWER] = power, usual


# An array that is given to a function with branches is counted at each call, so these take numbers.


@inlined
def _limited(value: float, ceiling: float) -> float:
    """Return a command that is a number and not too loud."""
    value = value if math.isfinite(value) else 0.0
    return min(max(value, -ceiling), ceiling)


@inlined
def _sent(command: float, step: float, saturation: float) -> float:
    """Return what leaves a loudspeaker."""
    if step > 0.0:
        command = _quantised(command, step)
    if saturation > 0.0:
        command = saturation * math.tanh(command / saturation)
    return command


@inlined
def _quantised(value: float, step: float) -> float:
    return step * math.floor(value / step + 0.5)


@inlined
def _put_through(wrong: float, mean: float, rule: int) -> float:
    """Return the error as the rule takes it; ``mean``: its magnitude so far."""
    if rule == StepRule.SIGN:
        wrong = mean if wrong > 0.0 else (-mean if wrong < 0.0 else 0.0)
    elif rule == StepRule.LOGARITHMIC and mean > 0.0:
        size = mean * math.log(1.0 + abs(wrong) / mean)
        wrong = size if wrong > 0.0 else -size
    return wrong


@inlined
def _kept(updates: Array, leakage: float) -> Any:  # noqa: ANN401
    """Return the share of the weights that outlives the updates."""
    keep = 1.0
    for m in range(updates.shape[0]):
        keep = 1.0 - leakage if updates[m] != updates.dtype.type(0.0) else keep
    return updates.dtype.type(keep)


@part_of_kernel
def _sound_ahead(
    references: Array,
    disturbance: Array,
    microphone_noise: Array,
    error: Array,
    anti_noise: Array,
    averaged: Array,
    secondary: Array,
    estimate: Array,
    driven: Array,
    commands: Array,
    dc_states: Array,
    numbers: Array,
    limits: Array,
    parameters: Array,
    microphones: Array,
    ceilings: Array,
    levels: Array,
    broken: Array,
    free: Array,
    first_error: int,
    is_exact: bool,
    guarded: bool,
    at: int,
    first: int,
    stop: int,
) -> None:
    """Make the anti-noise of samples ``first`` to ``stop`` with weights that stay, and hear it."""
    num_mics, num_samples = disturbance.shape
    num_taps = averaged.shape[1]
    start = references.shape[1] - num_samples
    drive_step, mic_step = parameters[DRIVE_STEP], parameters[MICROPHONE_STEP]
    saturation = parameters[SATURATION]
    driven_start = driven.shape[1] - num_samples
    for n in range(first, stop):
        gain = numbers[GAIN] if guarded else 1.0
        oldest = start + n - num_taps + 1
        for k in range(driven.shape[0]):
            command = averaged.dtype.type(0.0)
            for j in range(references.shape[0]):
                row = k * references.shape[0] + j
                command += _dot(averaged, row, references, j, oldest, num_taps)
            value = gain * np.float64(command)
            if guarded:
                value = _limited(value, ceilings[at + n - first])
            commands[k, driven_start + n] = value
            driven[k, driven_start + n] = _sent(value, drive_step, saturation)
        if guarded and numbers[STATE] == RAMPING:
            numbers[GAIN] = min(numbers[GAIN] + limits[RAMP_STEP], 1.0)
            numbers[STATE] = WORKING if numbers[GAIN] == 1.0 else RAMPING

    clips = guarded and numbers[STATE] != LISTENING
    rate, pole = limits[CLIP_RATE], limits[DC_POLE]
    first_own = dc_states.shape[0] - num_mics
    block_free, block_error = numbers[BLOCK_FREE], numbers[BLOCK_ERROR]
    block_own, block_reference = numbers[BLOCK_OWN], numbers[BLOCK_REFERENCE]
    for n in range(first, stop):
        i = at + n - first
        block_reference += levels[i]
        for m in range(num_mics):
            acc = _echo(secondary, m, driven, driven_start + n)
            anti_noise[m, n] = acc
            sound = np.float64(disturbance[m, n]) + np.float64(acc)
            error[m, n] = sound
            if microphone_noise.shape[0] > 0:
                sound += np.float64(microphone_noise[m, n])
            if mic_step > 0.0:
                sound = _quantised(sound, mic_step)
            if guarded:
                if not math.isfinite(sound):
                    sound = 0.0
                    broken[i] = True
                    error[m, n] = acc
                else:
                    sound = dc_blocked(dc_states, first_error + m, sound, pole)
            # Where the estimate is the path itself this is the sum above once more.
            if not is_exact:
                acc = _echo(estimate, m, commands, driven_start + n)
            own = np.float64(acc)
            if guarded:
                own = dc_blocked(dc_states, first_own + m, own, pole)
            free[m, i] = sound - own
            block_free += (sound - own) ** 2
            block_own += own * own
            mean = microphones[m, MEAN_HEARD]
            if clips:
                sound = clipped(sound, mean, CLIP)
            microphones[m, MEAN_HEARD] = mean + rate * (abs(sound) - mean)
            block_error += sound * sound
    numbers[BLOCK_FREE], numbers[BLOCK_ERROR] = block_free, block_error
    numbers[BLOCK_OWN], numbers[BLOCK_REFERENCE] = block_own, block_reference


@part_of_kernel
def _learn_behind(
    weights: Array,
    averaged: Array,
    filtered: Array,
    updates: Array,
    numbers: Array,
    events: Array,
    limits: Array,
    parameters: Array,
    microphones: Array,
    factors: Array,
    broken: Array,
    free: Array,
    rule: int,
    guarded: bool,
    at: int,
    first: int,
    stop: int,
    count: int,
) -> None:
    """Learn from the errors that the weights, at work all the time, would make."""
    num_taps = weights.shape[1]
    num_mics = updates.shape[0]
    last = num_mics - 1
    clips = guarded and numbers[STATE] != LISTENING
    rate, leakage = limits[CLIP_RATE], parameters[LEAKAGE]
    for n in range(first, stop):
        i = at + n - first
        keep = _kept(updates, leakage)
        for m in range(num_mics):
            microphones[m, FREE] = microphones[m, FORESEEN] = free[m, i]
        for row in range(weights.shape[0]):
            _update_others(weights, row, updates, filtered, n)
            line = last * weights.shape[0] + row
            microphones[last, FORESEEN] += _update_and_dot(
                weights, row, keep, updates[last], filtered, line, n, filtered, line, n + 1
            )
            for m in range(last):
                line = m * weights.shape[0] + row
                microphones[m, FORESEEN] += _dot(weights, row, filtered, line, n + 1, num_taps)
        if (count + i) % _COMPARE_EVERY == 0:
            for m in range(num_mics):
                slow = free[m, i]
                for row in range(weights.shape[0]):
                    line = m * weights.shape[0] + row
                    slow += _dot(averaged, row, filtered, line, n + 1, num_taps)
                numbers[BLOCK_FAST] += _COMPARE_EVERY * microphones[m, FORESEEN] ** 2
                numbers[BLOCK_SLOW] += _COMPARE_EVERY * slow**2
        factor = factors[i]
        if guarded:
            if broken[i]:
                numbers[COUNT] = count + i
                hold(numbers, events, limits)
            if numbers[HOLD] > 0.0:
                numbers[HOLD] -= 1.0
                factor = 0.0
        for m in range(num_mics):
            wrong = microphones[m, FORESEEN]
            mean = microphones[m, MEAN_LEARNT]
            if clips:
                wrong = clipped(wrong, mean, CLIP)
            microphones[m, MEAN_LEARNT] = mean + rate * (abs(wrong) - mean)
            share = factor
            if rule == StepRule.VARIABLE and factor != 0.0:
                share *= _varied(microphones, m, wrong, rate)
            updates[m] = share * _put_through(wrong, mean, rule) if factor != 0.0 else 0.0


@part_of_kernel
def _run_plain(
    references: Array,
    disturbance: Array,
    microphone_noise: Array,
    error: Array,
    anti_noise: Array,
    weights: Array,
    filtered: Array,
    updates: Array,
    secondary: Array,
    estimate: Array,
    driven: Array,
    commands: Array,
    dc_states: Array,
    numbers: Array,
    events: Array,
    limits: Array,
    parameters: Array,
    microphones: Array,
    factors: Array,
    ceilings: Array,
    levels: Array,
    broken: Array,
    echoes: Array,
    first_error: int,
    rule: int,
    needs_own: bool,
    is_exact: bool,
    guarded: bool,
    at: int,
    first: int,
    stop: int,
    count: int,
) -> None:
    """Make the anti-noise of samples ``first`` to ``stop``, and learn from each before the next."""
    num_mics, num_samples = disturbance.shape
    num_taps = weights.shape[1]
    last = num_mics - 1
    start = references.shape[1] - num_samples
    drive_step, mic_step = parameters[DRIVE_STEP], parameters[MICROPHONE_STEP]
    saturation = parameters[SATURATION]
    driven_start = driven.shape[1] - num_samples
    clips = guarded and numbers[STATE] != LISTENING
    rate, pole, leakage = limits[CLIP_RATE], limits[DC_POLE], parameters[LEAKAGE]
    first_own = dc_states.shape[0] - num_mics
    block_free, block_error = numbers[BLOCK_FREE], numbers[BLOCK_ERROR]
    block_own, block_reference = numbers[BLOCK_OWN], numbers[BLOCK_REFERENCE]
    for n in range(first, stop):
        i = at + n - first
        column = driven_start + n
        block_reference += levels[i]
        # The newest sample is still 0 in these sums, and is added below: if they had to wait until
        # it has arrived in memory, they would take twice the time.
        for m in range(num_mics):
            echoes[0, m] = _echo(secondary, m, driven, column)
            if needs_own and not is_exact:
                echoes[1, m] = _echo(estimate, m, commands, column)
        keep = _kept(updates, leakage)
        gain = numbers[GAIN] if guarded else 1.0
        oldest = start + n - num_taps + 1
        for k in range(driven.shape[0]):
            command = weights.dtype.type(0.0)
            for j in range(references.shape[0]):
                row = k * references.shape[0] + j
                _update_others(weights, row, updates, filtered, n)
                line = last * weights.shape[0] + row
                command += _update_and_dot(
                    weights, row, keep, updates[last], filtered, line, n, references, j, oldest
                )
            value = gain * np.float64(command)
            if guarded:
                value = _limited(value, ceilings[i])
            commands[k, column] = value
            driven[k, column] = _sent(value, drive_step, saturation)
        if guarded and numbers[STATE] == RAMPING:
            numbers[GAIN] = min(numbers[GAIN] + limits[RAMP_STEP], 1.0)
            numbers[STATE] = WORKING if numbers[GAIN] == 1.0 else RAMPING
        for m in range(num_mics):
            acc = echoes[0, m] + _newest(secondary, m, driven, column)
            anti_noise[m, n] = acc
            sound = np.float64(disturbance[m, n]) + np.float64(acc)
            error[m, n] = sound
            if microphone_noise.shape[0] > 0:
                sound += np.float64(microphone_noise[m, n])
            if mic_step > 0.0:
                sound = _quantised(sound, mic_step)
            if guarded:
                if not math.isfinite(sound):
                    sound = 0.0
                    broken[i] = True
                    error[m, n] = acc
                else:
                    sound = dc_blocked(dc_states, first_error + m, sound, pole)
            own = 0.0
            if needs_own:
                # Where the estimate is the path itself this is the sum above once more.
                if not is_exact:
                    acc = echoes[1, m] + _newest(estimate, m, commands, column)
                own = np.float64(acc)
                if guarded:
                    own = dc_blocked(dc_states, first_own + m, own, pole)
            microphones[m, HEARD], microphones[m, FREE] = sound, sound - own
            block_free += (sound - own) ** 2
            block_own += own * own
            mean = microphones[m, MEAN_HEARD]
            if clips:
                sound = clipped(sound, mean, CLIP)
            microphones[m, MEAN_HEARD] = mean + rate * (abs(sound) - mean)
            block_error += sound * sound
        factor = factors[i]
        if guarded:
            if broken[i]:
                numbers[COUNT] = count + i
                hold(numbers, events, limits)
            if numbers[HOLD] > 0.0:
                numbers[HOLD] -= 1.0
                factor = 0.0
        for m in range(num_mics):
            wrong = microphones[m, HEARD]
            mean = microphones[m, MEAN_LEARNT]
            if clips:
                wrong = clipped(wrong, mean, CLIP)
            microphones[m, MEAN_LEARNT] = mean + rate * (abs(wrong) - mean)
            share = factor
            if rule == StepRule.VARIABLE and factor != 0.0:
                share *= _varied(microphones, m, wrong, rate)
            updates[m] = share * _put_through(wrong, mean, rule) if factor != 0.0 else 0.0
    numbers[BLOCK_FREE], numbers[BLOCK_ERROR] = block_free, block_error
    numbers[BLOCK_OWN], numbers[BLOCK_REFERENCE] = block_own, block_reference


@jit_by_dtype(
    "void(real[:, ::1], real[:, ::1], real[:, ::1], real[:, ::1], real[:, ::1],"
    " real[:, ::1], real[:, ::1], real[:, ::1], real[:, ::1], real[:, ::1],"
    " real[:, ::1], real[:, ::1], real[:, ::1], float64[:, ::1], float64[::1],"
    " float64[:, ::1], float64[::1], float64[::1], float64[:, ::1], float64[::1], real[::1], int64,"
    " boolean, boolean, boolean, boolean)",
    uses=(judge,),
)
def fxlms_block(  # noqa: PLR0912, PLR0915 - one straight recipe, sample by sample
    references: Array,
    disturbance: Array,
    microphone_noise: Array,
    error: Array,
    anti_noise: Array,
    weights: Array,
    averaged: Array,
    saved: Array,
    secondary: Array,
    estimate: Array,
    driven: Array,
    commands: Array,
    filtered: Array,
    dc_states: Array,
    numbers: Array,
    events: Array,
    limits: Array,
    parameters: Array,
    microphones: Array,
    reference_means: Array,
    updates: Array,
    rule: int,
    is_modified: bool,
    is_feedback: bool,
    is_exact: bool,
    guarded: bool,
) -> None:
    """Run the controller over one chunk; every array but the paths may be changed.

    Parameters
    ----------
    references : (J + M', H + n)
        H samples of history, then the chunk: J microphones, then M' rows (0, or M with feedback)
        for the controller's own estimates of the disturbance.
    disturbance, microphone_noise : (M, n)
        At the error microphones; the noise is heard by the controller but is no sound. It may
        have 0 rows.
    error, anti_noise : (M, n)
        Written: what sounds at the microphones, and the loudspeakers' part of it.
    weights, averaged, saved : (K·(J + M'), num_taps)
        Last tap first, row k·(J + M') + j. ``averaged``: what a modified controller puts out;
        ``saved``: as last known to be good.
    secondary, estimate : (M·K, .)
        Last tap first, row m·K + k.
    driven, commands : (K, H + n)
        What left the loudspeakers, and what they were sent; H samples of history, then 0.
    filtered : (M·K·(J + M'), num_taps + n)
        References through the estimate; ``num_taps`` samples of history first.
    dc_states : (J + M + M·K·(J + M') + M, 3)
        For references, errors, filtered references, own anti-noise.
    numbers, events, limits
        See :mod:`anc_core.dsp.adaptive_guard`.
    parameters : (NUM_PARAMETERS,)
    microphones : (M, NUM_MEMORIES)
    reference_means : (J,)
        Mean magnitudes.
    updates : (M,)
        Factors of the update not yet applied.
    rule : int
        :class:`StepRule`.
    is_modified, is_feedback, is_exact, guarded : bool
        See :class:`FxlmsParameters`; exact: the estimate is the path, and the device linear.

    Notes
    -----
    With x' the references through the estimate, y = w*x sent to the loudspeakers, e = d + s*y:

    plain
        w(n+1) = (1 - leakage)·w(n) - step·e(n)·x'(n) / (P(n) + regularization·usual P).
    modified
        The same with e replaced by d̂(n) + w(n)·x'(n), d̂ = e - ŝ*y: what the error would be had
        these weights always been at work, so no delay limits the step (Bjarnason, IEEE Trans.
        Speech Audio Process. 3 (1995) 504). y is made with the average of the weights over about
        1 s, from which the noise of a large step has gone (Polyak & Juditsky 1992); while the
        weights themselves foresee a clearly smaller error, the average hurries after them.
    """
    num_all = references.shape[0]
    num_mics, num_samples = disturbance.shape
    num_taps = weights.shape[1]
    start = references.shape[1] - num_samples
    num_feedback = num_mics if is_feedback else 0
    num_heard = num_all - num_feedback
    first_filtered = num_heard + num_mics
    pole = limits[DC_POLE]
    needs_own = guarded or num_feedback > 0

    estimate_energy = 0.0
    for pair in range(estimate.shape[0]):
        for i in range(estimate.shape[1]):
            estimate_energy += float(estimate[pair, i]) ** 2
    estimate_energy = max(estimate_energy / num_mics, 1e-30)

    levels, factors, ceilings = np.zeros(BLOCK), np.zeros(BLOCK), np.full(BLOCK, math.inf)
    broken = np.zeros(BLOCK, np.bool_)
    echoes = np.zeros((2, num_mics), weights.dtype)
    free = np.zeros((num_mics, BLOCK))
    block_start = 0
    while block_start < num_samples:
        count = int(numbers[COUNT])
        block_stop = min(block_start + BLOCK - count % BLOCK, num_samples)
        length = block_stop - block_start
        now = start + block_start
        means = reference_means[:num_heard]
        _hear(references, now, length, dc_states, numbers, limits, means, guarded, levels, broken)
        for j in range(num_heard):
            _filter(
                references,
                j,
                now,
                length,
                estimate,
                filtered,
                num_taps + block_start,
                dc_states,
                first_filtered,
                pole,
                guarded,
            )
        if num_heard == 0:
            # Feedback alone: what the error was while mute is the yardstick.
            levels[:] = 1.0
        # What the error microphones hear as references is known one sample ahead only.
        num_ahead = 1 if num_feedback else length
        for first in range(block_start, block_stop, num_ahead):
            at = first - block_start
            for m in range(num_feedback):
                references[num_heard + m, start + first] = microphones[m, FREE]
                _filter(
                    references,
                    num_heard + m,
                    start + first,
                    1,
                    estimate,
                    filtered,
                    num_taps + first,
                    dc_states,
                    first_filtered,
                    pole,
                    guarded,
                )
            _plan(
                filtered,
                num_taps,
                first + 1,
                at,
                num_ahead,
                count,
                numbers,
                limits,
                parameters,
                estimate_energy,
                num_mics,
                rule,
                is_modified,
                num_heard == 0,
                guarded,
                factors,
                ceilings,
            )
            if not is_modified:
                _run_plain(
                    references,
                    disturbance,
                    microphone_noise,
                    error,
                    anti_noise,
                    weights,
                    filtered,
                    updates,
                    secondary,
                    estimate,
                    driven,
                    commands,
                    dc_states,
                    numbers,
                    events,
                    limits,
                    parameters,
                    microphones,
                    factors,
                    ceilings,
                    levels,
                    broken,
                    echoes,
                    num_heard,
                    rule,
                    needs_own,
                    is_exact,
                    guarded,
                    at,
                    first,
                    first + num_ahead,
                    count,
                )
                continue
            _sound_ahead(
                references,
                disturbance,
                microphone_noise,
                error,
                anti_noise,
                averaged,
                secondary,
                estimate,
                driven,
                commands,
                dc_states,
                numbers,
                limits,
                parameters,
                microphones,
                ceilings,
                levels,
                broken,
                free,
                num_heard,
                is_exact,
                guarded,
                at,
                first,
                first + num_ahead,
            )
            _learn_behind(
                weights,
                averaged,
                filtered,
                updates,
                numbers,
                events,
                limits,
                parameters,
                microphones,
                factors,
                broken,
                free,
                rule,
                guarded,
                at,
                first,
                first + num_ahead,
                count,
            )

        # ---------------------------------------------------------------- guards
        numbers[COUNT] = count + length
        block_start = block_stop
        if (count + length) % BLOCK:
            continue
        if is_modified:
            is_behind = numbers[MEAN_FAST] < _BEHIND * numbers[MEAN_SLOW]
            share = parameters[CATCHING_UP] if is_behind else parameters[AVERAGING]
            if guarded:
                share *= numbers[SCALE]
            _move(averaged, weights, weights.dtype.type(share))
        if not guarded:
            compare(numbers, limits)
            numbers[BLOCK_ERROR] = numbers[BLOCK_OWN] = numbers[BLOCK_REFERENCE] = 0.0
            continue
        action = judge(numbers, events, limits)
        if action == SAVE:
            saved[:] = averaged if is_modified else weights
        elif action != NOTHING:
            if action == ZERO:
                saved[:] = 0.0
            # A modified controller learns while it is mute, from what it has learnt so far;
            # not if it has just failed with it.
            if not (is_modified and numbers[TRIPS] < 1.5):
                weights[:] = saved
            averaged[:] = saved
            for m in range(num_mics):
                updates[m] = 0.0
