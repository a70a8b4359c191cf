"""A fixed filter at work, sample by sample, with the acoustics behind it and the guards around it.

The filter learns nothing, but the guards listen to the error, which depends on all anti-noise
before it; so this is one loop over samples like :mod:`anc_core.dsp.adaptive_fxlms`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anc_core.dsp.adaptive_guard import (
    BLOCK,
    BLOCK_ERROR,
    BLOCK_FREE,
    BLOCK_OWN,
    BLOCK_REFERENCE,
    CLIP_RATE,
    COUNT,
    DC_POLE,
    FALL,
    GAIN,
    HOLD,
    LISTENING,
    POWER,
    RAMP_STEP,
    RAMPING,
    REFERENCE_CLIP,
    RISE,
    STATE,
    USUAL_AGE,
    USUAL_POWER,
    WORKING,
    clipped,
    dc_blocked,
    followed_power,
    hold,
    judge,
)
from anc_core.dsp.jit import jit_by_dtype, part_of_kernel

Array = NDArray[Any]

_OUTPUT_LIMIT = 6.0
"""Largest command over the RMS that this filter makes of the usual reference. Not of the usual
command: a click of the reference rings in it for as long as the filter."""

FADED_REFERENCE = 1e-4
"""Share of its usual power below which a reference is silence. What a DC blocker leaves of it for a
second is no noise to choose a filter by, and no yardstick."""

PRESENT_POWER_S = 0.02
"""Over which the present power of the reference is averaged: a period at 50 Hz."""

# Layout of the parameters
SATURATION, DRIVE_STEP, MICROPHONE_STEP, FADE_STEP, PRESENT_RATE, NUM_PARAMETERS = range(6)

# Layout of the choice
PRESENT, NEXT, FADED, DRIVE_GAIN, NOISE_GAIN, SIZE = range(6)
"""Filter at work, the one that is faded in, how far; power of the command, and of the noise at the
error microphones, over that of the reference."""

OFF = 0
"""The filter that is none."""


@part_of_kernel
def _filtered(taps: Array, rows: int, signals: Array, end: int) -> Any:  # noqa: ANN401
    """Return the sum of all signals through ``taps`` (., num_taps), from row ``rows`` on."""
    num_taps = taps.shape[1]
    total = taps.dtype.type(0.0)
    for j in range(signals.shape[0]):
        h = taps[rows + j]
        x = signals[j, end - num_taps : end]
        for i in range(num_taps):
            total += h[i] * x[i]
    return total


@jit_by_dtype(
    "void(real[:, ::1], real[:, ::1], real[:, ::1], real[:, ::1], real[:, ::1],"
    " real[:, ::1], real[:, ::1], real[:, ::1], real[:, ::1], real[:, ::1], real[:, ::1],"
    " float64[:, ::1], float64[::1], float64[::1], float64[:, ::1], float64[::1], float64[::1],"
    " float64[::1], int64, int64, boolean)"
)
def selective_block(  # noqa: PLR0912, PLR0915 - one straight recipe, sample by sample
    references: Array,
    disturbance: Array,
    microphone_noise: Array,
    error: Array,
    anti_noise: Array,
    filters: Array,
    primary: Array,
    secondary: Array,
    estimate: Array,
    driven: Array,
    commands: Array,
    dc_states: Array,
    reference_means: Array,
    numbers: Array,
    events: Array,
    limits: Array,
    parameters: Array,
    choice: Array,
    first: int,
    stop: int,
    guarded: bool,
) -> None:
    """Run over samples ``first`` to ``stop`` of one chunk of n samples; the choice stays.

    Parameters
    ----------
    references : (J, H + n)
        H samples of history, then the chunk; repaired, freed of DC and clipped where guarded.
    disturbance, microphone_noise : (M, n)
        The noise is heard by the controller but is no sound. It may have 0 rows.
    error, anti_noise : (M, n)
        Written.
    filters : ((1 + num_filters)·K·J, num_taps)
        Last tap first, row (i·K + k)·J + j; the first filter is none.
    primary, secondary, estimate : (M·J, .), (M·K, .), (M·K, .)
        Last tap first. ``primary``: for the detector's yardstick.
    driven, commands : (K, H + n)
        What left the loudspeakers, and what they were sent; written.
    dc_states : (J + M, 3)
        For references and errors; changed.
    reference_means : (J,)
        Mean magnitudes; changed.
    numbers, events, limits
        See :mod:`anc_core.dsp.adaptive_guard`; the first two are changed.
    parameters : (NUM_PARAMETERS,)
    choice : (SIZE,)
        Changed while one filter fades into another.
    first, stop : int
    guarded : bool

    Notes
    -----
    The detector's yardstick is the noise as it is expected at the error microphones, through the
    primary path, or by the reference's power if that is more: the anti-noise arrives first, so
    when a noise begins there is an error before there is noise.
    """
    num_references = references.shape[0]
    num_mics, num_samples = disturbance.shape
    num_sources = driven.shape[0]
    start = references.shape[1] - num_samples
    saturation, drive_step, mic_step = (
        parameters[SATURATION],
        parameters[DRIVE_STEP],
        parameters[MICROPHONE_STEP],
    )
    count = np.uint64(numbers[COUNT])
    for n in range(first, stop):
        now = start + n
        end = now + 1
        # ---------------------------------------------------------------- what the sensors hear
        is_broken = False
        level = 0.0
        ceiling = math.inf
        is_silent = False
        if guarded:
            power = 0.0
            # While it listens it has to get to know the levels first.
            clips = numbers[STATE] != LISTENING
            for j in range(num_references):
                value = float(references[j, now])
                if not math.isfinite(value):
                    value = 0.0
                    is_broken = True
                value = dc_blocked(dc_states, j, value, limits[DC_POLE])
                mean = reference_means[j]
                if clips:
                    value = clipped(value, mean, REFERENCE_CLIP)
                rate = limits[CLIP_RATE] if abs(value) > mean else limits[FALL]
                reference_means[j] = mean + rate * (abs(value) - mean)
                references[j, now] = value
                power += value**2
            usual = numbers[USUAL_POWER]
            age = numbers[USUAL_AGE] + 1.0 if usual > 0.0 else 1.0
            usual = followed_power(usual, age, power, limits[RISE], limits[FALL])
            numbers[USUAL_POWER], numbers[USUAL_AGE] = usual, age
            numbers[POWER] += parameters[PRESENT_RATE] * (power - numbers[POWER])
            is_silent = numbers[POWER] <= FADED_REFERENCE * usual
            ceiling = _OUTPUT_LIMIT * math.sqrt(usual * choice[DRIVE_GAIN])
            for m in range(num_mics):
                expected = float(_filtered(primary, m * num_references, references, end))
                level += expected**2
            level = max(level, power * choice[NOISE_GAIN])

        # ---------------------------------------------------------------- anti-noise
        present, coming = int(choice[PRESENT]), int(choice[NEXT])
        for k in range(num_sources):
            row = (present * num_sources + k) * num_references
            value = float(_filtered(filters, row, references, end))
            if coming != present:
                row = (coming * num_sources + k) * num_references
                other = float(_filtered(filters, row, references, end))
                # Both do nearly the same: amplitudes are faded, not powers.
                value += choice[FADED] * (other - value)
            if guarded:
                value *= numbers[GAIN]
                value = min(max(value, -ceiling), ceiling) if math.isfinite(value) else 0.0
            commands[k, now] = value
            if drive_step > 0.0:
                value = drive_step * math.floor(value / drive_step + 0.5)
            if saturation > 0.0:
                value = saturation * math.tanh(value / saturation)
            driven[k, now] = value
        if coming != present:
            choice[FADED] += parameters[FADE_STEP]
            if choice[FADED] >= 1.0:
                choice[PRESENT] = choice[NEXT]
                choice[FADED] = 0.0

        # ---------------------------------------------------------------- what comes of it
        error_energy, own_energy, free_energy = 0.0, 0.0, 0.0
        for m in range(num_mics):
            arrived = _filtered(secondary, m * num_sources, driven, end)
            anti_noise[m, n] = arrived
            sound = float(disturbance[m, n]) + float(arrived)
            error[m, n] = sound
            if not guarded:
                continue
            heard = sound
            if microphone_noise.shape[0] > 0:
                heard += float(microphone_noise[m, n])
            if mic_step > 0.0:
                heard = mic_step * math.floor(heard / mic_step + 0.5)
            if not math.isfinite(heard):
                heard = 0.0
                is_broken = True
                error[m, n] = arrived
            heard = dc_blocked(dc_states, num_references + m, heard, limits[DC_POLE])
            own = float(_filtered(estimate, m * num_sources, driven, end))
            error_energy += heard**2
            own_energy += own**2
            free_energy += (heard - own) ** 2

        # ---------------------------------------------------------------- guards
        count += np.uint64(1)
        numbers[COUNT] = count
        if not guarded:
            continue
        if is_broken:
            hold(numbers, events, limits)
        elif numbers[HOLD] > 0.0:
            numbers[HOLD] -= 1.0
        if numbers[STATE] == RAMPING:
            numbers[GAIN] += limits[RAMP_STEP]
            if numbers[GAIN] >= 1.0:
                numbers[GAIN] = 1.0
                numbers[STATE] = WORKING
        if not is_silent:
            numbers[BLOCK_ERROR] += error_energy
            numbers[BLOCK_REFERENCE] += level
            numbers[BLOCK_OWN] += own_energy
            numbers[BLOCK_FREE] += free_energy
        if count % np.uint64(BLOCK) == 0:
            # There are no weights to be saved or restored: mute and listen is all that it can do.
            judge(numbers, events, limits)
