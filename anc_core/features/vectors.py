"""One vector a window, from the figures of its frames.

A window may be as short as a second or as long as a recording: every figure is a mean, a quantile
or a rate, so that the same number means the same thing. None depends on the level.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from anc_core.errors import InputError
from anc_core.features import frame_features as frames_module
from anc_core.features.filterbanks import cosine_transform
from anc_core.features.frame_features import (
    FAST_PER_FRAME,
    FRAME_LENGTH,
    HOP_LENGTH,
    NUM_BANDS,
    NUM_MELS,
    SAMPLE_RATE,
    SCALARS,
    FrameFeatures,
)
from anc_core.features.modulation import (
    FAST_NAMES,
    SLOW_NAMES,
    fast_modulation,
    slow_modulation,
)
from anc_core.features.rhythm import ENVELOPE_NAMES, ONSET_NAMES, envelope, onsets
from anc_core.features.track_statistics import STATISTICS, is_audible, track_statistics

FloatArray = NDArray[np.float32]

NUM_CEPSTRA = 20
MIN_FRAMES = 3
"""Of a window: an onset needs a frame on either side."""
MIN_SAMPLES = FRAME_LENGTH + (MIN_FRAMES - 1) * HOP_LENGTH

_TRACKS = (
    *(f"mel_{i}" for i in range(NUM_MELS)),
    *(f"cepstrum_{i}" for i in range(NUM_CEPSTRA)),
    *(f"contrast_{i}" for i in range(NUM_BANDS)),
    *(f"band_flatness_{i}" for i in range(NUM_BANDS)),
    *SCALARS,
    "level",
    "flux",
)
FEATURE_NAMES: tuple[str, ...] = (
    *(f"{track}.{name}" for name in STATISTICS for track in _TRACKS),
    *SLOW_NAMES,
    *FAST_NAMES,
    *ONSET_NAMES,
    *ENVELOPE_NAMES,
)
NUM_FEATURES = len(FEATURE_NAMES)

_REVISION = 1
"""To be raised with any change that changes a figure and no name."""

_FLOOR = np.float32(1e-8)
"""Of a window's mean power (-80 dB): what is softer counts as nothing."""
_SILENCE = np.float32(1e-20)


def _schema() -> str:
    said = {
        "revision": _REVISION,
        "names": FEATURE_NAMES,
        "sample_rate": SAMPLE_RATE,
        "frame_length": FRAME_LENGTH,
        "hop_length": HOP_LENGTH,
        "mel_range_hz": frames_module.MEL_RANGE_HZ,
        "band_edges_hz": frames_module.BAND_EDGES_HZ,
    }
    digest = hashlib.sha256(json.dumps(said).encode()).hexdigest()
    return f"rich-{NUM_FEATURES}/{_REVISION}/{digest[:16]}"


FEATURE_SCHEMA = _schema()
"""Name of this set: a model of another one is refused."""


def window_vectors(frames: FrameFeatures, starts: NDArray[np.int64], length: int) -> FloatArray:
    """Return the features of windows of equal length.

    Parameters
    ----------
    frames : FrameFeatures
    starts : int64, shape (num_windows,)
        First frame of each; all of them end within ``frames``.
    length : int
        Frames of a window, MIN_FRAMES or more.

    Returns
    -------
    float32, shape (num_windows, NUM_FEATURES)
        In the order of FEATURE_NAMES; finite.

    Raises
    ------
    InputError
        If ``length`` is too small.
    """
    if length < MIN_FRAMES:
        msg = f"a window of {length} frames is too short; at least {MIN_FRAMES} are needed"
        raise InputError(msg)
    if not len(starts):
        return np.empty((0, NUM_FEATURES), np.float32)
    from anc_core.features import frame_kernels

    def windows(figures: FloatArray, per_frame: int = 1) -> FloatArray:
        seen = sliding_window_view(figures, length * per_frame, axis=-1)
        return seen[..., starts * per_frame, :]

    power = windows(frames.power)
    # One array, filled in place: fresh memory costs more than what is computed in it.
    tracks = np.empty((len(_TRACKS), len(starts), length), np.float32)
    log_mel = tracks[:NUM_MELS]
    log_mel[...] = windows(frames.mel_power)
    _to_relative_db(log_mel, log_mel.mean(axis=(0, 2))[:, np.newaxis])
    done = NUM_MELS + NUM_CEPSTRA
    cepstra = tracks[NUM_MELS:done].reshape(NUM_CEPSTRA, -1)
    frame_kernels.weighted_sums(_cosines(), log_mel.reshape(NUM_MELS, -1), cepstra)
    for figures in (frames.contrast, frames.band_flatness, frames.scalars):
        tracks[done : done + len(figures)] = windows(figures)
        done += len(figures)
    level, flux = tracks[done:]
    level[...] = power
    _to_relative_db(level, power.mean(axis=1, keepdims=True))
    flux[:, 0] = 0.0
    flux[:, 1:] = np.maximum(np.diff(log_mel, axis=2), 0.0).mean(axis=0)
    rows = [
        *track_statistics(tracks, is_audible(power)),
        *slow_modulation(log_mel),
        *fast_modulation(windows(frames.fast_power, FAST_PER_FRAME)),
        *onsets(flux),
        *envelope(level),
    ]
    return np.ascontiguousarray(np.concatenate(rows).T)


def _to_relative_db(power: FloatArray, reference: FloatArray) -> None:
    """Put in place of ``power`` its dB over ``reference``."""
    power /= np.maximum(reference, _SILENCE)
    power += _FLOOR
    np.log10(power, out=power)
    power *= np.float32(10.0)


@cache
def _cosines() -> FloatArray:
    return cosine_transform(NUM_CEPSTRA, NUM_MELS)
