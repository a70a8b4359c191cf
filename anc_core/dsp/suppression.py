"""Noise, a-priori SNR and gain of a block of spectra: the kernels of the classical engine.

Work is offline, so a block of frames is seen together with some frames that follow it. Each
time-frequency cell goes through, in this order (the plain formulas, one array operation a line,
are in ``tests/oracles/suppression.py``):

1. :func:`track_noise`: speech presence probability and noise PSD (Gerkmann & Hendriks 2012,
   Eqs. 18 and 21 to 23), raised at once where :mod:`anc_core.dsp.noise_floor` sees that it has
   risen for good;
2. :func:`a_priori_snr`: decision-directed (Ephraim & Malah 1984, Eq. 51), with the Wiener gain,
   once forwards and once backwards. Forwards it is late at the beginning of a sound, backwards at
   its end; the greater of both is late nowhere. The term of the present frame is a mean over five
   bins (1, 4, 6, 4, 1), as lone peaks are what musical noise is made of: three bins leave three
   times as many in white noise;
3. :func:`suppression_gain`: a-priori SNR again from the Wiener gain of that (two-step noise
   reduction, Plapous, Marro & Scalart 2006, Eqs. 16 to 18); gain of the log-spectral amplitude
   estimator (Ephraim & Malah 1985, Eq. 20) times the probability that there is any speech, as
   Ephraim & Malah (1984, section V) have it, but from the a-priori SNR alone; floor and strength.
   The probability buries lone peaks, and so allows for an SNR that is smoothed less: of white
   noise 1.9e-4 of the cells are such peaks.

The floor of a cell is where its noise has sunk either by the maximum or to a fixed distance below
the loud moments of its band (:func:`track_loudness`), whichever comes first: what is inaudible
beside the voice is not worth the errors of an estimator, and a clean voice passes as it is.

References
----------
Y. Ephraim, D. Malah, IEEE Trans. ASSP 32(6), 1984, and 33(2), 1985.
T. Gerkmann, R. Hendriks, IEEE Trans. ASLP 20(4), 2012.
C. Plapous, C. Marro, P. Scalart, IEEE Trans. ASLP 14(6), 2006.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from anc_core.dsp.jit import jit

FloatArray = NDArray[np.float32]

MIN_PSD = np.float32(1e-24)
"""Floor of every PSD (squared magnitude): -240 dB; below it a cell counts as silent."""

NOISE_SMOOTHING_S = 0.22
"""Time constant of the noise PSD where no speech is present. Gerkmann & Hendriks have 0.07 s (0.8 a
frame of 16 ms); on mixtures with real noise 0.15 to 0.4 s was best, by 0.4 dB of SI-SDR."""

LOUDNESS_QUANTILE = np.float32(0.95)
"""The loud moments of a band: what 5 % of its frames exceed."""
LOUDNESS_STEP_DB_PER_S = 25.0
"""Speed of the loudness tracker: it rises by 0.95 and falls by 0.05 times this."""

_SNR_WHEN_PRESENT = np.float32(10**1.5)
"""A-priori SNR that speech has where it is present, 15 dB (Gerkmann & Hendriks 2012, III-B)."""

_EVEN_SNR = np.float32(0.55)
"""A-priori SNR (-2.6 dB) at which there is as likely speech in a cell as there is none."""

_PRESENCE_SMOOTHING = np.float32(0.9)
_MAX_PRESENCE = np.float32(0.99)
"""Where speech has seemed present for long it may be louder noise: the tracker keeps moving."""

_SHARE_OF_A_RISE = np.float32(0.7)

# float32 on purpose: a Python float would make numba compute in float64, at half the speed.
_0 = np.float32(0.0)
_1 = np.float32(1.0)
_HALF = np.float32(0.5)
_QUARTER = np.float32(0.25)
_3_8 = np.float32(3 / 8)
_1_16 = np.float32(1 / 16)
_MAX_SNR = np.float32(1e9)
_MIN_V = np.float32(1e-9)


@dataclass(slots=True)
class SuppressionState:
    """What one channel remembers from frame to frame; arrays of shape (num_bins,), float32."""

    noise_psd: FloatArray
    presence: FloatArray
    """Smoothed speech presence probability."""
    clean_psd: FloatArray
    """Squared magnitude of the speech estimate of the frame before."""
    loud_psd: FloatArray
    """Squared magnitude that the loud moments of the band reach."""

    @classmethod
    def start(cls, noise_psd: FloatArray, loud_psd: FloatArray) -> Self:
        """Return the state before the first frame, given first estimates of noise and loudness."""
        return cls(
            noise_psd.copy(),
            np.full_like(noise_psd, np.float32(0.5)),
            np.zeros_like(noise_psd),
            loud_psd.copy(),
        )

    @property
    def noise_state(self) -> tuple[FloatArray, FloatArray]:
        """What :func:`track_noise` carries on: the noise PSD and the presence themselves."""
        return self.noise_psd, self.presence

    def copied_noise_state(self) -> tuple[FloatArray, FloatArray]:
        """Return copies of these, to look ahead with."""
        return self.noise_psd.copy(), self.presence.copy()


@jit("float32(float32)")
def exp_negative(x: np.float32) -> np.float32:
    """Return exp(x) for ``x`` <= 0; relative error below 5e-6 down to -10, 1e-5 down to -87.

    2**n is built from its bits, 2**r (|r| <= 1/2) is a polynomial: unlike a call to the C library
    this runs in SIMD lanes, which makes the whole kernel ten times as fast.
    """
    t = max(x, np.float32(-87.0)) * np.float32(1.44269504)  # log2(e)
    n = np.floor(t + np.float32(0.5))
    r = t - n
    p = np.float32(1.3333558e-3) * r + np.float32(9.6181291e-3)
    p = p * r + np.float32(5.5504109e-2)
    p = p * r + np.float32(0.24022651)
    p = p * r + np.float32(0.69314718)
    p = p * r + _1
    power_of_two = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return power_of_two * p  # type: ignore[no-any-return]


@jit("float32(float32)")
def log_amplitude_boost(v: np.float32) -> np.float32:
    """Return exp(E1(v) / 2) for ``v`` > 0, E1 = exponential integral; relative error below 1e-6.

    v·exp(E1(v)) is analytic at 0 and tends to v, so exp(E1(v)) = 1 + exp(-v)·r(v)/v with a smooth
    r between 0.561 and 1: the rational r below was fitted for a relative error of 5e-9.
    """
    upper = np.float32(0.00492739) * v + np.float32(0.06344273)
    upper = upper * v + np.float32(0.30690159)
    upper = upper * v + np.float32(0.56145948)
    lower = np.float32(0.00475375) * v + np.float32(0.07233456)
    lower = lower * v + np.float32(0.32768573)
    lower = lower * v + _1
    return np.sqrt(_1 + exp_negative(-v) * upper / (lower * v))  # type: ignore[no-any-return]


@jit("void(complex64[:, ::1], float32[:, ::1])")
def power(spectra: NDArray[np.complex64], psd: FloatArray) -> None:
    """Write the squared magnitude of ``spectra`` into ``psd``, of the same shape."""
    for frame in range(spectra.shape[0]):
        for k in range(spectra.shape[1]):
            y = spectra[frame, k]
            psd[frame, k] = y.real * y.real + y.imag * y.imag


@jit("boolean(float32[::1])")
def is_silent_frame(psd: FloatArray) -> bool:
    """Return whether a frame holds nothing but digital silence."""
    energy = _0
    for k in range(psd.shape[0]):
        energy += psd[k]
    return bool(energy <= MIN_PSD * np.float32(psd.shape[0]))


@jit("void(float32[:, ::1], float32[:, ::1], float32[::1], float32[::1], float32, float32[:, ::1])")
def track_noise(
    psd: FloatArray,
    least_noise_psd: FloatArray,
    noise_psd: FloatArray,
    presence: FloatArray,
    smoothing: np.float32,
    noise: FloatArray,
) -> None:
    """Follow the noise from frame to frame; **changes ``noise_psd``, ``presence``, ``noise``**.

    Parameters
    ----------
    psd : float32, shape (num_frames, num_bins)
        Squared magnitudes up to 1e32.
    least_noise_psd : float32, shape (num_frames, num_bins)
        Where it exceeds the estimate in most bins of a frame, all noise has become louder, and the
        estimate follows at once.
    noise_psd, presence : float32, shape (num_bins,)
        State, see :class:`SuppressionState`.
    smoothing : float32
        Weight of the past, a frame, 0 to 1.
    noise : float32, shape (num_frames, num_bins)
        Receives the noise PSD of every frame.

    Notes
    -----
    A frame of digital silence changes nothing: the noise estimate outlives pauses of a recorder.
    """
    num_frames, num_bins = psd.shape
    scale = _SNR_WHEN_PRESENT / (_1 + _SNR_WHEN_PRESENT)
    # One loop over the bins for each stage, free of branches: LLVM turns each into SIMD code.
    for frame in range(num_frames):
        if is_silent_frame(psd[frame]):
            for k in range(num_bins):
                noise[frame, k] = max(noise_psd[k], MIN_PSD)
            continue
        num_above = np.int32(0)
        for k in range(num_bins):
            num_above += np.int32(least_noise_psd[frame, k] > noise_psd[k])
        # A voice holds some bins for long, but never most of them.
        has_risen = _1 if np.float32(num_above) > _SHARE_OF_A_RISE * np.float32(num_bins) else _0
        for k in range(num_bins):
            before = max(noise_psd[k], has_risen * least_noise_psd[frame, k], MIN_PSD)
            odds_of_absence = (_1 + _SNR_WHEN_PRESENT) * exp_negative(
                -min(psd[frame, k] / before, _MAX_SNR) * scale
            )
            p = _1 / (_1 + odds_of_absence)
            smoothed = p + _PRESENCE_SMOOTHING * (presence[k] - p)
            presence[k] = smoothed
            p = min(p, _MAX_PRESENCE) if smoothed > _MAX_PRESENCE else p
            # MMSE estimate of the noise in this frame: p·before + (1-p)·psd
            now = before + (_1 - smoothing) * (_1 - p) * (psd[frame, k] - before)
            now = max(now, MIN_PSD)
            noise_psd[k] = now
            noise[frame, k] = now


@jit(
    "void(float32[:, ::1], float32[:, ::1], float32[::1], float32, float32, int64, float32[:, ::1])"
)
def a_priori_snr(
    psd: FloatArray,
    noise: FloatArray,
    clean_psd: FloatArray,
    smoothing: np.float32,
    min_snr: np.float32,
    direction: int,
    snr: FloatArray,
) -> None:
    """Estimate the a-priori SNR, decision-directed; **changes ``clean_psd`` and ``snr``**.

    Parameters
    ----------
    psd, noise : float32, shape (num_frames, num_bins)
        Squared magnitude, and the noise's.
    clean_psd : float32, shape (num_bins,)
        State: squared magnitude of the speech in the frame that was visited before.
    smoothing : float32
        Weight of that frame, 0 to 1.
    min_snr : float32
        Power ratio.
    direction : int
        1 = forwards, -1 = backwards, the last frame first.
    snr : float32, shape (num_frames, num_bins)
        Receives the estimate, a power ratio.
    """
    num_frames, num_bins = psd.shape
    # Two cells beyond either end stay 0: they make the mean over five bins free of branches.
    excess = np.zeros(num_bins + 4, np.float32)
    for number in range(num_frames):
        frame = number if direction > 0 else num_frames - 1 - number
        for k in range(num_bins):
            excess[k + 2] = min(psd[frame, k] / noise[frame, k], _MAX_SNR) - _1
        for k in range(num_bins):
            around = _3_8 * excess[k + 2] + _QUARTER * (excess[k + 1] + excess[k + 3])
            around += _1_16 * (excess[k] + excess[k + 4])
            found = smoothing * min(clean_psd[k] / noise[frame, k], _MAX_SNR)
            found = max(found + (_1 - smoothing) * max(around, _0), min_snr)
            wiener = found / (_1 + found)
            clean_psd[k] = wiener * wiener * psd[frame, k]
            snr[frame, k] = found


@jit("void(float32[::1], float32[::1], float32[::1])")
def smooth_over_bins(psd: FloatArray, padded: FloatArray, smooth: FloatArray) -> None:
    """Write a mean over some 15 bins into ``smooth``; **changes ``padded`` too**.

    Three times weights 1/4, 1/2, 1/4 of bins 1, 2 and 4 apart (an "à trous" filter); the bins at
    the ends count for those beyond. ``psd`` and ``smooth`` have shape (num_bins,), ``padded``
    (num_bins + 8,).
    """
    num_bins = psd.shape[0]
    for k in range(num_bins):
        smooth[k] = psd[k]
    for stage in range(3):
        step = 1 << stage
        # The ends are copied rather than clamped to: a computed index would prevent SIMD code.
        for k in range(4):
            padded[k] = smooth[0]
            padded[num_bins + 4 + k] = smooth[num_bins - 1]
        for k in range(num_bins):
            padded[k + 4] = smooth[k]
        for k in range(num_bins):
            sides = padded[k + 4 - step] + padded[k + 4 + step]
            smooth[k] = _HALF * padded[k + 4] + _QUARTER * sides


@jit("void(float32[:, ::1], float32[::1], float32, float32, float32[:, ::1])")
def track_loudness(
    psd: FloatArray, loud_psd: FloatArray, rise: np.float32, fall: np.float32, loud: FloatArray
) -> None:
    """Follow how loud the loud moments of each band are; **changes ``loud_psd`` and ``loud``**.

    Parameters
    ----------
    psd : float32, shape (num_frames, num_bins)
        Squared magnitude.
    loud_psd : float32, shape (num_bins,)
        State, see :class:`SuppressionState`.
    rise, fall : float32
        Factors a frame, above and below 1.
    loud : float32, shape (num_frames, num_bins)
        Receives the loudness after every frame, squared magnitude.

    Notes
    -----
    Steps up and down whose sizes in dB are as q to 1 - q come to rest at the quantile q. A click
    moves the estimate by two steps only, however loud. Digital silence changes nothing.
    """
    num_frames, num_bins = psd.shape
    smooth = np.empty(num_bins, np.float32)
    padded = np.empty(num_bins + 8, np.float32)
    for frame in range(num_frames):
        if not is_silent_frame(psd[frame]):
            smooth_over_bins(psd[frame], padded, smooth)
            for k in range(num_bins):
                factor = rise if smooth[k] > loud_psd[k] else fall
                loud_psd[k] = max(loud_psd[k] * factor, MIN_PSD)
        for k in range(num_bins):
            loud[frame, k] = loud_psd[k]


@jit(
    "void(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1],"
    " float32[:, ::1], boolean[::1], float32, float32, float32, float32, float32[:, ::1])"
)
def suppression_gain(
    psd: FloatArray,
    noise: FloatArray,
    snr_before: FloatArray,
    snr_after: FloatArray,
    loud: FloatArray,
    is_click: NDArray[np.bool_],
    min_a_priori_snr: np.float32,
    min_gain: np.float32,
    residual: np.float32,
    strength: np.float32,
    gain: FloatArray,
) -> None:
    """Write the gain of every cell; **changes ``gain``**.

    Parameters
    ----------
    psd, noise, loud : float32, shape (num_frames, num_bins) or more frames
        Squared magnitude, that of the noise and that of the band's loud moments.
    snr_before, snr_after : float32, shape (num_frames, num_bins) or more frames
        A-priori SNR as seen from the past and from the future, power ratios.
    is_click : bool, shape (num_frames,)
        Frames whose sound counts as noise altogether.
    min_a_priori_snr : float32
        Power ratio.
    min_gain : float32
        Amplitude, 0 to 1; before ``strength``.
    residual : float32
        Noise that lies below this fraction of ``loud`` (power ratio) is left alone.
    strength : float32
        Exponent of the gain, 0 to 1: scales it in dB.
    gain : float32, shape (num_frames, num_bins)
        Receives it, an amplitude, 0 to 1.
    """
    num_frames, num_bins = gain.shape
    for frame in range(num_frames):
        click = is_click[frame]
        for k in range(num_bins):
            a_posteriori = min(psd[frame, k] / noise[frame, k], _MAX_SNR)
            first = max(snr_before[frame, k], snr_after[frame, k])
            presence = first / (_EVEN_SNR + first)
            wiener = first / (_1 + first)
            a_priori = max(wiener * wiener * a_posteriori, min_a_priori_snr)
            wiener = a_priori / (_1 + a_priori)
            g = presence * wiener * log_amplitude_boost(max(wiener * a_posteriori, _MIN_V))
            floor = max(min_gain, min(np.sqrt(residual * loud[frame, k] / noise[frame, k]), _1))
            # A click sinks to what the noise would be there, whatever its own SNR.
            buried = floor / np.sqrt(max(a_posteriori, _1))
            g = max(buried, min_gain) if click else max(g, floor)
            gain[frame, k] = min(g, _1)
        if strength != _1:
            for k in range(num_bins):
                gain[frame, k] = gain[frame, k] ** strength


@jit("void(complex64[:, ::1], float32[:, ::1])")
def apply_gain(spectra: NDArray[np.complex64], gain: FloatArray) -> None:
    """Multiply ``spectra`` by ``gain``, of the same shape, **in place**."""
    for frame in range(spectra.shape[0]):
        for k in range(spectra.shape[1]):
            spectra[frame, k] *= gain[frame, k]
