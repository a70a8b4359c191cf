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
    to_drop = processor.latency
    for chunk in _outputs(chunks, processor):
        dropped = min(to_drop, len(chunk))
        to_drop -= dropped
        if len(chunk) > dropped:
            yield chunk[dropped:]


def _outputs(chunks: Iterable[Chunk], processor: Processor) -> Iterator[Chunk]:
    for chunk in chunks:
        yield processor.process(chunk)
    yield processor.flush()
