"""The learned engine: one network at every sample rate, looking ahead, in constant memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
STRETCHES_AT_ONCE = 2
"""Channels, or blocks of a recording with one, that the network runs side by side: a recurrent
layer works a frame at a time and would read all its weights for each. Four would be hardly faster
and take 70 MB more at 48 kHz."""
_LEAST_FRAMES = 256
"""Levels and noise floors need some seconds, and the network was trained on as many frames: no
block but that of a short recording has fewer."""

MIN_SAMPLE_RATE_HZ = 8_000
DEFAULT_MAX_ATTENUATION_DB = 40.0

_MIN_LEVEL = 1e-18
"""Mean power of a cell, about -200 dBFS: below it a stretch counts as silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cut:
    """How the frames that are known fall into what the network sees and what is due."""

    now: slice
    """Frames that are due."""
    stretches: Sequence[slice]
    """What the network sees at once, one for each block of them."""
    blocks: Sequence[slice]
    """Where in its stretch a block is."""


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
    bit for bit. Up to 21 s of samples of one channel wait inside, 13 s of more channels.
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
        self._blocks_at_once = max(1, STRETCHES_AT_ONCE // self._num_channels)
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
        needed = self._blocks_at_once * BLOCK_FRAMES + _LEAST_FRAMES
        while len(self._buffer) >= (self._num_before + needed + 1) * self._hop_length:
            outputs.append(self._next_blocks(self._blocks_at_once, BLOCK_FRAMES, _LEAST_FRAMES))
        return outputs

    def _last_blocks(self, num_frames: int) -> list[Chunk]:
        outputs = []
        num_left = num_frames - self._num_frames_done
        num_blocks = max(0, num_left - _LEAST_FRAMES) // BLOCK_FRAMES
        if num_blocks:
            outputs.append(self._next_blocks(num_blocks, BLOCK_FRAMES, _LEAST_FRAMES))
            num_left -= num_blocks * BLOCK_FRAMES
        return [*outputs, self._next_blocks(1, num_left, 0)]

    def _next_blocks(self, num_blocks: int, block_frames: int, num_ahead: int) -> Chunk:
        """Return the samples that the next ``num_blocks`` of ``block_frames`` complete.

        ``num_ahead`` frames beyond them may be looked at.
        """
        before, num_frames = self._num_before, num_blocks * block_frames
        known = self._buffer.peek((before + num_frames + num_ahead + 1) * self._hop_length)
        # All stretches are of one length; that of the very first block, which has no past, sees
        # more of the future.
        length = min(block_frames + 2 * LOOK_AHEAD_FRAMES, before + num_frames + num_ahead)
        blocks = [before + index * block_frames for index in range(num_blocks)]
        stretches = [max(0, block - LOOK_AHEAD_FRAMES) for block in blocks]
        cut = _Cut(
            now=slice(before, before + num_frames),
            stretches=[slice(start, start + length) for start in stretches],
            blocks=[
                slice(block - start, block - start + block_frames)
                for block, start in zip(blocks, stretches, strict=True)
            ],
        )
        step = max(1, STRETCHES_AT_ONCE // num_blocks)
        groups = [
            range(self._num_channels)[i : i + step] for i in range(0, self._num_channels, step)
        ]
        linked = self._linked(known, groups, cut) if self._is_linked else None
        output = np.empty((num_frames * self._hop_length, self._num_channels), np.float32)
        for channels in groups:
            spectra = self._spectra(known, channels)
            gains = self._gains(spectra, cut) if linked is None else [linked] * len(spectra)
            for index, spectrum, gain in zip(channels, spectra, gains, strict=True):
                now = spectrum[cut.now]
                now *= gain
                output[:, index], self._tails[index] = synthesise(
                    now, self._window, self._tails[index]
                )
        self._num_before = min(LOOK_AHEAD_FRAMES, before + num_frames)
        self._buffer.drop((before + num_frames - self._num_before) * self._hop_length)
        return self._count_done(output, num_frames)

    def _spectra(self, known: Chunk, channels: range) -> list[NDArray[np.complex64]]:
        return [analyse(np.ascontiguousarray(known[:, index]), self._window) for index in channels]

    def _linked(self, known: Chunk, groups: Sequence[range], cut: _Cut) -> NDArray[np.float32]:
        """Return the gain that all channels share; their spectra are not kept, they may be many."""
        linked = LinkedGain(cut.now.stop - cut.now.start, self._hop_length + 1)
        for channels in groups:
            spectra = self._spectra(known, channels)
            for spectrum, gain in zip(spectra, self._gains(spectra, cut), strict=True):
                linked.add(gain, _power(spectrum[cut.now]))
        return linked.result()

    def _gains(
        self, spectra: Sequence[NDArray[np.complex64]], cut: _Cut
    ) -> list[NDArray[np.float32]]:
        """Return for each channel the gain of every cell of the frames that are due."""
        gains = self._stretch_gains([s[part] for s in spectra for part in cut.stretches])
        num_parts = len(cut.stretches)
        return [
            np.concatenate(
                [
                    gain[block]
                    for gain, block in zip(gains[i : i + num_parts], cut.blocks, strict=True)
                ]
            )
            for i in range(0, len(gains), num_parts)
        ]

    def _stretch_gains(
        self, stretches: Sequence[NDArray[np.complex64]]
    ) -> list[NDArray[np.float32]]:
        """Return the gain of every cell of each of ``stretches``, (num_frames, num_bins) all."""
        powers = [_seen_power(spectra) for spectra in stretches]
        levels = [mean_power(power) for power in powers]
        least = _MIN_LEVEL * len(self._window) ** 2
        audible = [index for index, level in enumerate(levels) if level > least]
        gains = [np.ones(spectra.shape, np.float32) for spectra in stretches]
        if not audible:
            return gains
        learned = self._model.gains(np.stack([features(powers[i], levels[i]) for i in audible]))
        for index, seen in zip(audible, learned, strict=True):
            self._fill(gains[index], seen, powers[index], stretches[index])
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
