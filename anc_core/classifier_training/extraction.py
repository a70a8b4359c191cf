"""From clips to features, kept on disk by content: what was measured once is never measured again.

A clip gives a fixed list of vectors: itself, itself in noise and at other levels (to test with),
variations and crops (to train on), and a few of its windows of 1 s (to test what the pipeline
hears). They depend on the clip's content, the seed and this file alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anc_core.audio import StreamResampler, open_reader
from anc_core.classifier_training.augment import active_rms, crop, varied, with_pink_noise
from anc_core.classifier_training.records import Clip, Skipped
from anc_core.dsp.finite import tame
from anc_core.errors import AncError
from anc_core.features import (
    FEATURE_SCHEMA,
    NUM_FEATURES,
    SAMPLE_RATE,
    WindowFeatures,
    analysed_features,
)
from anc_core.files import atomic_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

NOISE_LEVELS_DB = (20, 10)
_GAINS_DB = (-20, 20)
TESTS = ("clean", *(f"pink_{db}_db" for db in NOISE_LEVELS_DB), "softer", "louder")
"""What a held-out clip is tested as; the first is the clip itself."""
NUM_VARIATIONS = 2
NUM_CROPS = 3
_MAX_WINDOWS = 4

_REVISION = 1
"""To be raised with any change that changes a vector."""
_MAX_CLIP_S = 30.0
"""Of a longer recording the beginning is heard: a category needs many recordings, not long ones."""
_MIN_CLIP_S = 0.1
_SILENCE_DBFS = -70.0
_PAUSE = 1e-3
"""Windows with less of the power of the loudest are pauses."""


@dataclass(frozen=True, slots=True)
class ClipFeatures:
    """The vectors of all clips of a training, float32, NUM_FEATURES in the last axis.

    Attributes
    ----------
    tests : shape (len(TESTS), num_clips, NUM_FEATURES)
    training : shape (num_clips, 1 + NUM_VARIATIONS + NUM_CROPS, NUM_FEATURES)
        Every clip itself and its variations.
    windows : shape (num_windows, NUM_FEATURES)
        Windows of 1 s in which something sounds.
    clip_of_window : int64, shape (num_windows,)
    """

    tests: FloatArray
    training: FloatArray
    windows: FloatArray
    clip_of_window: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FeatureCache:
    """Vectors by content in one folder.

    Attributes
    ----------
    folder : Path
        Of one seed and one set of features; see :func:`feature_cache`.
    seed : int
        Of the variations.
    """

    folder: Path
    seed: int

    def __contains__(self, clip: Clip) -> bool:
        """Return whether the vectors of ``clip`` are there."""
        return self._path(clip).is_file()

    def load(self, clips: Sequence[Clip]) -> ClipFeatures:
        """Return the vectors of ``clips``, all of which were extracted."""
        tables = [np.load(self._path(clip), allow_pickle=False) for clip in clips]
        num_tests, num_training = len(TESTS), NUM_VARIATIONS + NUM_CROPS
        windows = [table[num_tests + num_training :] for table in tables]
        return ClipFeatures(
            tests=np.stack([table[:num_tests] for table in tables], axis=1),
            training=np.stack(
                [
                    np.concatenate([table[:1], table[num_tests : num_tests + num_training]])
                    for table in tables
                ]
            ),
            windows=np.concatenate(windows),
            clip_of_window=np.repeat(np.arange(len(clips)), [len(some) for some in windows]),
        )

    def save(self, clip: Clip, table: FloatArray) -> None:
        """Keep the vectors of ``clip``, complete or not at all."""
        with atomic_path(self._path(clip)) as part, part.open("wb") as file:
            np.save(file, table, allow_pickle=False)

    def _path(self, clip: Clip) -> Path:
        return self.folder / clip.digest[:2] / f"{clip.digest}.npy"


def feature_cache(home: Path, seed: int) -> FeatureCache:
    """Return the cache below ``home`` of the present features and variations of ``seed``."""
    said = json.dumps([FEATURE_SCHEMA, _REVISION, seed])
    return FeatureCache(home / hashlib.sha256(said.encode()).hexdigest()[:16], seed)


def extract(root: Path, clips: Sequence[Clip], cache: FeatureCache) -> list[Skipped]:
    """Measure what of ``clips`` is not in the cache; return those that cannot be used.

    A bad clip never stops the others.
    """
    skipped = []
    for clip in clips:
        if clip in cache:
            continue
        try:
            samples = _decode(root / clip.path)
        except AncError as error:
            skipped.append(Skipped(path=clip.path, reason=str(error)))
            continue
        reason = _fault(samples)
        if reason is not None:
            skipped.append(Skipped(path=clip.path, reason=reason))
            continue
        rng = np.random.default_rng([cache.seed, int(clip.digest[:16], 16)])
        cache.save(clip, clip_table(samples, rng))
    return skipped


def clip_table(samples: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return all vectors of a clip (num_samples,), shape (10 to 14, NUM_FEATURES).

    The rows are TESTS, the variations, the crops, and the windows.
    """
    heard = [
        samples,
        *(with_pink_noise(samples, db, rng) for db in NOISE_LEVELS_DB),
        *(samples * np.float32(10.0 ** (db / 20.0)) for db in _GAINS_DB),
        *(varied(samples, rng) for _ in range(NUM_VARIATIONS)),
        *(crop(varied(samples, rng), rng) for _ in range(NUM_CROPS)),
    ]
    vectors = np.stack([analysed_features(some) for some in heard])
    return np.concatenate([vectors, _sounding_windows(samples)])


def _sounding_windows(samples: FloatArray) -> FloatArray:
    """Return up to 4 windows of 1 s, evenly spread over those in which something sounds."""
    stream = WindowFeatures(SAMPLE_RATE)
    found = [*stream.process(samples[:, np.newaxis]), *stream.flush()]
    vectors = np.concatenate([some.vectors[:, 0] for some in found])
    starts = np.concatenate([some.start_s for some in found]) * SAMPLE_RATE
    length = round(found[0].length_s * SAMPLE_RATE)
    power = np.array([np.square(samples[int(s) : int(s) + length]).mean() for s in starts])
    sounding = np.flatnonzero(power > _PAUSE * power.max())
    spread = np.linspace(0, len(sounding) - 1, min(_MAX_WINDOWS, len(sounding))).round().astype(int)
    return np.asarray(vectors[sounding[spread]], np.float32).reshape(-1, NUM_FEATURES)


def _fault(samples: FloatArray) -> str | None:
    if len(samples) < _MIN_CLIP_S * SAMPLE_RATE:
        return f"shorter than {_MIN_CLIP_S} s"
    if active_rms(samples) < 10.0 ** (_SILENCE_DBFS / 20.0):
        return f"silent: below {_SILENCE_DBFS:g} dBFS"
    return None


def _decode(path: Path) -> FloatArray:
    """Return the mean of a recording's channels at the rate of the features."""
    with open_reader(path) as reader:
        resampler = StreamResampler(reader.sample_rate, SAMPLE_RATE, 1)
        parts = [
            resampler.process(tame(chunk).mean(axis=1, keepdims=True, dtype=np.float32))
            for chunk in _beginning(reader.chunks(), round(_MAX_CLIP_S * reader.sample_rate))
        ]
        parts.append(resampler.flush())
    return np.ascontiguousarray(np.concatenate(parts)[:, 0])


def _beginning(chunks: Iterator[FloatArray], num_samples: int) -> Iterator[FloatArray]:
    for chunk in chunks:
        yield chunk[:num_samples]
        num_samples -= len(chunk)
        if num_samples <= 0:
            return
