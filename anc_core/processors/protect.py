"""Let emergency sounds pass untouched, whatever the processor inside would do to them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from anc_core.arrays import Chunk, check_chunk, check_sample_rate
from anc_core.dsp.buffer import SampleBuffer
from anc_core.dsp.finite import repair
from anc_core.errors import InputError
from anc_core.processors.aligned import Undelayed
from anc_core.processors.base import Processor
from anc_core.processors.ridges import RidgeGuard

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anc_core.emergency.base import EmergencyDetector
    from anc_core.records import Event, Window

Stretch = tuple[int, int]
"""(start, stop) in samples from the beginning of the stream, half open."""


class EmergencyGuard:
    """Return the input bit for bit where it is protected, and the inner output elsewhere.

    Parameters
    ----------
    inner : Processor
        What happens to everything that is not protected.
    detector : EmergencyDetector
        Says what is.
    sample_rate : float
        Hz.
    fade_s : float, default 0.02
        Raised-cosine crossfade, outside the protected stretch: protection is never shortened.

    Raises
    ------
    InputError
        If a parameter is out of range.

    Notes
    -----
    Where the detector says where ridges last (``detector.ridges``), these are kept as well, by a
    :class:`~anc_core.processors.ridges.RidgeGuard` around ``inner``.

    A sample waits until the detector has decided it and all that a fade could reach from it.
    Non-finite samples count as 0, protected or not. :attr:`protected` may be read until the next
    stream begins; like the detector's events it outlives :meth:`flush`.
    """

    def __init__(
        self,
        inner: Processor,
        detector: EmergencyDetector,
        *,
        sample_rate: float,
        fade_s: float = 0.02,
    ) -> None:
        if not 0.0 < fade_s <= 1.0:
            msg = f"fade_s is {fade_s} s; it must be above 0 and at most 1 s"
            raise InputError(msg)
        self._ridge_guard: RidgeGuard | None = None
        if detector.ridges is not None:
            inner = self._ridge_guard = RidgeGuard(inner, detector.ridges, sample_rate)
        self._inner = Undelayed(inner)
        self._detector = detector
        self._num_fade = max(1, round(fade_s * check_sample_rate(sample_rate)))
        self._original = SampleBuffer(inner.num_channels)
        self._cancelled = SampleBuffer(inner.num_channels)
        self._protected: list[Stretch] = []
        self._has_ended = False
        self.reset()

    @property
    def num_channels(self) -> int:
        """Columns of every chunk, in and out."""
        return self._inner.processor.num_channels

    @property
    def latency(self) -> int:
        """Delay in samples: that of the inner processor, or of the detector and a fade."""
        return max(self._inner.processor.latency, self._detector.latency + self._num_fade)

    @property
    def protected(self) -> list[Stretch]:
        """Protected stretches of what has come out so far: sorted, disjoint, not touching."""
        return list(self._protected)

    @property
    def num_protected_samples(self) -> int:
        """Samples (instants) in :attr:`protected`."""
        return sum(stop - start for start, stop in self._protected)

    @property
    def restored_s(self) -> float:
        """Time in which ridges were given back, in seconds; 0 without that layer."""
        return 0.0 if self._ridge_guard is None else self._ridge_guard.restored_s

    @property
    def restored_share(self) -> float:
        """Share of all time-frequency cells that were given back, 0 to 1."""
        return 0.0 if self._ridge_guard is None else self._ridge_guard.restored_share

    def protected_within(self, start: int, stop: int) -> list[Stretch]:
        """Return the parts of :attr:`protected` in [start, stop); final for what has come out."""
        first = bisect_left(self._protected, start, key=lambda stretch: stretch[1])
        last = bisect_left(self._protected, stop, key=lambda stretch: stretch[0])
        return _clip(self._protected[first:last], start, stop)

    def process(self, chunk: Chunk) -> Chunk:
        """Take ``chunk`` (num_samples, num_channels), return what is decided, delayed by `latency`.

        Raises
        ------
        InputError
            If ``chunk`` has another shape or is not floating point.
        """
        if self._has_ended:
            self.reset()
        chunk = repair(check_chunk(chunk, self.num_channels))
        self._original.put(chunk)
        self._detector.process(chunk)
        self._cancelled.put(self._inner.process(chunk))
        # A stretch that begins where nothing is decided yet may fade in before it.
        return self._advance(self._detector.num_decided - self._num_fade)

    def flush(self) -> Chunk:
        """Return the rest, so that in all num_samples + latency came out, and reset."""
        if self._has_ended:
            self.reset()
        self._detector.flush()
        self._cancelled.put(self._inner.flush())
        rest = self._advance(self._num_done + len(self._original))
        # The detector's events and the protected stretches are wanted after the end.
        self._has_ended = True
        return rest

    def reset(self) -> None:
        """Forget everything heard so far."""
        self._inner.reset()
        self._detector.reset()
        self._original.clear()
        self._cancelled.clear()
        self._protected.clear()
        self._num_done: int = 0
        self._has_delayed = False
        self._has_ended = False

    def _advance(self, limit: int) -> Chunk:
        """Return what can be mixed below sample ``limit``, after the delay if that is due."""
        delay = 0 if self._has_delayed else self.latency
        self._has_delayed = True
        zeros = np.zeros((delay, self.num_channels), np.float32)
        start = self._num_done
        ready = min(limit - start, len(self._original), len(self._cancelled))
        if ready <= 0:
            return zeros
        stop = start + ready
        stretches = self._detector.protected(
            max(0, start - self._num_fade),
            min(stop + self._num_fade, self._detector.num_decided),
        )
        self._remember(_clip(stretches, start, stop))
        share = _protected_share(stretches, start, stop, self._num_fade)
        output = _mix(self._original.take(ready), self._cancelled.take(ready), share)
        self._num_done = stop
        return np.concatenate([zeros, output])

    def _remember(self, stretches: list[Stretch]) -> None:
        for start, stop in stretches:
            if self._protected and self._protected[-1][1] == start:
                start = self._protected.pop()[0]  # noqa: PLW2901 - the same stretch goes on
            self._protected.append((start, stop))


class FixedIntervals:
    """A detector that knows from the start what is protected.

    For protection that a user asks for, and the simplest example of the protocol.

    Parameters
    ----------
    stretches : iterable of (int, int)
        (start, stop) in samples, half open; in any order, they may overlap.
    latency : int, default 0
        Samples after which decisions are revealed: real detectors need some.

    Raises
    ------
    InputError
        If a stretch is empty or begins before 0, or ``latency`` is negative.
    """

    def __init__(self, stretches: Iterable[Stretch], *, latency: int = 0) -> None:
        self.ridges = None
        self._stretches = _merge(stretches)
        if latency < 0:
            msg = f"latency is {latency}; it must be 0 or more samples"
            raise InputError(msg)
        self._latency = latency
        self.reset()

    @property
    def latency(self) -> int:
        """Samples after which a sample is certainly decided."""
        return self._latency

    @property
    def num_decided(self) -> int:
        """Samples from the start of the stream whose protection is final."""
        return self._num_decided

    @property
    def windows(self) -> tuple[Window, ...]:
        """None: nothing was recognised."""
        return ()

    @property
    def events(self) -> tuple[Event, ...]:
        """None: nothing was recognised."""
        return ()

    def process(self, chunk: Chunk) -> None:
        """Count the samples of ``chunk``."""
        self._num_heard += len(chunk)
        self._num_decided = max(0, self._num_heard - self._latency)

    def flush(self) -> None:
        """Decide all that was heard."""
        self._num_decided = self._num_heard

    def reset(self) -> None:
        """Begin at sample 0 again."""
        self._num_heard = 0
        self._num_decided = 0

    def protected(self, start: int, stop: int) -> list[Stretch]:
        """Return the protected stretches within [start, stop)."""
        return _clip(self._stretches, start, stop)


def _merge(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Return ``stretches`` sorted, overlapping and touching ones united."""
    merged: list[Stretch] = []
    for start, stop in sorted(stretches):
        if not 0 <= start < stop:
            msg = f"stretch ({start}, {stop}) must begin at 0 or later and end after it begins"
            raise InputError(msg)
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


def _clip(stretches: Iterable[Stretch], start: int, stop: int) -> list[Stretch]:
    """Return the parts of ``stretches`` within [start, stop)."""
    clipped = ((max(a, start), min(b, stop)) for a, b in stretches)
    return [(a, b) for a, b in clipped if a < b]


def _protected_share(
    stretches: list[Stretch], start: int, stop: int, num_fade: int
) -> NDArray[np.float64]:
    """Return the share of the original in samples [start, stop): 1 in ``stretches``, faded beyond.

    ``stretches`` must be complete from ``start - num_fade`` to ``stop + num_fade``.
    """
    share = np.zeros(stop - start)
    fade = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, num_fade + 1) / (num_fade + 1))
    for first, end in stretches:
        whole = np.concatenate([fade[::-1], np.ones(end - first), fade])
        begin = first - num_fade - start
        inside = slice(max(0, begin), max(0, begin + len(whole)))
        part = share[inside]
        np.maximum(part, whole[inside.start - begin :][: len(part)], out=part)
    return share


def _mix(original: Chunk, cancelled: Chunk, share: NDArray[np.float64]) -> Chunk:
    """Return the mixture; where ``share`` is 0 or 1 one of the two, bit for bit."""
    if not share.any():
        return cancelled
    weight = share[:, np.newaxis]
    mixed = (weight * original + (1.0 - weight) * cancelled).astype(np.float32)
    return np.where(weight == 1.0, original, np.where(weight == 0.0, cancelled, mixed))
