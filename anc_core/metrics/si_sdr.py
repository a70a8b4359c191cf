"""SI-SDR: how close an estimate comes to a clean target, whatever its gain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.levels import ratio_db
from anc_core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def si_sdr_db(estimate: NDArray[np.floating], target: NDArray[np.floating]) -> float | None:
    r"""Return the scale-invariant signal-to-distortion ratio.

    Parameters
    ----------
    estimate, target : ndarray, shape (num_samples,)
        Aligned signals of one channel.

    Returns
    -------
    float or None
        dB. ``None`` if the target is silent, if the estimate holds nothing of it, or if nothing
        is wrong with it (a ratio without end).

    Raises
    ------
    InputError
        If the shapes differ or are not one-dimensional.

    Notes
    -----
    .. math:: \mathrm{SI\text{-}SDR} = 10 \log_{10}
              \frac{\lVert a s \rVert^2}{\lVert a s - \hat s \rVert^2},
              \quad a = \frac{\langle \hat s, s \rangle}{\lVert s \rVert^2}

    References
    ----------
    J. Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019, Equation (5).
    """
    if estimate.ndim != 1 or estimate.shape != target.shape:
        msg = (
            f"estimate has shape {estimate.shape} and target {target.shape}; "
            "both must be (num_samples,)"
        )
        raise InputError(msg)
    clean, heard = target.astype(np.float64), estimate.astype(np.float64)
    energy = float(clean @ clean)
    if energy == 0.0:
        return None
    wanted = (float(heard @ clean) / energy) * clean
    error = wanted - heard
    count = max(len(clean), 1)
    return ratio_db(float(wanted @ wanted) / count, float(error @ error) / count)
