"""Speech level and mixing: the signal-to-noise ratio counts only where somebody speaks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.audio.synth.signals import from_db
from anc_core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FRAME_S = 0.01
_HANGOVER_S = 0.2  # ITU-T P.56 (2011), clause 7.4.4: pauses up to 0.2 s belong to the speech
_MARGIN_DB = 15.9  # ITU-T P.56, same clause: threshold below the active level


def active_speech(speech: NDArray[Any], sample_rate: float) -> NDArray[np.bool_]:
    """Return which samples are speech rather than pause.

    Parameters
    ----------
    speech : ndarray, shape (n,) or (n, num_channels)
        Clean speech, full scale +-1. Channels are judged together.
    sample_rate : float
        Hz.

    Returns
    -------
    ndarray of bool, shape (n,)
        All False for digital silence.

    Notes
    -----
    Frames of 10 ms are active where they or a frame less than 0.2 s before lie above a threshold
    15.9 dB below the level of the active frames; the threshold is lowered from above until it
    agrees with itself.

    References
    ----------
    ITU-T P.56 (2011), method B, on frames instead of a smoothed envelope.
    """
    frame = max(1, round(_FRAME_S * sample_rate))
    energy = np.square(np.atleast_2d(speech.T).astype(np.float64)).mean(axis=0)
    num_frames = -(-len(energy) // frame)
    power = np.zeros(num_frames * frame)
    power[: len(energy)] = energy
    frame_power = power.reshape(num_frames, frame).mean(axis=1)
    return np.repeat(_active_frames(frame_power), frame)[: len(energy)]


def _active_frames(frame_power: NDArray[np.float64]) -> NDArray[np.bool_]:
    hangover = round(_HANGOVER_S / _FRAME_S)
    threshold = float(frame_power.max(initial=0.0))
    if threshold == 0.0:
        return np.zeros(len(frame_power), dtype=bool)
    active = frame_power >= threshold
    while True:
        heard = np.convolve(frame_power >= threshold, np.ones(hangover))[: len(frame_power)] > 0.5
        agreed = float(frame_power[heard].mean()) * 10.0 ** (-_MARGIN_DB / 10.0)
        if np.array_equal(heard, active) or agreed >= threshold:
            return heard
        active, threshold = heard, agreed


def active_level_dbfs(speech: NDArray[Any], sample_rate: float) -> float | None:
    """Return the level of the active speech in dBFS (full-scale square = 0); None for silence."""
    active = active_speech(speech, sample_rate)
    if not active.any():
        return None
    return 10.0 * math.log10(float(np.mean(np.square(speech[active], dtype=np.float64))))


def mix(
    speech: NDArray[Any], noise: NDArray[Any], snr_db: float, *, sample_rate: float = 16_000
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Add noise to speech at a signal-to-noise ratio that counts over the active speech.

    Parameters
    ----------
    speech, noise : ndarray, the same shape (n,) or (n, num_channels)
        Full scale +-1.
    snr_db : float
        Ratio in dB of the mean powers, both over the samples where the speech is active.
    sample_rate : float
        Hz; sets the frames in which activity is judged.

    Returns
    -------
    mixture, scaled_noise : ndarray of float32, shape as ``speech``
        ``mixture - scaled_noise`` is the speech. Nothing is clipped: float32 holds what exceeds 1.

    Raises
    ------
    InputError
        If the shapes differ, the ratio is not finite, or either signal is silent.
    """
    if speech.shape != noise.shape:
        msg = f"speech has shape {speech.shape} and noise {noise.shape}; they must be the same"
        raise InputError(msg)
    if not math.isfinite(snr_db):
        msg = f"snr_db is {snr_db}; it must be finite"
        raise InputError(msg)
    active = active_speech(speech, sample_rate)
    if not active.any() or not noise.any():
        msg = "speech and noise must not be silent: a ratio to silence has no value"
        raise InputError(msg)
    # A noise of single knocks may fall into the pauses only; then its whole level counts.
    heard = noise[active] if noise[active].any() else noise
    ratio = _power(speech[active]) / _power(heard)
    scaled = (noise * (math.sqrt(ratio) * from_db(-snr_db))).astype(np.float32)
    return speech.astype(np.float32) + scaled, scaled


def _power(audio: NDArray[Any]) -> float:
    return float(np.mean(np.square(audio, dtype=np.float64)))
