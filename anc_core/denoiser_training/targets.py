"""What the network is to give, and how far off it is.

With magnitudes compressed by c = 0.3 and the noisy phase kept, the usual sum of a magnitude loss
and a complex loss (Ephrat et al. 2018),

    0.7 (a - s)^2 + 0.3 |a e^{i x} - s e^{i y}|^2,    a = g |X|^c, s = |S|^c,

is, but for a constant, (a - s (0.7 + 0.3 cos(x - y)))^2: one squared error against a target that
asks for less where the phase is wrong anyway.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anc_core.denoiser.features import COMPRESSION, FRAME_S, SAMPLE_RATE, features, mean_power
from anc_core.dsp.frames import analyse, fast_frame_length, sqrt_hann

FloatArray = NDArray[np.float32]

_MAGNITUDE_SHARE = 0.7
_WINDOW = sqrt_hann(fast_frame_length(FRAME_S, SAMPLE_RATE))
_TINY = 1e-20


def examples(
    noisy: FloatArray, clean: FloatArray, *, level_gain_db: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return features, magnitudes and targets of a batch of mixtures.

    Parameters
    ----------
    noisy, clean : float32, shape (batch, num_samples)
    level_gain_db : float32, shape (batch,)
        By how much the level is misjudged: at work a stretch is longer than in training.

    Returns
    -------
    features : float32, shape (batch, 2, num_frames, 256)
    magnitudes, targets : float32, shape (batch, num_frames, 256)
        Compressed, relative to the level.
    """
    parts = [_example(n, c, float(g)) for n, c, g in zip(noisy, clean, level_gain_db, strict=True)]
    seen, magnitudes, targets = (np.stack(arrays) for arrays in zip(*parts, strict=True))
    return seen, magnitudes, targets


def _example(
    noisy: FloatArray, clean: FloatArray, gain_db: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    mixture = analyse(noisy, _WINDOW)[:, 1:]
    speech = analyse(clean, _WINDOW)[:, 1:]
    power = np.square(mixture.real) + np.square(mixture.imag)
    speech_power = np.square(speech.real) + np.square(speech.imag)
    level = max(mean_power(power), _TINY)
    scale = np.float32(level ** (-COMPRESSION / 2.0))
    magnitude = np.power(power, np.float32(COMPRESSION / 2.0)) * scale
    target = np.power(speech_power, np.float32(COMPRESSION / 2.0)) * scale
    product = mixture.real * speech.real + mixture.imag * speech.imag
    cosine = product / (np.sqrt(power * speech_power) + np.float32(_TINY))
    target *= _MAGNITUDE_SHARE + (1.0 - _MAGNITUDE_SHARE) * cosine
    seen = features(power, level * 10.0 ** (gain_db / 10.0))
    return seen, magnitude, target
