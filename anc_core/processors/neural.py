"""The learned engine: one network at every sample rate, looking ahead, in constant memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.arrays import Chunk
from anc_core.denoiser.features import FRAME_S, NUM_BINS, features, mean_power
from anc_core.denoiser.upper_band import gains_above
from anc_core.dsp.frames import analyse, synthesise
from anc_core.dsp.linked_gain import LinkedGain
from anc_core.errors import InputError
from anc_core.presets import SuppressionParameters
from anc_core.processors.framewise import FramewiseSuppressor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anc_core.denoiser.inference import GainModel

BLOCK_FRAMES = 512
"""Frames (8.2 s) that the network weighs at once, counted from the start of the stream."""
LOOK_AHEAD_FRAMES = 32
"""What it may see beyond them on either side (0.5 s): a recurrent network needs a run-up."""
_LEAST_FRAMES = 256
"""Levels and noise floors need some seconds, and the network was trained on as many frames: no
block but that of a short recording has fewer."""

MIN_SAMPLE_RATE_HZ = 8_000
DEFAULT_MAX_ATTENUATION_DB = 40.0

_MIN_LEVEL = 1e-18
"""Mean power of a cell, about -200 dBFS: below it a stretch counts as silent."""


class NeuralSuppressor(FramewiseSuppressor):
    """Lower every time-frequency cell by as much as a trained network takes it for noise.

    Parameters
    ----------
    sample_rate : float
        Hz, 8 000 or more.
    num_channels : int, default 1
        Each has gains of its own, unless ``parameters.link_channels``.
    model : GainModel
        The network.
    parameters : SuppressionParameters, optional
        ``strength`` and ``max_attenuation_db`` count here; the latter is 40 dB if not given.

    Raises
    ------
    InputError
        If the sample rate is lower than the network's speech band needs.

    Notes
    -----
    Frames last 32 ms at every rate, so that bin k is the same frequency (within 2 %) whatever the
    recording's rate; the network sees bins 1 to 256 and no resampling is needed. A recording with
    less bandwidth has empty bins there, as a telephone call at 16 kHz has. What lies above 8 kHz is
    left to :mod:`anc_core.denoiser.upper_band`.

    Blocks are counted from the start of the stream: any split of the input gives the same output,
    bit for bit, and a channel has the same output whatever the others hold, unless they are linked.
    Up to 13 s of samples wait inside.
    """

    def __init__(
        self,
        sample_rate: float,
        num_channels: int = 1,
        *,
        model: GainModel,
        parameters: SuppressionParameters | None = None,
    ) -> None:
        super().__init__(
            sample_rate,
            num_channels,
            parameters,
            frame_s=FRAME_S,
            default_max_attenuation_db=DEFAULT_MAX_ATTENUATION_DB,
        )
        if self._sample_rate < MIN_SAMPLE_RATE_HZ:
            msg = f"the neural engine needs {MIN_SAMPLE_RATE_HZ} Hz or more, not {sample_rate}"
            raise InputError(msg)
        self._model = model
        self._strength = np.float32(self.parameters.strength)
        self.reset()

    @property
    def latency(self) -> int:
        """Delay in samples: the look-ahead of 32 frames and one frame more."""
        return (LOOK_AHEAD_FRAMES + 2) * self._hop_length

    def reset(self) -> None:
        """Forget everything heard so far."""
        super().reset()
        self._num_before = 0  # frames at the head of the buffer that are done, kept as the run-up
        self._tails = np.zeros((self._num_channels, self._hop_length), np.float32)

    def _ready_blocks(self) -> list[Chunk]:
        outputs = []
        needed = BLOCK_FRAMES + _LEAST_FRAMES + 1
        while len(self._buffer) >= (self._num_before + needed) * self._hop_length:
            outputs.append(self._next_block(BLOCK_FRAMES, _LEAST_FRAMES))
        return outputs

    def _last_blocks(self, num_frames: int) -> list[Chunk]:
        outputs = []
        num_left = num_frames - self._num_frames_done
        if num_left >= BLOCK_FRAMES + _LEAST_FRAMES:
            outputs.append(self._next_block(BLOCK_FRAMES, _LEAST_FRAMES))
            num_left -= BLOCK_FRAMES
        return [*outputs, self._next_block(num_left, 0)]

    def _next_block(self, num_frames: int, num_ahead: int) -> Chunk:
        """Return the samples that the next ``num_frames`` frames complete.

        ``num_ahead`` frames beyond them may be looked at.
        """
        before = self._num_before
        # What the network sees: all stretches are of one length; that of the very first block,
        # which has no past, sees more of the future.
        seen = min(num_frames + 2 * LOOK_AHEAD_FRAMES, before + num_frames + num_ahead)
        known = self._buffer.peek((seen + 1) * self._hop_length)
        due = slice(before, before + num_frames)
        linked = self._linked(known, due) if self._is_linked else None
        output = np.empty((num_frames * self._hop_length, self._num_channels), np.float32)
        for index in range(self._num_channels):
            spectra = self._spectra(known, index)
            now = spectra[due]
            now *= self._gains(spectra)[due] if linked is None else linked
            output[:, index], self._tails[index] = synthesise(now, self._window, self._tails[index])
        self._num_before = min(LOOK_AHEAD_FRAMES, before + num_frames)
        self._buffer.drop((before + num_frames - self._num_before) * self._hop_length)
        return self._count_done(output, num_frames)

    def _spectra(self, known: Chunk, channel: int) -> NDArray[np.complex64]:
        return analyse(np.ascontiguousarray(known[:, channel]), self._window)

    def _linked(self, known: Chunk, due: slice) -> NDArray[np.float32]:
        """Return the gain that all channels share; their spectra are not kept, they may be many."""
        linked = LinkedGain(due.stop - due.start, self._hop_length + 1)
        for index in range(self._num_channels):
            spectra = self._spectra(known, index)
            linked.add(self._gains(spectra)[due], _power(spectra[due]))
        return linked.result()

    def _gains(self, spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Return the gain of every cell of ``spectra``, (num_frames, num_bins)."""
        power = _seen_power(spectra)
        level = mean_power(power)
        gains = np.ones(spectra.shape, np.float32)
        if level > _MIN_LEVEL * len(self._window) ** 2:
            self._fill(gains, self._model.gains(features(power, level)), power, spectra)
        return gains

    def _fill(
        self,
        gains: NDArray[np.float32],
        learned: NDArray[np.float32],
        power: NDArray[np.float32],
        spectra: NDArray[np.complex64],
    ) -> None:
        """Write into ``gains`` what the network gives, what follows for other bins, and limits."""
        num_seen = min(gains.shape[1] - 1, NUM_BINS)
        gains[:, 1 : num_seen + 1] = learned[:, :num_seen]
        gains[:, 0] = gains[:, 1]
        if gains.shape[1] > NUM_BINS + 1:
            above = slice(NUM_BINS + 1, None)
            gains[:, above] = gains_above(learned, power, spectra[:, above])
        np.maximum(gains, np.float32(self._min_gain), out=gains)
        if self._strength != 1.0:
            np.power(gains, self._strength, out=gains)


def _power(spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
    return np.square(spectra.real) + np.square(spectra.imag)


def _seen_power(spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Return the squared magnitude of the bins that the network sees; 0 where there are none."""
    num_seen = min(spectra.shape[1] - 1, NUM_BINS)
    power = np.zeros((len(spectra), NUM_BINS), np.float32)
    power[:, :num_seen] = _power(spectra[:, 1 : num_seen + 1])
    return power
