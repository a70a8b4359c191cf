"""Resampling of a stream, chunk by chunk: SoX's resampler, linear phase, delay removed.

SoX resampler library (R. Sykes, libsoxr), polyphase FIR with a linear-phase response; ``HQ`` keeps
the band to 0.91 of the lower Nyquist frequency and rejects images by about 120 dB.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from anc_core.arrays import Chunk, check_chunk, check_num_channels, check_sample_rate
from anc_core.errors import InputError

QUALITIES = ("QQ", "LQ", "MQ", "HQ", "VHQ")


class StreamResampler:
    """Changes the sample rate of a stream.

    Parameters
    ----------
    source_rate, target_rate : int
        Hz.
    drift_ppm : float, default 0
        How much too fast the clock of the source is, -1000 to 1000 µs each second: its rate is
        taken as that much higher.
    num_channels : int
        Columns of every chunk.
    quality : {"QQ", "LQ", "MQ", "HQ", "VHQ"}
        soxr's recipes, quick to very high.

    Notes
    -----
    All of :meth:`process` and one :meth:`flush` together return ``num_resampled(num_samples)``
    samples with the first on the first, whatever the split, bit for bit. Equal rates pass through
    untouched.

    Raises
    ------
    InputError
        If a rate, the number of channels or the quality is outside its range.
    """

    def __init__(
        self,
        source_rate: int,
        target_rate: int,
        num_channels: int,
        quality: str = "HQ",
        *,
        drift_ppm: float = 0.0,
    ) -> None:
        self.source_rate = check_sample_rate(source_rate)
        self.target_rate = check_sample_rate(target_rate)
        self.num_channels = check_num_channels(num_channels)
        if quality not in QUALITIES:
            msg = f"quality is {quality!r}; choose one of {', '.join(QUALITIES)}"
            raise InputError(msg)
        if not -1000 <= drift_ppm <= 1000:
            raise InputError(f"drift_ppm is {drift_ppm}; it must be from -1000 to 1000")
        self.quality = quality
        self._ratio = Fraction(self.target_rate, self.source_rate) / (
            1 + Fraction(drift_ppm) / 1_000_000
        )
        self._stream: Any = None

    def num_resampled(self, num_samples: int) -> int:
        """Return how many samples ``num_samples`` become: their time, rounded half up."""
        return math.floor(num_samples * self._ratio + Fraction(1, 2))

    def process(self, chunk: Chunk) -> Chunk:
        """Take ``chunk`` (n >= 0, num_channels), return the samples that are ready (m >= 0)."""
        chunk = check_chunk(chunk, self.num_channels)
        if self._ratio == 1:
            return chunk.copy()
        return self._resample(chunk, last=False)

    def flush(self) -> Chunk:
        """Return the rest; the next stream begins anew."""
        nothing = np.zeros((0, self.num_channels), np.float32)
        if self._stream is None:
            return nothing
        rest = self._resample(nothing, last=True)
        self.reset()
        return rest

    def reset(self) -> None:
        """Forget all samples."""
        self._stream = None

    def _resample(self, chunk: Chunk, *, last: bool) -> Chunk:
        if self._stream is None:
            import soxr  # only the few recordings at another rate need it

            self._stream = soxr.ResampleStream(
                float(self.target_rate / self._ratio),
                self.target_rate,
                self.num_channels,
                dtype="float32",
                quality=self.quality,
            )
        resampled = self._stream.resample_chunk(chunk, last=last)
        return np.ascontiguousarray(resampled, dtype=np.float32)
