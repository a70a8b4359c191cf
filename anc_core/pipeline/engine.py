"""Which processor does the work: chosen from mode, preset and the presence of a reference."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from anc_core.arrays import Chunk
from anc_core.dsp.adaptive_filter import ALGORITHMS
from anc_core.dsp.buffer import SampleBuffer
from anc_core.errors import InputError
from anc_core.metrics.voice_witness import VoiceWitness
from anc_core.presets import CancellationParameters, Preset
from anc_core.processors import ReferenceCanceller, Suppressor
from anc_core.processors.suppress import SPECTRAL
from anc_core.records import Mode


def resolve_mode(mode: Mode | str, *, has_reference: bool) -> Mode:
    """Return what ``auto`` means here.

    Raises
    ------
    InputError
        If the mode is unknown, ``cancel`` lacks its reference, or ``suppress`` is given one.
    """
    try:
        mode = Mode(mode)
    except ValueError:
        known = ", ".join(m.value for m in Mode)
        msg = f"mode {str(mode)!r} is unknown; choose one of {known}"
        raise InputError(msg) from None
    if mode is Mode.CANCEL and not has_reference:
        msg = (
            "mode 'cancel' needs a reference: give reference_path, the noise picked up elsewhere, "
            "or reference_channel, the channel of the recording that holds it"
        )
        raise InputError(msg)
    if mode is Mode.SUPPRESS and has_reference:
        msg = "mode 'suppress' takes no reference; leave it out, or use mode 'cancel'"
        raise InputError(msg)
    if mode is Mode.AUTO:
        return Mode.CANCEL if has_reference else Mode.SUPPRESS
    return mode


def check_algorithm(algorithm: str) -> None:
    """Raise :class:`InputError` if no canceller is called ``algorithm``."""
    if algorithm not in ALGORITHMS:
        msg = f"algorithm {algorithm!r} is unknown; choose one of {', '.join(ALGORITHMS)}"
        raise InputError(msg)


def build_suppressor(
    preset: Preset, sample_rate: int, num_channels: int, models: Path | None = None
) -> Suppressor:
    """Return the suppressor that ``preset`` describes; ``models`` is this installation's folder."""
    return Suppressor(sample_rate, num_channels, parameters=preset.suppression, model=models)


def suppression_model_id(preset: Preset, models: Path) -> str | None:
    """Return the id of the weights that ``preset`` will be carried out with, None for none."""
    if preset.suppression.method == SPECTRAL:
        return None
    from anc_core.denoiser.models import usable_model_id

    return usable_model_id(models)


def build_canceller(
    parameters: CancellationParameters,
    sample_rate: int,
    num_channels: int,
    num_reference_channels: int,
) -> ReferenceCanceller:
    """Return the canceller that ``parameters`` describe."""
    return ReferenceCanceller(
        sample_rate,
        num_channels,
        num_reference_channels,
        algorithm=parameters.algorithm,
        num_taps=parameters.num_taps,
        step_size=parameters.step_size,
    )


class Bypass:
    """The processor that changes nothing: output is the input bit for bit."""

    latency = 0

    def __init__(self, num_channels: int) -> None:
        self.num_channels = num_channels

    def process(self, chunk: Chunk) -> Chunk:
        """Return ``chunk`` itself."""
        return chunk

    def flush(self) -> Chunk:
        """Return nothing: all has come out."""
        return np.zeros((0, self.num_channels), np.float32)

    def reset(self) -> None:
        """Do nothing: there is no state."""


class WithReference:
    """Make a canceller a plain :class:`Processor`: the reference is drawn alongside the input.

    Parameters
    ----------
    canceller : ReferenceCanceller
        Takes input and reference chunks of equal length.
    reference : iterable of Chunk
        The reference stream at the input's rate, (n, num_reference_channels). A shorter one counts
        as silent after its end.
    num_reference_channels : int
        Columns of ``reference``.
    """

    def __init__(
        self, canceller: ReferenceCanceller, reference: Iterable[Chunk], num_reference_channels: int
    ) -> None:
        self.canceller = canceller
        self._reference = iter(reference)
        self._num_reference_channels = num_reference_channels
        self._waiting = SampleBuffer(num_reference_channels)
        self._has_drawn = False
        self.num_missing = 0
        """Samples that came after the reference's end."""
        self.witness = VoiceWitness(canceller.sample_rate)
        self._to_drop = canceller.latency

    @property
    def num_channels(self) -> int:
        """Columns of the primary signal."""
        return self.canceller.num_channels

    @property
    def latency(self) -> int:
        """Delay of the canceller, in samples."""
        return self.canceller.latency

    def process(self, chunk: Chunk) -> Chunk:
        """Cancel what ``chunk`` shares with as many samples of the reference."""
        reference = self._draw(len(chunk))
        return self._witnessed(chunk, reference, self.canceller.process(chunk, reference))

    def flush(self) -> Chunk:
        """Return the canceller's rest."""
        nothing = np.zeros((0, 1), np.float32)
        return self._witnessed(nothing, nothing, self.canceller.flush())

    def reset(self) -> None:
        """Start again, unless the reference was drawn from: it cannot be drawn twice."""
        if self._has_drawn:
            msg = "a canceller fed from a stream cannot start again; build a new one"
            raise InputError(msg)
        self.canceller.reset()

    def _witnessed(self, chunk: Chunk, reference: Chunk, output: Chunk) -> Chunk:
        dropped = min(self._to_drop, len(output))
        self._to_drop -= dropped
        self.witness.add(chunk, reference, output[dropped:])
        return output

    def _draw(self, num_samples: int) -> Chunk:
        self._has_drawn = True
        while len(self._waiting) < num_samples:
            chunk = next(self._reference, None)
            if chunk is None:
                missing = num_samples - len(self._waiting)
                self.num_missing += missing
                self._waiting.put(np.zeros((missing, self._num_reference_channels), np.float32))
                break
            self._waiting.put(chunk)
        return self._waiting.take(num_samples)
