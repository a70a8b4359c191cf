"""What a protector needs of a detector: decisions that become final with a known delay.

The guard (``anc_core.processors.EmergencyGuard``) holds samples back until the detector has decided
them, so a sound may be recognised late and still be protected from its beginning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from anc_core.arrays import Chunk
from anc_core.records import Event, Window

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class RidgePoints:
    """Where ridges are.

    Attributes
    ----------
    time_s : ndarray of float64
        Centre of the frame, from the start of the stream.
    pitch : ndarray of float64
        log2 of the frequency in Hz.
    slope : ndarray of float64
        Octaves a second.
    """

    time_s: NDArray[np.float64]
    pitch: NDArray[np.float64]
    slope: NDArray[np.float64]


class RidgeSource(Protocol):
    """Says where ridges are that must be kept; final with a known delay, whatever the split."""

    @property
    def look_ahead_s(self) -> float:
        """Seconds after which a moment is certainly decided."""

    @property
    def decided_s(self) -> float:
        """Seconds from the start of the stream before which all is final."""

    def within(self, start_s: float, stop_s: float) -> RidgePoints:
        """Return the points in [start_s, stop_s); what lies before may be forgotten.

        Only for ``stop_s <= decided_s``.
        """


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
    def ridges(self) -> RidgeSource | None:
        """Where tones and sweeps last, if it was asked to say that."""

    @property
    def windows(self) -> tuple[Window, ...]:
        """Decisions so far (complete after ``flush``)."""

    @property
    def events(self) -> tuple[Event, ...]:
        """Merged events so far (complete after ``flush``)."""
