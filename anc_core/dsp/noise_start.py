"""First estimates of noise and loudness, from a look ahead instead of from faith in one frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.suppression import LOUDNESS_QUANTILE, MIN_PSD

if TYPE_CHECKING:
    from numpy.typing import NDArray

_QUANTILE = 0.3
"""Speech leaves well over 30 % of the frames of a second free in most bins; a lower quantile of so
few frames would scatter."""


def is_silent(psd: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return for each frame whether it holds nothing, shape (num_frames,)."""
    return np.asarray(np.sum(psd, axis=-1) <= MIN_PSD * np.float32(psd.shape[-1]))


def first_noise_psd(psd: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Return the noise PSD that best explains the quiet moments of ``psd``.

    Parameters
    ----------
    psd : float32, shape (num_frames, num_bins)
        Squared magnitude of about one second or two.

    Returns
    -------
    float32, shape (num_bins,), or None
        Squared magnitude; None where every frame is digital silence.

    Notes
    -----
    |Y|² of Gaussian noise is exponentially distributed: its q-quantile is -ln(1 - q) times the
    mean, so dividing by that makes the estimate unbiased for noise alone.
    """
    quantile = _quantile_of_sound(psd, _QUANTILE)
    return None if quantile is None else (quantile / -math.log1p(-_QUANTILE)).astype(np.float32)


def first_loud_psd(psd: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Return what the loud moments of each bin reach in ``psd``; parameters and None as above."""
    return _quantile_of_sound(psd, LOUDNESS_QUANTILE)


def _quantile_of_sound(
    psd: NDArray[np.float32], quantile: float | np.float32
) -> NDArray[np.float32] | None:
    """Return the ``quantile`` of each bin over the frames that are not silent, if there are any."""
    psd = psd[~is_silent(psd)]
    return np.quantile(psd, quantile, axis=0).astype(np.float32) if len(psd) else None
