"""Sounds and spectrograms that a page carries inside of itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from anc_core.audio import StreamResampler

Samples: TypeAlias = NDArray[np.float32]

DYNAMIC_RANGE_DB = 70.0
"""Of the spectrograms' colours, below the loudest cell of the unprocessed sound."""

_FRAME_S, _HOP_S = 0.032, 0.008
_PICTURE_INCHES = (4.6, 1.9)
_INK = "#808890"  # readable on white and on black


def data_url(kind: str, content: bytes) -> str:
    """Return ``content`` of the MIME type ``kind`` as an address that needs no network."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def at_rate(samples: Samples, rate: int, wanted: int) -> Samples:
    """Return one channel resampled from ``rate`` to ``wanted`` Hz."""
    if rate == wanted:
        return samples
    resampler = StreamResampler(rate, wanted, 1)
    parts = [resampler.process(samples[:, np.newaxis]), resampler.flush()]
    return np.concatenate(parts)[:, 0]


def spectrograms(clips: Sequence[Samples], rate: int, *, dpi: int = 110) -> Iterator[str]:
    """Yield a spectrogram of each clip as PNG; the first one sets the colour scale of all."""
    levels = [_spectrogram_db(samples, rate) for samples in clips]
    top = float(np.max(levels[0], initial=-200.0))
    for level in levels:
        yield data_url("image/png", _drawn(level, rate, top, dpi))


def _spectrogram_db(samples: Samples, rate: int) -> NDArray[np.float32]:
    """Return levels of shape (num_bins, num_frames), dB."""
    length, hop = max(round(_FRAME_S * rate), 16), max(round(_HOP_S * rate), 1)
    padded = np.pad(samples, (length // 2, length))
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]
    frames = frames[: max(1, -(-len(samples) // hop))]
    power = np.abs(np.fft.rfft(frames * np.hanning(length).astype(np.float32))) ** 2
    return np.asarray(10.0 * np.log10(power.T / length**2 + 1e-20), np.float32)


def _drawn(level_db: NDArray[np.float32], rate: int, top_db: float, dpi: int) -> bytes:
    # Figure and canvas by hand: pyplot would keep every figure, and look for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_PICTURE_INCHES, dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    seconds, kilohertz = level_db.shape[1] * _HOP_S, rate / 2_000
    axes.imshow(
        level_db,
        origin="lower",
        aspect="auto",
        extent=(0.0, seconds, 0.0, kilohertz),
        cmap="magma",
        vmin=top_db - DYNAMIC_RANGE_DB,
        vmax=top_db,
        interpolation="antialiased",
    )
    axes.set_xlabel("s", color=_INK, fontsize=8, labelpad=0)
    axes.set_ylabel("kHz", color=_INK, fontsize=8)
    axes.tick_params(colors=_INK, labelsize=8)
    for spine in axes.spines.values():
        spine.set_color(_INK)
    file = io.BytesIO()
    figure.savefig(file, format="png", transparent=True)
    return file.getvalue()
