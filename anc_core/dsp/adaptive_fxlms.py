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
    BLOCK_BOTH,
    BLOCK_ERROR,
    BLOCK_FAST,
    BLOCK_FREE,
    BLOCK_OWN,
    BLOCK_POSSIBLE,
    BLOCK_RECALLED,
    BLOCK_REFERENCE,
    BLOCK_SLOW,
    CLIP,
    CLIP_RATE,
    COUNT,
    DC_POLE,
    FALL,
    GAIN,
    HAS_RECALLED,
    LISTENING,
    LONG_FREE,
    LONG_RECALLED,
    MEAN_AVERAGED,
    MEAN_BOTH,
    MEAN_FAST,
    MEAN_RECALLED,
    MEAN_SLOW,
    NOTHING,
    POWER,
    RAMP_STEP,
    RAMPING,
    RECENT_RATE,
    RECENT_SIZE,
    REFERENCE_CLIP,
    RISE,
    SAVE,
    SCALE,
    STATE,
    TRIPS,
    USUAL_AGE,
    USUAL_LEVEL,
    USUAL_POWER,
    WORKING,
    ZERO,
    clipped,
    compare,
    dc_blocked,
    followed_power,
    hold,
    judge,
    may_learn,
)
from anc_core.dsp.jit import UNSIGNED, inlined, jit_by_dtype, part_of_kernel

Array = NDArray[Any]

_RECOUNT = 4_096
"""Samples after which the running power is summed afresh, so that rounding cannot pile up."""

_COMPARE_EVERY = 8
"""Samples between two comparisons of the fast, the averaged and the recalled weights: a sample of
their errors tells as much as all of them."""

_BEHIND = 0.8
"""Error power of the fast weights over that of the averaged ones from which the latter hurry."""

_LEAST_STEP = 0.05
"""Share of the step that a variable one keeps."""

_OUTPUT_LIMIT = 12.0
"""Largest anti-noise over the RMS of the noise it is for, as the whole of the noise passes the
secondary path. Low sounds, which it lets through 10 dB weaker, take 6 times as much."""
_LOOP_LIMIT = 6.0
"""The same where the error microphone is a reference too: a loop can howl."""
_FEEDBACK_LIMIT = 3.5
"""With feedback alone: it cancels tones (1.4 of their RMS), and goes wrong within milliseconds."""


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
    MEAN_TOLD,
    NUM_MEMORIES,
) = range(10)


@inlined
def _dot(a: Array, row_a: int, first_a: int, b: Array, row_b: int, first_b: int, count: int) -> Any:  # noqa: ANN401
    i, j, from_a, from_b = UNSIGNED(row_a), UNSIGNED(row_b), UNSIGNED(first_a), UNSIGNED(first_b)
    total = a.dtype.type(0.0)
    for k in range(UNSIGNED(count)):
        total += a[i, from_a + k] * b[j, from_b + k]
    return total


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
def _blend(heard: Array, averaged: Array, recalled: Array, share: Any) -> None:  # noqa: ANN401
    for row in range(heard.shape[0]):
        out, slow, old = heard[row], averaged[row], recalled[row]
        for i in range(heard.shape[1]):
            out[i] = slow[i] + share * (old[i] - slow[i])


@part_of_kernel
def _share_of_recalled(numbers: Array) -> float:
    """Return the share of the recalled weights that, with the averaged ones, leaves the least."""
    slow, old, both = numbers[MEAN_AVERAGED], numbers[MEAN_RECALLED], numbers[MEAN_BOTH]
    apart = slow + old - 2.0 * both
    # Written so that NaN counts as none.
    if numbers[HAS_RECALLED] != 1.0 or not apart > 0.0:
        return 0.0
    return float(min(max((slow - both) / apart, 0.0), 1.0))


@part_of_kernel
def _move(averaged: Array, weights: Array, share: Any) -> None:  # noqa: ANN401
    for row in range(weights.shape[0]):
        slow = averaged[row]
        w = weights[row]
        for i in range(weights.shape[1]):
            slow[i] += share * (w[i] - slow[i])


def _run(  # noqa: PLR0912, PLR0915 - one straight recipe, sample by sample
    references: Array,
    disturbance: Array,
    microphone_noise: Array,
    error: Array,
    anti_noise: Array,
    weights: Array,
    averaged: Array,
    recalled: Array,
    heard_weights: Array,
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
    learnt: Array,
    told: Array,
    auxiliary: Array | None,
    probes: Array | None,
    piece: tuple[int, int] | None,
    rule: int,
    is_modified: bool,
    is_feedback: bool,
    is_exact: bool,
    guarded: bool,
) -> None:
    """Run the controller over samples of one chunk; every array but the paths may be changed.

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
        Last tap first, row k·(J + M') + j. ``saved``: as last known to be good.
    recalled : (K·(J + M'), num_taps), or of 0 rows
        What would have been best over the last seconds (:mod:`anc_core.dsp.recollection`).
    heard_weights : like ``weights``
        What a modified controller puts out: the averaged weights, the very array, or with
        ``recalled`` a mixture of both.
    secondary, estimate : (M·K, .)
        Last tap first, row m·K + k.
    driven, commands : (K, H + n)
        What left the loudspeakers, and what they were sent; H samples of history first.
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
    learnt : (M, B)
        For a controller that learns in blocks of B samples: step times error of the present block,
        0 where nothing may be learnt. B is 0 for one that learns from each sample.
    told : (1 + M, n), or of 0 rows without ``recalled``
        Written: 1 where it may be learnt from the sample, else 0; and the disturbances d̂.
    auxiliary : (K, H + n), or None
        Noise that sounds with the commands; the controller hears the microphones without what the
        estimate makes of it (online identification).
    probes : (2·M, n), or None
        Written: what the microphones hear, and that less the controller's own anti-noise, as it
        believes.
    piece : (int, int), or None
        First sample of the chunk to run over, and the one after the last; all of them.
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
        weights themselves foresee a clearly smaller error, the average hurries after them. Where
        there are recalled weights, it is mixed with them so that over the last 50 ms the least
        would have been left.
    """
    num_all = references.shape[0]
    num_mics, num_samples = disturbance.shape
    num_sources = driven.shape[0]
    num_taps = weights.shape[1]
    num_estimate = estimate.shape[1]
    num_secondary = secondary.shape[1]
    start = references.shape[1] - num_samples
    driven_start = driven.shape[1] - num_samples
    num_feedback = num_mics if is_feedback else 0
    num_heard = num_all - num_feedback
    zero = weights.dtype.type(0.0)
    step_size, regularization, leakage = (
        parameters[STEP_SIZE],
        parameters[REGULARIZATION],
        parameters[LEAKAGE],
    )
    saturation, drive_step, mic_step = (
        parameters[SATURATION],
        parameters[DRIVE_STEP],
        parameters[MICROPHONE_STEP],
    )
    first_error = num_heard
    first_filtered = num_heard + num_mics
    first_own = first_filtered + num_mics * num_sources * num_all
    pole = limits[DC_POLE]
    num_lines = num_mics * num_sources * num_all * num_taps
    is_block = learnt.shape[1] > 0
    is_recalling = recalled.shape[0] > 0
    block_length = np.uint64(max(learnt.shape[1], 1))
    needs_own = guarded or is_modified or num_feedback > 0

    estimate_energy = 0.0
    for pair in range(estimate.shape[0]):
        for i in range(num_estimate):
            estimate_energy += float(estimate[pair, i]) ** 2
    estimate_energy = max(estimate_energy / num_mics, 1e-30)

    # Whole numbers: the remainder of floating-point ones takes as long as the rest of the guards.
    count = np.uint64(numbers[COUNT])
    begin, end = 0, num_samples
    if piece is not None:
        begin, end = piece
    for n in range(begin, end):
        now = start + n
        # ---------------------------------------------------------------- what the sensors hear
        is_broken = False
        # While it listens it has to get to know the levels first.
        clips = guarded and numbers[STATE] != LISTENING
        level = 0.0
        for j in range(num_heard):
            value = float(references[j, now])
            if guarded:
                if not math.isfinite(value):
                    value = 0.0
                    is_broken = True
                else:
                    value = dc_blocked(dc_states, j, value, pole)
                mean = reference_means[j]
                if clips:
                    value = clipped(value, mean, REFERENCE_CLIP)
                size = abs(value)
                rate = limits[CLIP_RATE] if size > mean else limits[FALL]
                reference_means[j] = mean + rate * (size - mean)
            references[j, now] = value
            level += value * value
        for m in range(num_feedback):
            references[num_heard + m, now] = microphones[m, FREE]
        if num_heard == 0:
            # Feedback alone: what the error was while mute is the yardstick.
            level = 1.0

        # ---------------------------------------------------------------- filtered references
        power = numbers[POWER]
        for m in range(num_mics):
            for k in range(num_sources):
                pair = m * num_sources + k
                for j in range(num_all):
                    line = pair * num_all + j
                    first = now - num_estimate + 1
                    value = float(_dot(estimate, pair, 0, references, j, first, num_estimate))
                    if guarded:
                        value = dc_blocked(dc_states, first_filtered + line, value, pole)
                    old = float(filtered[line, n])
                    filtered[line, num_taps + n] = value
                    value = float(filtered[line, num_taps + n])
                    power += value * value - old * old
        if count % np.uint64(_RECOUNT) == 0:
            power = 0.0
            for line in range(filtered.shape[0]):
                for i in range(num_taps):
                    power += float(filtered[line, n + 1 + i]) ** 2
        power = max(power, 0.0)
        numbers[POWER] = power

        # ---------------------------------------------------------------- anti-noise, and update
        is_pending = False
        for m in range(num_mics):
            if updates[m] != zero:
                is_pending = True
        keep = weights.dtype.type(1.0 - leakage) if is_pending else weights.dtype.type(1.0)
        gain = numbers[GAIN] if guarded else 1.0
        ceiling = math.inf
        if guarded:
            passed = numbers[USUAL_POWER] / num_lines
            if num_heard == 0:
                passed = estimate_energy * numbers[USUAL_LEVEL] / BLOCK
            needed = numbers[BASE] * (numbers[USUAL_LEVEL] / BLOCK) ** 2 / max(passed, 1e-300)
            if num_feedback == 0:
                # What has just become louder needs more at once: 22 dB at the onset of a horn. The
                # mean of magnitudes knows it from a click.
                size = numbers[RECENT_SIZE] + limits[RECENT_RATE] * (
                    math.sqrt(level) - numbers[RECENT_SIZE]
                )
                numbers[RECENT_SIZE] = size
                if size**2 * BLOCK > numbers[USUAL_LEVEL] > 0.0:
                    needed *= size**2 * BLOCK / numbers[USUAL_LEVEL]
            times = _OUTPUT_LIMIT
            if num_feedback > 0:
                times = _LOOP_LIMIT if num_heard > 0 else _FEEDBACK_LIMIT
            ceiling = times * math.sqrt(needed / num_mics)
        last = num_mics - 1
        possible_energy = 0.0
        for m in range(num_mics):
            microphones[m, FORESEEN] = 0.0
        for k in range(num_sources):
            command = zero
            for j in range(num_all):
                row = k * num_all + j
                first = now - num_taps + 1
                if is_pending:
                    for m in range(last):
                        line = (m * num_sources + k) * num_all + j
                        _update(weights, row, updates[m], filtered, line, n)
                line = (last * num_sources + k) * num_all + j
                factor = updates[last]
                if not is_modified:
                    command += _update_and_dot(
                        weights, row, keep, factor, filtered, line, n, references, j, first
                    )
                    continue
                microphones[last, FORESEEN] += _update_and_dot(
                    weights, row, keep, factor, filtered, line, n, filtered, line, n + 1
                )
                for m in range(last):
                    line = (m * num_sources + k) * num_all + j
                    microphones[m, FORESEEN] += _dot(
                        weights, row, 0, filtered, line, n + 1, num_taps
                    )
                command += _dot(heard_weights, row, 0, references, j, first, num_taps)
            value = gain * float(command)
            if guarded:
                if not math.isfinite(value):
                    value = 0.0
                value = min(max(value, -ceiling), ceiling)
            commands[k, driven_start + n] = value
            possible_energy += value * value
            if auxiliary is not None:
                value += float(auxiliary[k, driven_start + n])
            if drive_step > 0.0:
                value = drive_step * math.floor(value / drive_step + 0.5)
            if saturation > 0.0:
                value = saturation * math.tanh(value / saturation)
            driven[k, driven_start + n] = value

        # ---------------------------------------------------------------- what comes of it
        own_energy = 0.0
        error_energy = 0.0
        for m in range(num_mics):
            acc = zero
            for k in range(num_sources):
                pair = m * num_sources + k
                first = driven_start + n - num_secondary + 1
                acc += _dot(secondary, pair, 0, driven, k, first, num_secondary)
            anti_noise[m, n] = acc
            sound = float(disturbance[m, n]) + float(acc)
            error[m, n] = sound
            heard = sound
            if microphone_noise.shape[0] > 0:
                heard += float(microphone_noise[m, n])
            if mic_step > 0.0:
                heard = mic_step * math.floor(heard / mic_step + 0.5)
            if guarded:
                if not math.isfinite(heard):
                    heard = 0.0
                    is_broken = True
                    error[m, n] = acc
                else:
                    heard = dc_blocked(dc_states, first_error + m, heard, pole)
            own = 0.0
            if needs_own:
                # Where the estimate is the path itself this is the sum above once more.
                if not is_exact:
                    acc = zero
                    for k in range(num_sources):
                        pair = m * num_sources + k
                        first = driven_start + n - num_estimate + 1
                        acc += _dot(estimate, pair, 0, commands, k, first, num_estimate)
                own = float(acc)
                if guarded:
                    own = dc_blocked(dc_states, first_own + m, own, pole)
            if auxiliary is not None and probes is not None:
                probes[m, n] = heard
                probes[num_mics + m, n] = heard - own
                acc = zero
                for k in range(num_sources):
                    pair = m * num_sources + k
                    first = driven_start + n - num_estimate + 1
                    acc += _dot(estimate, pair, 0, auxiliary, k, first, num_estimate)
                heard -= float(acc)
            microphones[m, FREE] = heard - own
            numbers[BLOCK_FREE] += microphones[m, FREE] ** 2
            microphones[m, HEARD] = heard
            own_energy += own * own
            mean = microphones[m, MEAN_HEARD]
            if clips:
                heard = clipped(heard, mean, CLIP)
            microphones[m, MEAN_HEARD] = mean + limits[CLIP_RATE] * (abs(heard) - mean)
            error_energy += heard * heard

        # ---------------------------------------------------------------- fast or averaged weights
        if is_modified and count % np.uint64(_COMPARE_EVERY) == 0:
            for m in range(num_mics):
                acc = zero
                for row in range(weights.shape[0]):
                    line = m * weights.shape[0] + row
                    acc += _dot(averaged, row, 0, filtered, line, n + 1, num_taps)
                free = microphones[m, FREE]
                slow = free + float(acc)
                numbers[BLOCK_FAST] += _COMPARE_EVERY * (free + microphones[m, FORESEEN]) ** 2
                numbers[BLOCK_SLOW] += _COMPARE_EVERY * slow**2
                if is_recalling:
                    acc = zero
                    for row in range(weights.shape[0]):
                        line = m * weights.shape[0] + row
                        acc += _dot(recalled, row, 0, filtered, line, n + 1, num_taps)
                    old = free + float(acc)
                    numbers[BLOCK_RECALLED] += _COMPARE_EVERY * old**2
                    numbers[BLOCK_BOTH] += _COMPARE_EVERY * slow * old
                    numbers[LONG_RECALLED] += old**2
                    numbers[LONG_FREE] += free**2

        # ---------------------------------------------------------------- what is learnt from it
        if guarded and is_broken:
            hold(numbers, events, limits)
        usual = numbers[USUAL_POWER]
        age = numbers[USUAL_AGE] + 1.0 if usual > 0.0 else 1.0
        usual = followed_power(usual, age, power, limits[RISE], limits[FALL])
        numbers[USUAL_POWER], numbers[USUAL_AGE] = usual, age
        learns = may_learn(numbers, power, is_modified) if guarded else power > 0.0
        place = np.int64(count % block_length) if is_block else 0
        if is_recalling:
            told[0, n] = 1.0 if learns else 0.0
            for m in range(num_mics):
                free, mean = microphones[m, FREE], microphones[m, MEAN_TOLD]
                if clips:
                    free = clipped(free, mean, CLIP)
                # It rises fast: the onset of a burst is what is worth recalling.
                rate = limits[RECENT_RATE] if abs(free) > mean else limits[CLIP_RATE]
                microphones[m, MEAN_TOLD] = mean + rate * (abs(free) - mean)
                told[1 + m, n] = free
        for m in range(num_mics):
            heard = microphones[m, HEARD]
            if is_modified:
                heard = microphones[m, FREE] + microphones[m, FORESEEN]
            mean = microphones[m, MEAN_LEARNT]
            if clips:
                heard = clipped(heard, mean, CLIP)
            microphones[m, MEAN_LEARNT] = mean + limits[CLIP_RATE] * (abs(heard) - mean)
            if is_block:
                learnt[m, place] = zero
            if not learns:
                updates[m] = zero
                continue
            divisor = power + regularization * usual
            factor = step_size
            if rule == StepRule.PLAIN:
                divisor = max(usual, power)
            elif rule == StepRule.SIGN:
                heard = mean if heard > 0.0 else (-mean if heard < 0.0 else 0.0)
            elif rule == StepRule.LOGARITHMIC and mean > 0.0:
                size = mean * math.log(1.0 + abs(heard) / mean)
                heard = size if heard > 0.0 else -size
            elif rule == StepRule.VARIABLE:
                rate = limits[CLIP_RATE]
                microphones[m, CORRELATION] += rate * (
                    heard * microphones[m, LAST_LEARNT] - microphones[m, CORRELATION]
                )
                microphones[m, LEARNT_POWER] += rate * (heard**2 - microphones[m, LEARNT_POWER])
                microphones[m, LAST_LEARNT] = heard
                if microphones[m, LEARNT_POWER] > 0.0:
                    share = abs(microphones[m, CORRELATION]) / microphones[m, LEARNT_POWER]
                    factor *= min(max(share, _LEAST_STEP), 1.0)
            if guarded and not is_modified:
                factor *= numbers[SCALE]
            if is_block:
                learnt[m, place] = factor * heard
            else:
                updates[m] = -factor * heard / divisor if divisor > 0.0 else 0.0

        # ---------------------------------------------------------------- guards
        count += np.uint64(1)
        numbers[COUNT] = count
        is_end = count % np.uint64(BLOCK) == 0
        if is_modified and is_end:
            is_behind = numbers[MEAN_FAST] < _BEHIND * numbers[MEAN_SLOW]
            share = parameters[CATCHING_UP] if is_behind else parameters[AVERAGING]
            if guarded:
                share *= numbers[SCALE]
            _move(averaged, weights, weights.dtype.type(share))
            if is_recalling:
                part = weights.dtype.type(_share_of_recalled(numbers))
                _blend(heard_weights, averaged, recalled, part)
        if not guarded:
            if is_end:
                compare(numbers, limits)
            continue
        if numbers[STATE] == RAMPING:
            numbers[GAIN] += limits[RAMP_STEP]
            if numbers[GAIN] >= 1.0:
                numbers[GAIN] = 1.0
                numbers[STATE] = WORKING
        numbers[BLOCK_ERROR] += error_energy
        numbers[BLOCK_REFERENCE] += level
        numbers[BLOCK_OWN] += own_energy
        numbers[BLOCK_POSSIBLE] += possible_energy * estimate_energy * num_mics / num_sources
        if is_end:
            action = judge(numbers, events, limits)
            if action == SAVE:
                saved[:] = heard_weights if is_modified else weights
            elif action != NOTHING:
                if action == ZERO:
                    saved[:] = zero
                # A modified controller learns while it is mute, from what it has learnt so far;
                # not if it has just failed with it.
                if not (is_modified and numbers[TRIPS] < 1.5):
                    weights[:] = saved
                averaged[:] = saved
                if is_recalling:
                    heard_weights[:] = saved
                for m in range(num_mics):
                    updates[m] = zero
                learnt[:] = zero


_SIGNATURE = (
    "void(real[:, ::1], real[:, ::1], real[:, ::1], real[:, ::1], real[:, ::1],"
    " real[:, ::1], real[:, ::1],"
    " real[:, ::1], real[:, ::1], real[:, ::1], real[:, ::1], real[:, ::1],"
    " real[:, ::1], real[:, ::1], real[:, ::1], float64[:, ::1], float64[::1],"
    " float64[:, ::1], float64[::1], float64[::1], float64[:, ::1], float64[::1], real[::1],"
    " real[:, ::1], real[:, ::1], {}, int64, boolean, boolean, boolean, boolean)"
)

fxlms_block = jit_by_dtype(_SIGNATURE.format("none, none, none"))(_run)
"""Without auxiliary noise: whatever belongs to it is not even compiled."""

probed_fxlms_block = jit_by_dtype(
    _SIGNATURE.format("real[:, ::1], float64[:, ::1], UniTuple(int64, 2)")
)(_run)
"""With auxiliary noise and probes."""
