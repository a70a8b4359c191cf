"""What the noise classifier hears of a recording, in the same pass; it can fail and nothing else.

A classifier names noises, it protects nothing: where it is refused or breaks down, the recording is
processed without names, and the session says so.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

from anc_core.arrays import Chunk
from anc_core.classifier.events import NoiseEvents
from anc_core.classifier.model import load_noise_model
from anc_core.classifier.models import Choice
from anc_core.classifier.stream import NoiseStream
from anc_core.errors import ModelBundleError, WarningCode
from anc_core.records import Event, Remark, WindowTable


class Hearing:
    """Listens to the input, chunk by chunk, once: a second attempt is told the same.

    Parameters
    ----------
    choice : Choice
        The classifier of the session, or none.
    sample_rate, num_channels : int
        Of the recording.
    """

    def __init__(self, choice: Choice, sample_rate: int, num_channels: int) -> None:
        self.classify_s: float | None = None
        """Seconds it took; None where nothing listened."""
        self._fault = choice.fault
        self._stream: NoiseStream | None = None
        self._windows: list[WindowTable] = []
        if choice.bundle is not None:
            try:
                model = load_noise_model(choice.bundle)
            except ModelBundleError as error:
                self._give_up(error)
            else:
                self._stream = NoiseStream(model, sample_rate, num_channels)

    @property
    def windows(self) -> WindowTable:
        """All windows, once it was flushed."""
        return WindowTable.joined(self._windows)

    @property
    def events(self) -> tuple[Event, ...]:
        """The windows merged."""
        return NoiseEvents.of(self.windows)

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """What is to be said: that the classifier in use could not be used."""
        if self._fault is None:
            return ()
        message = f"noises were not named: {self._fault}"
        return (Remark(code=WarningCode.MODEL_UNAVAILABLE, message=message),)

    def process(self, chunk: Chunk) -> None:
        """Listen to ``chunk`` (num_samples, num_channels)."""
        if self._stream is not None:
            self._hear(functools.partial(self._stream.process, chunk))

    def flush(self) -> None:
        """Hear the rest; after that it listens no more, and what it heard stays."""
        if self._stream is not None:
            self._hear(self._stream.flush)
            self._stream = None

    def _hear(self, listen: Callable[[], WindowTable]) -> None:
        started = time.perf_counter()
        try:
            heard = listen()
        except ModelBundleError as error:
            self._give_up(error)
        else:
            if len(heard):
                self._windows.append(heard)
        self.classify_s = (self.classify_s or 0.0) + time.perf_counter() - started

    def _give_up(self, error: ModelBundleError) -> None:
        self._fault = f"{error.code}: {error}"
        self._stream = None
        self._windows = []
