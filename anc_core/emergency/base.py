"""What a protector needs of a detector: decisions that become final with a known delay.

The guard (``anc_core.processors.EmergencyGuard``) holds samples back until the detector has decided
them, so a sound may be recognised late and still be protected from its beginning.
"""

from __future__ import annotations

from typing import Protocol

from anc_core.arrays import Chunk
from anc_core.records import Event, Window


class EmergencyDetector(Protocol):
    """Listens to a stream and says which stretches hold an emergency sound.

    Laws: decisions do not depend on how the stream is split; once a sample is below ``num_decided``
    the stretches that cover it no longer change; after ``flush`` every sample is decided.
    """

    @property
    def latency(self) -> int:
        """Samples after which a sample is certainly decided."""

    def process(self, chunk: Chunk) -> None:
        """Listen to ``chunk`` (num_samples >= 0, num_channels)."""

    def flush(self) -> None:
        """Decide all that was heard."""

    def reset(self) -> None:
        """Forget everything."""

    @property
    def num_decided(self) -> int:
        """Samples from the start of the stream whose protection is final."""

    def protected(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Return the protected stretches within [start, stop), sorted, disjoint, in samples.

        Only for ``stop <= num_decided``; what lies before ``start`` may be forgotten.
        """

    @property
    def windows(self) -> tuple[Window, ...]:
        """Decisions so far (complete after ``flush``)."""

    @property
    def events(self) -> tuple[Event, ...]:
        """Merged events so far (complete after ``flush``)."""
