"""Take the delay of a processor away: as many samples out as in, each in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from anc_core.arrays import Chunk
    from anc_core.processors.base import Processor


def aligned(chunks: Iterable[Chunk], processor: Processor) -> Iterator[Chunk]:
    """Send ``chunks`` through ``processor`` and yield its output without the delay.

    Parameters
    ----------
    chunks : iterable of Chunk
        The whole stream, any split; shape (num_samples, num_channels) each.
    processor : Processor
        New or reset; new again when the last chunk has been yielded.

    Yields
    ------
    Chunk
        Never empty. Together as many samples as came in; sample n belongs to input sample n.
    """
    undelayed = Undelayed(processor)
    for chunk in chunks:
        yield from _if_any(undelayed.process(chunk))
    yield from _if_any(undelayed.flush())


class Undelayed:
    """Runs a processor and drops the delay at the beginning of each stream.

    Parameters
    ----------
    processor : Processor
        New or reset.
    """

    def __init__(self, processor: Processor) -> None:
        self.processor = processor
        self._to_drop = processor.latency

    def process(self, chunk: Chunk) -> Chunk:
        """Take ``chunk``, return what is ready; the first sample belongs to the first."""
        return self._without_delay(self.processor.process(chunk))

    def flush(self) -> Chunk:
        """Return the rest, so that as many samples came out as in; the next stream begins anew."""
        rest = self._without_delay(self.processor.flush())
        self._to_drop = self.processor.latency
        return rest

    def reset(self) -> None:
        """Forget everything heard so far."""
        self.processor.reset()
        self._to_drop = self.processor.latency

    def _without_delay(self, chunk: Chunk) -> Chunk:
        dropped = min(self._to_drop, len(chunk))
        self._to_drop -= dropped
        return chunk[dropped:]


def _if_any(chunk: Chunk) -> Iterator[Chunk]:
    if len(chunk):
        yield chunk
