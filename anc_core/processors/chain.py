"""Processors one after the other are a processor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anc_core.arrays import Chunk
from anc_core.errors import InputError
from anc_core.processors.base import Processor


class Chain:
    """Send the stream through ``processors`` in their order.

    Parameters
    ----------
    processors : sequence of Processor
        One or more, all of the same number of channels.

    Raises
    ------
    InputError
        If there are none, or their channels differ.
    """

    def __init__(self, processors: Sequence[Processor]) -> None:
        self._processors = tuple(processors)
        widths = [processor.num_channels for processor in self._processors]
        if len(set(widths)) != 1:
            msg = f"processors have {widths} channels; a chain needs one or more that agree"
            raise InputError(msg)

    @property
    def num_channels(self) -> int:
        """Columns of every chunk, in and out."""
        return self._processors[0].num_channels

    @property
    def latency(self) -> int:
        """Sum of the delays, in samples."""
        return sum(processor.latency for processor in self._processors)

    def process(self, chunk: Chunk) -> Chunk:
        """Send ``chunk`` (num_samples, num_channels) through every stage; return what is ready."""
        for processor in self._processors:
            chunk = processor.process(chunk)
        return chunk

    def flush(self) -> Chunk:
        """Return the rest of every stage, each sent through the stages after it, and reset."""
        rest = self._processors[0].flush()
        for processor in self._processors[1:]:
            rest = np.concatenate([processor.process(rest), processor.flush()])
        return rest

    def reset(self) -> None:
        """Forget everything heard so far, in every stage."""
        for processor in self._processors:
            processor.reset()
