"""The classical engine: streaming spectral suppression, no weights, any sample rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from anc_core.arrays import Chunk
from anc_core.dsp.frames import analyse, synthesise
from anc_core.presets import SuppressionParameters
from anc_core.processors.framewise import FramewiseSuppressor

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Frames are transformed and weighted in blocks counted from the start of the stream, so that no
# result can depend on how the stream was split.
_BLOCK_FRAMES = 32
_LOOK_AHEAD_S = 1.0
"""What the first estimate of the noise may look at beyond the first block."""

DEFAULT_MAX_ATTENUATION_DB = 18.0
"""Where the preset names none: it hides the errors of the gain, and with them musical noise."""


class SpectralSuppressor(FramewiseSuppressor):
    """Lower every time-frequency cell by as much as it looks like noise.

    Parameters
    ----------
    sample_rate : float
        Hz, 1 000 to 768 000: the engine works at the recording's own rate.
    num_channels : int, default 1
        Channels are independent of each other.
    parameters : SuppressionParameters, optional
        All numbers; default those of the preset ``default``.

    Raises
    ------
    InputError
        If a parameter is out of its range.

    Notes
    -----
    Half-overlapping frames with a square-root Hann window; the gain is that of
    :mod:`anc_core.dsp.suppression`. The noise estimate of a channel starts from the quiet moments
    of the second that follows its first sound, so samples are held back that long; at most
    about 1.5 s of them wait inside. Non-finite samples count as 0, and magnitudes above 1e9 as
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
        look_ahead_frames = math.ceil(_LOOK_AHEAD_S * self._sample_rate / self._hop_length)
        self._num_known_frames = _BLOCK_FRAMES + look_ahead_frames
        self._channels: list[_Channel] = []
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
                _Channel(self.parameters, self._max_attenuation_db, self._window, self._sample_rate)
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
        for index, channel in enumerate(self._channels):
            output[:, index] = channel.process(np.ascontiguousarray(known[:, index]), num_frames)
        self._buffer.drop(num_frames * self._hop_length)
        return self._count_done(output, num_frames)


class _Channel:
    """One channel: samples of whole frames in, as many hops of samples out."""

    def __init__(
        self,
        parameters: SuppressionParameters,
        max_attenuation_db: float,
        window: NDArray[np.float32],
        sample_rate: int,
    ) -> None:
        # Loads numba: only when the first engine is built.
        from anc_core.dsp import noise_start, suppression

        self._suppression = suppression
        self._first_noise_psd = noise_start.first_noise_psd
        self._window = window
        hop_length = len(window) // 2
        self._tail = np.zeros(hop_length, np.float32)
        self._state: suppression.SuppressionState | None = None
        self._numbers = (
            np.float32(math.exp(-hop_length / sample_rate / suppression.NOISE_SMOOTHING_S)),
            np.float32(parameters.snr_smoothing),
            np.float32(10 ** (parameters.min_a_priori_snr_db / 10)),
            np.float32(10 ** (-max_attenuation_db / 20)),
            np.float32(parameters.strength),
        )

    def process(self, known: NDArray[np.float32], num_frames: int) -> NDArray[np.float32]:
        """Return ``num_frames`` hops; ``known`` may reach farther, for the start of the noise."""
        hop_length = len(self._tail)
        spectra = analyse(known[: (num_frames + 1) * hop_length], self._window)
        if self._state is None:
            self._start(known, spectra)
        if self._state is not None:
            state = self._state
            self._suppression.suppress_block(
                spectra, state.noise_psd, state.presence, state.clean_psd, *self._numbers
            )
        samples, self._tail = synthesise(spectra, self._window, self._tail)
        return samples

    def _start(self, known: NDArray[np.float32], spectra: NDArray[np.complex64]) -> None:
        """Estimate the noise, unless nothing but digital silence has come so far."""
        if self._first_noise_psd(spectra) is None:
            return
        noise_psd = self._first_noise_psd(analyse(known, self._window))
        if noise_psd is not None:
            self._state = self._suppression.SuppressionState.start(noise_psd)
