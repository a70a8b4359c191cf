"""Weigh two signals at once, in one pass: input and output of a channel, sample by sample.

Two chains side by side fill the processor where one would wait for itself; all that is no recursion
is done before and after it, for a frame at a time, in loops that become SIMD code.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from anc_core.dsp.jit import UNSIGNED, jit, part_of_kernel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

NUM_POLES = 10
"""States of the recursions: 6 of the A-weighting, 4 of the K-weighting."""
FAST, SLOW = NUM_POLES, NUM_POLES + 1
"""Rows of the state: mean squares with the time weightings F and S."""
_SAMPLES, _WEIGHTED = SLOW + 1, SLOW + 5
NUM_STATES = _WEIGHTED + 2
"""Rows of the state; the last are samples, and A-weighted ones, that came before the frame."""
A_ENERGY, K_ENERGY, FAST_PEAK, SLOW_PEAK = range(4)
NUM_FIGURES = 4
NUM_ROWS = 5
"""Rows of the working memory."""

_GROUP = 8
"""Samples between two looks at the time weightings: a thousandth of Fast even at 8 kHz."""
_TINY = 1e-60
"""Less is 0: what is left of a sound would die away in denormals, which are slow."""


@part_of_kernel
def _recur(
    twice: Numbers,
    fourfold: Numbers,
    poles: Numbers,
    state: Numbers,
    a_out: Numbers,
    k_out: Numbers,
) -> None:
    """Run the poles over differenced samples, input and output in turns."""
    a1, a2, a3, a4 = poles[0], poles[1], poles[2], poles[3]
    h1, h2, g1, g2 = poles[4], poles[5], poles[6], poles[7]
    x1, y1, x2, y2 = state[0, 0], state[0, 1], state[1, 0], state[1, 1]
    x3, y3, x4, y4 = state[2, 0], state[2, 1], state[3, 0], state[3, 1]
    x5, y5, x6, y6 = state[4, 0], state[4, 1], state[5, 0], state[5, 1]
    p1, q1, p2, q2 = state[6, 0], state[6, 1], state[7, 0], state[7, 1]
    r1, s1, r2, s2 = state[8, 0], state[8, 1], state[9, 0], state[9, 1]
    for pair in range(len(twice) // 2):
        i, o = UNSIGNED(2 * pair), UNSIGNED(2 * pair + 1)
        x1, y1 = fourfold[i] + a1 * x1, fourfold[o] + a1 * y1
        x2, y2 = x1 + a1 * x2, y1 + a1 * y2
        x3, y3 = x2 + a2 * x3, y2 + a2 * y3
        x4, y4 = x3 + a3 * x4, y3 + a3 * y4
        x5, y5 = x4 + a4 * x5, y4 + a4 * y5
        x6, y6 = x5 + a4 * x6, y5 + a4 * y6
        a_out[i], a_out[o] = x6, y6
        p, q = (twice[i] - h2 * p2) - h1 * p1, (twice[o] - h2 * q2) - h1 * q1
        p2, p1, q2, q1 = p1, p, q1, q
        r, s = (p - g2 * r2) - g1 * r1, (q - g2 * s2) - g1 * s1
        r2, r1, s2, s1 = r1, r, s1, s
        k_out[i], k_out[o] = r, s
    state[0, 0], state[0, 1], state[1, 0], state[1, 1] = x1, y1, x2, y2
    state[2, 0], state[2, 1], state[3, 0], state[3, 1] = x3, y3, x4, y4
    state[4, 0], state[4, 1], state[5, 0], state[5, 1] = x5, y5, x6, y6
    state[6, 0], state[6, 1], state[7, 0], state[7, 1] = p1, q1, p2, q2
    state[8, 0], state[8, 1], state[9, 0], state[9, 1] = r1, s1, r2, s2


@part_of_kernel
def _difference(samples: Numbers, twice: Numbers, fourfold: Numbers) -> None:
    """Write second and fourth differences; ``samples`` begins with four pairs that came before."""
    size = len(twice)
    now, last, second = samples[8 : 8 + size], samples[6 : 6 + size], samples[4 : 4 + size]
    third, fourth = samples[2 : 2 + size], samples[:size]
    for n in range(size):
        twice[n] = now[n] - 2.0 * last[n] + second[n]
    for n in range(size):
        fourfold[n] = now[n] + fourth[n] - 4.0 * (last[n] + third[n]) + 6.0 * second[n]


@part_of_kernel
def _squares(filtered: Numbers, taps: Numbers, squares: Numbers) -> None:
    """Write the squares after the numerator; ``filtered`` begins with two pairs before."""
    size = len(squares)
    now, last, second = filtered[4 : 4 + size], filtered[2 : 2 + size], filtered[:size]
    b0, b1, b2 = taps[0], taps[1], taps[2]
    for n in range(size):
        value = b0 * now[n] + b1 * last[n] + b2 * second[n]
        squares[n] = value * value


@part_of_kernel
def _energies(squares: Numbers) -> tuple[float, float]:
    """Return the sums of the squares of input and output."""
    of_input = of_output = 0.0
    for pair in range(len(squares) // 2):
        of_input += squares[UNSIGNED(2 * pair)]
        of_output += squares[UNSIGNED(2 * pair + 1)]
    return of_input, of_output


@part_of_kernel
def _add_groups(squares: Numbers, sums: Numbers) -> None:
    """Write the sums of groups of eight of each signal, input and output in turns."""
    for group in range(len(sums) // 2):
        i = UNSIGNED(2 * _GROUP * group)
        of_input = of_output = 0.0
        for n in range(_GROUP):
            of_input += squares[i + UNSIGNED(2 * n)]
            of_output += squares[i + UNSIGNED(2 * n + 1)]
        sums[UNSIGNED(2 * group)], sums[UNSIGNED(2 * group + 1)] = of_input, of_output


@part_of_kernel
def _time_weigh(sums: Numbers, count: int, rates: Numbers, state: Numbers, figures: Any) -> None:  # noqa: ANN401
    """Follow sums of squares of ``count`` samples each with F and S; note the largest values."""
    fast_step, slow_step = -math.expm1(-count * rates[0]), -math.expm1(-count * rates[1])
    for which in range(2):
        fast, slow = state[FAST, which], state[SLOW, which]
        fast_peak, slow_peak = figures[which, FAST_PEAK], figures[which, SLOW_PEAK]
        total = 0.0
        for n in range(len(sums) // 2):
            energy = sums[UNSIGNED(2 * n + which)]
            total += energy
            fast += fast_step * (energy / count - fast)
            slow += slow_step * (energy / count - slow)
            fast_peak, slow_peak = max(fast_peak, fast), max(slow_peak, slow)
        state[FAST, which], state[SLOW, which] = fast, slow
        figures[which, A_ENERGY] += total
        figures[which, FAST_PEAK], figures[which, SLOW_PEAK] = fast_peak, slow_peak


@part_of_kernel
def _follow(
    squares: Numbers,
    sums: Numbers,
    rates: Numbers,
    state: Numbers,
    figures: Any,  # noqa: ANN401
) -> None:
    """Add up the squares of a frame and note the largest F and S; ``sums`` is overwritten."""
    count = len(squares) // 2
    groups = count // _GROUP
    figures[:, A_ENERGY] = 0.0
    figures[:, FAST_PEAK:] = 0.0
    _add_groups(squares, sums[: 2 * groups])
    _time_weigh(sums[: 2 * groups], _GROUP, rates, state, figures)
    rest = count - _GROUP * groups
    if rest:
        sums[0], sums[1] = _energies(squares[2 * _GROUP * groups :])
        _time_weigh(sums[:2], rest, rates, state, figures)


@part_of_kernel
def _in_turns(first: Any, second: Any, turns: Numbers) -> None:  # noqa: ANN401 - float32
    """Write the samples of two signals in turns."""
    for n in range(len(first)):
        turns[UNSIGNED(2 * n)] = first[n]
        turns[UNSIGNED(2 * n + 1)] = second[n]


@part_of_kernel
def _still(state: Numbers) -> None:
    """Make 0 of what has nearly died away."""
    for row in range(_SAMPLES):
        for which in range(2):
            if abs(state[row, which]) < _TINY:
                state[row, which] = 0.0


@jit(
    "void(float32[::1], float32[::1], int64, float64[::1], float64[:, ::1], float64[::1], "
    "float64[:, ::1], float64[:, ::1], float64[:, :, ::1])"
)
def weigh(
    input: NDArray[np.float32],  # noqa: A002 - the pair input/output reads best
    output: NDArray[np.float32],
    frame_length: int,
    poles: Numbers,
    taps: Numbers,
    rates: Numbers,
    state: Numbers,
    work: Numbers,
    figures: NDArray[np.float64],
) -> None:
    """Weigh the next samples of one channel, frame by frame.

    Parameters
    ----------
    input, output : ndarray of float32, shape (num_samples,)
        The last frame may be short.
    frame_length : int
        Samples.
    poles : ndarray, shape (8,)
        Of the A-weighting (the first and the last are double), then a1 and a2 of the two sections
        of the K-weighting.
    taps : ndarray, shape (2, 3)
        Numerators of A and K.
    rates : ndarray, shape (2,)
        One over the time constants of F and S in samples.
    state : ndarray, shape (NUM_STATES, 2)
        Of input and output; zeros at first, updated.
    work : ndarray, shape (NUM_ROWS, 2 * frame_length + 8)
    figures : ndarray, shape (num_frames, 2, NUM_FIGURES)
        Receives the sums of A- and K-weighted squares and the largest F and S mean squares.
    """
    samples, a_out, k_out = work[0], work[1], work[2]
    for pair in range(4):
        samples[2 * pair], samples[2 * pair + 1] = (
            state[_SAMPLES + pair, 0],
            state[_SAMPLES + pair, 1],
        )
    for pair in range(2):
        for which in range(2):
            a_out[2 * pair + which] = state[_WEIGHTED + pair, which]
            k_out[2 * pair + which] = state[NUM_POLES - 1 - pair, which]
    for frame in range(len(figures)):
        first = frame * frame_length
        count = min(frame_length, len(input) - first)
        size = 2 * count
        _in_turns(input[first : first + count], output[first : first + count], samples[8:])
        twice, fourfold = work[3, :size], work[4, :size]
        _difference(samples, twice, fourfold)
        _recur(twice, fourfold, poles, state, a_out[4 : 4 + size], k_out[4 : 4 + size])
        _squares(k_out, taps[1], twice)
        figures[frame, 0, K_ENERGY], figures[frame, 1, K_ENERGY] = _energies(twice)
        _squares(a_out, taps[0], fourfold)
        _follow(fourfold, twice, rates, state, figures[frame])
        samples[:8] = samples[size : size + 8]
        a_out[:4] = a_out[size : size + 4]
        k_out[:4] = k_out[size : size + 4]
        _still(state)
    for pair in range(4):
        state[_SAMPLES + pair, 0], state[_SAMPLES + pair, 1] = (
            samples[2 * pair],
            samples[2 * pair + 1],
        )
    for pair in range(2):
        state[_WEIGHTED + pair, 0], state[_WEIGHTED + pair, 1] = (
            a_out[2 * pair],
            a_out[2 * pair + 1],
        )
