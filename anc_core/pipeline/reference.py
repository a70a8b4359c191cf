"""The reference of a recording: read beside it, put in its place, learnt from in advance."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from itertools import zip_longest

import numpy as np

from anc_core.arrays import Chunk
from anc_core.audio import AudioReader, StreamResampler, open_reader
from anc_core.audio.placement import Placement, placed, placement_for
from anc_core.dsp.delay_search import WINDOW_S, Alignment, DelaySearch
from anc_core.errors import ErrorCode, SourceError, WarningCode
from anc_core.pipeline.request import RecordingRequest
from anc_core.processors import ReferenceCanceller
from anc_core.processors.cancel import PRIMING_S
from anc_core.records import Remark

_SEARCH_RATE_HZ = 16_000
"""Delays are looked for at this rate at most: 0.06 ms are finer than any filter needs."""

_ONE_CLOCK_S = 60.0
"""So much of a recording tells the delay between two of its own channels: they share a clock."""

_NOTABLE_DRIFT_PPM = 1.0
_NOTABLE_GAP_S = 0.5


class ReferenceTrack:
    """The noise beside a recording; of another file, or one of its own channels.

    Parameters
    ----------
    request : RecordingRequest
        Of mode ``cancel``.
    num_channels : int
        That the recording has in its file.
    """

    def __init__(self, request: RecordingRequest, num_channels: int) -> None:
        self._source = request.source
        self._path = request.reference or request.source
        self._how = request.cancellation
        chosen = self._how.reference_channel
        self._channels = None if chosen is None else (chosen - 1,)
        self.primary_channels: tuple[int, ...] | None = None
        if request.splits_channels and chosen is not None:
            self.primary_channels = tuple(n for n in range(num_channels) if n != chosen - 1)
            if not self.primary_channels:
                msg = f"{self._source}: its only channel is the reference; nothing would be left"
                raise SourceError(ErrorCode.BAD_CHANNELS, msg)
        self.alignment: Alignment | None = None
        with self._open() as reader:
            self.num_channels = reader.num_channels
            self.sample_rate = reader.sample_rate

    def chunks(
        self, canceller: ReferenceCanceller, chunk_size: int
    ) -> Generator[Chunk, None, None]:
        """Yield the reference at the rate and in the place that ``canceller`` needs.

        Before the first chunk the delay is looked for and the canceller learns from the beginning
        of the recording.
        """
        placement = Placement()
        if self._how.align:
            self.alignment = self._search(canceller.sample_rate)
            placement = placement_for(self.alignment, canceller.sample_rate, canceller.num_taps)
        self._prime(canceller, placement)
        with self._open() as reader:
            yield from self._placed(reader, placement, canceller.sample_rate, chunk_size)

    def remarks(
        self, canceller: ReferenceCanceller, num_missing: int, num_samples: int
    ) -> tuple[Remark, ...]:
        """Return what is worth saying after the last chunk.

        Parameters
        ----------
        canceller : ReferenceCanceller
            That did the work; its events are drained.
        num_missing : int
            Samples of the recording beyond the reference's end.
        num_samples : int
            Of the recording.
        """
        rate = canceller.sample_rate
        said: list[tuple[WarningCode, str]] = []
        if self.alignment is not None and not self.alignment.is_found:
            message = "no sound in common with the reference was found; it was left where it is"
            said.append((WarningCode.REFERENCE_UNRELATED, message))
        elif self.alignment is not None:
            move = placement_for(self.alignment, rate, canceller.num_taps)
            if move.shift or abs(move.drift_ppm) >= _NOTABLE_DRIFT_PPM:
                message = (
                    f"the reference was moved by {1e3 * move.shift / rate:+.1f} ms, "
                    f"and its clock corrected by {move.drift_ppm:+.1f} ppm"
                )
                said.append((WarningCode.REFERENCE_MOVED, message))
        if num_missing > _NOTABLE_GAP_S * rate:
            message = (
                f"the reference ends {num_missing / rate:.1f} s before the recording, "
                f"of {num_samples / rate:.1f} s; nothing is cancelled there"
            )
            said.append((WarningCode.REFERENCE_SHORT, message))
        events = canceller.drain_events()
        if events:
            message = (
                f"{len(events)} times the filter would have made it louder and was muted, "
                f"first at {events[0].time_s:.1f} s"
            )
            said.append((WarningCode.FILTER_MUTED, message))
        return tuple(Remark(code=code, message=message) for code, message in said)

    @contextmanager
    def _open(self) -> Iterator[AudioReader]:
        with open_reader(self._path, channels=self._channels) as reader:
            yield reader

    @contextmanager
    def _both(self) -> Iterator[tuple[AudioReader, AudioReader]]:
        with ExitStack() as stack:
            primary = open_reader(self._source, channels=self.primary_channels)
            yield stack.enter_context(primary), stack.enter_context(self._open())

    def _placed(
        self, reader: AudioReader, placement: Placement, target_rate: int, chunk_size: int
    ) -> Iterator[Chunk]:
        return placed(
            reader.chunks(chunk_size),
            placement,
            source_rate=reader.sample_rate,
            target_rate=target_rate,
            num_channels=reader.num_channels,
        )

    def _search(self, sample_rate: int) -> Alignment:
        """Correlate excerpts of both; they are resampled alone, so that a gap costs nothing."""
        rate = min(sample_rate, _SEARCH_RATE_HZ)
        two_clocks = self._path != self._source
        search = DelaySearch(rate, max_delay_s=self._how.max_delay_s, may_drift=two_clocks)
        with self._both() as readers:
            streams = [reader.chunks(round(WINDOW_S * reader.sample_rate)) for reader in readers]
            for number, excerpts in enumerate(zip_longest(*streams)):
                if any(excerpt is None for excerpt in excerpts):
                    break
                if not two_clocks and number * WINDOW_S >= _ONE_CLOCK_S:
                    break
                if search.wants(number):
                    heard = [
                        _resampled(excerpt, reader.sample_rate, rate)
                        for excerpt, reader in zip(excerpts, readers, strict=True)
                    ]
                    length = min(len(one) for one in heard)
                    search.add(number, heard[0][:length], heard[1][:length])
        return search.find()

    def _prime(self, canceller: ReferenceCanceller, placement: Placement) -> None:
        num_samples = round(PRIMING_S * canceller.sample_rate)
        with self._both() as (primary, reference):
            wanted = next(primary.chunks(num_samples), np.zeros((0, canceller.num_channels)))
            needed = self._placed(reference, placement, canceller.sample_rate, num_samples)
            heard = _first(needed, len(wanted), self.num_channels)
        canceller.learn_from(np.asarray(wanted, np.float32), heard)


def _resampled(excerpt: Chunk, source_rate: int, target_rate: int) -> Chunk:
    resampler = StreamResampler(source_rate, target_rate, excerpt.shape[1], quality="MQ")
    return np.concatenate([resampler.process(excerpt), resampler.flush()])


def _first(chunks: Iterator[Chunk], num_samples: int, num_channels: int) -> Chunk:
    """Return the first ``num_samples``, silence where there are none."""
    parts: list[Chunk] = [np.zeros((0, num_channels), np.float32)]
    while sum(map(len, parts)) < num_samples:
        chunk = next(chunks, None)
        if chunk is None:
            break
        parts.append(chunk)
    found = np.concatenate(parts)[:num_samples]
    return np.pad(found, ((0, num_samples - len(found)), (0, 0)))
