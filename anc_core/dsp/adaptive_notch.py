"""Adaptive notch: takes tones of about known frequencies out of a signal, without a reference.

For each tone there is a phasor of its frequency and one complex weight, its amplitude and phase.
The weight of a tone that is off its frequency turns; the angle it turns by corrects the frequency,
so a drift is followed far beyond the bandwidth of the notch.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anc_core.arrays import check_sample_rate
from anc_core.dsp.adaptive_guard import (
    BLOCK,
    BLOCK_ERROR,
    CLIP_RATE,
    COUNT,
    GAIN,
    HOLD,
    NOTHING,
    SAVE,
    ZERO,
    hold,
)
from anc_core.dsp.adaptive_stream import WatchedStream
from anc_core.dsp.adaptive_watch import (
    BLOCK_PRIMARY,
    CLIP_RISE,
    GATE,
    HURRY,
    MEAN_LEARNT,
    PEAK,
    PEAK_DECAY,
    clipped_error,
    judged,
    let_out,
    repair,
    watch_limits,
    watch_numbers,
)
from anc_core.dsp.jit import jit
from anc_core.errors import InputError

Array = NDArray[Any]
FloatArray = NDArray[np.float64]

_TRACKING = 0.25
"""How much slower the frequency is learnt than amplitude and phase; the two loops together then
have a damping of 0.7."""

_DRIFT_BANDWIDTHS = 10.0
_MAX_TONES = 64
_HOLD_S = 0.01

# Layout of a tone
(
    REAL,
    IMAGINARY,
    PHASOR_REAL,
    PHASOR_IMAGINARY,
    STEP_REAL,
    STEP_IMAGINARY,
    OMEGA,
    TURNED,
    SAVED_REAL,
    SAVED_IMAGINARY,
    NUM_COLUMNS,
) = range(11)
"""Weight, phasor, factor that turns it by one sample, radians per sample, angle the weight turned
by since the frequency was last corrected, saved weight."""

# Layout of the memory
_ERROR_POWER, _NUM_MEMORIES = range(2)


class ToneNotch(WatchedStream):
    """Take tones out of one channel and follow their frequencies.

    Parameters
    ----------
    frequencies_hz : array_like, shape (T,)
        Where the tones are to begin with, up to 64, above 0 and below half the sample rate.
    sample_rate : float
        Hz, 1 000 to 768 000.
    bandwidth_hz : float, default 2.0
        Of each notch, 3 dB; above 0, up to 0.05·sample_rate. A narrow notch takes less of what is
        no tone and needs longer, 0.3 / bandwidth_hz seconds, for each 8.7 dB.
    drift_hz : float, optional
        How far each frequency may be followed, at least 0. Default 10 bandwidths.
    guarded : bool, default True
        The guards of :mod:`anc_core.dsp.adaptive_watch`.

    Raises
    ------
    InputError
        If a parameter is out of its range.

    Notes
    -----
    With the phasors p(n) of magnitude 1 and weights W: e(n) = d(n) - Σ Re(W·p(n)),
    W = W + step·e(n)·conj(p(n)), step = 2π·bandwidth / sample rate. Every 32 samples the frequency
    moves by 1/4 of step times the angle that W turned by.

    References
    ----------
    B. Widrow et al., "Adaptive noise cancelling: principles and applications", Proc. IEEE 63 (1975)
    1692, Sec. VII. The frequency loop is that of a phase-locked loop of first order.

    Examples
    --------
    >>> hum = np.sin(2 * np.pi * 50.4 * np.arange(8_000) / 8_000)
    >>> notch = ToneNotch([50.0], 8_000, bandwidth_hz=5.0)
    >>> left = notch.process(hum)
    >>> bool(np.abs(left[-1_000:]).max() < 0.01), notch.frequencies_hz.round(1).tolist()
    (True, [50.4])
    """

    latency = 0
    """Delay of the output in samples."""

    def __init__(
        self,
        frequencies_hz: ArrayLike,
        sample_rate: float,
        bandwidth_hz: float = 2.0,
        *,
        drift_hz: float | None = None,
        guarded: bool = True,
    ) -> None:
        self.sample_rate = check_sample_rate(sample_rate)
        tones = np.atleast_1d(np.asarray(frequencies_hz, np.float64))
        if tones.ndim != 1 or not 1 <= len(tones) <= _MAX_TONES:
            msg = f"frequencies_hz has shape {tones.shape}; give 1 to {_MAX_TONES} frequencies"
            raise InputError(msg)
        nyquist_hz = self.sample_rate / 2
        for tone in tones.tolist():
            if not 0 < tone < nyquist_hz:
                msg = f"a frequency is {tone} Hz; it must be above 0 and below {nyquist_hz:g} Hz"
                raise InputError(msg)
        if not 0 < bandwidth_hz <= 0.05 * self.sample_rate:
            msg = (
                f"bandwidth_hz is {bandwidth_hz}; it must be above 0 and at most"
                f" {0.05 * self.sample_rate:g} Hz"
            )
            raise InputError(msg)
        drift = _DRIFT_BANDWIDTHS * bandwidth_hz if drift_hz is None else drift_hz
        if not 0 <= drift < math.inf:
            raise InputError(f"drift_hz is {drift_hz}; it must be at least 0")
        self.bandwidth_hz = float(bandwidth_hz)
        self.guarded = guarded
        turn = 2.0 * math.pi / self.sample_rate
        self._omegas = turn * tones
        margin = 1e-4 * math.pi
        self._lowest = np.maximum(self._omegas - turn * drift, np.minimum(margin, self._omegas))
        self._highest = np.minimum(
            self._omegas + turn * drift, np.maximum(math.pi - margin, self._omegas)
        )
        self._step = turn * self.bandwidth_hz
        self._limits = watch_limits(self.sample_rate, round(_HOLD_S * self.sample_rate))
        self._repair = repair(np.float64)
        self.reset()

    @property
    def frequencies_hz(self) -> FloatArray:
        """Where the tones are at present, shape (T,)."""
        return self._state["tones"][:, OMEGA] * (self.sample_rate / (2.0 * math.pi))

    @property
    def amplitudes(self) -> FloatArray:
        """Their amplitudes, shape (T,)."""
        return np.hypot(self._state["tones"][:, REAL], self._state["tones"][:, IMAGINARY])

    def process(self, primary: Array) -> Array:
        """Return the primary without its tones.

        Parameters
        ----------
        primary : floating point, shape (n,)

        Returns
        -------
        ndarray, shape (n,), of the type of ``primary``
        """
        given = np.asarray(primary)
        if given.ndim != 1 or given.dtype.kind != "f":
            msg = f"primary is {given.dtype} {given.shape}; it must be floating point, (n,)"
            raise InputError(msg)
        wanted = np.array(given, np.float64)
        broken = np.zeros(len(wanted), np.uint8)
        if self.guarded:
            self._repair(np.zeros((1, len(wanted))), 0, wanted, broken)
        output = np.empty_like(wanted)
        state = self._state
        notch_block(
            wanted,
            broken,
            output,
            state["tones"],
            state["numbers"],
            state["events"],
            self._limits,
            self._lowest,
            self._highest,
            state["memory"],
            self._step,
            self.guarded,
        )
        return output.astype(given.dtype)

    def reset(self) -> None:
        """Forget everything heard and learnt so far."""
        tones = np.zeros((len(self._omegas), NUM_COLUMNS))
        tones[:, OMEGA] = self._omegas
        tones[:, STEP_REAL], tones[:, STEP_IMAGINARY] = np.cos(self._omegas), np.sin(self._omegas)
        tones[:, PHASOR_REAL] = 1.0
        self._state = {
            "tones": tones,
            "memory": np.zeros(_NUM_MEMORIES),
            "numbers": watch_numbers(),
            "events": self._no_events(),
        }


@jit(
    "void(float64[::1], uint8[::1], float64[::1], float64[:, ::1], float64[::1], float64[:, ::1],"
    " float64[::1], float64[::1], float64[::1], float64[::1], float64, boolean)"
)
def notch_block(  # noqa: PLR0912, PLR0915 - one straight recipe, sample by sample
    primary: FloatArray,
    broken: Array,
    output: FloatArray,
    tones: FloatArray,
    numbers: FloatArray,
    events: FloatArray,
    limits: FloatArray,
    lowest: FloatArray,
    highest: FloatArray,
    memory: FloatArray,
    step: float,
    guarded: bool,
) -> None:
    """Take the tones out of ``primary``; see :class:`ToneNotch`.

    Parameters
    ----------
    primary, broken, output : (n,)
    tones : (T, NUM_COLUMNS)
        Changed.
    numbers, events, limits
        See :mod:`anc_core.dsp.adaptive_watch`.
    lowest, highest : (T,)
        Bounds of the frequencies, radians per sample.
    memory : (1,)
        Mean power of the error; changed.
    step : float
    guarded : bool
    """
    num_tones = tones.shape[0]
    for n in range(primary.shape[0]):
        wanted = primary[n]
        estimate = 0.0
        for t in range(num_tones):
            estimate += tones[t, REAL] * tones[t, PHASOR_REAL]
            estimate -= tones[t, IMAGINARY] * tones[t, PHASOR_IMAGINARY]
        error = wanted - estimate
        may_learn = True
        if guarded:
            numbers[BLOCK_ERROR] += error * error
            numbers[BLOCK_PRIMARY] += wanted * wanted
            out, gain, peak = let_out(
                wanted, estimate, numbers[GAIN], numbers[GATE], numbers[PEAK], limits[PEAK_DECAY]
            )
            output[n] = out
            numbers[GAIN], numbers[PEAK] = gain, peak
            if broken[n]:
                hold(numbers, events, limits)
                output[n] = 0.0
            error, mean, hurry = clipped_error(
                error, numbers[MEAN_LEARNT], numbers[HURRY], limits[CLIP_RISE], limits[CLIP_RATE]
            )
            numbers[MEAN_LEARNT], numbers[HURRY] = mean, hurry
            if numbers[HOLD] > 0.0:
                numbers[HOLD] -= 1.0
                may_learn = False
        else:
            output[n] = error
        memory[_ERROR_POWER] += step * (error * error - memory[_ERROR_POWER])
        memory[_ERROR_POWER] = memory[_ERROR_POWER] if memory[_ERROR_POWER] > 1e-60 else 0.0
        for t in range(num_tones):
            x, y = tones[t, PHASOR_REAL], tones[t, PHASOR_IMAGINARY]
            if may_learn:
                real, imaginary = tones[t, REAL], tones[t, IMAGINARY]
                change_real, change_imaginary = step * error * x, -step * error * y
                # Where the rest is louder than the tone, the angle is mostly chance.
                scale = real * real + imaginary * imaginary + memory[_ERROR_POWER]
                if scale > 0.0:
                    turned = real * change_imaginary - imaginary * change_real
                    tones[t, TURNED] += turned / scale
                tones[t, REAL] = real + change_real
                tones[t, IMAGINARY] = imaginary + change_imaginary
            a, b = tones[t, STEP_REAL], tones[t, STEP_IMAGINARY]
            tones[t, PHASOR_REAL], tones[t, PHASOR_IMAGINARY] = x * a - y * b, x * b + y * a

        # ---------------------------------------------------------------- frequencies, guards
        numbers[COUNT] += 1.0
        if np.int64(numbers[COUNT]) % BLOCK:
            continue
        for t in range(num_tones):
            omega = tones[t, OMEGA] + _TRACKING * step * tones[t, TURNED]
            tones[t, OMEGA] = omega = min(max(omega, lowest[t]), highest[t])
            tones[t, TURNED] = 0.0
            tones[t, STEP_REAL], tones[t, STEP_IMAGINARY] = math.cos(omega), math.sin(omega)
            # Its magnitude stays 1 and silence does not end in denormals.
            size = math.hypot(tones[t, PHASOR_REAL], tones[t, PHASOR_IMAGINARY])
            tones[t, PHASOR_REAL] /= size
            tones[t, PHASOR_IMAGINARY] /= size
            if abs(tones[t, REAL]) + abs(tones[t, IMAGINARY]) < 1e-30:
                tones[t, REAL] = tones[t, IMAGINARY] = 0.0
        if not guarded:
            continue
        action = judged(numbers, events, limits)
        if action == NOTHING:
            continue
        for t in range(num_tones):
            if action == SAVE:
                tones[t, SAVED_REAL], tones[t, SAVED_IMAGINARY] = (
                    tones[t, REAL],
                    tones[t, IMAGINARY],
                )
                continue
            if action == ZERO:
                tones[t, SAVED_REAL] = tones[t, SAVED_IMAGINARY] = 0.0
            tones[t, REAL], tones[t, IMAGINARY] = tones[t, SAVED_REAL], tones[t, SAVED_IMAGINARY]
