"""Speed of the features beside librosa, on the same clips, one thread, in one run.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.features [FOLDER]

Clips of 5 s: those of a folder at 22.05 kHz, or synthetic ones. *librosa* is the straightforward
way: a call for every kind of feature (mel, MFCC and their deltas, contrast, flatness, centroid,
bandwidth, rolloff, crossings, onsets), then mean, deviation and three quantiles of each.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anc_core.features import (
    NUM_FEATURES,
    SAMPLE_RATE,
    WindowFeatures,
    analysed_features,
    at_analysis_rate,
)

FloatArray = NDArray[np.float32]
CLIP_S = 5.0


def clips(folder: Path | None, num: int) -> Iterator[FloatArray]:
    if folder is None:
        rng = np.random.default_rng(1)
        for _ in range(num):
            yield rng.normal(0, 0.1, round(CLIP_S * SAMPLE_RATE)).astype(np.float32)
        return
    import soundfile as sf

    paths = sorted(p for p in folder.rglob("*") if p.suffix in {".wav", ".ogg", ".flac"})
    for path in paths[:: max(1, len(paths) // num)][:num]:
        samples, rate = sf.read(path, dtype="float32", always_2d=True)
        samples = at_analysis_rate(samples, rate)
        yield np.tile(samples, 1 + round(CLIP_S * SAMPLE_RATE) // len(samples))[
            : round(CLIP_S * SAMPLE_RATE)
        ]


def with_librosa(samples: FloatArray) -> FloatArray:
    import librosa.feature as kinds

    given = {"y": samples, "sr": SAMPLE_RATE, "n_fft": 1024, "hop_length": 441}
    cepstra = kinds.mfcc(**given, n_mfcc=20)
    tracks = [
        10 * np.log10(kinds.melspectrogram(**given, n_mels=64) + 1e-10),
        cepstra,
        kinds.delta(cepstra),
        kinds.delta(cepstra, order=2),
        kinds.spectral_contrast(**given),
        kinds.spectral_flatness(y=samples, n_fft=1024, hop_length=441),
        kinds.spectral_centroid(**given),
        kinds.spectral_bandwidth(**given),
        kinds.spectral_rolloff(**given),
        kinds.zero_crossing_rate(samples, frame_length=1024, hop_length=441),
        kinds.rms(y=samples, frame_length=1024, hop_length=441),
    ]
    rows = np.concatenate(tracks)
    quantiles = np.percentile(rows, (10, 50, 90), axis=1)
    return np.concatenate([rows.mean(axis=1), rows.std(axis=1), *quantiles])


def windows(samples: FloatArray) -> FloatArray:
    stream = WindowFeatures(SAMPLE_RATE)
    found = [*stream.process(samples[:, np.newaxis]), *stream.flush()]
    return np.concatenate([some.vectors for some in found])


def cpu_s(job: Callable[[FloatArray], FloatArray], sounds: list[FloatArray]) -> float:
    job(sounds[0])  # tables and compiled code
    started = time.process_time()
    for samples in sounds:
        job(samples)
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    sounds = list(clips(options.folder, options.clips))
    jobs = {
        f"ours, a clip, {NUM_FEATURES} figures": analysed_features,
        "ours, windows of 1 s every 0.5 s": windows,
        f"librosa, a clip, {len(with_librosa(sounds[0]))} figures": with_librosa,
    }
    best = dict.fromkeys(jobs, np.inf)
    for _ in range(options.repeats):
        for name, job in jobs.items():
            best[name] = min(best[name], cpu_s(job, sounds))
    slowest = list(best.values())[-1]
    print(f"{len(sounds)} clips of {CLIP_S:g} s, best of {options.repeats}, CPU time, one thread")
    for name, seconds in best.items():
        speed, ratio = len(sounds) * CLIP_S / seconds, slowest / seconds
        print(f"{name:40} {speed:7.0f} x real time {ratio:6.1f} x librosa")


if __name__ == "__main__":
    main()
