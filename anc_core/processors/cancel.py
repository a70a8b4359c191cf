"""Cancel noise that a second microphone hears: adaptive cancellation with a reference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from anc_core.arrays import Chunk, check_chunk, check_num_channels, check_sample_rate
from anc_core.dsp.finite import tame
from anc_core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anc_core.dsp.nlms import NlmsState

_MAX_NUM_TAPS = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelResult:
    """What :func:`anc_core.cancel` made of a pair of recordings.

    Attributes
    ----------
    error_signal : float32, shape of the primary signal
        What is left: ``primary + anti_noise``.
    anti_noise : float32, shape of the primary signal
        What was added: the negative of the noise as the filter foresaw it.
    cancellation_db : float or None
        10·log10 of the primary's energy over the error's, all channels and the whole recording,
        the time to adapt included. Positive = quieter. None where either is digital silence.
    """

    error_signal: NDArray[np.float32]
    anti_noise: NDArray[np.float32]
    cancellation_db: float | None

    @classmethod
    def of(cls, primary: NDArray[np.float32], error_signal: NDArray[np.float32]) -> Self:
        """Return the result that made ``error_signal`` of ``primary``, same shape, both finite."""
        energy_in = float(np.sum(np.square(primary, dtype=np.float64)))
        energy_out = float(np.sum(np.square(error_signal, dtype=np.float64)))
        cancellation_db = None
        if energy_in > 0.0 and energy_out > 0.0:
            cancellation_db = 10.0 * (math.log10(energy_in) - math.log10(energy_out))
        return cls(
            error_signal=error_signal,
            anti_noise=error_signal - primary,
            cancellation_db=cancellation_db,
        )


class ReferenceCanceller:
    """Subtract from the primary signal what is linearly related to the reference.

    Parameters
    ----------
    sample_rate : float
        Hz, 1 000 to 768 000.
    num_channels : int, default 1
        Channels of the primary signal, each with its own filter; ``process`` returns as many.
    num_reference_channels : int, default 1
        All of them are used for every primary channel.
    num_taps : int, default 256
        Length of each filter in samples: it must span the acoustic path from reference to primary.
    step_size : float, default 0.5
        Above 0 and below 2: fast above 0.5, exact below.
    regularization : float, default 1e-3
        0 to 1, relative to the usual power of the reference.
    leakage : float, default 0.0
        0 to below 1: share of the weights that is forgotten with every sample.

    Raises
    ------
    InputError
        If a parameter is out of its range.

    Notes
    -----
    Like a :class:`~anc_core.processors.Processor`, except that ``process`` takes the reference
    beside the chunk; the latency is 0. The reference must reach its microphone no later than the
    noise reaches the primary one. The filter holds still while the reference is silent and begins
    anew when its error becomes 6 dB louder than the primary signal. Equations:
    :func:`anc_core.dsp.nlms.nlms_block`.
    """

    def __init__(
        self,
        sample_rate: float,
        num_channels: int = 1,
        num_reference_channels: int = 1,
        *,
        num_taps: int = 256,
        step_size: float = 0.5,
        regularization: float = 1e-3,
        leakage: float = 0.0,
    ) -> None:
        # Loads numba: only when the first canceller is built.
        from anc_core.dsp import nlms

        _check(
            num_taps in range(1, _MAX_NUM_TAPS + 1),
            f"num_taps is {num_taps}; it must be a whole number from 1 to {_MAX_NUM_TAPS}",
        )
        _check(0 < step_size < 2, f"step_size is {step_size}; it must be above 0 and below 2")
        _check(0 <= regularization <= 1, f"regularization is {regularization}; it must be 0 to 1")
        _check(0 <= leakage < 1, f"leakage is {leakage}; it must be at least 0 and below 1")
        self._nlms = nlms
        self._sample_rate = check_sample_rate(sample_rate)
        self._num_channels = check_num_channels(num_channels)
        self._num_reference_channels = check_num_channels(num_reference_channels)
        self._num_taps = int(num_taps)
        self._numbers = (step_size, regularization, leakage, float(self._sample_rate))
        self._history: NDArray[np.float32]
        self._states: list[NlmsState]
        self.reset()

    @property
    def num_channels(self) -> int:
        """Columns of the primary signal and of the output."""
        return self._num_channels

    @property
    def num_reference_channels(self) -> int:
        """Columns of the reference."""
        return self._num_reference_channels

    @property
    def latency(self) -> int:
        """Delay in samples: none."""
        return 0

    @property
    def num_restarts(self) -> int:
        """How often a filter diverged and began anew."""
        return sum(state.num_restarts for state in self._states)

    def process(self, chunk: Chunk, reference: Chunk) -> Chunk:
        """Return ``chunk`` without what ``reference`` explains, shape (num_samples, num_channels).

        Parameters
        ----------
        chunk : float32, shape (num_samples, num_channels)
            Primary signal; non-finite samples count as 0.
        reference : float32, shape (num_samples, num_reference_channels)
            Picked up at the same time.

        Raises
        ------
        InputError
            If a shape is wrong, the lengths differ, or an array is not floating point.
        """
        chunk = tame(check_chunk(chunk, self._num_channels))
        reference = tame(check_chunk(reference, self._num_reference_channels))
        if len(chunk) != len(reference):
            msg = f"{len(chunk)} samples came with {len(reference)} of the reference; give as many"
            raise InputError(msg)
        heard = np.ascontiguousarray(np.concatenate([self._history, reference.T], axis=1))
        error = np.empty_like(chunk)
        for index, state in enumerate(self._states):
            primary = np.ascontiguousarray(chunk[:, index])
            left = np.empty_like(primary)
            self._nlms.nlms_block(heard, primary, left, state.weights, state.memory, *self._numbers)
            error[:, index] = left
        self._history = heard[:, heard.shape[1] - self._num_taps :].copy()
        return error

    def flush(self) -> Chunk:
        """Return nothing, there is no rest; reset."""
        self.reset()
        return np.zeros((0, self._num_channels), np.float32)

    def reset(self) -> None:
        """Forget everything heard and learnt so far."""
        self._history = np.zeros((self._num_reference_channels, self._num_taps), np.float32)
        self._states = [
            self._nlms.NlmsState.start(self._num_reference_channels, self._num_taps)
            for _ in range(self._num_channels)
        ]


def _check(is_fine: bool, message: str) -> None:
    if not is_fine:
        raise InputError(message)
