"""One channel of the classical engine: what it knows ahead, what it remembers, what it does.

Importing this module loads the compiled kernels; :mod:`anc_core.processors.spectral` does so when
the first engine is built.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from anc_core.dsp import clicks, hum, noise_floor, noise_start, suppression
from anc_core.dsp.frames import analyse, synthesise
from anc_core.presets import SuppressionParameters

FloatArray = NDArray[np.float32]

FORWARDS, BACKWARDS = 1, -1

_BACKWARD_FRAMES = 16
"""Beyond the block, where the backward pass begins: it has forgotten that after some ten frames."""
_GAP_S = 1.2
"""Every frame of a block and of the backward pass sees this far: a voice leaves a gap in it."""


def look_ahead_frames(hop_s: float) -> int:
    """Return how many frames must be known beyond a block."""
    return _BACKWARD_FRAMES + math.ceil(_GAP_S / hop_s)


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The parameters in the units of the kernels."""

    noise_smoothing: np.float32
    snr_smoothing: np.float32
    min_a_priori_snr: np.float32
    min_gain: np.float32
    residual: np.float32
    strength: np.float32
    rise: np.float32
    fall: np.float32
    least_gain: float
    """The least gain of all, strength included."""

    @classmethod
    def of(cls, parameters: SuppressionParameters, min_gain: float, hop_s: float) -> Self:
        step_db = suppression.LOUDNESS_STEP_DB_PER_S * hop_s
        quantile = float(suppression.LOUDNESS_QUANTILE)
        return cls(
            noise_smoothing=np.float32(math.exp(-hop_s / suppression.NOISE_SMOOTHING_S)),
            snr_smoothing=np.float32(parameters.snr_smoothing),
            min_a_priori_snr=np.float32(10 ** (parameters.min_a_priori_snr_db / 10)),
            min_gain=np.float32(min_gain),
            residual=np.float32(10 ** (-parameters.residual_noise_db / 10)),
            strength=np.float32(parameters.strength),
            rise=np.float32(10 ** (quantile * step_db / 10)),
            fall=np.float32(10 ** ((quantile - 1) * step_db / 10)),
            least_gain=min_gain**parameters.strength,
        )


class Channel:
    """Samples of whole frames in, as many hops of samples out.

    Parameters
    ----------
    parameters : SuppressionParameters
    min_gain : float
        Amplitude, 0 to 1; before the strength.
    window : float32, shape (frame_length,)
    sample_rate : int
        Hz.
    """

    def __init__(
        self,
        parameters: SuppressionParameters,
        min_gain: float,
        window: FloatArray,
        sample_rate: int,
    ) -> None:
        self._window = window
        self._hop_s = len(window) / 2 / sample_rate
        self._numbers = _Numbers.of(parameters, min_gain, self._hop_s)
        self._min_floor_frames = look_ahead_frames(self._hop_s) - _BACKWARD_FRAMES
        self._tail = np.zeros(len(window) // 2, np.float32)
        num_bins = len(window) // 2 + 1
        # Frames that are known but not done yet, without their hum, and what the bins that are
        # searched for hum held before.
        self._spectra = np.zeros((0, num_bins), np.complex64)
        self._psd = np.zeros((0, num_bins), np.float32)
        num_hum_bins = hum.bins_below_limit(sample_rate, len(window))
        self._with_hum = np.zeros((0, num_hum_bins), np.complex64)
        self._hum_state = hum.HumState.start(num_hum_bins)
        self._state: suppression.SuppressionState | None = None
        bin_hz = sample_rate / len(window)
        first, end = (min(math.ceil(hz / bin_hz), num_bins) for hz in clicks.VOICE_BAND_HZ)
        self._voice_bins = (first, end)
        self._click_context = math.ceil(clicks.CONTEXT_S / self._hop_s)
        # Sound over noise of past frames, (2, num_frames): all bins, the voice's band.
        self._heard = np.zeros((2, 0), np.float32)

    def gain(self, known: FloatArray, num_frames: int) -> FloatArray:
        """Return the gain of every cell of the next frames, (num_frames, num_bins).

        ``known`` begins with the samples of these frames and reaches farther.
        """
        self._hear(known[len(self._spectra) * len(self._tail) :])
        if self._state is None:
            self._start(num_frames)
        gain = np.ones((num_frames, self._spectra.shape[1]), np.float32)
        if self._state is not None:
            self._find_gain(self._state, gain)
        return gain

    def psd(self, num_frames: int) -> FloatArray:
        """Return the squared magnitude of the next frames, without their hum."""
        return self._psd[:num_frames]

    def apply(self, gain: FloatArray) -> FloatArray:
        """Return as many hops of samples as ``gain`` has frames, and go on to the next ones."""
        num_frames = len(gain)
        spectra = self._spectra[:num_frames]
        if self._state is not None:
            suppression.apply_gain(spectra, gain)
            hum.limit_attenuation(spectra, self._with_hum, np.float32(self._numbers.least_gain))
        samples, self._tail = synthesise(spectra, self._window, self._tail)
        self._spectra = self._spectra[num_frames:]
        self._psd = self._psd[num_frames:]
        self._with_hum = self._with_hum[num_frames:]
        return samples

    def _hear(self, samples: FloatArray) -> None:
        """Append the frames that ``samples`` hold, without their hum."""
        if len(samples) < len(self._window):
            return
        spectra = analyse(samples, self._window)
        with_hum = spectra[:, : self._with_hum.shape[1]].copy()
        hum.subtract_hum(
            spectra, self._hum_state, hop_s=self._hop_s, depth=1.0 - self._numbers.least_gain
        )
        psd = np.empty(spectra.shape, np.float32)
        suppression.power(spectra, psd)
        self._spectra = np.concatenate([self._spectra, spectra])
        self._psd = np.concatenate([self._psd, psd])
        self._with_hum = np.concatenate([self._with_hum, with_hum])

    def _start(self, num_frames: int) -> None:
        """Estimate noise and loudness, unless nothing but digital silence has come so far."""
        if noise_start.is_silent(self._psd[:num_frames]).all():
            return
        noise_psd = noise_start.first_noise_psd(self._psd)
        loud_psd = noise_start.first_loud_psd(self._psd)
        if noise_psd is not None and loud_psd is not None:
            self._state = suppression.SuppressionState.start(noise_psd, loud_psd)

    def _find_gain(self, state: suppression.SuppressionState, gain: FloatArray) -> None:
        """Write the gain of the first known frames into ``gain``."""
        numbers, num_frames = self._numbers, len(gain)
        # The backward pass begins in frames that the next block will visit again.
        seen = min(num_frames + _BACKWARD_FRAMES, len(self._psd))
        psd, now, later = self._psd[:seen], slice(0, num_frames), slice(num_frames, seen)
        noise, before, after, floor, loud = np.empty((5, seen, psd.shape[1]), np.float32)
        noise_floor.future_floor(self._psd, self._min_floor_frames, floor)
        for part, tracked in ((now, state.noise_state), (later, state.copied_noise_state())):
            suppression.track_noise(
                psd[part], floor[part], *tracked, numbers.noise_smoothing, noise[part]
            )
        smoothing, min_snr = numbers.snr_smoothing, numbers.min_a_priori_snr
        suppression.a_priori_snr(
            psd[now], noise[now], state.clean_psd, smoothing, min_snr, FORWARDS, before[now]
        )
        nothing = np.zeros_like(state.clean_psd)
        suppression.a_priori_snr(psd, noise, nothing, smoothing, min_snr, BACKWARDS, after)
        suppression.track_loudness(psd[now], state.loud_psd, numbers.rise, numbers.fall, loud[now])
        suppression.suppression_gain(
            psd,
            noise,
            before,
            after,
            loud,
            self._find_clicks(psd, noise, num_frames),
            min_snr,
            numbers.min_gain,
            numbers.residual,
            numbers.strength,
            gain,
        )

    def _find_clicks(
        self, psd: FloatArray, noise: FloatArray, num_frames: int
    ) -> NDArray[np.bool_]:
        """Return for each of the first ``num_frames`` frames whether it is a lone click."""
        ahead = np.empty((2, len(psd)), np.float32)
        clicks.band_ratio(psd, noise, 0, psd.shape[1], ahead[0])
        clicks.band_ratio(psd, noise, *self._voice_bins, ahead[1])
        heard = np.concatenate([self._heard, ahead], axis=1)
        num_past = self._heard.shape[1]
        is_click = np.empty(num_frames, np.bool_)
        clicks.find_clicks(heard[0], heard[1], num_past, self._click_context, is_click)
        done = num_past + num_frames
        self._heard = heard[:, max(done - self._click_context, 0) : done].copy()
        return is_click
