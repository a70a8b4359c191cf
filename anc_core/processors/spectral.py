"""The classical engine: streaming spectral suppression, no weights, any sample rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.arrays import Chunk
from anc_core.dsp.linked_gain import LinkedGain
from anc_core.presets import SuppressionParameters
from anc_core.processors.framewise import FramewiseSuppressor

if TYPE_CHECKING:
    from anc_core.processors.spectral_channel import Channel

# Frames are transformed and weighted in blocks counted from the start of the stream, so that no
# result can depend on how the stream was split.
_BLOCK_FRAMES = 48

DEFAULT_MAX_ATTENUATION_DB = 18.0
"""Where the preset names none: it hides the errors of the gain, and with them musical noise."""


class SpectralSuppressor(FramewiseSuppressor):
    """Lower every time-frequency cell by as much as it looks like noise.

    Parameters
    ----------
    sample_rate : float
        Hz, 1 000 to 768 000: the engine works at the recording's own rate.
    num_channels : int, default 1
        Each has gains of its own, unless ``parameters.link_channels``.
    parameters : SuppressionParameters, optional
        All numbers; default those of the preset ``default``.

    Raises
    ------
    InputError
        If a parameter is out of its range.

    Notes
    -----
    Half-overlapping frames with a square-root Hann window, in blocks of 48 that are seen together
    with the 1.5 s that follow: to tell louder noise from a voice, to estimate the SNR from both
    sides, and to start from the quiet moments of what follows the first sound. At most about 2.5 s
    of samples wait inside. Steady tones are subtracted (:mod:`anc_core.dsp.hum`), lone clicks sink
    to the noise (:mod:`anc_core.dsp.clicks`), the rest is lowered by the gain of
    :mod:`anc_core.dsp.suppression`. Non-finite samples count as 0, and magnitudes above 1e9 as
    1e9. With ``strength`` 0 or ``max_attenuation_db`` 0 every finite sample passes bit for bit,
    with the same latency.

    Examples
    --------
    >>> from anc_core.processors import aligned
    >>> noise = np.random.default_rng(1).normal(0, 0.1, (16_000, 1)).astype(np.float32)
    >>> quiet = np.concatenate(list(aligned([noise], SpectralSuppressor(16_000))))
    >>> quiet.shape == noise.shape, bool(np.std(quiet[8000:]) < 0.2 * np.std(noise))
    (True, True)
    """

    def __init__(
        self,
        sample_rate: float,
        num_channels: int = 1,
        *,
        parameters: SuppressionParameters | None = None,
    ) -> None:
        parameters = parameters or SuppressionParameters()
        super().__init__(
            sample_rate,
            num_channels,
            parameters,
            frame_s=parameters.frame_s,
            default_max_attenuation_db=DEFAULT_MAX_ATTENUATION_DB,
        )
        # Loads numba: only when the first engine is built.
        from anc_core.processors import spectral_channel

        self._new_channel = spectral_channel.Channel
        hop_s = self._hop_length / self._sample_rate
        self._num_known_frames = _BLOCK_FRAMES + spectral_channel.look_ahead_frames(hop_s)
        self._channels: list[Channel] = []
        self.reset()

    @property
    def latency(self) -> int:
        """Delay in samples: one frame, the farthest that an output sample looks ahead."""
        return len(self._window)

    def reset(self) -> None:
        """Forget everything heard so far."""
        super().reset()
        self._channels = []
        if not self.is_bypass:
            self._channels = [
                self._new_channel(self.parameters, self._min_gain, self._window, self._sample_rate)
                for _ in range(self._num_channels)
            ]

    def _ready_blocks(self) -> list[Chunk]:
        outputs = []
        while len(self._buffer) >= (self._num_known_frames + 1) * self._hop_length:
            outputs.append(self._next_block(self._num_known_frames))
        return outputs

    def _last_blocks(self, num_frames: int) -> list[Chunk]:
        outputs = []
        while self._num_frames_done < num_frames:
            outputs.append(self._next_block(num_frames - self._num_frames_done))
        return outputs

    def _next_block(self, num_known_frames: int) -> Chunk:
        """Return the samples that the next block of frames completes.

        ``num_known_frames`` from here on may be looked at; this many must wait in the buffer.
        """
        num_frames = min(_BLOCK_FRAMES, num_known_frames)
        known_frames = min(self._num_known_frames, num_known_frames)
        known = self._buffer.peek((known_frames + 1) * self._hop_length)
        output = np.empty((num_frames * self._hop_length, self._num_channels), np.float32)
        columns = [np.ascontiguousarray(column) for column in known.T]
        if self._is_linked:
            linked = LinkedGain(num_frames, self._hop_length + 1)
            for channel, samples in zip(self._channels, columns, strict=True):
                linked.add(channel.gain(samples, num_frames), channel.psd(num_frames))
            for index, channel in enumerate(self._channels):
                output[:, index] = channel.apply(linked.result())
        else:
            for index, channel in enumerate(self._channels):
                output[:, index] = channel.apply(channel.gain(columns[index], num_frames))
        self._buffer.drop(num_frames * self._hop_length)
        return self._count_done(output, num_frames)
