"""Normal equations of filters, solved again and again: one filter exactly, several by iteration.

References
----------
N. Levinson, "The Wiener RMS error criterion in filter design and prediction", J. Math. Phys. 25
(1946) 261. R. H. Chan & M. K. Ng, "Conjugate gradient methods for Toeplitz systems", SIAM Rev. 38
(1996) 427.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anc_core.dsp.jit import UNSIGNED, jit

Array = NDArray[Any]
Apply = Callable[[Array], Array]

_TOLERANCE = 1e-5
_MAX_ITERATIONS = 50
"""Of the conjugate gradients, which begin with the solution of the last time."""

_LEAST_DENSITY = 1e-9
"""Of what is divided by in preparation, relative to the mean power."""


@jit("boolean(float64[::1], float64[::1], float64[::1])")
def levinson(auto: Array, wanted: Array, taps: Array) -> bool:
    """Solve T·taps = wanted for the symmetric matrix T_ik = auto_|i-k|; return whether it went.

    Parameters
    ----------
    auto, wanted, taps : (num_taps,)
        ``taps`` is written, with anything if T is not positive definite.
    """
    num_taps = len(auto)
    # The predictor, and the same backwards; that one grows towards the front.
    forward, backward = np.zeros(num_taps), np.zeros(num_taps)
    left = auto[0]
    # Written so that NaN does not go.
    if not left > 0.0:
        return False
    forward[0] = backward[num_taps - 1] = 1.0
    turned = auto[::-1].copy()
    for i in range(num_taps):
        taps[i] = 0.0
    taps[0] = wanted[0] / left
    for m in range(1, num_taps):
        first, order = UNSIGNED(num_taps - 1 - m), UNSIGNED(m)
        missing = 0.0
        for i in range(order):
            missing += forward[i] * turned[first + i]
        k = -missing / left
        for i in range(order + UNSIGNED(1)):
            u, v = forward[i], backward[first + i]
            forward[i], backward[first + i] = u + k * v, v + k * u
        left *= 1.0 - k * k
        if not left > 0.0:
            return False
        known = 0.0
        for i in range(order):
            known += taps[i] * turned[first + i]
        q = (wanted[m] - known) / left
        for i in range(order + UNSIGNED(1)):
            taps[i] += q * backward[first + i]
    return True


def conjugate_gradients(auto: Array, wanted: Array, start: Array) -> Array:
    """Solve the normal equations of several filters, as well as it needs to be known.

    Parameters
    ----------
    auto : (R, R, num_taps)
        ``auto[a, b, l]``: signal a now, signal b l samples later; lag 0 symmetric in a and b.
    wanted, start : (R, num_taps)
        Right side; where to begin.

    Returns
    -------
    ndarray, shape (R, num_taps)

    Notes
    -----
    The matrix is T_(a,i),(b,k) = auto[a, b, i-k], with auto[a, b, -l] = auto[b, a, l]; its products
    are convolutions. They are preceded by the inverse of a circulant matrix of blocks, made of
    lags that are weighted by 1 - |l|/num_taps.
    """
    from scipy.sparse.linalg import LinearOperator, cg

    shape, size = wanted.shape, wanted.size
    lags = 1.0 - np.arange(shape[1]) / shape[1]
    products = _products(_densities(auto))
    density = _densities(auto * lags)
    floor = _LEAST_DENSITY * np.einsum("aa->a", auto[..., 0])
    prepared = _products(np.linalg.inv(density + np.diag(floor)))
    operators = [
        LinearOperator(
            (size, size), matvec=lambda v, f=f: f(v.reshape(shape)).ravel(), dtype=np.float64
        )
        for f in (products, prepared)
    ]
    taps, _ = cg(
        operators[0],
        wanted.ravel(),
        x0=start.ravel(),
        rtol=_TOLERANCE,
        maxiter=_MAX_ITERATIONS,
        M=operators[1],
    )
    return np.asarray(taps).reshape(shape)


def _densities(auto: Array) -> Array:
    """Return the spectra over twice as many samples as there are lags, (num_bins, R, R)."""
    from scipy.fft import rfft

    gap = np.zeros((*auto.shape[:2], 1))
    before = auto.transpose(1, 0, 2)[..., :0:-1]
    circle = np.concatenate([auto, gap, before], axis=2)
    return np.ascontiguousarray(rfft(circle).transpose(2, 0, 1))


def _products(densities: Array) -> Apply:
    from scipy.fft import irfft, rfft

    def apply(taps: Array) -> Array:
        num_taps = taps.shape[1]
        spectrum = rfft(taps, 2 * num_taps).T[..., np.newaxis]
        answer = irfft((densities @ spectrum)[..., 0].T, 2 * num_taps)
        return np.asarray(answer)[:, :num_taps]

    return apply
