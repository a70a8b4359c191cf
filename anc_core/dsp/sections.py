"""Second-order sections in place of an FIR filter, for processors without room for the taps.

Method: balanced model reduction. The FIR filter is a shift register; the states that are both
easy to reach and easy to hear are the eigenvectors of its Hankel matrix, and the rest is dropped.
The result is stable; there are no start values and no iteration that may fail. Pure delay would
cost a state for each sample, so it is left to a delay line: how much is tried out.

References
----------
B. Beliczynski, I. Kale & G. D. Cain, Approximation of FIR by IIR digital filters: an algorithm
based on balanced model reduction, IEEE Trans. Signal Process. 40 (1992) 532.
L. Pernebo & L. M. Silverman, Model reduction via balanced state space representations, IEEE Trans.
Autom. Control 27 (1982) 382 (stability).
N. Halko, P. G. Martinsson & J. A. Tropp, Finding structure with randomness, SIAM Rev. 53 (2011)
217, Alg. 4.4 (eigenvectors of long filters).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.dsp.levels import energy_ratio_db
from anc_core.dsp.paths import check_path
from anc_core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Signal = NDArray[np.float64]

MAX_NUM_SECTIONS = 32

_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, MAX_NUM_SECTIONS)

TARGET_DB = -40.0
"""Error at which a fit is good enough to stop adding sections: 1 % in amplitude."""

_SHARES_BEFORE = (1e-6, 1e-4, 1e-3, 1e-2)
"""Shares of the energy that may lie within the delay: what is lost there against what is gained."""

_LARGEST_RADIUS = 1.0 - 1e-6
"""Of a pole; beyond it only rounding could bring one."""

_MAX_DENSE = 1_024
"""Taps up to which all eigenvectors are computed; 0.3 s."""

_OVERSAMPLING, _NUM_POWERS = 16, 4
"""Of the randomised search among more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionFit:
    """Second-order sections that stand for an FIR filter.

    Attributes
    ----------
    sections : float64, shape (num_sections, 5)
        Rows b0 b1 b2 a1 a2 of y(n) = b0·x(n) + b1·x(n-1) + b2·x(n-2) - a1·y(n-1) - a2·y(n-2), to
        be run one after the other. All poles lie within the unit circle.
    delay_samples : int
        Pure delay to be put before them.
    error_db : float or None
        Energy of the difference of the impulse responses over that of the filter, dB; None where
        there is no difference.
    """

    sections: Signal
    delay_samples: int
    error_db: float | None


def fit_sections(taps: ArrayLike, *, num_sections: int | None = None) -> SectionFit:
    """Return second-order sections with nearly the impulse response of ``taps``.

    Parameters
    ----------
    taps : array_like, shape (num_taps,)
    num_sections : int, optional
        1 to 32. If not given, the fewest of 1, 2, 3, 4, 6, 8, 12, 16, 24, 32 that make the error
        -40 dB, or else the best of them.

    Raises
    ------
    InputError
        If ``taps`` is no path of one pair, or ``num_sections`` is out of range.

    Examples
    --------
    >>> fit = fit_sections(0.9 ** np.arange(100), num_sections=1)
    >>> fit.error_db < -80, fit.sections.shape, fit.delay_samples
    (True, (1, 5), 0)
    """
    path = check_path(taps, "taps")
    if path.ndim != 1:
        msg = f"taps has shape {path.shape}; sections are fitted to one pair at a time: taps[m, k]"
        raise InputError(msg)
    if num_sections is not None and num_sections not in range(1, MAX_NUM_SECTIONS + 1):
        msg = f"num_sections is {num_sections}; it must be from 1 to {MAX_NUM_SECTIONS}"
        raise InputError(msg)
    if np.count_nonzero(path) == 0 or len(path) <= 3:
        exact = np.zeros((1, 5))
        exact[0, : min(len(path), 3)] = path[:3]
        return _judged(path, exact, 0)
    peak = np.abs(path).max()
    path /= peak  # squares of the smallest numbers are 0
    reductions = [_Reduction(path, delay, num_sections) for delay in _delays(path)]
    counts = _COUNTS if num_sections is None else [num_sections]
    best, best_order, best_error = reductions[0], 0, math.inf
    for count in counts:
        for reduction in reductions:
            order = min(2 * count, reduction.order)
            error = reduction.error(order)
            if error < best_error:
                best, best_order, best_error = reduction, order, error
        if best_error <= 10.0 ** (TARGET_DB / 10.0):
            break
    fit = _judged(path, best.sections(best_order), best.delay)
    fit.sections[:, :3] *= peak ** (1.0 / len(fit.sections))
    return fit


def sections_response(sections: Signal, num_samples: int) -> Signal:
    """Return the impulse response of sections (num_sections, 5)."""
    from scipy.signal import sosfilt

    impulse = np.zeros(num_samples)
    impulse[:1] = 1.0
    return np.asarray(sosfilt(as_sos(sections), impulse))


def as_sos(sections: Signal) -> Signal:
    """Return rows b0 b1 b2 1 a1 a2, as scipy.signal has them."""
    return np.insert(sections, 3, 1.0, axis=1)


def error_db(taps: Signal, sections: Signal, delay_samples: int) -> float | None:
    """Return the energy of the difference of the impulse responses over that of ``taps``, dB."""
    num_samples = 2 * len(taps) + 4_096  # what rings on counts too
    difference = np.zeros(num_samples)
    difference[delay_samples:] = sections_response(sections, num_samples - delay_samples)
    difference[: len(taps)] -= taps
    return energy_ratio_db(difference, taps)


def _judged(taps: Signal, sections: Signal, delay: int) -> SectionFit:
    return SectionFit(
        sections=sections, delay_samples=delay, error_db=error_db(taps, sections, delay)
    )


def _delays(taps: Signal) -> list[int]:
    before = np.cumsum(taps**2)
    allowed = np.outer(_SHARES_BEFORE, [before[-1]])
    delays = np.count_nonzero(before <= allowed, axis=1)
    return sorted({min(int(delay), len(taps) - 1) for delay in delays})


class _Reduction:
    """The filter without its delay, as a state space of few states.

    Shift register: x(n+1) = A·x(n) + e₁·u(n), y(n) = h₁..h_L·x(n) + h₀·u(n). Kept are x = V·z, V
    the first eigenvectors of the Hankel matrix.
    """

    def __init__(self, taps: Signal, delay: int, num_sections: int | None) -> None:
        self.delay = delay
        self._taps = taps
        tail = taps[delay + 1 :] if delay + 1 < len(taps) else np.zeros(1)
        self.order = min(2 * (num_sections or MAX_NUM_SECTIONS), len(tail))
        self._vectors = _hankel_vectors(tail, self.order)
        self._a = self._vectors[1:].T @ self._vectors[:-1]
        self._c = tail @ self._vectors

    def error(self, order: int) -> float:
        """Return the energy of the error over that of the taps, with so many states."""
        a, b, c = self._a[:order, :order], self._vectors[0, :order], self._c[:order]
        reached, power = b[:, np.newaxis], a
        while reached.shape[1] < 2 * len(self._taps):  # A^k·b, twice as many at each turn
            reached = np.concatenate([reached, power @ reached], axis=1)
            power = power @ power
        difference = np.zeros(self.delay + 1 + reached.shape[1])  # longer than the taps
        difference[self.delay] = self._taps[self.delay]
        difference[self.delay + 1 :] = c @ reached
        difference[: len(self._taps)] -= self._taps
        return float(np.sum(difference**2) / np.sum(self._taps**2))

    def sections(self, order: int) -> Signal:
        from scipy.signal import zpk2sos

        a, b, c = self._a[:order, :order], self._vectors[0, :order], self._c[:order]
        d = self._taps[self.delay]
        poles = _paired(np.linalg.eigvals(a))
        poles = poles * np.minimum(1.0, _LARGEST_RADIUS / np.maximum(np.abs(poles), 0.5))
        # The inverse system, u = (y - c·z)/d, has the zeros as its poles; d is not 0, the delay
        # took what was.
        zeros = _paired(np.linalg.eigvals(a - np.outer(b, c / d)))
        return _balanced(np.delete(zpk2sos(zeros, poles, d), 3, axis=1))


def _hankel_vectors(tail: Signal, count: int) -> Signal:
    """Return the eigenvectors of h(i + j) with the largest eigenvalues, as columns."""
    size = len(tail)
    if size <= max(_MAX_DENSE, 4 * count):
        from scipy.linalg import hankel

        values, vectors = np.linalg.eigh(hankel(tail))
    else:
        values, vectors = _found_at_random(tail, count)
    order = np.argsort(-np.abs(values), kind="stable")[:count]
    return np.asarray(vectors[:, order])


def _found_at_random(tail: Signal, count: int) -> tuple[Signal, Signal]:
    from scipy.fft import irfft, next_fast_len, rfft

    size = len(tail)
    length = next_fast_len(2 * size, real=True)
    spectrum = rfft(tail, length)[:, np.newaxis]

    def product(vectors: Signal) -> Signal:
        return np.asarray(
            irfft(spectrum * rfft(vectors, length, axis=0).conj(), length, axis=0)[:size]
        )

    # The same seed always: the same filter gives the same sections.
    start = np.random.default_rng(0).standard_normal((size, count + _OVERSAMPLING))
    basis = np.linalg.qr(product(start))[0]
    for _ in range(_NUM_POWERS):
        basis = np.linalg.qr(product(basis))[0]
    values, turns = np.linalg.eigh(basis.T @ product(basis))
    return values, basis @ turns


def _paired(roots: NDArray[Any]) -> NDArray[np.complex128]:
    """Return roots of a real polynomial so that each is real or has its exact conjugate."""
    roots = roots.astype(np.complex128)
    upper = roots[roots.imag > 0.0]
    return np.concatenate([upper, upper.conj(), roots[roots.imag == 0.0]])


def _balanced(sections: Signal) -> Signal:
    """Share the gain among the sections, so that none is driven much harder than the others."""
    from scipy.signal import sosfreqz

    sections = sections.copy()
    gain = 1.0
    for row in sections:
        peak = float(np.abs(sosfreqz(as_sos(row[np.newaxis]), worN=512)[1]).max())
        row[:3] /= peak
        gain *= peak
    sections[:, :3] *= gain ** (1.0 / len(sections))
    return sections
