"""One block of spectra through noise tracking, a-priori SNR and gain: a fused kernel.

Each time-frequency cell goes through, in this order (the plain formulas, one array operation a
line, are in ``tests/oracles/suppression.py``):

1. speech presence probability and noise PSD (Gerkmann & Hendriks 2012, Eqs. 18 and 21 to 23);
2. a-priori SNR, decision-directed (Ephraim & Malah 1984, Eq. 51), with the Wiener gain; the term
   of the present frame is a mean over three bins, as lone peaks are what musical noise is made of;
3. a-priori SNR once more from that gain, without the frame of delay that the decision-directed
   estimate has (two-step noise reduction, Plapous, Marro & Scalart 2006, Eqs. 16 to 18);
4. gain of the log-spectral amplitude estimator (Ephraim & Malah 1985, Eq. 20);
5. floor, strength, multiplication.

Measured on 48 mixtures of speech and real noise at 0 to 15 dB, SI-SDR improvement in dB, and on
white noise, share of the cells of the output that stand 12 dB above their mean:

======================================  =====  =======
log-spectral amplitude alone             3.45  2.9e-4
with step 3                              3.87  6.8e-4
with step 3 and the mean of step 2       3.83  1.3e-4
75 % overlap instead, twice the work     3.86  4.4e-4
======================================  =====  =======

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
frame of 16 ms); on the mixtures above 0.15 to 0.4 s was best, by 0.4 dB of SI-SDR."""

_SNR_WHEN_PRESENT = np.float32(10**1.5)
"""A-priori SNR that speech has where it is present, 15 dB (Gerkmann & Hendriks 2012, III-B)."""

_PRESENCE_SMOOTHING = np.float32(0.9)
_MAX_PRESENCE = np.float32(0.99)
"""Where speech has seemed present for long it may be louder noise: the tracker keeps moving."""

# float32 on purpose: a Python float would make numba compute in float64, at half the speed.
_0 = np.float32(0.0)
_1 = np.float32(1.0)
_HALF = np.float32(0.5)
_QUARTER = np.float32(0.25)
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

    @classmethod
    def start(cls, noise_psd: FloatArray) -> Self:
        """Return the state before the first frame, given a first estimate of the noise."""
        return cls(
            noise_psd.copy(), np.full_like(noise_psd, np.float32(0.5)), np.zeros_like(noise_psd)
        )


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


@jit(
    "void(complex64[:, ::1], float32[::1], float32[::1], float32[::1],"
    " float32, float32, float32, float32, float32)"
)
def suppress_block(
    spectra: NDArray[np.complex64],
    noise_psd: FloatArray,
    presence: FloatArray,
    clean_psd: FloatArray,
    noise_smoothing: np.float32,
    snr_smoothing: np.float32,
    min_a_priori_snr: np.float32,
    min_gain: np.float32,
    strength: np.float32,
) -> None:
    """Multiply ``spectra`` by the gain, frame after frame; **changes all four arrays in place**.

    Parameters
    ----------
    spectra : complex64, shape (num_frames, num_bins)
        Magnitudes up to 1e16 (powers must fit float32).
    noise_psd, presence, clean_psd : float32, shape (num_bins,)
        See :class:`SuppressionState`.
    noise_smoothing, snr_smoothing : float32
        Weight of the past, a frame, 0 to 1.
    min_a_priori_snr : float32
        Power ratio.
    min_gain : float32
        Amplitude, 0 to 1; before ``strength``.
    strength : float32
        Exponent of the gain, 0 to 1: scales it in dB.

    Notes
    -----
    A frame of digital silence changes nothing: the noise estimate outlives pauses of a recorder.
    """
    num_bins = spectra.shape[1]
    psd = np.empty(num_bins, np.float32)
    # The two cells beyond the ends stay 0: they make the mean over three bins free of branches.
    excess = np.zeros(num_bins + 2, np.float32)
    gain = np.empty(num_bins, np.float32)
    exponent_scale = _SNR_WHEN_PRESENT / (_1 + _SNR_WHEN_PRESENT)
    # One loop over the bins for each stage, free of branches: LLVM turns each into SIMD code.
    for frame in range(spectra.shape[0]):
        energy = _0
        for k in range(num_bins):
            y = spectra[frame, k]
            psd[k] = y.real * y.real + y.imag * y.imag
            energy += psd[k]
        if energy <= MIN_PSD * np.float32(num_bins):
            continue
        for k in range(num_bins):
            before = max(noise_psd[k], MIN_PSD)
            odds_of_absence = (_1 + _SNR_WHEN_PRESENT) * exp_negative(
                -min(psd[k] / before, _MAX_SNR) * exponent_scale
            )
            p = _1 / (_1 + odds_of_absence)
            smoothed = p + _PRESENCE_SMOOTHING * (presence[k] - p)
            presence[k] = smoothed
            p = min(p, _MAX_PRESENCE) if smoothed > _MAX_PRESENCE else p
            # MMSE estimate of the noise in this frame: p·before + (1-p)·psd
            noise = max(before + (_1 - noise_smoothing) * (_1 - p) * (psd[k] - before), MIN_PSD)
            noise_psd[k] = noise
            excess[k + 1] = min(psd[k] / noise, _MAX_SNR) - _1
        for k in range(num_bins):
            a_posteriori = excess[k + 1] + _1
            around = _HALF * excess[k + 1] + _QUARTER * (excess[k] + excess[k + 2])
            a_priori = snr_smoothing * min(clean_psd[k] / noise_psd[k], _MAX_SNR)
            a_priori += (_1 - snr_smoothing) * max(around, _0)
            a_priori = max(a_priori, min_a_priori_snr)
            wiener = a_priori / (_1 + a_priori)
            clean_psd[k] = wiener * wiener * psd[k]
            a_priori = max(wiener * wiener * a_posteriori, min_a_priori_snr)
            wiener = a_priori / (_1 + a_priori)
            g = wiener * log_amplitude_boost(max(wiener * a_posteriori, _MIN_V))
            gain[k] = min(max(g, min_gain), _1)
        if strength != _1:
            for k in range(num_bins):
                gain[k] = gain[k] ** strength
        for k in range(num_bins):
            spectra[frame, k] *= gain[k]
