"""A path at work: FIR filtering of a stream, the same bit for bit for any chunks, without delay.

Context: floating-point sums depend on their order, and a compiler vectorises a loop differently at
its ends. Decision: everything is computed on a grid of *absolute* time. Up to 2048 taps, groups of
eight neighbouring outputs are computed together (taps are loaded once for eight sums), and a group
that a chunk has filled only in part is computed again when the next one comes. Longer paths are
split: the first 1024 taps as before, the rest with FFTs over blocks of 1024 samples. A block that
the rest needs is complete one block before its result sounds, so there is still no delay
(W. G. Gardner, J. Audio Eng. Soc. 43 (1995) 127). Consequence: nothing depends on the chunks, and
1 s of path at 48 kHz costs some 8 times as much as 1024 taps, not 50 times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from anc_core.dsp.jit import check_dtype, jit_by_dtype
from anc_core.dsp.paths import as_matrix
from anc_core.errors import InputError

Array = NDArray[Any]

_GROUP = 8
"""Outputs that share one pass over the taps; 8 fill the registers of AVX2 and AVX-512."""

BLOCK = 1_024
"""Samples of an FFT block; a multiple of the group."""

MAX_DIRECT_TAPS = 2_048
"""Above, the FFTs are faster."""

_NEGLIGIBLE_TAP = 1e-20
"""-400 dB: float32 products with such taps are denormal, which cost a hundred times the time."""


@jit_by_dtype("void(real[:, ::1], real[:, :, ::1], real[:, ::1])")
def fir_groups(heard: Array, taps: Array, output: Array) -> None:
    """Filter, eight outputs at a time; **changes** ``output``.

    Parameters
    ----------
    heard : shape (num_inputs, num_taps - 1 + num_samples)
        The samples before the first output, then as many as there are outputs.
    taps : shape (num_outputs, num_inputs, num_taps)
        *Last tap first*.
    output : shape (num_outputs, num_samples)
        num_samples is a multiple of 8.
    """
    num_taps = taps.shape[2]
    zero = taps.dtype.type(0.0)
    for m in range(taps.shape[0]):
        for n in range(0, output.shape[1], 8):
            y0, y1, y2, y3 = zero, zero, zero, zero
            y4, y5, y6, y7 = zero, zero, zero, zero
            for j in range(taps.shape[1]):
                h = taps[m, j]
                x = heard[j, n : n + num_taps + 7]
                for k in range(num_taps):
                    tap = h[k]
                    y0 += tap * x[k]
                    y1 += tap * x[k + 1]
                    y2 += tap * x[k + 2]
                    y3 += tap * x[k + 3]
                    y4 += tap * x[k + 4]
                    y5 += tap * x[k + 5]
                    y6 += tap * x[k + 6]
                    y7 += tap * x[k + 7]
            output[m, n] = y0
            output[m, n + 1] = y1
            output[m, n + 2] = y2
            output[m, n + 3] = y3
            output[m, n + 4] = y4
            output[m, n + 5] = y5
            output[m, n + 6] = y6
            output[m, n + 7] = y7


@jit_by_dtype("void(real[:, :, ::1], real[:, :, :, ::1], int64, real[:, ::1])")
def sum_partitions(spectra: Array, responses: Array, newest: int, total: Array) -> None:
    """Add up the products of past spectra and partitions; **changes** ``total``.

    Parameters
    ----------
    spectra : shape (num_partitions, num_inputs, 2·num_bins)
        A ring of the last blocks' spectra, real and imaginary parts in turn.
    responses : shape (num_outputs, num_partitions, num_inputs, 2·num_bins)
        Partition p meets the block that is p blocks older than the newest.
    newest : int
        Place of the newest block in the ring.
    total : shape (num_outputs, 2·num_bins)
        Written.
    """
    num_partitions = spectra.shape[0]
    total[:] = total.dtype.type(0.0)
    for m in range(responses.shape[0]):
        y = total[m]
        for p in range(num_partitions):
            for j in range(spectra.shape[1]):
                x = spectra[(newest - p) % num_partitions, j]
                h = responses[m, p, j]
                for i in range(0, y.shape[0], 2):
                    y[i] += x[i] * h[i] - x[i + 1] * h[i + 1]
                    y[i + 1] += x[i] * h[i + 1] + x[i + 1] * h[i]


class PathFilter:
    """Sends a stream through a path.

    Parameters
    ----------
    path : array_like, shape (num_taps,) or (num_outputs, num_inputs, num_taps)
        See :func:`anc_core.dsp.paths.check_path`.
    dtype : {"float32", "float64"}
        Of samples, taps and sums alike.

    Attributes
    ----------
    num_inputs, num_outputs, num_taps : int
    dtype : numpy.dtype

    Notes
    -----
    y_m(n) = Σ_j Σ_k h_mj(k)·x_j(n - k), silence before the first sample. Samples must be finite
    (:func:`anc_core.dsp.finite.tame`): of a NaN no more than num_taps outputs would be lost below
    :data:`MAX_DIRECT_TAPS`, and up to two blocks more above.

    Examples
    --------
    >>> import numpy as np
    >>> path = PathFilter([0.5, 0.25])
    >>> path.process(np.ones((3, 1), np.float32))[:, 0].tolist()
    [0.5, 0.75, 0.75]
    """

    def __init__(self, path: ArrayLike, *, dtype: DTypeLike = "float32") -> None:
        taps = as_matrix(path)
        self.dtype = check_dtype(dtype)
        self.num_outputs, self.num_inputs, self.num_taps = taps.shape
        taps = np.where(np.abs(taps) < _NEGLIGIBLE_TAP, 0.0, taps)
        num_direct = self.num_taps if self.num_taps <= MAX_DIRECT_TAPS else BLOCK
        self._direct = np.ascontiguousarray(taps[:, :, num_direct - 1 :: -1], self.dtype)
        self._fir = fir_groups(self.dtype)
        self._tail = None
        if num_direct < self.num_taps:
            self._tail = _BlockTail(taps[:, :, num_direct:], self.dtype)
        self.reset()

    def reset(self) -> None:
        """Forget all samples."""
        self._position = 0
        self._history = np.zeros((self.num_inputs, self._direct.shape[2] - 1), self.dtype)
        if self._tail is not None:
            self._tail.reset()

    def process(self, chunk: Array) -> Array:
        """Return what ``chunk`` (num_samples >= 0, num_inputs) becomes.

        Returns
        -------
        ndarray, shape (num_samples, num_outputs)
            Of :attr:`dtype`.

        Raises
        ------
        InputError
            If the chunk has another number of columns or no floating-point samples.
        """
        return np.ascontiguousarray(self.process_rows(self._rows(chunk)).T)

    def process_rows(self, signals: Array) -> Array:
        """Do the same for rows: (num_inputs, num_samples) of :attr:`dtype`, unchecked, to rows."""
        num_samples = signals.shape[1]
        num_reused = self._position % _GROUP
        padding = -(num_reused + num_samples) % _GROUP
        unheard = np.zeros((self.num_inputs, padding), self.dtype)
        heard = np.concatenate([self._history, signals, unheard], axis=1)
        whole = np.empty((self.num_outputs, num_reused + num_samples + padding), self.dtype)
        self._fir(heard, self._direct, whole)
        output = whole[:, num_reused : num_reused + num_samples]
        if self._tail is not None:
            self._tail.add_to(output, signals)
        self._position += num_samples
        num_kept = self._direct.shape[2] - 1 + self._position % _GROUP
        end = heard.shape[1] - padding
        self._history = heard[:, end - num_kept : end].copy()
        return output

    def state(self) -> dict[str, Array]:
        """Return copies of all that is remembered; :meth:`load` goes on from there."""
        state = {"position": np.array(self._position), "history": self._history.copy()}
        if self._tail is not None:
            state |= self._tail.state()
        return state

    def load(self, state: Mapping[str, Array]) -> None:
        """Go on from ``state``, which a filter of the same path and type returned.

        Raises
        ------
        InputError
            If it is that of another filter.
        """
        self.reset()
        mine = self.state()
        position = int(state["position"]) if "position" in state else -1
        num_kept = self._direct.shape[2] - 1 + max(position, 0) % _GROUP
        shapes = {name: array.shape for name, array in mine.items()}
        shapes["history"] = (self.num_inputs, num_kept)
        theirs = {name: np.shape(array) for name, array in state.items()}
        if position < 0 or theirs != shapes:
            msg = f"state has arrays {theirs}; this filter needs {shapes}: use the same path"
            raise InputError(msg)
        self._position = position
        self._history = np.array(state["history"], self.dtype)
        if self._tail is not None:
            self._tail.load(state)

    def _rows(self, chunk: Array) -> Array:
        chunk = np.asarray(chunk)
        if chunk.ndim != 2 or chunk.shape[1] != self.num_inputs or chunk.dtype.kind != "f":
            msg = (
                f"chunk has shape {chunk.shape} and dtype {chunk.dtype}; it must be floating "
                f"point, (num_samples, {self.num_inputs}), one column a source"
            )
            raise InputError(msg)
        return np.ascontiguousarray(chunk.T, self.dtype)


class _BlockTail:
    """The taps from :data:`BLOCK` on: uniformly partitioned overlap-save, a block ahead.

    T. G. Stockham, Proc. AFIPS 28 (1966) 229 (overlap-save); the spectra of past blocks are kept
    in a ring.
    """

    def __init__(self, taps: NDArray[np.float64], dtype: np.dtype[Any]) -> None:
        num_outputs, num_inputs, num_taps = taps.shape
        self._num_partitions = -(-num_taps // BLOCK)
        padded = np.zeros((num_outputs, num_inputs, self._num_partitions * BLOCK))
        padded[:, :, :num_taps] = taps
        parts = padded.reshape(num_outputs, num_inputs, self._num_partitions, BLOCK)
        self._dtype = dtype
        self._complex = np.result_type(dtype, np.complex64)
        spectra = np.fft.rfft(parts.transpose(0, 2, 1, 3), 2 * BLOCK)
        self._responses = np.ascontiguousarray(spectra, self._complex).view(dtype)
        self._sum = sum_partitions(dtype)
        self._shape = (num_outputs, num_inputs)
        self.reset()

    def reset(self) -> None:
        num_outputs, num_inputs = self._shape
        num_values = self._responses.shape[-1]
        self._count = 0
        self._blocks = np.zeros((num_inputs, 2 * BLOCK), self._dtype)  # the last, the present one
        self._spectra = np.zeros((self._num_partitions, num_inputs, num_values), self._dtype)
        self._total = np.zeros((num_outputs, num_values), self._dtype)
        self._ready = np.zeros((num_outputs, BLOCK), self._dtype)

    def state(self) -> dict[str, Array]:
        return {
            "tail_count": np.array(self._count),
            "tail_blocks": self._blocks.copy(),
            "tail_spectra": self._spectra.copy(),
            "tail_ready": self._ready.copy(),
        }

    def load(self, state: Mapping[str, Array]) -> None:
        self._count = int(state["tail_count"])
        self._blocks = np.array(state["tail_blocks"], self._dtype)
        self._spectra = np.array(state["tail_spectra"], self._dtype)
        self._ready = np.array(state["tail_ready"], self._dtype)

    def add_to(self, output: Array, signals: Array) -> None:
        """Add the tail's part to ``output`` and learn of ``signals``, the inputs of that time."""
        done = 0
        while done < signals.shape[1]:
            offset = self._count % BLOCK
            taken = min(BLOCK - offset, signals.shape[1] - done)
            output[:, done : done + taken] += self._ready[:, offset : offset + taken]
            place = slice(BLOCK + offset, BLOCK + offset + taken)
            self._blocks[:, place] = signals[:, done : done + taken]
            done += taken
            self._count += taken
            if self._count % BLOCK == 0:
                self._finish_block()

    def _finish_block(self) -> None:
        newest = (self._count // BLOCK) % self._num_partitions
        spectrum = np.fft.rfft(self._blocks).astype(self._complex, copy=False)
        self._spectra[newest] = spectrum.view(self._dtype)
        self._sum(self._spectra, self._responses, newest, self._total)
        self._ready = np.fft.irfft(self._total.view(self._complex))[:, BLOCK:].astype(self._dtype)
        self._blocks[:, :BLOCK] = self._blocks[:, BLOCK:]
