"""The features of a whole clip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from anc_core.arrays import as_columns, check_sample_rate
from anc_core.audio.resample import StreamResampler
from anc_core.dsp.finite import tame
from anc_core.errors import InputError
from anc_core.features.frame_features import SAMPLE_RATE, frame_features
from anc_core.features.vectors import MIN_SAMPLES, window_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]


def clip_features(audio: NDArray[Any], sample_rate: float) -> FloatArray:
    """Return the features of all of ``audio`` as one window.

    Parameters
    ----------
    audio : floating point, shape (n,) or (n, num_channels)
        Of any level, 1 sample or more; several channels are mixed. Non-finite samples count as 0.
        Less than 86 ms is continued with silence.
    sample_rate : float
        Hz, 1 000 to 768 000.

    Returns
    -------
    float32, shape (NUM_FEATURES,)
        In the order of :data:`anc_core.features.FEATURE_NAMES`.

    Raises
    ------
    InputError
        If shape, type or rate is not as above.

    Examples
    --------
    >>> hiss = np.random.default_rng(1).normal(0, 0.1, 22_050).astype(np.float32)
    >>> clip_features(hiss, 22_050).shape
    (799,)
    """
    columns = as_columns(audio)
    if not len(columns):
        msg = "audio has no samples; features need at least one"
        raise InputError(msg)
    return analysed_features(at_analysis_rate(columns, sample_rate))


def at_analysis_rate(columns: NDArray[Any], sample_rate: float) -> FloatArray:
    """Return the mean of the channels at the rate of the features, shape (num_samples,).

    ``columns`` has shape (n, num_channels); see :func:`clip_features`.
    """
    mixed = tame(columns).mean(axis=1, keepdims=True, dtype=np.float32)
    resampler = StreamResampler(int(check_sample_rate(sample_rate)), SAMPLE_RATE, 1)
    samples = np.concatenate([resampler.process(mixed), resampler.flush()])
    return samples[:, 0]


def analysed_features(samples: FloatArray) -> FloatArray:
    """Return the features of ``samples`` (num_samples,), which are at SAMPLE_RATE."""
    if len(samples) < MIN_SAMPLES:
        samples = np.pad(samples, (0, MIN_SAMPLES - len(samples)))
    frames = frame_features(samples)
    vector: FloatArray = window_vectors(frames, np.zeros(1, np.int64), frames.num_frames)[0]
    return vector
