"""How the figures of frames lie and move within a window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

_QUANTILES = (0.1, 0.5, 0.9)
STATISTICS = ("mean", "std", *(f"q{round(100 * q)}" for q in _QUANTILES), "change")
"""Of every track; ``change`` is the mean absolute difference of neighbouring frames."""

_AUDIBLE_SHARE = np.float32(1e-5)
"""Of the loudest frame of a window (-50 dB): what is softer takes no part."""


def is_audible(power: FloatArray) -> NDArray[np.bool_]:
    """Return which frames take part, of ``power`` (num_windows, length); at least one a window."""
    least: FloatArray = _AUDIBLE_SHARE * power.max(axis=1, keepdims=True)
    return power >= least


def track_statistics(tracks: FloatArray, audible: NDArray[np.bool_]) -> list[FloatArray]:
    """Return STATISTICS over the audible frames.

    Silence between sounds would otherwise weigh as much as they do.

    Parameters
    ----------
    tracks : float32, shape (num_tracks, num_windows, length)
    audible : bool, shape (num_windows, length)
        At least one of a window.

    Returns
    -------
    list of float32, shape (num_tracks, num_windows)
        One for each of STATISTICS.
    """
    count = audible.sum(axis=1)
    weight = audible / count[:, np.newaxis].astype(np.float32)
    mean = np.einsum("twl,wl->tw", tracks, weight)
    # One array for all that follows: fresh memory costs more than what is computed in it.
    work = np.subtract(tracks, mean[:, :, np.newaxis])
    np.square(work, out=work)
    variance = np.einsum("twl,wl->tw", work, weight)
    np.copyto(work, tracks)
    np.copyto(work, np.float32(np.inf), where=~audible)
    work.sort(axis=2)
    quantiles = []
    for q in _QUANTILES:
        place = np.rint(q * (count - 1)).astype(np.int64)[np.newaxis, :, np.newaxis]
        quantiles.append(np.take_along_axis(work, place, axis=2)[:, :, 0])
    both = (audible[:, 1:] & audible[:, :-1]).astype(np.float32)
    both /= np.maximum(both.sum(axis=1, keepdims=True), 1.0)
    steps = work[:, :, 1:]
    np.subtract(tracks[:, :, 1:], tracks[:, :, :-1], out=steps)
    np.abs(steps, out=steps)
    change = np.einsum("twl,wl->tw", steps, both)
    return [mean, np.sqrt(variance), *quantiles, change]
