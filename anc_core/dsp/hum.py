"""Subtract steady tones, mains hum above all, without touching what else their bins hold.

A gain lowers everything in a bin, and hum sits where the voice has its fundamental. But a steady
tone of frequency f is the same complex number in every frame up to a rotation by 2π·f·hop: turned
back by that angle and averaged over a second it stands still, whereas a voice averages out. So its
amplitude can be estimated in a band of about 1 Hz and subtracted.

Per bin below :data:`MAX_HZ`, with u = X/|X| (so that loud speech has no more say than the tone):

- c = mean of u[t+2]·conj(u[t]), |c| near 1 for a tone, near 0 for noise (frames two hops apart do
  not overlap) and for voices, whose pitch moves;
- the angle of c is twice that of the tone; the mean of u[t+1]·conj(u[t]) tells which half;
- a = recursive mean of X[t] turned back, its magnitude limited so that a voice cannot drive it.

Where |c| exceeds a threshold the tone a is taken from the frame, down to the engine's floor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from anc_core.dsp.jit import jit

FloatArray = NDArray[np.float32]
ComplexArray = NDArray[np.complex64]

MAX_HZ = 1250.0
"""Mains hum is audible to about its 20th harmonic; alarms lie above."""
AMPLITUDE_SMOOTHING_S = 0.4
"""Time constant of the amplitude: a band of 0.4 Hz to either side."""
COHERENCE_SMOOTHING_S = 2.0
"""Time constant of c across blocks."""

_MIN_COHERENCE = np.float32(0.6)
_FULL_COHERENCE = np.float32(0.8)
"""Nothing is subtracted below the first, everything above the second. Noise alone reaches
1/sqrt(60) = 0.13 in a second."""
_TRACKED_COHERENCE = np.float32(0.4)
"""From here on the tone's amplitude is followed."""
_UP = np.float32(1.06)
_DOWN = np.float32(1 / 1.06)
"""Equal steps come to rest at the median."""
_0 = np.float32(0.0)
_1 = np.float32(1.0)
_TINY = np.float32(1e-12)
"""Magnitude below which a cell counts as silent, -240 dB; its square still fits float32."""


@dataclass(slots=True)
class HumState:
    """What one channel remembers; complex64, shape (num_bins,), only the bins below MAX_HZ."""

    one_apart: ComplexArray
    two_apart: ComplexArray
    amplitude: ComplexArray
    """The tone in the last frame."""
    typical: FloatArray
    """Median magnitude, float32; 0 before the first frame."""
    last: ComplexArray
    """Last two frames, direction only, shape (2, num_bins)."""
    weight: FloatArray
    """Share of the means that is more than the zeros they start from, shape (1,)."""

    @classmethod
    def start(cls, num_bins: int) -> Self:
        """Return the state before the first frame."""
        zeros = np.zeros(num_bins, np.complex64)
        return cls(
            zeros.copy(),
            zeros.copy(),
            zeros.copy(),
            np.zeros(num_bins, np.float32),
            np.zeros((2, num_bins), np.complex64),
            np.zeros(1, np.float32),
        )


def bins_below_limit(sample_rate: int, frame_length: int) -> int:
    """Return how many bins, from bin 0, are searched for tones."""
    return min(frame_length // 2 + 1, int(MAX_HZ * frame_length / sample_rate) + 1)


def subtract_hum(spectra: ComplexArray, state: HumState, *, hop_s: float, depth: float) -> None:
    """Subtract the steady tones from ``spectra``; **changes ``spectra`` and ``state``**.

    Parameters
    ----------
    spectra : complex64, shape (num_frames, num_bins), C-contiguous
        The frames that follow those of the call before.
    state : HumState
    hop_s : float
        Seconds between frames.
    depth : float
        Share of a tone's amplitude that is subtracted, 0 to 1.

    Notes
    -----
    Nothing is learnt from digital silence before the first sound.
    """
    if not state.typical.any() and not _start(spectra[:, : len(state.typical)], state):
        return
    subtract_tones(
        spectra,
        state.one_apart,
        state.two_apart,
        state.amplitude,
        state.typical,
        state.last,
        state.weight,
        np.float32(np.exp(-len(spectra) * hop_s / COHERENCE_SMOOTHING_S)),
        np.float32(1.0 - np.exp(-hop_s / AMPLITUDE_SMOOTHING_S)),
        np.float32(depth),
    )


def _start(spectra: ComplexArray, state: HumState) -> bool:
    """Take the typical magnitudes from the frames that hold sound; return whether any does."""
    heard = np.abs(spectra)
    heard = heard[heard.max(axis=1) > _TINY]
    if not len(heard):
        return False
    state.typical[:] = np.maximum(np.median(heard, axis=0), _TINY)
    return True


@jit("float32(complex64)")
def magnitude(x: np.complex64) -> np.float32:
    """Return abs(x), without the care for overflow that makes hypot() slow."""
    return np.sqrt(x.real * x.real + x.imag * x.imag)  # type: ignore[no-any-return]


@jit("float32(float32, float32)")
def towards(typical: np.float32, size: np.float32) -> np.float32:
    """Return the running median ``typical`` after a magnitude ``size``; silence is no news."""
    if size <= _TINY:
        return typical
    return max(typical * (_UP if size > typical else _DOWN), _TINY)


@jit("complex64(complex64, complex64, float32, float32)")
def follow(
    amplitude: np.complex64, heard: np.complex64, typical: np.float32, step: np.float32
) -> np.complex64:
    """Return the tone's amplitude after a frame; frames louder than ``typical`` count for less."""
    trust = typical / max(magnitude(heard), typical)
    return amplitude + step * trust * trust * (heard * trust - amplitude)


@jit(
    "void(complex64[:, ::1], complex64[::1], complex64[::1], complex64[::1], float32[::1],"
    " complex64[:, ::1], float32[::1], float32, float32, float32)"
)
def subtract_tones(
    spectra: ComplexArray,
    one_apart: ComplexArray,
    two_apart: ComplexArray,
    amplitude: ComplexArray,
    typical: FloatArray,
    last: ComplexArray,
    weight: FloatArray,
    smoothing: np.float32,
    step: np.float32,
    depth: np.float32,
) -> None:
    """Do the work of :func:`subtract_hum`; **changes the first seven arrays**.

    Notes
    -----
    For each bin: direction and coherence over the block; where a tone is new, a sweep forth and
    back over the block, so that it is known from its first frame on; then frame by frame the
    recursion of :func:`follow`, and the subtraction of no more than the frame holds (a tone may
    stop). Silent cells leave the typical magnitude alone.
    """
    num_frames = spectra.shape[0]
    if num_frames == 0:
        return
    weight[0] = smoothing * weight[0] + (_1 - smoothing)
    for k in range(amplitude.shape[0]):
        u1, u2 = last[1, k], last[0, k]
        sum1 = np.complex64(0.0)
        sum2 = np.complex64(0.0)
        for frame in range(num_frames):
            x = spectra[frame, k]
            u = x / max(magnitude(x), _TINY)
            sum1 += u * np.conj(u1)
            sum2 += u * np.conj(u2)
            u2, u1 = u1, u
        last[1, k], last[0, k] = u1, u2
        share = (_1 - smoothing) / np.float32(num_frames)
        one_apart[k] = smoothing * one_apart[k] + share * sum1
        two_apart[k] = smoothing * two_apart[k] + share * sum2
        coherence = magnitude(two_apart[k]) / weight[0]
        rotation = np.sqrt(two_apart[k] / max(magnitude(two_apart[k]), _TINY))
        rotation /= max(magnitude(rotation), _TINY)
        if (rotation * np.conj(one_apart[k])).real < _0:
            rotation = -rotation
        if coherence < _TRACKED_COHERENCE:
            for frame in range(num_frames):
                typical[k] = towards(typical[k], magnitude(spectra[frame, k]))
            amplitude[k] = 0
            continue
        a = amplitude[k]
        if magnitude(a) == _0:
            for frame in range(num_frames):
                a = follow(a * rotation, spectra[frame, k], typical[k], step)
            for number in range(num_frames):
                x = spectra[num_frames - 1 - number, k]
                a = follow(a, x, typical[k], step) * np.conj(rotation)
        certainty = (coherence - _MIN_COHERENCE) / (_FULL_COHERENCE - _MIN_COHERENCE)
        certainty = min(max(certainty, _0), _1)
        for frame in range(num_frames):
            x = spectra[frame, k]
            size = magnitude(x)
            typical[k] = towards(typical[k], size)
            a = follow(a * rotation, x, typical[k], step)
            limit = min(_1, size / max(magnitude(a), _TINY))
            spectra[frame, k] = x - depth * certainty * limit * a
        amplitude[k] = a


@jit("void(complex64[:, ::1], complex64[:, ::1], float32)")
def limit_attenuation(spectra: ComplexArray, before: ComplexArray, least_gain: np.float32) -> None:
    """Raise cells that sank below ``least_gain`` times what they were, **in place**.

    Parameters
    ----------
    spectra : complex64, shape (num_frames, num_bins)
        After subtraction and gain, which together may take more than either is allowed.
    before : complex64, shape (num_frames or more, at most num_bins)
        The same frames before both.
    least_gain : float32
        Amplitude, 0 to 1.
    """
    for frame in range(spectra.shape[0]):
        for k in range(before.shape[1]):
            size = magnitude(spectra[frame, k])
            least = least_gain * magnitude(before[frame, k])
            if _TINY < size < least:
                spectra[frame, k] *= least / size
