"""The Processor protocol: what every stage of the stream promises.

Laws (property tests in ``tests/properties``): any split of the input gives the same output, bit
for bit; all ``process`` calls and one ``flush`` together return the input's length plus ``latency``
samples, delayed by ``latency``; ``reset`` makes the next run identical to the first; nothing that
comes in makes NaN or an infinity come out.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from anc_core.arrays import Chunk


@runtime_checkable
class Processor(Protocol):
    """A stage of the stream."""

    @property
    def num_channels(self) -> int:
        """Columns of every chunk, in and out."""

    @property
    def latency(self) -> int:
        """Delay in samples: output sample ``n + latency`` belongs to input sample ``n``."""

    def process(self, chunk: Chunk) -> Chunk:
        """Take ``chunk`` (num_samples >= 0, num_channels), advance, return what is ready.

        May return fewer or more samples than came in; never modifies ``chunk``.
        """

    def flush(self) -> Chunk:
        """Return the rest, so that in all num_samples + latency came out, and reset."""

    def reset(self) -> None:
        """Forget everything heard so far."""
