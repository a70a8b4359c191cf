"""Partitioned-block Kalman filter in the frequency domain: cancelling that knows how sure it is.

Each bin of each partition of the filter carries the variance of its own error. The gain follows:
large where the filter is unsure and the reference loud, small where what is left of the primary is
loud for another reason, a voice above all. No voice detector and no step size have to be tuned.

A lone filter of this kind trusts itself more and more and is slow to notice that the path changed.
So a second one, which expects changes all the time, learns beside it; the first takes over its
weights whenever they clearly leave less. And since the work is offline, the weights of a quarter of
a second later make the output: the start and every change are cancelled before they are heard.

References
----------
G. Enzner, P. Vary, "Frequency-domain adaptive Kalman filter for acoustic echo control in hands-free
telephones", Signal Processing 86 (2006) 1140. F. Kuech, E. Mabande, G. Enzner, "State-space
architecture of the partitioned-block-based acoustic echo controller", ICASSP 2014, 1295.
K. Ochiai, T. Araseki, T. Ogihara, "Echo canceler with two echo path models", IEEE Trans. Commun. 25
(1977) 589.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from anc_core.arrays import check_sample_rate
from anc_core.dsp.adaptive_guard import GuardEvent, GuardEventKind
from anc_core.dsp.adaptive_kalman_kernel import (
    COUNT,
    GAIN,
    HARM_BLOCKS,
    IN_POWER,
    LATCH_LEFT,
    NUM_NUMBERS,
    OUT_POWER,
    POWER_BACKGROUND,
    POWER_FOREGROUND,
    RATIO_IN,
    RATIO_OUT,
    STARTED,
    TRIPS,
    advance,
)
from anc_core.dsp.jit import check_dtype
from anc_core.dsp.paths import check_num_taps
from anc_core.dsp.real_fft import Plan, fast_length
from anc_core.errors import InputError

Array = NDArray[Any]

FOREGROUND, BACKGROUND = 0, 1

_BLOCK_S = 0.064
_MULTIPLE = 64
"""So that the Fourier transform of every length is fast."""

_LOOK_AHEAD_S = 0.25

_STEADY = 2e-4
_RESTLESS = 2e-2
"""Share of a filter that is expected to change within a block, foreground and background. On
measured rooms the first leaves 5 dB less of a steady noise than the second, which finds a new path
ten times faster."""

_UNSEEN = 0.03
"""Of the prior power of the path: what may appear where the weights are zero."""

_UNSURE = 4.0
_REVERBERATION_TIME_S = 1.0
"""Prior power of the path, relative to what the levels say, and its decay: 60 dB in this time. Too
little of either costs 10 dB in a lively room, too much 1 dB in a dead one."""

_REST_MEMORY = 0.25
"""Of the power spectrum of what is left, a block. Longer ones react too late to a first syllable,
and the filter pays for it with 4 dB."""

_HARM_MEMORY = 0.5
_HARMFUL = 1.26
"""1 dB: output over primary, as powers, from which the primary passes instead."""

_FAINT = 1e-3
"""Of the mean power of the primary: such harm is muted, but says nothing against the filter."""

_HARMFUL_AT_ONCE = 4.0
"""6 dB: the same within one block, of which then nothing is let out."""

_TRIP_S = 0.5
_MAX_TRIPS = 3
_LATCH_S = 10.0


class KalmanFilter:
    """Cancel in one primary channel what J references explain.

    Parameters
    ----------
    sample_rate : float
        Hz, 1 000 to 768 000.
    num_references : int
        J.
    num_taps : int
        Of each of the J filters, 1 to 65 536.
    step_size : float, default 1.0
        Above 0 and below 2: what is left of the primary counts 1 / step_size times as foreign as it
        was measured to be. 1 is optimal for what the filter assumes.
    look_ahead_s : float, default 0.25
        How much later than the output the weights are that make it.
    guarded : bool, default True
        Pass the primary where the output would be louder than it, and start again if that lasts.
    dtype : {"float32", "float64"}

    Raises
    ------
    InputError
        If a parameter is out of its range.

    Notes
    -----
    For a block of B samples, with the spectra X_p of the reference p blocks ago (over the N samples
    that end with that block), weights W_p of M = N - B taps, their error variances C_p, and the
    spectrum E of the error of this block behind M zeros:

    R = rest_memory·R + (1 - rest_memory)·|E|²
    K_p = C_p·X_p* / (B/N·Σ_q C_q·|X_q|² + R / step_size)
    W_p = W_p + constrained(K_p·E)
    C_p = (1 - a)·(1 - B/N·K_p·X_p)·C_p + a·(|W_p|² + unseen·prior_p·P_d / P_x)

    a is the share of the filter that is expected to change in a block; the constraint zeroes
    what is beyond the M taps; P_d / P_x, the powers of primary and reference
    so far, makes the result independent of the levels of both.
    """

    def __init__(
        self,
        sample_rate: float,
        num_references: int = 1,
        *,
        num_taps: int,
        step_size: float = 1.0,
        look_ahead_s: float = _LOOK_AHEAD_S,
        guarded: bool = True,
        dtype: DTypeLike = "float32",
    ) -> None:
        rate = check_sample_rate(sample_rate)
        if not 0 < step_size < 2:
            raise InputError(f"step_size is {step_size}; it must be above 0 and below 2")
        if not 0 <= look_ahead_s <= 5:
            raise InputError(f"look_ahead_s is {look_ahead_s}; it must be from 0 to 5 s")
        self.sample_rate = rate
        self.num_references = int(num_references)
        self.num_taps = check_num_taps(num_taps)
        self.guarded = guarded
        self.dtype = check_dtype(dtype)
        self.block_length, self._part_length = _lengths(rate, self.num_taps)
        self._num_bins = (self.block_length + self._part_length) // 2 + 1
        self._num_parts = -(-self.num_taps // self._part_length)
        self._ahead = round(look_ahead_s * rate / self.block_length)
        filled = self.block_length / (self.block_length + self._part_length)
        self._constants = np.array(
            [_STEADY, _RESTLESS, _REST_MEMORY, 1.0 / step_size, filled, _UNSEEN]
        )
        starts_s = np.arange(self._num_parts) * self._part_length / rate
        self._prior = _UNSURE * 10.0 ** (-6.0 * starts_s / _REVERBERATION_TIME_S)
        self._plan = Plan.of(self.block_length + self._part_length, self.dtype).arrays
        self._kernel: Any = advance(self.dtype)
        self._heard: Array
        self._wanted: Array
        self._ready: Array
        self.reset()

    @property
    def latency(self) -> int:
        """Delay of the output in samples."""
        return (self._ahead + 1) * self.block_length

    @property
    def taps(self) -> Array:
        """Impulse responses from the references to the primary, (J, num_taps), first tap first."""
        real, imag = np.moveaxis(self._weights[FOREGROUND], -2, 0)
        parts = np.fft.irfft(real + 1j * imag)[..., : self._part_length]
        flat = parts.reshape(self.num_references, -1)[:, : self.num_taps]
        return np.ascontiguousarray(flat.astype(self.dtype))

    def process(self, references: Array, primary: Array) -> Array:
        """Return the primary without what the references explain, ``latency`` samples late.

        Parameters
        ----------
        references : floating point, shape (J, n)
            Finite.
        primary : floating point, shape (n,)
            Finite.

        Returns
        -------
        ndarray, shape (n,)
        """
        num_samples = len(primary)
        heard = np.concatenate([self._heard, np.asarray(references, self.dtype)], axis=1)
        wanted = np.concatenate([self._wanted, np.asarray(primary, self.dtype)])
        length = self.block_length
        num_blocks = len(wanted) // length
        parts = [self._ready]
        parts += [
            self._advance(heard, start, wanted[start : start + length])
            for start in range(0, num_blocks * length, length)
        ]
        self._heard = heard[:, num_blocks * length :].copy()
        self._wanted = wanted[num_blocks * length :].copy()
        ready = np.concatenate(parts)
        self._ready = ready[num_samples:].copy()
        return ready[:num_samples]

    def reset(self) -> None:
        """Forget everything heard and learnt so far."""
        length, num_bins = self.block_length, self._num_bins
        shape = (2, self.num_references, self._num_parts)
        slots = self._num_parts + self._ahead
        self._weights = np.zeros((*shape, 2, num_bins), self.dtype)
        self._variances = np.zeros((*shape, num_bins), self.dtype)
        self._rest = np.zeros((2, num_bins), self.dtype)
        self._spectra = np.zeros((slots, self.num_references, 2, num_bins), self.dtype)
        self._held = np.zeros((self._ahead + 1, length), self.dtype)
        self._heard = np.zeros((self.num_references, self._part_length), self.dtype)
        self._wanted = np.zeros(0, self.dtype)
        self._ready = np.zeros(self.latency, self.dtype)
        self._numbers = np.zeros(NUM_NUMBERS)
        self._numbers[GAIN] = 1.0
        self._events: list[GuardEvent] = []

    def rewind(self) -> None:
        """Forget the signals and keep what was learnt: for another pass over the same sound."""
        learnt = self._weights, self._variances, self._rest
        levels = self._numbers[[RATIO_OUT, RATIO_IN, STARTED]]
        self.reset()
        self._weights, self._variances, self._rest = learnt
        self._numbers[[RATIO_OUT, RATIO_IN, STARTED]] = levels

    def drain_events(self) -> tuple[GuardEvent, ...]:
        """Return what the guard did since the last call."""
        events = tuple(self._events)
        self._events.clear()
        return events

    def state(self) -> dict[str, Array]:
        """Return a copy of all that shapes the output from here on; events are no part of it."""
        return {name: getattr(self, f"_{name}").copy() for name in _STATE}

    def load(self, state: dict[str, Array]) -> None:
        """Go on from where :meth:`state` was taken, in a filter of the same parameters.

        Raises
        ------
        InputError
            If an array is missing, or its shape or type is another.
        """
        for name in _STATE:
            own, given = getattr(self, f"_{name}"), state.get(name)
            may_differ = name in _OF_ANY_LENGTH
            if (
                given is None
                or given.dtype != own.dtype
                or given.shape[: own.ndim - may_differ] != own.shape[: own.ndim - may_differ]
            ):
                found = "missing" if given is None else f"{given.dtype} {given.shape}"
                msg = f"state {name!r} is {found}; it must be {own.dtype} {own.shape}"
                raise InputError(msg)
        for name in _STATE:
            setattr(self, f"_{name}", state[name].copy())

    # ------------------------------------------------------------------------ one block

    def _advance(self, heard: Array, start: int, block: Array) -> Array:
        """Take one block of the references and the primary; return the one ``_ahead`` before."""
        count = int(self._numbers[COUNT])
        self._held[count % len(self._held)] = block
        explained = np.empty_like(block)
        self._kernel(
            heard,
            start,
            block,
            self._spectra,
            self._weights,
            self._variances,
            self._rest,
            self._numbers,
            self._prior,
            self._constants,
            self.num_taps,
            self._ahead,
            explained,
            *self._plan,
        )
        if count < self._ahead:
            return np.zeros(0, self.dtype)
        return self._output(count - self._ahead, explained)

    def _begin_anew(self) -> None:
        """Let the next block find filters that have learnt nothing."""
        self._weights[:] = 0.0
        self._rest[:] = 0.0
        self._numbers[[POWER_FOREGROUND, POWER_BACKGROUND, STARTED]] = 0.0

    # ------------------------------------------------------------------------ output and guard

    def _output(self, number: int, explained: Array) -> Array:
        block: Array = self._held[number % len(self._held)]
        output = np.asarray(block - explained)
        if not self.guarded:
            return output
        gains = self._judged(block, output, number)
        return np.asarray(block - gains * explained)

    def _judged(self, block: Array, output: Array, number: int) -> Array:
        """Return the gain of what is subtracted: 1, or falling to 0 while it does harm."""
        numbers = self._numbers
        powers = [float(np.dot(signal, signal)) for signal in (output, block)]
        for index, power in zip((OUT_POWER, IN_POWER), powers, strict=True):
            numbers[index] = _HARM_MEMORY * numbers[index] + (1 - _HARM_MEMORY) * power
        # Written so that NaN counts as harm.
        is_bearable = powers[0] <= _HARMFUL_AT_ONCE * powers[1]
        is_fine = is_bearable and numbers[OUT_POWER] <= _HARMFUL * numbers[IN_POWER]
        before = float(numbers[GAIN])
        if is_fine:
            numbers[HARM_BLOCKS] = 0.0
        else:
            # An echo that is foreseen where the recording falls silent is too faint to matter.
            faint = _FAINT * float(numbers[RATIO_OUT]) / max(1.0, float(numbers[COUNT]))
            lasts = not powers[0] <= max(_HARMFUL * powers[1], faint)
            is_new = before > 0.0 and not numbers[HARM_BLOCKS]
            self._log_harm(number, is_new=is_new, lasts=lasts)
        numbers[LATCH_LEFT] = max(0.0, numbers[LATCH_LEFT] - 1.0)
        after = 1.0 if is_fine and not numbers[LATCH_LEFT] else 0.0
        numbers[GAIN] = after
        if before == after or not is_bearable:
            # A step from one to the other is the lesser evil.
            return np.full(len(block), after, self.dtype)
        ramp = np.arange(1, len(block) + 1, dtype=self.dtype) / self.dtype.type(len(block))
        return np.asarray(self.dtype.type(before) + self.dtype.type(after - before) * ramp)

    def _log_harm(self, number: int, *, is_new: bool, lasts: bool) -> None:
        numbers = self._numbers
        blocks_per_s = self.sample_rate / self.block_length
        if is_new:
            self._log(number, GuardEventKind.TRIPPED)
        numbers[HARM_BLOCKS] += float(lasts)
        if numbers[HARM_BLOCKS] < _TRIP_S * blocks_per_s:
            return
        numbers[HARM_BLOCKS] = 0.0
        numbers[TRIPS] += 1.0
        self._begin_anew()
        if numbers[TRIPS] < _MAX_TRIPS:
            self._log(number, GuardEventKind.CLEARED)
        else:
            numbers[TRIPS] = 0.0
            numbers[LATCH_LEFT] = round(_LATCH_S * blocks_per_s)
            self._log(number, GuardEventKind.LATCHED)

    def _log(self, number: int, kind: GuardEventKind) -> None:
        if len(self._events) < _MAX_EVENTS:
            numbers = self._numbers
            ratio = numbers[OUT_POWER] / max(numbers[IN_POWER], 1e-300)
            level = 10.0 * math.log10(ratio) if 0.0 < ratio < math.inf else None
            time_s = number * self.block_length / self.sample_rate
            self._events.append(GuardEvent(time_s, kind, level))


_STATE = (
    *("weights", "variances", "rest", "spectra", "held", "heard", "wanted", "ready", "numbers"),
)
_OF_ANY_LENGTH = frozenset(("heard", "wanted", "ready"))
_MAX_EVENTS = 64


def _lengths(sample_rate: float, num_taps: int) -> tuple[int, int]:
    """Return the samples of a block, about 64 ms, and the taps of a partition.

    A transform holds both. Long filters get partitions as long as a block; what a transform of a
    convenient length leaves room for makes the block longer.
    """
    block = _MULTIPLE * max(1, round(_BLOCK_S * sample_rate / _MULTIPLE))
    if num_taps > block:
        block = fast_length(2 * block) // 2
        return block, block
    part = _MULTIPLE * -(-num_taps // _MULTIPLE)
    return fast_length(block + part) - part, part
