"""What would have been best over the last seconds: a second opinion beside what is learnt at once.

Context: a filter that learns from each sample forgets. A car horn in a street, a compressor that
comes back every half minute: each time it learns anew, and loses the onset. A filter that suits
all of the last seconds, quiet and loud, knows them; but it follows nothing, and by itself would be
useless where a path has changed.
Decision: gather the correlations of what is heard over seconds, solve their normal equations twice
a second, and let the controller mix that filter with the one it has learnt, by what either would
have left of the last 50 ms. Consequence: both are there when they are needed; the cost is two
short transforms and a recursion a half second.

References
----------
J. Arenas-García, A. R. Figueiras-Vidal & A. H. Sayed, "Mean-square performance of a convex
combination of two adaptive filters", IEEE Trans. Signal Process. 54 (2006) 1078.
S. M. Kuo & D. R. Morgan, Active Noise Control Systems, 1996, Sec. 3.1 (the normal equations).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import DTypeLike, NDArray

from anc_core.dsp.adaptive_guard import (
    BLOCK,
    COUNT,
    FORGOTTEN,
    HAS_RECALLED,
    LONG_FREE,
    LONG_RECALLED,
)
from anc_core.dsp.jit import check_dtype
from anc_core.dsp.toeplitz import conjugate_gradients, levinson

Array = NDArray[Any]

_STRETCH_S = 0.5
_LENGTHS = 4
"""Of the filter in a transform, of which one is lost. Several short ones stay in the cache."""

_MEMORY_S = 10.0
_RIDGE = 1e-6
"""White noise added to each signal in thought, relative to its power."""


class Recollection:
    """Correlations of a controller's signals over seconds, and the filters that suit them.

    Parameters
    ----------
    sample_rate : float
        Hz.
    num_errors : int
        M.
    num_filters : int
        R; each has one signal for each error.
    num_taps : int
        Of each filter.
    dtype : {"float32", "float64"}

    Attributes
    ----------
    stretch : int
        Samples after which the filters are solved again.

    Notes
    -----
    At the end of each stretch, with the signals x_mr and the noises d_m of all samples n so far,
    each times exp(-age / (2·memory)), or 0 where it may not be learnt from it:

    auto_rq(l) = Σ_(m, n) x_mr(n - l)·x_mq(n)
    cross_r(l) = Σ_(m, n) x_mr(n - l)·d_m(n)
    (auto + ridge)·w = -cross

    summed and solved in double precision. As the signals fade sample by sample, these are the
    correlations of signals that there could be, and the matrix is positive, however much louder one
    stretch is than the next. All is forgotten when what it recalls would have made a whole stretch
    louder than no control, and when the guards trip.
    """

    def __init__(
        self,
        sample_rate: float,
        num_errors: int,
        num_filters: int,
        num_taps: int,
        dtype: DTypeLike,
    ) -> None:
        from scipy import fft  # 0.2 s that only who recalls should pay

        self._fft = fft
        self._dtype = check_dtype(dtype)
        self.num_errors, self.num_filters, self.num_taps = num_errors, num_filters, num_taps
        self._width = int(fft.next_fast_len(max(_LENGTHS * num_taps, 8 * BLOCK), real=True))
        self._hop = BLOCK * ((self._width - num_taps + 1) // BLOCK)
        self.stretch = self._hop * math.ceil(_STRETCH_S * sample_rate / self._hop)
        ages = np.arange(self.stretch + num_taps - 1)[::-1]
        self._fading = np.exp(-ages / (2.0 * _MEMORY_S * sample_rate)).astype(self._dtype)
        self._keep = math.exp(-self.stretch / (_MEMORY_S * sample_rate))

    def start(self) -> dict[str, Array]:
        """Return what is to be remembered from stretch to stretch, as it begins."""
        filters, taps = self.num_filters, self.num_taps
        lines = self.num_errors * filters
        return {
            "recalled": np.zeros((filters, taps), self._dtype),
            "heard_weights": np.zeros((filters, taps), self._dtype),
            "stretch_signals": np.zeros((lines, taps - 1 + self.stretch), self._dtype),
            "stretch_told": np.zeros((1 + self.num_errors, self.stretch), self._dtype),
            "long_auto": np.zeros((filters, filters, taps)),
            "long_cross": np.zeros((filters, taps)),
        }

    def take(self, state: dict[str, Array], signals: Array, told: Array) -> None:
        """Remember ``signals`` (M·R, n) and ``told`` (1 + M, n); where a stretch ends, recall.

        ``state`` holds what :meth:`start` returned and the guards' numbers, and is changed.
        """
        num, numbers = told.shape[1], state["numbers"]
        end = int(numbers[COUNT])
        place = (end - num) % self.stretch
        before = self.num_taps - 1
        state["stretch_signals"][:, before + place : before + place + num] = signals
        state["stretch_told"][:, place : place + num] = told
        if num and end % self.stretch == 0:
            self._recall(state, end)
            kept = state["stretch_signals"]
            kept[:, :before] = kept[:, self.stretch :].copy()

    def _recall(self, state: dict[str, Array], end: int) -> None:
        numbers = state["numbers"]
        auto, cross = state["long_auto"], state["long_cross"]
        is_harmful = numbers[HAS_RECALLED] == 1.0 and numbers[LONG_RECALLED] > numbers[LONG_FREE]
        numbers[LONG_RECALLED] = numbers[LONG_FREE] = 0.0
        if is_harmful or numbers[FORGOTTEN] > end - self.stretch:
            auto[:] = cross[:] = 0.0
            state["stretch_signals"][:, : self.num_taps - 1] = 0.0
        known_from = max(0, self.stretch - end + int(numbers[FORGOTTEN]))
        state["stretch_told"][0, :known_from] = 0.0
        fresh_auto, fresh_cross = self._correlated(state)
        auto *= self._keep
        auto += fresh_auto
        cross *= self._keep
        cross += fresh_cross
        numbers[HAS_RECALLED] = float(self._solve(auto, cross, state["recalled"]))

    def _correlated(self, state: dict[str, Array]) -> tuple[Array, Array]:
        """Return what this stretch adds; what does not count becomes silence for good."""
        fft, hop, width = self._fft, self._hop, self._width
        before = self.num_taps - 1
        counts = state["stretch_told"][0]
        state["stretch_signals"][:, before:] *= counts
        lines = state["stretch_signals"] * self._fading
        told = state["stretch_told"][1:] * counts * self._fading[before:]
        shape = (self.num_errors, self.num_filters, -1, hop)
        fresh = lines[:, before:].reshape(shape)
        # Each hop with the history before it.
        behind = sliding_window_view(lines, before + hop, axis=1)[:, ::hop]
        signals = fft.rfft(behind, width).reshape(*shape[:2], -1, width // 2 + 1)
        now = fft.rfft(fresh, width).conj()
        noise = fft.rfft(told.reshape(self.num_errors, -1, hop), width).conj()
        # Rounding to float32 is relative to each bin up to here; back in time it would be white,
        # above the ridge, and the matrix not positive.
        auto = np.einsum("mrtk,mqtk->rqk", signals, now).astype(np.complex128)
        cross = np.einsum("mrtk,mtk->rk", signals, noise).astype(np.complex128)
        auto, cross = fft.irfft(auto, width), fft.irfft(cross, width)
        # The one begins with the other's history: lag l is found at num_taps - 1 - l.
        return auto[..., before::-1], cross[..., before::-1]

    def _solve(self, auto: Array, cross: Array, recalled: Array) -> bool:
        """Write the filters, last tap first; return whether there are any."""
        powers = np.einsum("rr->r", auto[..., 0])
        if not np.all(powers > 0.0):
            return False
        # Powers of one: the solvers' floors then mean the same at any level.
        scales = 1.0 / np.sqrt(powers)
        scaled = auto * (scales[:, np.newaxis] * scales)[..., np.newaxis]
        scaled[..., 0] = 0.5 * (scaled[..., 0] + scaled[..., 0].T)
        scaled[..., 0] += _RIDGE * np.eye(len(powers))
        wanted = -cross * scales[:, np.newaxis]
        if self.num_filters == 1:
            taps = np.empty(self.num_taps)
            if not levinson(scaled[0, 0], wanted[0], taps):
                return False
            solved = taps[np.newaxis]
        else:
            start = recalled[:, ::-1] / scales[:, np.newaxis]
            solved = conjugate_gradients(scaled, wanted, start)
        found = (solved * scales[:, np.newaxis])[:, ::-1].astype(self._dtype)
        if not np.isfinite(found).all():
            return False
        recalled[:] = found
        return True
