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
from anc_core.dsp.jit import check_dtype, jit_by_dtype, part_of_kernel
from anc_core.dsp.paths import check_num_taps
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

_CONSTRAIN_EVERY = (2, 4)
"""Blocks after which each partition of the two filters is freed of its circular part; doing it in
every block is worth 0.3 dB and costs a third of the time."""

_COMPARISON_MEMORY = 0.8
_CLEARLY_LESS = 0.8
_MUCH_MORE = 2.0

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

# Layout of BlockKalman._numbers
(
    _COUNT,
    _POWER_FOREGROUND,
    _POWER_BACKGROUND,
    _OUT_POWER,
    _IN_POWER,
    _RATIO_OUT,
    _RATIO_IN,
    _GAIN,
    _HARM_BLOCKS,
    _TRIPS,
    _LATCH_LEFT,
    _STARTED,
    _SIZE,
) = range(13)


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
        from scipy import fft  # 0.2 s that only who cancels should pay

        rate = check_sample_rate(sample_rate)
        if not 0 < step_size < 2:
            raise InputError(f"step_size is {step_size}; it must be above 0 and below 2")
        if not 0 <= look_ahead_s <= 5:
            raise InputError(f"look_ahead_s is {look_ahead_s}; it must be from 0 to 5 s")
        self._fft = fft
        self.sample_rate = rate
        self.num_references = int(num_references)
        self.num_taps = check_num_taps(num_taps)
        self.guarded = guarded
        self.dtype = check_dtype(dtype)
        self._complex = np.dtype(f"c{2 * self.dtype.itemsize}")
        self.block_length, self._part_length = _lengths(rate, self.num_taps)
        self._num_bins = (self.block_length + self._part_length) // 2 + 1
        self._num_parts = -(-self.num_taps // self._part_length)
        self._ahead = round(look_ahead_s * rate / self.block_length)
        filled = self.block_length / (self.block_length + self._part_length)
        self._numbers_in = np.array([_STEADY, _RESTLESS, _REST_MEMORY, 1.0 / step_size, filled])
        starts_s = np.arange(self._num_parts) * self._part_length / rate
        self._prior = _UNSURE * 10.0 ** (-6.0 * starts_s / _REVERBERATION_TIME_S)
        self._predict = predict(self.dtype)
        self._learn = learn(self.dtype)
        self._settle = settle(self.dtype)
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
        parts = self._in_time(self._weights[FOREGROUND])[..., : self._part_length]
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
        if num_blocks:
            width = length + self._part_length
            frames = np.lib.stride_tricks.sliding_window_view(heard, width, axis=1)
            frames = frames[:, : num_blocks * length : length]
            spectra = self._fft.rfft(frames, axis=-1)
            for index in range(num_blocks):
                block = wanted[index * length : (index + 1) * length]
                parts.append(self._advance(spectra[:, index], block))
        self._heard = heard[:, num_blocks * length :].copy()
        self._wanted = wanted[num_blocks * length :].copy()
        ready = np.concatenate(parts)
        self._ready = ready[num_samples:].copy()
        return ready[:num_samples]

    def reset(self) -> None:
        """Forget everything heard and learnt so far."""
        length, num_bins = self.block_length, self._num_bins
        shape = (self.num_references, self._num_parts, num_bins)
        slots = self._num_parts + self._ahead
        self._weights = np.zeros((2, *shape), self._complex)
        self._variances = np.zeros((2, *shape), self.dtype)
        self._rest = np.zeros((2, num_bins), self.dtype)
        self._spectra = np.zeros((slots, self.num_references, num_bins), self._complex)
        self._held = np.zeros((self._ahead + 1, length), self.dtype)
        self._heard = np.zeros((self.num_references, self._part_length), self.dtype)
        self._wanted = np.zeros(0, self.dtype)
        self._ready = np.zeros(self.latency, self.dtype)
        self._numbers = np.zeros(_SIZE)
        self._numbers[_GAIN] = 1.0
        self._events: list[GuardEvent] = []

    def _in_time(self, spectra: Array) -> Array:
        return np.asarray(
            self._fft.irfft(spectra, n=self.block_length + self._part_length, axis=-1)
        )

    def rewind(self) -> None:
        """Forget the signals and keep what was learnt: for another pass over the same sound."""
        learnt = self._weights, self._variances, self._rest
        levels = self._numbers[[_RATIO_OUT, _RATIO_IN, _STARTED]]
        self.reset()
        self._weights, self._variances, self._rest = learnt
        self._numbers[[_RATIO_OUT, _RATIO_IN, _STARTED]] = levels

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

    def _advance(self, spectrum: Array, block: Array) -> Array:
        """Take one block of the references and the primary; return the one ``_ahead`` before."""
        numbers = self._numbers
        count = int(numbers[_COUNT])
        slots = len(self._spectra)
        self._spectra[count % slots] = spectrum
        self._held[count % len(self._held)] = block
        self._start(spectrum, block)
        if numbers[_STARTED]:
            self._adapt(count % slots, block)
        numbers[_COUNT] = count + 1
        if count < self._ahead:
            return np.zeros(0, self.dtype)
        return self._output(count - self._ahead)

    def _start(self, spectrum: Array, block: Array) -> None:
        """Track the levels; once both are heard, give the filters their prior."""
        numbers = self._numbers
        numbers[_RATIO_OUT] += float(np.dot(block, block))
        # Parseval, but for the factors of the lowest and the highest bin: a level is all it gives.
        flat = spectrum.view(self.dtype).reshape(-1)
        numbers[_RATIO_IN] += float(np.dot(flat, flat)) / self._part_length
        if not numbers[_STARTED] and numbers[_RATIO_OUT] > 0.0 and numbers[_RATIO_IN] > 0.0:
            numbers[_STARTED] = 1.0
            self._variances[:] = (self._prior * self._power_ratio())[:, np.newaxis]

    def _power_ratio(self) -> float:
        return min(float(self._numbers[_RATIO_OUT] / self._numbers[_RATIO_IN]), _MAX_RATIO)

    def _adapt(self, newest: int, block: Array) -> None:
        before, numbers = self._part_length, self._numbers
        estimates = np.empty((2, self._num_bins), self._complex)
        real = self.dtype
        self._predict(
            self._spectra.view(real), newest, self._weights.view(real), estimates.view(real)
        )
        errors = np.zeros((2, before + self.block_length), real)
        errors[:, before:] = block - self._in_time(estimates)[:, before:]
        powers = np.einsum("fn,fn->f", errors, errors, dtype=np.float64)
        spectra = self._fft.rfft(errors, axis=-1)
        gradients = np.empty_like(self._weights)
        shrink = np.empty((2, self._num_bins), real)
        self._learn(
            self._spectra.view(real),
            newest,
            self._variances,
            self._rest,
            spectra.view(real),
            gradients.view(real),
            shrink,
            self._numbers_in,
        )
        self._settle(
            self._spectra.view(real),
            newest,
            self._weights.view(real),
            gradients.view(real),
            self._variances,
            shrink,
            (self._prior * (_UNSEEN * self._power_ratio())).astype(real),
            self._numbers_in,
        )
        for index, every in enumerate(_CONSTRAIN_EVERY):
            self._constrain(index, int(numbers[_COUNT]) % every, every)
        self._compare(numbers, powers)

    def _constrain(self, index: int, turn: int, every: int) -> None:
        """Take the circular part out of some partitions of one filter, each in its turn."""
        length = self._part_length
        chosen = self._weights[index, :, turn::every]
        if not chosen.shape[1]:
            return
        responses = self._in_time(chosen)
        responses[..., length:] = 0.0
        unused = self._num_parts * length - self.num_taps
        if unused and (self._num_parts - 1) % every == turn:
            responses[:, -1, length - unused : length] = 0.0
        self._weights[index, :, turn::every] = self._fft.rfft(responses, axis=-1)

    def _compare(self, numbers: Array, powers: Array) -> None:
        """Let the filter that clearly leaves less teach the other one."""
        for index, power in zip((_POWER_FOREGROUND, _POWER_BACKGROUND), powers, strict=True):
            numbers[index] = _COMPARISON_MEMORY * numbers[index] + (1 - _COMPARISON_MEMORY) * power
        ahead, behind = numbers[_POWER_FOREGROUND], numbers[_POWER_BACKGROUND]
        if not (np.isfinite(powers).all() and np.isfinite(self._variances).all()):
            self._begin_anew()
        elif behind < _CLEARLY_LESS * ahead:
            for memory in (self._weights, self._variances, self._rest):
                memory[FOREGROUND] = memory[BACKGROUND]
            numbers[_POWER_FOREGROUND] = behind
        elif behind > _MUCH_MORE * ahead:
            self._weights[BACKGROUND] = self._weights[FOREGROUND]
            steady, restless = self._variances
            np.maximum(steady, restless, out=restless)
            numbers[_POWER_BACKGROUND] = ahead

    def _begin_anew(self) -> None:
        self._weights[:] = 0.0
        self._rest[:] = 0.0
        self._variances[:] = (self._prior * self._power_ratio())[:, np.newaxis]
        self._numbers[[_POWER_FOREGROUND, _POWER_BACKGROUND]] = 0.0

    # ------------------------------------------------------------------------ output and guard

    def _output(self, number: int) -> Array:
        real = self.dtype
        block: Array = self._held[number % len(self._held)]
        if not self._numbers[_STARTED]:
            return block.copy()
        estimate = np.empty((1, self._num_bins), self._complex)
        self._predict(
            self._spectra.view(real),
            number % len(self._spectra),
            self._weights[:1].view(real),
            estimate.view(real),
        )
        explained = self._in_time(estimate[0])[self._part_length :]
        if not self.guarded:
            return np.asarray(block - explained)
        gains = self._judged(block, block - explained, number)
        return np.asarray(block - gains * explained)

    def _judged(self, block: Array, output: Array, number: int) -> Array:
        """Return the gain of what is subtracted: 1, or falling to 0 while it does harm."""
        numbers = self._numbers
        powers = [float(np.dot(signal, signal)) for signal in (output, block)]
        for index, power in zip((_OUT_POWER, _IN_POWER), powers, strict=True):
            numbers[index] = _HARM_MEMORY * numbers[index] + (1 - _HARM_MEMORY) * power
        # Written so that NaN counts as harm.
        is_bearable = powers[0] <= _HARMFUL_AT_ONCE * powers[1]
        is_fine = is_bearable and numbers[_OUT_POWER] <= _HARMFUL * numbers[_IN_POWER]
        before = float(numbers[_GAIN])
        if is_fine:
            numbers[_HARM_BLOCKS] = 0.0
        else:
            # An echo that is foreseen where the recording falls silent is too faint to matter.
            faint = _FAINT * float(numbers[_RATIO_OUT]) / max(1.0, float(numbers[_COUNT]))
            lasts = not powers[0] <= max(_HARMFUL * powers[1], faint)
            is_new = before > 0.0 and not numbers[_HARM_BLOCKS]
            self._log_harm(number, is_new=is_new, lasts=lasts)
        numbers[_LATCH_LEFT] = max(0.0, numbers[_LATCH_LEFT] - 1.0)
        after = 1.0 if is_fine and not numbers[_LATCH_LEFT] else 0.0
        numbers[_GAIN] = after
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
        numbers[_HARM_BLOCKS] += float(lasts)
        if numbers[_HARM_BLOCKS] < _TRIP_S * blocks_per_s:
            return
        numbers[_HARM_BLOCKS] = 0.0
        numbers[_TRIPS] += 1.0
        self._begin_anew()
        if numbers[_TRIPS] < _MAX_TRIPS:
            self._log(number, GuardEventKind.CLEARED)
        else:
            numbers[_TRIPS] = 0.0
            numbers[_LATCH_LEFT] = round(_LATCH_S * blocks_per_s)
            self._log(number, GuardEventKind.LATCHED)

    def _log(self, number: int, kind: GuardEventKind) -> None:
        if len(self._events) < _MAX_EVENTS:
            numbers = self._numbers
            ratio = numbers[_OUT_POWER] / max(numbers[_IN_POWER], 1e-300)
            level = 10.0 * math.log10(ratio) if 0.0 < ratio < math.inf else None
            time_s = number * self.block_length / self.sample_rate
            self._events.append(GuardEvent(time_s, kind, level))


_STATE = (
    *("weights", "variances", "rest", "spectra", "held", "heard", "wanted", "ready", "numbers"),
)
_OF_ANY_LENGTH = frozenset(("heard", "wanted", "ready"))
_MAX_EVENTS = 64
_MAX_RATIO = 1e24


def _lengths(sample_rate: float, num_taps: int) -> tuple[int, int]:
    """Return the samples of a block, about 64 ms, and the taps of a partition.

    A transform holds both. Long filters get partitions as long as a block; what a transform of a
    convenient length leaves room for makes the block longer.
    """
    block = _MULTIPLE * max(1, round(_BLOCK_S * sample_rate / _MULTIPLE))
    if num_taps > block:
        return block, block
    from scipy.fft import next_fast_len

    part = _MULTIPLE * -(-num_taps // _MULTIPLE)
    width = next_fast_len(block + part, real=True)
    return width + width % 2 - part, part


# ---------------------------------------------------------------------------- kernels
# Spectra are passed as real arrays, real and imaginary parts in turns.


@part_of_kernel
def _add_product(out: Array, x: Array, w: Array, f: int, j: int, p: int, slot: int) -> None:
    for k in range(0, out.shape[1], 2):
        a, b = x[slot, j, k], x[slot, j, k + 1]
        c, d = w[f, j, p, k], w[f, j, p, k + 1]
        out[f, k] += a * c - b * d
        out[f, k + 1] += a * d + b * c


@jit_by_dtype("void(real[:, :, ::1], int64, real[:, :, :, ::1], real[:, ::1])")
def predict(spectra: Array, newest: int, weights: Array, estimates: Array) -> None:
    """Write the spectrum of what each filter expects of the primary into ``estimates``.

    Parameters
    ----------
    spectra : (num_slots, J, 2·num_bins)
        A ring of spectra of the references.
    newest : int
        Its slot of the present block.
    weights : (num_filters, J, num_parts, 2·num_bins)
    estimates : (num_filters, 2·num_bins)
    """
    estimates[:] = 0.0
    num_slots = spectra.shape[0]
    for f in range(weights.shape[0]):
        for p in range(weights.shape[2]):
            slot = (newest - p + num_slots) % num_slots
            for j in range(weights.shape[1]):
                _add_product(estimates, spectra, weights, f, j, p, slot)


@part_of_kernel
def _add_power(
    out: Array, f: int, x: Array, c: Array, filled: float, j: int, p: int, slot: int
) -> None:
    for k in range(out.shape[1]):
        a, b = x[slot, j, 2 * k], x[slot, j, 2 * k + 1]
        out[f, k] += filled * c[f, j, p, k] * (a * a + b * b)


@part_of_kernel
def _gradient(
    out: Array, f: int, x: Array, c: Array, e: Array, shrink: Array, j: int, p: int, slot: int
) -> None:
    for k in range(shrink.shape[1]):
        a, b = x[slot, j, 2 * k], x[slot, j, 2 * k + 1]
        d, g = e[f, 2 * k], e[f, 2 * k + 1]
        gain = c[f, j, p, k] * shrink[f, k]
        out[f, j, p, 2 * k] = gain * (a * d + b * g)
        out[f, j, p, 2 * k + 1] = gain * (a * g - b * d)


@jit_by_dtype(
    "void(real[:, :, ::1], int64, real[:, :, :, ::1], real[:, ::1], real[:, ::1],"
    " real[:, :, :, ::1], real[:, ::1], float64[::1])"
)
def learn(
    spectra: Array,
    newest: int,
    variances: Array,
    rest: Array,
    errors: Array,
    gradients: Array,
    shrink: Array,
    numbers: Array,
) -> None:
    """Write K·E of each filter into ``gradients`` and 1 / denominator into ``shrink``.

    Parameters
    ----------
    spectra, newest
        See :func:`predict`.
    variances : (2, J, num_parts, num_bins)
    rest : (2, num_bins)
        Power spectra of what is left; brought up to date.
    errors : (2, 2·num_bins)
    gradients : (2, J, num_parts, 2·num_bins)
    shrink : (2, num_bins)
    numbers : (5,)
        Shares of change, memory of ``rest``, its weight, share of a transform that is a block.
    """
    num_slots = spectra.shape[0]
    zero, one = rest.dtype.type(0.0), rest.dtype.type(1.0)
    keep, weight = rest.dtype.type(numbers[2]), rest.dtype.type(numbers[3])
    filled = rest.dtype.type(numbers[4])
    for f in range(2):
        for k in range(rest.shape[1]):
            a, b = errors[f, 2 * k], errors[f, 2 * k + 1]
            rest[f, k] = keep * rest[f, k] + (one - keep) * (a * a + b * b)
            shrink[f, k] = weight * rest[f, k]
        for p in range(variances.shape[2]):
            slot = (newest - p + num_slots) % num_slots
            for j in range(variances.shape[1]):
                _add_power(shrink, f, spectra, variances, filled, j, p, slot)
        for k in range(rest.shape[1]):
            shrink[f, k] = one / shrink[f, k] if shrink[f, k] > zero else zero
        for p in range(variances.shape[2]):
            slot = (newest - p + num_slots) % num_slots
            for j in range(variances.shape[1]):
                _gradient(gradients, f, spectra, variances, errors, shrink, j, p, slot)


@part_of_kernel
def _settle_one(
    w: Array,
    g: Array,
    x: Array,
    c: Array,
    shrink: Array,
    share: float,
    filled: float,
    unseen: float,
    f: int,
    j: int,
    p: int,
    slot: int,
) -> None:
    one = c.dtype.type(1.0)
    for k in range(shrink.shape[1]):
        a, b = x[slot, j, 2 * k], x[slot, j, 2 * k + 1]
        re = w[f, j, p, 2 * k] + g[f, j, p, 2 * k]
        im = w[f, j, p, 2 * k + 1] + g[f, j, p, 2 * k + 1]
        w[f, j, p, 2 * k] = re
        w[f, j, p, 2 * k + 1] = im
        variance = c[f, j, p, k]
        learnt = filled * variance * shrink[f, k] * (a * a + b * b)
        c[f, j, p, k] = (one - share) * (one - learnt) * variance + share * (
            re * re + im * im + unseen
        )


@jit_by_dtype(
    "void(real[:, :, ::1], int64, real[:, :, :, ::1], real[:, :, :, ::1], real[:, :, :, ::1],"
    " real[:, ::1], real[::1], float64[::1])"
)
def settle(
    spectra: Array,
    newest: int,
    weights: Array,
    gradients: Array,
    variances: Array,
    shrink: Array,
    unseen: Array,
    numbers: Array,
) -> None:
    """Add the constrained ``gradients`` to the weights and bring the variances up to date.

    Parameters
    ----------
    unseen : (num_parts,)
        Power of the path that may appear where the weights are zero.
    others
        See :func:`learn`.
    """
    num_slots = spectra.shape[0]
    filled = variances.dtype.type(numbers[4])
    for f in range(2):
        share = variances.dtype.type(numbers[f])
        for p in range(variances.shape[2]):
            slot = (newest - p + num_slots) % num_slots
            for j in range(variances.shape[1]):
                _settle_one(
                    weights,
                    gradients,
                    spectra,
                    variances,
                    shrink,
                    share,
                    filled,
                    unseen[p],
                    f,
                    j,
                    p,
                    slot,
                )
