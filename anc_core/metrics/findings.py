"""Remarks on the recording itself: clipping, DC, dead channels, a band narrower than the rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anc_core.dsp.levels import SILENCE_DBFS, SILENCE_POWER, power_to_db
from anc_core.errors import WarningCode
from anc_core.records import Remark

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_DC_OFFSET = 0.01
"""-40 dBFS: it costs headroom and clicks at edits; converters in order stay far below."""

_MIN_DC_S = 0.5  # the mean of a few samples is not an offset
_LIVE_POWER = 1e-7  # -70 dBFS: beside such a channel a silent one is broken, not quiet
_WELL_BELOW = 0.55  # of Nyquist: half-rate audio counts, MP3's 16 kHz at 44.1 kHz does not
_REMAINDER = 1e-5  # -50 dB: the power above the edge, of the whole
_CLIFF = 10.0**2.5  # 25 dB within half an octave: no natural sound falls so, a resampler does
_GUARD = 1.1


def clipped_remark(counts: NDArray[np.int64], num_samples: int) -> Remark | None:
    """Return CLIPPED if any channel has clipped samples."""
    if not counts.any():
        return None
    share = counts.sum() / (max(num_samples, 1) * len(counts))
    channels = ", ".join(str(channel) for channel in np.flatnonzero(counts))
    return Remark(
        code=WarningCode.CLIPPED,
        message=f"{counts.sum()} samples ({share:.3%}) are clipped, in channels {channels}",
    )


def dc_remark(offsets: NDArray[np.float64], duration_s: float) -> Remark | None:
    """Return DC_OFFSET if the mean of any channel is beyond ±0.01 over at least 0.5 s."""
    worst = int(np.argmax(np.abs(offsets)))
    if abs(offsets[worst]) <= MAX_DC_OFFSET or duration_s < _MIN_DC_S:
        return None
    return Remark(
        code=WarningCode.DC_OFFSET,
        message=f"the mean of channel {worst} is {offsets[worst]:+.3f} of full scale",
    )


def dead_channel_remark(powers: NDArray[np.float64]) -> Remark | None:
    """Return DEAD_CHANNEL if a channel is silent beside live ones.

    Parameters
    ----------
    powers : ndarray, shape (num_channels,)
        Mean squares of the whole recording, DC apart.
    """
    dead = np.flatnonzero(powers < SILENCE_POWER)
    if dead.size == 0 or powers.max() < _LIVE_POWER:
        return None
    return Remark(
        code=WarningCode.DEAD_CHANNEL,
        message=f"channels {', '.join(map(str, dead))} are silent (below {SILENCE_DBFS:g} dBFS) "
        f"beside others at up to {power_to_db(powers.max()):.0f} dBFS",
    )


def narrowband_remark(spectrum: NDArray[np.float64], sample_rate: int) -> Remark | None:
    """Return NARROWBAND if the sound ends in a cliff well below the Nyquist frequency.

    Parameters
    ----------
    spectrum : ndarray, shape (num_bins,)
        Mean power spectrum, 0 Hz to Nyquist.
    sample_rate : int
        Hz.
    """
    edge = bandwidth_hz(spectrum, sample_rate)
    if edge is None or edge > _WELL_BELOW * sample_rate / 2.0:
        return None
    return Remark(
        code=WarningCode.NARROWBAND,
        message=f"there is no sound above {edge:.0f} Hz although the rate of {sample_rate} Hz "
        f"leaves room up to {sample_rate // 2} Hz: probably recorded or coded at a lower rate",
    )


def bandwidth_hz(spectrum: NDArray[np.float64], sample_rate: int) -> float | None:
    """Return the frequency where the spectrum ends in a cliff, or ``None`` without one.

    A cliff: less than -50 dB of the power lies above, and the median density within half an octave
    below the edge is at least 25 dB above the density of everything higher. The median, because a
    lone tone is no edge: the noise beside it goes on above it.
    """
    total = spectrum.sum()
    if total <= 0.0:
        return None
    above = np.cumsum(spectrum[::-1])[::-1]
    edge = int(np.searchsorted(-above, -_REMAINDER * total))
    low, high = int(edge / np.sqrt(2.0)), int(np.ceil(edge * _GUARD)) + 1
    if low >= edge or high >= len(spectrum):
        return None
    if np.median(spectrum[low:edge]) < _CLIFF * spectrum[high:].mean():
        return None
    return edge * sample_rate / (2.0 * (len(spectrum) - 1))
