"""A first estimate of the noise, from a look ahead instead of from faith in the first frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.suppression import MIN_PSD

if TYPE_CHECKING:
    from numpy.typing import NDArray

_QUANTILE = 0.3
"""Speech leaves well over 30 % of the frames of a second free in most bins; a lower quantile of so
few frames would scatter."""


def is_silent(spectra: NDArray[np.complex64]) -> NDArray[np.bool_]:
    """Return for each frame whether it holds nothing, shape (num_frames,)."""
    energy = np.sum(np.square(np.abs(spectra)), axis=-1)
    return np.asarray(energy <= MIN_PSD * np.float32(spectra.shape[-1]))


def first_noise_psd(spectra: NDArray[np.complex64]) -> NDArray[np.float32] | None:
    """Return the noise PSD that best explains the quiet moments of ``spectra``.

    Parameters
    ----------
    spectra : complex64, shape (num_frames, num_bins)
        About one second.

    Returns
    -------
    float32, shape (num_bins,), or None
        Squared magnitude; None where every frame is digital silence.

    Notes
    -----
    |Y|² of Gaussian noise is exponentially distributed: its q-quantile is -ln(1 - q) times the
    mean, so dividing by that makes the estimate unbiased for noise alone.
    """
    spectra = spectra[~is_silent(spectra)]
    if not len(spectra):
        return None
    quantile = np.quantile(np.square(np.abs(spectra)), _QUANTILE, axis=0)
    return (quantile / -math.log1p(-_QUANTILE)).astype(np.float32)
