"""Fourier transforms of real signals, to be called from within a kernel.

Context: a kernel can't call the transforms of scipy, and a filter that takes its blocks one by one
can't hand them over in batches: between two kernels the calls alone cost as much as the transform.
Decision: a transform in place for lengths that are multiples of 32, real and imaginary parts apart,
every inner loop over few arrays, so that the compiler makes SIMD code of it.
Consequence: 11 µs for 4 096 samples where a call of ``scipy.fft.rfft`` takes 18 (AVX-512), and no
call between two kernels.

References
----------
C. Van Loan, "Computational Frameworks for the Fast Fourier Transform", SIAM 1992, 3.3.1 (a matrix's
columns, then its rows) and 4.3.2 (real signals).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anc_core.dsp.jit import part_of_kernel

Array = NDArray[Any]

MULTIPLE = 32
"""Of which every length is one, so that both sides of its matrix have a factor of 4."""

_LARGEST_RADIX = 11
"""Of the fast lengths. 64 ms at 44.1 kHz are a multiple of 11."""

SIGNATURE = "int64[:, ::1], int64[::1], real[:, ::1], real[:, ::1], real[:, :, ::1]"
"""Of :attr:`Plan.arrays`, for :func:`~anc_core.dsp.jit.jit_by_dtype`."""

_APART = 80
"""Values between the buffers: those whose addresses agree in 12 bits wait for each other."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a length and a type fix; its arrays are arguments of the kernels.

    Attributes
    ----------
    sides : int64, shape (2, 2 + n)
        Half the length as a product of two: of each the number of passes, itself, their radices.
    places : int64, shape (rows + columns,)
        Where the passes of either side leave each frequency.
    turns : real, shape (2, n)
        Cosines and sines in the order in which they are needed.
    twist : real, shape (2, half + 1)
        Cosines and sines of half a turn: what makes one real transform of a complex one.
    work : real, shape (2, 2, half + 80)
        Room for two complex signals.
    """

    sides: Array
    places: Array
    turns: Array
    twist: Array
    work: Array

    @classmethod
    def of(cls, length: int, dtype: np.dtype[Any]) -> Plan:
        """Return the plan for ``length`` samples, a multiple of :data:`MULTIPLE`."""
        half = length // 2
        radices = _sides(half)
        columns = math.prod(radices[1])
        sides = np.zeros((2, 2 + max(map(len, radices))), np.int64)
        for row, side in zip(sides, radices, strict=True):
            row[: 2 + len(side)] = len(side), math.prod(side), *side
        (first, ends), (second, other_ends) = (_passes(side) for side in radices)
        between = np.outer(ends, np.arange(columns)) / half
        return cls(
            sides=sides,
            places=np.concatenate([np.argsort(ends), np.argsort(other_ends)]),
            turns=_circle(np.concatenate([first, between.ravel(), second]), dtype),
            twist=_circle(np.arange(half + 1) / length, dtype),
            work=np.zeros((2, 2, half + _APART), dtype),
        )

    @property
    def arrays(self) -> tuple[Any, ...]:
        """What :func:`forward` and :func:`backward` take."""
        return self.sides, self.places, self.turns, self.twist, self.work


def fast_length(least: int) -> int:
    """Return the shortest length of at least ``least`` samples that has a fast transform.

    Examples
    --------
    >>> fast_length(4000), fast_length(4001)
    (4000, 4032)
    """
    length = -(-least // MULTIPLE) * MULTIPLE
    while _factors(length // MULTIPLE)[-1:] > [_LARGEST_RADIX]:
        length += MULTIPLE
    return length


def _factors(number: int) -> list[int]:
    """Return the prime factors in ascending order."""
    factors = []
    for radix in (2, *range(3, number + 1, 2)):
        while number % radix == 0:
            factors.append(radix)
            number //= radix
    return factors


def _sides(number: int) -> tuple[list[int], list[int]]:
    """Return the radices of two factors of ``number`` that are about as large."""
    sides: tuple[list[int], list[int]] = [], []
    for radix in sorted(_factors(number), reverse=True):
        min(sides, key=math.prod).append(radix)
    return sides


def _passes(radices: list[int]) -> tuple[Array, Array]:
    """Return, in parts of a whole turn, what the passes turn, and what is left at last.

    A pass splits each group into ``radix`` groups: output k of a group whose frequencies are off by
    x is the sum over the inputs j, turned by j·(k + x)/radix, and is itself off by (k + x)/radix.
    So the factors are the same within a group; a group of one is off by its frequency.
    """
    off, size, turns = np.zeros(1, np.int64), 1, []
    for radix in radices:
        steps = (size * np.arange(radix) + off[:, np.newaxis]).ravel()
        size *= radix
        # In whole numbers up to the division, for the sake of the last digits.
        turn = off if radix == 2 else np.outer(steps, np.arange(radix)).ravel() % size
        turns.append(turn / size)
        off = steps
    return np.concatenate([np.zeros(0), *turns]), off


def _circle(turns: Array, dtype: np.dtype[Any]) -> Array:
    angle = 2.0 * np.pi * turns
    return np.stack([np.cos(angle), -np.sin(angle)]).astype(dtype)


@part_of_kernel
def forward(
    signal: Array,
    spectrum: Array,
    sides: Array,
    places: Array,
    turns: Array,
    twist: Array,
    work: Array,
) -> None:
    """Write the transform of ``signal`` (2, half) into ``spectrum`` (2, half + 1).

    Rows of ``signal`` are its samples of even and of odd number; rows of ``spectrum`` are its real
    and imaginary part. The other arguments are those of a :class:`Plan`.
    """
    half = signal.shape[1]
    copy(signal[0], work[0, 0])
    copy(signal[1], work[0, 1])
    found = _transform(work, half, 0, sides, places, turns)
    a, b = work[1 - found, 0, :half], work[1 - found, 1, :half]
    _in_order(work[found, 0], sides, places, a)
    _in_order(work[found, 1], sides, places, b)
    c, d = work[found, 0, :half], work[found, 1, :half]
    _reverse(a[1:], c[1:])
    _reverse(b[1:], d[1:])
    c[0], d[0] = a[0], b[0]
    out, out_imag = spectrum[0], spectrum[1]
    cos, sin = twist[0], twist[1]
    h = signal.dtype.type(0.5)
    # X = (Z + Z'*)/2 - i·turn·(Z - Z'*)/2, where Z' is Z in reverse.
    for k in range(half):
        out[k] = h * ((a[k] + c[k]) + (b[k] + d[k]) * cos[k] + (a[k] - c[k]) * sin[k])
    for k in range(half):
        out_imag[k] = h * ((b[k] - d[k]) - (a[k] - c[k]) * cos[k] + (b[k] + d[k]) * sin[k])
    out[half] = a[0] - b[0]
    out_imag[half] = signal.dtype.type(0.0)


@part_of_kernel
def backward(
    spectrum: Array,
    signal: Array,
    sides: Array,
    places: Array,
    turns: Array,
    twist: Array,
    work: Array,
) -> None:
    """Write the signal whose transform is ``spectrum`` into ``signal``; see :func:`forward`."""
    half = signal.shape[1]
    a, b = spectrum[0], spectrum[1]
    c, d = work[1, 0, :half], work[1, 1, :half]
    # What is imaginary in the lowest and the highest bin has no counterpart in a real signal.
    first, last = b[0], b[half]
    b[0] = b[half] = signal.dtype.type(0.0)
    _reverse(a[1:], c)
    _reverse(b[1:], d)
    real, imag = work[0, 0, :half], work[0, 1, :half]
    cos, sin = twist[0], twist[1]
    h = signal.dtype.type(0.5) / signal.dtype.type(half)
    # Z = (X + X'*)/2 + i·turn*·(X - X'*)/2
    for k in range(half):
        real[k] = h * ((a[k] + c[k]) - (b[k] + d[k]) * cos[k] + (a[k] - c[k]) * sin[k])
    for k in range(half):
        imag[k] = h * ((b[k] - d[k]) + (a[k] - c[k]) * cos[k] + (b[k] + d[k]) * sin[k])
    b[0], b[half] = first, last
    # The inverse is the transform with real and imaginary parts exchanged, before and after.
    found = _transform(work, half, 1, sides, places, turns)
    _in_order(work[found, 0], sides, places, signal[0])
    _in_order(work[found, 1], sides, places, signal[1])


@part_of_kernel
def copy(values: Array, out: Array) -> None:
    """Write ``values`` into ``out``: in a kernel assigning to a slice takes seconds to compile."""
    for n in range(len(values)):
        out[n] = values[n]


@part_of_kernel
def _reverse(values: Array, out: Array) -> None:
    last = len(values) - 1
    for n in range(len(values)):
        out[n] = values[last - n]


@part_of_kernel
def _in_order(values: Array, sides: Array, places: Array, out: Array) -> None:
    """Copy the rows that :func:`_transform` leaves into their order."""
    rows, columns = sides[1, 1], sides[0, 1]
    for row in range(rows):
        start = places[columns + row] * columns
        copy(values[start : start + columns], out[row * columns : (row + 1) * columns])


@part_of_kernel
def _transform(work: Array, half: int, real: int, sides: Array, places: Array, turns: Array) -> int:
    """Transform the complex signal in ``work[0]``; return the index of the buffer it ends in.

    The columns of a matrix first, then its rows, which are made columns in between: so the inner
    loops are long in every pass. Its rows end in :attr:`Plan.places`.
    """
    at, here = 0, 0
    for side in range(2):
        num_groups, left = 1, half
        for index in range(2, 2 + sides[side, 0]):
            radix = sides[side, index]
            left //= radix
            for group in range(num_groups):
                span = slice(group * radix * left, (group + 1) * radix * left)
                a, b = work[here, real, span], work[here, 1 - real, span]
                if radix == 2:
                    _two(a[:left], b[:left], a[left:], b[left:], turns[0, at], turns[1, at])
                    at += 1
                else:
                    c, d = work[1 - here, real, span], work[1 - here, 1 - real, span]
                    _any(a, b, c, d, radix, turns[0, at:], turns[1, at:])
                    at += radix * radix
            if radix != 2:
                here = 1 - here
            num_groups *= radix
        if side == 0:
            rows, columns = sides[0, 1], sides[1, 1]
            _turn(
                work[here, real, :half].reshape(rows, columns),
                work[here, 1 - real, :half].reshape(rows, columns),
                work[1 - here, real, :half].reshape(columns, rows),
                work[1 - here, 1 - real, :half].reshape(columns, rows),
                turns[0, at : at + half].reshape(rows, columns),
                turns[1, at : at + half].reshape(rows, columns),
                places,
            )
            at += half
            here = 1 - here
    return here


@part_of_kernel
def _two(a: Array, b: Array, c: Array, d: Array, cos: float, sin: float) -> None:
    """Replace the complex inputs (a, b) and (c, d) by their sum and difference, the latter turned.

    In place, of radix 2: with more arrays the compiler would have to compare too many addresses.
    """
    for q in range(len(a)):
        u, v = c[q] * cos - d[q] * sin, c[q] * sin + d[q] * cos
        c[q], d[q] = a[q] - u, b[q] - v
        a[q], b[q] = a[q] + u, b[q] + v


@part_of_kernel
def _any(a: Array, b: Array, c: Array, d: Array, radix: int, cos: Array, sin: Array) -> None:
    """Write into (c, d) the ``radix`` sums of as many parts of (a, b), each turned."""
    size = len(a) // radix
    for k in range(radix):
        real, imag = c[k * size : (k + 1) * size], d[k * size : (k + 1) * size]
        copy(a[:size], real)
        copy(b[:size], imag)
        for j in range(1, radix):
            e, f = cos[k * radix + j], sin[k * radix + j]
            u, v = a[j * size : (j + 1) * size], b[j * size : (j + 1) * size]
            for q in range(size):
                real[q] += u[q] * e - v[q] * f
            for q in range(size):
                imag[q] += u[q] * f + v[q] * e


@part_of_kernel
def _turn(a: Array, b: Array, c: Array, d: Array, cos: Array, sin: Array, places: Array) -> None:
    """Turn (a, b) (rows, columns) in phase and write it into (c, d) (columns, rows)."""
    for p in range(len(a)):
        real, imag, e, f = a[p], b[p], cos[p], sin[p]
        for q in range(len(real)):
            u, v = real[q], imag[q]
            real[q], imag[q] = u * e[q] - v * f[q], u * f[q] + v * e[q]
    for q in range(len(c)):
        real, imag = c[q], d[q]
        for p in range(len(real)):
            real[p] = a[places[p], q]
        for p in range(len(imag)):
            imag[p] = b[places[p], q]
