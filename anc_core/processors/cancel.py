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
    from numpy.typing import DTypeLike, NDArray

    from anc_core.dsp.adaptive_filter import AdaptiveFilter
    from anc_core.dsp.adaptive_guard import GuardEvent
    from anc_core.dsp.delay_search import Alignment

KALMAN = "kalman"

PRIMING_S = 8.0
"""From so much of a recording its filter is learnt before the recording is cancelled from its
beginning: the first word is as free of noise as the last."""


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
    alignment : Alignment or None
        Where the reference was found to belong; None where nobody looked.
    events : tuple of GuardEvent
        What the guards did.
    """

    error_signal: NDArray[np.float32]
    anti_noise: NDArray[np.float32]
    cancellation_db: float | None
    alignment: Alignment | None = None
    events: tuple[GuardEvent, ...] = ()

    @classmethod
    def of(
        cls,
        primary: NDArray[np.float32],
        error_signal: NDArray[np.float32],
        *,
        alignment: Alignment | None = None,
        events: tuple[GuardEvent, ...] = (),
    ) -> Self:
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
            alignment=alignment,
            events=events,
        )


class ReferenceCanceller:
    """Subtract from the primary signal what is linearly related to the reference.

    Parameters
    ----------
    sample_rate : float
        Hz, 1 000 to 768 000.
    num_channels : int, default 1
        Channels of the primary signal, each with its own filters; ``process`` returns as many.
    num_reference_channels : int, default 1
        All of them are used for every primary channel.
    algorithm : str, default "kalman"
        One of :data:`anc_core.dsp.adaptive_filter.ALGORITHMS`. ``kalman`` is the one to use: it
        leaves a voice alone, follows changes and is the fastest for long filters; the others are
        those of the books.
    num_taps : int, optional
        Length of each filter in samples: it must span the acoustic path from reference to primary.
        By default 0.5 s for ``kalman``, less for the others.
    step_size : float, optional
        Above 0 and below 2; the default depends on the algorithm.
    leakage : float, default 0.0
        0 to below 1: share of the weights that is forgotten with every sample; not for ``kalman``.
    guard : bool, default True
        Let the primary pass where the filter would do harm, and more; see
        :class:`~anc_core.dsp.adaptive_guard.GuardEvent`.
    dtype : {"float32", "float64"}
        Of the arithmetic; chunks are float32.

    Raises
    ------
    InputError
        If a parameter is out of its range.

    Notes
    -----
    Like a :class:`~anc_core.processors.Processor`, except that ``process`` takes the reference
    beside the chunk. The reference must reach its microphone no later than the noise reaches the
    primary one: :class:`~anc_core.dsp.delay_search.DelaySearch` finds out.
    """

    def __init__(
        self,
        sample_rate: float,
        num_channels: int = 1,
        num_reference_channels: int = 1,
        *,
        algorithm: str = KALMAN,
        num_taps: int | None = None,
        step_size: float | None = None,
        leakage: float = 0.0,
        guard: bool = True,
        dtype: DTypeLike = "float32",
    ) -> None:
        # Loads numba: only when the first canceller is built.
        from anc_core.dsp.adaptive_filter import build_filter

        self.sample_rate = check_sample_rate(sample_rate)
        self.num_reference_channels = check_num_channels(num_reference_channels)
        self.algorithm = algorithm
        self._filters: list[AdaptiveFilter] = [
            build_filter(
                algorithm,
                sample_rate=self.sample_rate,
                num_references=self.num_reference_channels,
                num_taps=num_taps,
                step_size=step_size,
                leakage=leakage,
                guarded=guard,
                dtype=dtype,
            )
            for _ in range(check_num_channels(num_channels))
        ]
        self._events: list[GuardEvent] = []
        self._num_samples: int
        self._last: tuple[Chunk, ...]
        self._begin()

    @property
    def num_channels(self) -> int:
        """Columns of the primary signal and of the output."""
        return len(self._filters)

    @property
    def latency(self) -> int:
        """Delay in samples."""
        return self._filters[0].latency

    @property
    def num_taps(self) -> int:
        """Length of each filter in samples."""
        return self._filters[0].num_taps

    @property
    def taps(self) -> NDArray[np.floating]:
        """The filters, (num_channels, num_reference_channels, num_taps), first tap first."""
        return np.stack([one.taps for one in self._filters])

    def process(self, chunk: Chunk, reference: Chunk) -> Chunk:
        """Return ``chunk`` without what ``reference`` explains, ``latency`` samples late.

        Parameters
        ----------
        chunk : float32, shape (num_samples, num_channels)
            Primary signal; non-finite samples count as 0.
        reference : float32, shape (num_samples, num_reference_channels)
            Picked up at the same time.

        Returns
        -------
        float32, shape (num_samples, num_channels)

        Raises
        ------
        InputError
            If a shape is wrong, the lengths differ, or an array is not floating point.
        """
        chunk = tame(check_chunk(chunk, self.num_channels))
        reference = tame(check_chunk(reference, self.num_reference_channels))
        if len(chunk) != len(reference):
            msg = f"{len(chunk)} samples came with {len(reference)} of the reference; give as many"
            raise InputError(msg)
        heard = np.ascontiguousarray(reference.T)
        error = np.empty_like(chunk)
        for index, one in enumerate(self._filters):
            error[:, index] = one.process(heard, np.ascontiguousarray(chunk[:, index]))
            self._events.extend(one.drain_events())
        self._num_samples += len(chunk)
        if self.latency:
            signals = zip(self._last, (chunk, reference), strict=True)
            self._last = tuple(_last(*parts, self.latency) for parts in signals)
        return error

    def learn_from(self, chunk: Chunk, reference: Chunk) -> None:
        """Learn from an excerpt, put nothing out, and be as if at the beginning of the stream.

        Parameters
        ----------
        chunk, reference
            As for :meth:`process`; the beginning of what is to be cancelled.
        """
        self.process(chunk, reference)
        self._events.clear()
        for one in self._filters:
            one.rewind()
        self._begin()

    def drain_events(self) -> tuple[GuardEvent, ...]:
        """Return what the guards did since the last call."""
        events = tuple(sorted(self._events, key=lambda event: event.time_s))
        self._events.clear()
        return events

    def flush(self) -> Chunk:
        """Return the rest, as many samples as the latency, and reset."""
        end_s = self._num_samples / self.sample_rate
        # Silence would end the noise but not its echo: the filters would take that for harm, and
        # learn from it. So the end is heard once more.
        rest = self.process(*(_filled_up(signal, self.latency) for signal in self._last))
        self._events = [event for event in self._events if event.time_s < end_s]
        self.reset()
        return rest

    def reset(self) -> None:
        """Forget everything heard and learnt so far; events may still be drained."""
        for one in self._filters:
            one.reset()
        self._begin()

    def _begin(self) -> None:
        self._num_samples = 0
        widths = self.num_channels, self.num_reference_channels
        self._last = tuple(np.zeros((0, width), np.float32) for width in widths)


def _last(before: Chunk, chunk: Chunk, num_samples: int) -> Chunk:
    """Return the last ``num_samples`` of both, or as many as there are, as a copy."""
    missing = num_samples - len(chunk)
    kept = before[max(0, len(before) - missing) :] if missing > 0 else before[:0]
    return np.concatenate([kept, chunk[-num_samples:]])


def _filled_up(signal: Chunk, num_samples: int) -> Chunk:
    """Return ``signal`` with silence up to ``num_samples``, for recordings shorter than that."""
    return np.concatenate(
        [signal, np.zeros((num_samples - len(signal), signal.shape[1]), np.float32)]
    )
